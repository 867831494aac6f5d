"""Which clients may connect, and which belong to a group.

A client is tried by its confirmed name first, then by its address. A name that DNS could not tell now is no reason to
turn honest mail away for good: then the refusal is a temporary one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from mailrecv.config.model import ClientPattern, Config
from mailrecv.limits import Limits
from mailrecv.policy.decision import Decision, Test
from mailrecv.policy.patterns import Verdict
from mailrecv.reply import Reply

NOT_ALLOWED = Reply(554, "This server takes no mail from your host")
NAME_NOT_KNOWN_NOW = Reply(421, "Your host name cannot be looked up now, try again later")
_NO_NAME = Limits().fcrdns_check.reply  # what no administrator has chosen


class Client(Protocol):
    """What has to be known of a client; `mailrecv.client.Client` is one.

    Asking for the name may ask DNS, so nothing here asks before the answer can matter.
    """

    @property
    def loopback(self) -> bool:
        """True for an address of this machine's own loopback."""

    @property
    def name(self) -> str | None:
        """The name that DNS confirms in both directions."""

    @property
    def name_unknown_now(self) -> bool:
        """True when DNS failed in a way that may pass."""

    @property
    def address_forms(self) -> tuple[str, ...]:
        """The address, for IPv6 the short and the full form."""


def admit(config: Config, client: Client) -> Decision:
    """Decide whether a client may talk to this server at all."""
    if config.limits.fcrdns_check.on and not client.loopback and client.name is None:
        reply = config.limits.fcrdns_check.reply
        if client.name_unknown_now and (reply.code >= 500 or reply == _NO_NAME):
            reply = NAME_NOT_KNOWN_NOW  # so that the log, too, tells a DNS that is down from a name that is missing
        return Decision(reply, 0, limit="fcrdns_check")
    if not config.allow:
        return Decision(None, 0)
    verdict, line, tests = match(config.allow, client)
    refusals = {Verdict.YES: None, Verdict.NO: NOT_ALLOWED, Verdict.CANNOT_TELL: NAME_NOT_KNOWN_NOW}
    return Decision(refusals[verdict], line, tests)


def match(patterns: Iterable[ClientPattern], client: Client) -> tuple[Verdict, int, tuple[Test, ...]]:
    """Try patterns on a client until one matches.

    Returns the verdict, the line of the pattern that matched (0: none did) and all tests. A pattern over its match
    limit counts as no match. CANNOT_TELL: none matched, but the name that one might have matched is not known now.
    """
    tests = []
    for rule in patterns:
        subjects = client.address_forms if client.name is None else (client.name, *client.address_forms)
        for subject in subjects:
            verdict = rule.pattern.search(subject, host_name=subject is client.name)
            tests.append(Test(rule.line, rule.pattern.text, subject, verdict))
            if verdict is Verdict.YES:
                return Verdict.YES, rule.line, tuple(tests)
    return (Verdict.CANNOT_TELL if tests and client.name_unknown_now else Verdict.NO), 0, tuple(tests)
