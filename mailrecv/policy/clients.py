"""Which clients may connect, and which belong to a group.

A client is tried by its address first, then by its confirmed name. The name is asked for only when the address leaves
open what becomes of the client, and some pattern could match a name at all. A name that DNS could not tell now is no
reason to turn honest mail away for good: then, if it would matter, the refusal is a temporary one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from mailrecv.config.model import ClientPattern, Config
from mailrecv.limits import Limits
from mailrecv.policy.decision import Decision, Test
from mailrecv.policy.patterns import Verdict
from mailrecv.reply import Reply
from mailrecv.values import Value

NOT_ALLOWED = Reply(554, "This server takes no mail from your host")
NAME_NOT_KNOWN_NOW = Reply(421, "Your host name cannot be looked up now, try again later")
_NO_NAME = Limits().fcrdns_check.reply  # what no administrator has chosen


class Client(Protocol):
    """What has to be known of a client; `mailrecv.client.Client` is one.

    Asking for the name may ask DNS, so nothing here asks before the answer can matter.
    """

    @property
    def address(self) -> str:
        """The address, as the log shows it."""

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
        """The address without its zone, for IPv6 the short and the full form."""


class Known(Value):
    """What is known of a client when patterns are tried on it.

    address, forms: as above.  name: the confirmed one, or None.  may_be_named: DNS was not asked, or failed for now, so
    that there may be a name after all.
    """

    address: str
    forms: tuple[str, ...]
    name: str | None
    may_be_named: bool


def by_address(client: Client) -> Known:
    """Return what is known of a client without its name."""
    return Known(client.address, client.address_forms, None, may_be_named=True)


def by_name(client: Client) -> Known:
    """Return all that can be known of a client. May ask DNS."""
    return Known(client.address, client.address_forms, client.name, client.name_unknown_now)


def admit(config: Config, client: Client) -> Decision:
    """Decide whether a client may talk to this server at all."""
    decision = _listed(config, by_address(client))
    if decision.reply == NOT_ALLOWED:
        return decision
    if config.limits.fcrdns_check.on and not client.loopback and client.name is None:
        reply = config.limits.fcrdns_check.reply
        if client.name_unknown_now and (reply.code >= 500 or reply == _NO_NAME):
            reply = NAME_NOT_KNOWN_NOW  # so that the log, too, tells a DNS that is down from a name that is missing
        return Decision(reply, 0, limit="fcrdns_check")
    return decision if decision.reply is None else _listed(config, by_name(client))


def _listed(config: Config, client: Known) -> Decision:
    """Decide by the list of those who may connect."""
    if not config.allow:
        return Decision(None, 0)
    verdict, line, tests = match(config.allow, client)
    refusals = {Verdict.YES: None, Verdict.NO: NOT_ALLOWED, Verdict.CANNOT_TELL: NAME_NOT_KNOWN_NOW}
    return Decision(refusals[verdict], line, tests)


def match(rules: Iterable[ClientPattern], client: Known) -> tuple[Verdict, int, tuple[Test, ...]]:
    """Try patterns on a client until one matches.

    Returns the verdict, the line of the pattern that matched (0: none did) and all tests. A pattern over its match
    limit counts as no match. CANNOT_TELL: none matched, but the name that one might have matched is not known.
    """
    tests = []
    for rule in rules:
        for subject, verdict in rule.pattern.tried_on(client):
            tests.append(Test(rule.line, rule.pattern.text, subject, verdict))
            if verdict is Verdict.YES:
                return Verdict.YES, rule.line, tuple(tests)
    might_match = client.may_be_named and any(rule.pattern.may_match_names for rule in rules)
    return Verdict.CANNOT_TELL if might_match else Verdict.NO, 0, tuple(tests)
