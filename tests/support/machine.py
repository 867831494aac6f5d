"""Runs a `Receiver` in memory: the client's octets in, all events and replies out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from mailrecv.limits import Limit, Limits, Switch
from mailrecv.reply import Reply
from mailrecv.smtp import NEED_DATA, Closed, Connected, Data, Event, Receiver, Refused, Text
from mailrecv.smtp.events import Question

DOMAIN = "mydomain.com"
ENVELOPE = ("HELO client.example", "MAIL FROM:<me@client.example>", "RCPT TO:<status@mydomain.com>", "DATA")

Answer = Callable[[Question], Reply]
E = TypeVar("E")


@dataclass(frozen=True)
class Run:
    """What came of a session.  events: neighbouring blocks of Text are joined.  sent: every octet the client got."""

    events: list[Event]
    sent: bytes

    @property
    def replies(self) -> list[str]:
        """The replies without their last CRLF; one of several lines holds LFs."""
        return split_replies(self.sent)

    @property
    def codes(self) -> list[int]:
        return [int(reply[:3]) for reply in self.replies]

    @property
    def text(self) -> bytes:
        """All mail data of the session."""
        return b"".join(event.octets for event in self.of(Text))

    @property
    def refusals(self) -> list[Refused]:
        return self.of(Refused)

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]


def agree(question: Question) -> Reply:
    """Answer every question as a server does that takes everything."""
    match question:
        case Connected():
            return Reply(220, f"{DOMAIN} SMTP")
        case Data():
            return Reply(354, "Go on")
        case _:
            return Reply(250, "Agreed")


def contrary(question: Question) -> Reply:
    """Answer with a refusal now and then, depending only on the question."""
    return agree(question) if sum(repr(question).encode()) % 5 else Reply(450, "Not now")


def typed(*lines: str | bytes, end: bytes = b"\r\n") -> bytes:
    """Return what a client sends that types these lines."""
    return b"".join((line.encode() if isinstance(line, str) else line) + end for line in lines)


def pieces(octets: bytes, size: int) -> Iterator[bytes]:
    """Cut octets into pieces of this size."""
    return (octets[start : start + size] for start in range(0, len(octets), size))


def limited(**changes: int | Limit) -> Limits:
    """Return limits that never strike but for those given, either as a number or with the reply too."""
    limits = Limits()
    for name in limits.__match_args__:
        limit = getattr(limits, name)
        if isinstance(limit, Limit):
            change = changes.get(name, 1_000_000_000)
            changed = change if isinstance(change, Limit) else Limit(change, limit.reply)
            limits = limits.replace(**{name: changed})
    return limits


LIMITS = (  # some that never strike, some that soon do
    limited(),
    Limits(),
    limited(smtp_commands=9, smtp_rcpt_to=1),
    limited(smtp_failcmds=3, smtp_data_size=10),
    limited(smtp_unknowncmd=1, smtp_data_size=0, smtp_rcpt_to=0),
    Limits(smtp_ascii=Switch(False, Reply(500, "Never said"))),
)


def run(octets: bytes | Iterable[bytes], limits: Limits | None = None, answer: Answer = agree) -> Run:
    """Return what comes of a client that sends these octets, in one piece or in these pieces, and then leaves.

    limits: none strikes unless they are given.
    """
    machine = Receiver(DOMAIN, limits or limited())
    return carry_on(machine, [octets] if isinstance(octets, bytes) else octets, answer)


def carry_on(machine: Receiver, blocks: Iterable[bytes], answer: Answer = agree) -> Run:
    """Feed a machine that stands between events with these blocks, until the session ends."""
    arriving = iter(blocks)
    events: list[Event] = []
    sent = b""
    while True:
        event = machine.next_event()
        if event is NEED_DATA:
            sent += machine.data_to_send()
            machine.receive_data(next(arriving, b""))
            continue
        if isinstance(event, Text) and events and isinstance(events[-1], Text):
            events[-1] = Text(events[-1].octets + event.octets)
        else:
            events.append(event)
        if isinstance(event, Question):
            machine.answer(answer(event))
        elif isinstance(event, Closed):
            return Run(events, sent + machine.data_to_send())


def split_replies(sent: bytes) -> list[str]:
    """Return the replies that these octets are made of; fail for anything that is not a well-formed reply."""
    replies: list[str] = []
    continued = ""
    *lines, rest = sent.decode("ascii").split("\r\n")
    for line in lines:
        assert re.fullmatch(r"[2345][0-9]{2}[- ][^\n]{,506}", line), f"not a line of a reply: {line}"
        assert continued[:3] in ("", line[:3]), f"another code within a reply: {line}"
        continued += line + "\n"
        if line[3] == " ":
            replies.append(continued[:-1])
            continued = ""
    assert continued + rest == "", "a reply without end"
    return replies
