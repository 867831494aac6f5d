"""A walk, told to a person: the conversation, and between its lines what decided each reply.

For example, a recipient:

    C: RCPT TO:<status@mydomain.com>
           /etc/mailrecv.conf:7: deliver rcpt_to status@mydomain.com append /srv/mail/status.mbox
               takes the mail
    S: 250 OK
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

from mailrecv.config.model import Config
from mailrecv.diagnosis.advice import Source
from mailrecv.diagnosis.places import mend
from mailrecv.diagnosis.walk import Place, Step, Walk
from mailrecv.limits import Limit
from mailrecv.policy import clients, recipients
from mailrecv.policy.decision import Test
from mailrecv.policy.patterns import Verdict

_WHY = " " * 7  # before a line that tells why
_FOUND = {Verdict.YES: "matches", Verdict.NO: "no match", Verdict.CANNOT_TELL: "too much work, given up"}
_FATES = {
    "delivered": "the mail is delivered",
    "discarded": "the mail is taken and thrown away",
    "deferred": "the mail is not taken now; the sender keeps it and comes again",
    "refused": "the mail is refused; the sender gives up and tells its author",
    "unknown": "the mail is taken; whether it can be delivered is not known",
}
_LIMITS = {
    "fcrdns_check": "turns away clients without a name that DNS confirms",
    "connection_secs": "is exceeded by DNS",
    "start_secs": "is exceeded by DNS",
    "smtp_ascii": "refuses what is not printable ASCII",
}
_GOOD, _BAD = "32", "31"  # green and red, of ECMA-48's SGR

Paint = Callable[[str, str], str]  # a text and one of the above


def in_colour(text: str, colour: str) -> str:
    """Return a text for a terminal, in a colour."""
    return f"\33[{colour}m{text}\33[0m"


def plainly(text: str, colour: str) -> str:
    """Return a text as it is."""
    return text


def told(walk: Walk, config: Config, source: Source, paint: Paint = plainly) -> Iterator[str]:
    """Yield the lines to print.  paint: `in_colour` for a terminal that has colours."""
    yield f"Connection from {walk.client.address}"
    if walk.unreadable is not None:
        yield f"{_WHY}the service cannot use {source.path}: it {walk.unreadable}"
    for step in walk.steps:
        if step.command:
            yield f"C: {_safe(step.command)}"
        for line in _reasons(walk, step, config, source):
            yield _WHY + _safe(line)
        for line in step.reply.lines():
            yield "S: " + paint(_safe(line), _GOOD if step.reply.positive else _BAD)
    if walk.end is not None:
        yield "C: (the message, with a dot at its end)"
        yield "S: " + paint(_safe(str(walk.end)), _GOOD if walk.end.positive else _BAD)
    yield ""
    taken = walk.fate in ("delivered", "discarded", "unknown")
    yield "Result: " + paint(_FATES[walk.fate], _GOOD if taken else _BAD)
    if walk.place is not None:
        for line in _about(walk.place):
            yield _WHY + _safe(line)


def _reasons(walk: Walk, step: Step, config: Config, source: Source) -> Iterator[str]:
    """Yield what decided a reply, in the order in which it was looked at."""
    if not step.command and walk.unreadable is None and not step.named:
        yield "its name is not asked for: nothing depends on it" + (" yet" if walk.client.looked_up else "")
    if step.named and walk.name_given:
        name = walk.client.lookup.name
        yield f"its name is {name}, as given" if name else "it has no confirmed name, as given"
    for line in step.dns:
        yield f"DNS: {line}"
    by_line = [(line, list(tests)) for line, tests in itertools.groupby(step.tests, lambda test: test.line)]
    for line, tests in by_line:
        yield _place_of(line, source)
        yield from ("    " + _result(test) for test in tests)
    if step.line and step.line not in dict(by_line):
        yield _place_of(step.line, source)
    decision = _decision(walk, step, config)
    if decision:
        yield ("    " if step.line else "") + decision


def _decision(walk: Walk, step: Step, config: Config) -> str | None:
    """Return how the reply came about, where the lines that were shown do not say it."""
    if step.limit is not None:
        limit = getattr(config.limits, step.limit)
        value = limit.value if isinstance(limit, Limit) else "on"
        by_default = "" if step.line else f"limit.{step.limit}, {value} by default, "
        return by_default + _LIMITS.get(step.limit, "is exceeded")
    if not step.command:
        if step.reply == clients.NOT_ALLOWED:
            return "no `allow remotehost` line matches"
        if step.reply == clients.NAME_NOT_KNOWN_NOW:
            return "a line might match the client's name, which DNS cannot tell now"
        return "may connect" if step.line else None
    if not step.command.startswith("RCPT") or walk.recipient is None:
        return None
    if walk.place is not None:
        at_dead_letters = step.line == config.deadletter_line
        return "takes the mail" + (", since no other line speaks of this recipient" if at_dead_letters else "")
    if step.reply == recipients.CLIENT_NOT_IN_GROUP and walk.recipient.lower() in config.deliver:
        return "is for this recipient, but no group here admits the client"
    if step.reply == recipients.NAME_NOT_KNOWN_NOW and walk.recipient.lower() in config.deliver:
        return "might admit the client, whose name DNS cannot tell now"
    return "refuses" if step.line else "no line speaks of this recipient"


def _place_of(line: int, source: Source) -> str:
    return f"{source.path}:{line}: {source.line(line)}"


def _result(test: Test) -> str:
    return f"{test.subject}: {_FOUND[test.verdict]}"


def _about(place: Place) -> Iterator[str]:
    """Yield what is to be said of the place where the mail goes, or should."""
    service = place.service
    user = f"the user {service.user} ({service.known_from})"
    yield str(place.route)
    if place.writable is None:
        yield f"not tried: {place.reason}"
    elif not place.writable:
        yield f"{user} cannot {'run' if place.route.method == 'pipe' else 'write'} it: {place.reason}"
        yield mend(service, place.route.method, place.route.target, place.reason)
    elif not place.keeps:
        yield "nothing is kept there"
    elif place.route.method == "pipe":
        yield f"{user} can run it; that was not tried"
    else:
        yield f"{user} can write there"


def _safe(text: str) -> str:
    """Return a text that a terminal shows as it is, whatever DNS or the command line put into it."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)
