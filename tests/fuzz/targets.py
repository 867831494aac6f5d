"""What is fuzzed: each target takes any octets, and fails when something that must hold does not.

The seeds are the dialogues and the example configurations, and what earlier fuzzing has found worth keeping: in
`*.seeds`, one input a line, as a Python literal. `python -m tests.fuzz.run --keep` adds to these.
"""

from __future__ import annotations

import random
from ast import literal_eval
from collections.abc import Callable, Iterator
from pathlib import Path

from mailrecv.config.directives import DIRECTIVES
from mailrecv.config.model import METHODS
from mailrecv.limits import Limits
from mailrecv.policy.clients import admit
from mailrecv.policy.recipients import route
from mailrecv.reply import Reply
from mailrecv.smtp import NEED_DATA, Closed, Mail, Receiver
from mailrecv.smtp.events import Question
from mailrecv.smtp.framing import MAX_COMMAND_OCTETS, LineReader, MailDataReader
from mailrecv.smtp.grammar import parse_path
from mailrecv.smtp.states import TYPED, State
from tests.dialogue import Sent, all_dialogues
from tests.support.configs import client
from tests.support.false_ends import FALSE_ENDS
from tests.support.machine import (
    DOMAIN,
    ENVELOPE,
    LIMITS,
    Answer,
    agree,
    carry_on,
    contrary,
    run,
    split_replies,
    typed,
)
from tests.support.oracle import (
    assert_each_command_is_answered,
    assert_read_or_faulty,
    assert_same_when_compiled,
    valid_events,
)

Target = Callable[[bytes], None]

MAX_OCTETS = 4096  # of an input

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LONGEST_PIECE = 1000
MAX_HELD_OCTETS = LONGEST_PIECE + 2 * MAX_COMMAND_OCTETS  # the last piece, and the beginning of a line twice
ANSWERS: tuple[Answer, ...] = (agree, contrary, lambda question: Reply(550, "Never"))
GOODBYE = Reply(421, "Closing")


class Bounded(Receiver):
    """A Receiver that checks now and then, when it has read all there is, how much of that it still holds."""

    _calls = 0

    def receive_data(self, octets: bytes) -> None:
        """Take octets from the client."""
        self._calls += 1
        if self._calls % 16 == 0:
            assert held(self) <= MAX_HELD_OCTETS
        super().receive_data(octets)


def held(thing: object) -> int:
    """Return how many octets there are in a machine and its parts."""
    match thing:
        case bytes():
            return len(thing)
        case list():
            return sum(map(held, thing))
        case Receiver() | LineReader() | MailDataReader():
            return sum(map(held, vars(thing).values()))
        case _:
            return 0


def receiver(octets: bytes) -> None:
    """Run a session: nothing raises, one reply for each command, little is held, no split makes a difference, and it
    can be closed at any time.

    The first two octets choose limits, answers, the split and the time, the others are what the client sends.
    """
    choice, seed = (*octets[:2], 0, 0)[:2]
    limits, answer = LIMITS[choice % len(LIMITS)], ANSWERS[choice // 8 % len(ANSWERS)]
    octets = octets[2:]
    whole = run(octets, limits, answer)
    assert_each_command_is_answered(octets, whole)
    for sender in whole.of(Mail):
        shown = str(sender.reverse_path).encode("utf-8", "surrogateescape")
        assert parse_path(b"FROM:<" + shown + b">", b"FROM", "", reverse=True) == sender.reverse_path
    cut_up = carry_on(Bounded(DOMAIN, limits), cut(octets, seed), answer)
    assert valid_events(cut_up) == valid_events(whole)
    assert cut_up.sent == whole.sent
    close_early(octets, limits, answer, seed % 32)


def close_early(octets: bytes, limits: Limits, answer: Answer, after: int) -> None:
    """Close a session after so many events, the last of them unanswered: the client hears so, and nothing follows."""
    machine = Receiver(DOMAIN, limits)
    machine.receive_data(octets)
    event = machine.next_event()
    while (after := after - 1) > 0 and event is not NEED_DATA and not isinstance(event, Closed):
        if isinstance(event, Question):
            machine.answer(answer(event))
        event = machine.next_event()
    open_until_now = machine.state is not State.CLOSED
    machine.close(GOODBYE)
    assert isinstance(machine.next_event(), Closed)
    assert (split_replies(machine.data_to_send())[-1] == str(GOODBYE)) is open_until_now


def cut(octets: bytes, seed: int) -> Iterator[bytes]:
    """Cut octets into pieces of up to a few, or of up to many."""
    chance = random.Random(seed)  # noqa: S311 - any cuts will do, but the same for the same input
    longest = chance.choice((1, 5, 50, LONGEST_PIECE))
    start = 0
    while start < len(octets):
        end = start + chance.randint(1, longest)
        yield octets[start:end]
        start = end


def config(octets: bytes) -> None:
    """Read a configuration: it is read, or has faults; what was read can be asked about any client and recipient, and
    compiled without a difference.
    """
    read = assert_read_or_faulty(octets)
    if read is not None:
        assert_same_when_compiled(octets)
        for who in (client(), client("2001:db8::7", "mail.google.com"), client(temporary=True)):
            admit(read, who)
            for recipient in ("status@mydomain.com", "a" * 300 + "\udcff@b", *list(read.deliver)[:3]):
                route(read, who, recipient)


TARGETS: dict[str, Target] = {"receiver": receiver, "config": config}

TOKENS = {  # what mutations put together
    "receiver": [*TYPED, "FROM:", "TO:", "<>", "@", "postmaster", "\r\n", "\r\n.\r\n"],
    "config": [*DIRECTIVES, *METHODS, "rcpt_to", "remotehost", "on", "off", "-", "421", "550", "+group", "#"],
}


def seeds(target: str) -> list[bytes]:
    """Return inputs for a target to begin with."""
    kept = (HERE / f"{target}.seeds").read_text(encoding="ascii").splitlines()
    own = receiver_seeds() if target == "receiver" else config_seeds()
    return [seed for seed in (*own, *map(literal_eval, kept)) if len(seed) <= MAX_OCTETS]


def receiver_seeds() -> list[bytes]:
    """Return the client's part of every dialogue, every false end of mail data, and what mutations rarely come to."""
    dialogues = [b"".join(step.octets for step in one.steps if isinstance(step, Sent)) for one in all_dialogues()]
    false_ends = [typed(*ENVELOPE) + end + typed(*ENVELOPE[1:], "x", ".", "QUIT") for end in FALSE_ENDS]
    long_lines = [typed(b"HELO " + b"x" * length, "NOOP") for length in range(MAX_COMMAND_OCTETS - 8, 600, 10)]
    recipients = [typed(*ENVELOPE[:2], *(f"RCPT TO:<{number}@mydomain.com>" for number in range(40)))]
    octets = [*dialogues, *false_ends, *long_lines, *recipients * len(LIMITS)]
    return [bytes([number % 24, number % 256]) + part for number, part in enumerate(octets)]


def config_seeds() -> list[bytes]:
    """Return every example of a configuration, as it is and with its examples taken in, and those of the dialogues."""
    files = [*sorted((ROOT / "docs").rglob("*.conf")), *sorted((ROOT / "tests").rglob("*.conf"))]
    texts = [path.read_bytes() for path in files]
    return [*texts, *(text.replace(b"\n#", b"\n") for text in texts), *(one.config.encode() for one in all_dialogues())]
