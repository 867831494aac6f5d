"""Time grows with what a client sends, never faster; memory does not grow at all."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterable
from contextlib import suppress
from itertools import chain, repeat

import pytest

from mailrecv.smtp import NEED_DATA, Receiver
from mailrecv.smtp.events import Question
from mailrecv.smtp.grammar import Malformed, parse_command, parse_path
from tests.support.machine import DOMAIN, ENVELOPE, agree, limited, pieces, typed

BLOCK_OCTETS = 65536
GROWTH = 16
TOLERATED_GROWTH = 64  # quadratic cost would be 256

STARTS = {
    "commands": typed("NOOP"),
    "data": typed(*ENVELOPE),
    "data-LF": typed(*ENVELOPE, end=b"\n"),
}

# What the client sends first, what it sends over and over, and how many octets of that make a fair measurement.
CASES = [
    ("commands", b"x", 4_000_000),  # a line without end
    ("commands", b"\r", 4_000_000),
    ("commands", b"x" * 600 + b"\r\n", 4_000_000),
    ("commands", b"\r\n", 20_000),
    ("commands", b"NOOP\r\n", 100_000),
    ("data", b"x", 4_000_000),
    ("data", b"\r", 4_000_000),
    ("data", b"\n", 4_000_000),
    ("data", b"\r\n", 4_000_000),
    ("data", b"..\r\n", 4_000_000),  # a million lines of `.`, as a client stuffs them
    ("data", b".\n", 4_000_000),
    ("data", b"\n..", 4_000_000),
    ("data", b"..\n\r\n", 4_000_000),
    ("data", b"\r\n.\r", 4_000_000),  # always one octet short of the end
    ("data", b"\r\n.", 20_000),  # the first ends the message, the others are commands
    ("data-LF", b"x", 1_000_000),
    ("data-LF", b"\r", 1_000_000),
    ("data-LF", b"\n", 500_000),
    ("data-LF", b"\r\n", 500_000),
    ("data-LF", b"..\n", 500_000),
    ("data-LF", b"\n.\r\r", 1_000_000),
    ("data-LF", b"\n.", 20_000),
]
MANY_MESSAGES = ("commands", typed("HELO x", *ENVELOPE[1:], "."), 200_000)


def spend(start: str, blocks: Iterable[bytes]) -> None:
    """Feed `start`, then these blocks, to a machine that no limit stops, and drop all that comes of it."""
    machine = Receiver(DOMAIN, limited())
    machine.receive_data(STARTS[start])
    for block in chain(blocks, [b""]):
        while (event := machine.next_event()) is not NEED_DATA:
            if isinstance(event, Question):
                machine.answer(agree(event))
        machine.data_to_send()
        machine.receive_data(block)


def seconds(start: str, unit: bytes, size_octets: int, block_octets: int) -> float:
    """Return the processor time that it takes to read so many octets, the best of three."""
    octets = unit * (size_octets // len(unit))
    best = float("inf")
    for _ in range(3):
        before = time.process_time()
        spend(start, pieces(octets, block_octets))
        best = min(best, time.process_time() - before)
    return best


def assert_linear(start: str, unit: bytes, size_octets: int, block_octets: int) -> None:
    growth = 0.0
    for _ in range(5):  # something else may be busy on this machine
        much = seconds(start, unit, size_octets, block_octets)
        growth = much / seconds(start, unit, size_octets // GROWTH, block_octets)
        if growth < TOLERATED_GROWTH:
            break
    assert growth < TOLERATED_GROWTH


@pytest.mark.parametrize("start, unit, size_octets", [*CASES, MANY_MESSAGES])
def test_time_is_linear_in_blocks(start: str, unit: bytes, size_octets: int) -> None:
    """Sixteen times as much of anything takes about sixteen times as long, as it comes from a socket."""
    assert_linear(start, unit, size_octets, BLOCK_OCTETS)


@pytest.mark.parametrize("start, unit, size_octets", CASES)
def test_time_is_linear_in_one_piece(start: str, unit: bytes, size_octets: int) -> None:
    """The same when all of it comes at once (but many messages: each costs a copy of the piece that it came in)."""
    assert_linear(start, unit, size_octets, size_octets)


@pytest.mark.parametrize("before, after", [(b"", b""), (b"<", b""), (b"<", b">"), (b"a@b", b"\0"), (b"<(", b")> \0")])
@pytest.mark.parametrize(
    "unit",
    [b"a", b" ", b" a", b" a=b", b" a=", b"\\ ", b'"', b'\\"', b"<", b">", b"@a,", b"a@", b"@", b"(", b"\xe9", b"\t"],
)
def test_time_for_a_path_is_linear(before: bytes, unit: bytes, after: bytes) -> None:
    """So it is for the grammar, in lines far longer than any that it gets."""

    def spend_on(octets: bytes) -> float:
        best = float("inf")
        for _ in range(3):
            began = time.process_time()
            parse_command(b"MAIL " + octets)
            for reverse in (True, False):
                with suppress(Malformed):
                    parse_path(b"TO:" + octets, b"TO", "", reverse=reverse)
            best = min(best, time.process_time() - began)
        return best

    few = 2_000
    growth = min(
        spend_on(before + unit * few * GROWTH + after) / spend_on(before + unit * few + after) for _ in range(3)
    )
    assert growth < TOLERATED_GROWTH


@pytest.mark.parametrize(
    "start, unit",
    [
        *(("commands", unit) for unit in (b"x", b"\r")),
        *(("data", unit) for unit in (b"x", b"\r", b"\r\n", b"\r\n.\r", b"\n..")),
        *(("data-LF", unit) for unit in (b"x", b"\r", b"text\n")),
    ],
)
def test_memory_does_not_grow(start: str, unit: bytes) -> None:
    """A line or a message that never ends needs no more room after a hundred blocks than after five."""
    block = unit * (BLOCK_OCTETS // len(unit))
    assert peak_octets(start, block, 100) < peak_octets(start, block, 5) + BLOCK_OCTETS


def peak_octets(start: str, block: bytes, count: int) -> int:
    """Return the most memory that is ever in use while so many blocks are read."""
    tracemalloc.start()
    try:
        spend(start, repeat(block, count))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
