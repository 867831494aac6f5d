"""What holds for the header of every message that is delivered, and for every message that is put into an mbox."""

from __future__ import annotations

import email
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, product

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mailrecv.delivery.header import OF_MBOX_READERS, OF_THIS_SERVER, set_apart
from mailrecv.delivery.mbox import quoted
from mailrecv.delivery.spool import BLOCK_OCTETS
from tests.support.delivery import RECIPIENT, a_message, quoted_line_by_line, set_apart_line_by_line, unquoted

Work = Callable[[Iterable[bytes]], Iterator[bytes]]

PIECES = st.sampled_from([b"From ", b"F", b"ro", b"m", b" ", b">", b">>>", b"\n", b"\n\n", b"\r", b"\0", b"x", b"rom "])
TEXTS = st.lists(PIECES, max_size=40).map(b"".join) | st.binary(max_size=100)
BLOCKS = st.lists(PIECES | st.binary(max_size=10), max_size=40)


@given(BLOCKS)
@example([b"F", b"r", b"o", b"m", b" ", b"\n", b">", b"F", b"rom", b" "])
@example([b"\nFrom", b"", b" x"])
@example([b"\n", b">" * 10, b"Fro", b"mm "])
def test_the_split_into_blocks_does_not_matter(blocks: list[bytes]) -> None:
    """However a message is split into blocks, it is quoted as line by line."""
    assert b"".join(quoted(blocks)) == quoted_line_by_line(b"".join(blocks))


@given(TEXTS)
def test_every_split_in_two(text: bytes) -> None:
    """A block may end anywhere, in a `From ` too."""
    expected = quoted_line_by_line(text)
    for end in range(len(text) + 1):
        assert b"".join(quoted([text[:end], text[end:]])) == expected


@given(TEXTS)
def test_quoting_is_undone(text: bytes) -> None:
    """No line of a quoted message begins a new one, and un-quoting gives the message back."""
    result = b"".join(quoted([text]))
    assert not any(line.startswith(b"From ") for line in result.split(b"\n"))
    assert unquoted(result) == text


@given(BLOCKS)
def test_little_is_held_back(blocks: list[bytes]) -> None:
    """What has come in has gone out again but for less than a `From `."""
    taken = 0

    def counted() -> Iterator[bytes]:
        nonlocal taken
        for block in blocks:
            taken += len(block)
            yield block

    given_out = 0
    for block in quoted(counted()):
        given_out += len(block)
        assert given_out > taken - len(b"From ")


# The header

RESERVED = OF_THIS_SERVER | OF_MBOX_READERS
NAMES = st.sampled_from(
    [b"Subject", b"Return-Path", b"content-length", b"LINES", b"X-Status", b"X-Mozilla-Status2", b"X"]
)
HEADER_PIECES = NAMES | PIECES | st.sampled_from([b":", b": 1\n", b" :", b"\t", b" " * 970, b"x" * 990, b":\n\n"])
HEADERS = st.lists(HEADER_PIECES, max_size=40) | BLOCKS


@st.composite
def cut(draw: st.DrawFn, octets: bytes) -> list[bytes]:
    """Return the octets in blocks that end anywhere."""
    ends = sorted(draw(st.lists(st.integers(0, len(octets)), max_size=20)))
    return [octets[start:end] for start, end in zip([0, *ends], [*ends, len(octets)], strict=True)]


@settings(max_examples=500, deadline=None)
@given(st.data(), HEADERS)
def test_where_blocks_end_does_not_matter(data: st.DataObject, pieces: list[bytes]) -> None:
    """However a message is split into blocks, its header is set apart in the same way, octet by octet too."""
    octets = b"".join(pieces)
    whole = b"".join(set_apart([octets], RESERVED))
    for blocks in (pieces, data.draw(cut(octets)), [octets[place : place + 1] for place in range(len(octets))]):
        assert b"".join(set_apart(blocks, RESERVED)) == whole


@settings(max_examples=500, deadline=None)
@given(HEADERS)
def test_a_header_is_set_apart_as_line_by_line(pieces: list[bytes]) -> None:
    """Reading blocks comes to the same as reading lines, unless a line is longer than mail may have it."""
    data = b"".join(pieces)
    if all(len(line) < 998 for line in data.split(b"\n")):
        assert b"".join(set_apart([data], RESERVED)) == b"\n" + set_apart_line_by_line(data, RESERVED)


@settings(max_examples=300, deadline=None)
@given(st.lists(HEADER_PIECES, max_size=20).map(b"".join) | st.binary(max_size=50), st.booleans())
def test_the_trace_lines_stay_as_they_are(data: bytes, in_mbox: bool) -> None:
    """Whatever a sender writes, the email package finds the trace lines first, and as they were."""
    message = a_message(data)
    fields = email.message_from_bytes(b"".join(message.copy_for(RECIPIENT, in_mbox=in_mbox))).items()
    trace = email.message_from_bytes(message.trace_for(RECIPIENT)).items()
    assert fields[: len(trace)] == trace


@settings(max_examples=300, deadline=None)
@given(HEADERS)
def test_a_body_is_not_touched(blocks: list[bytes]) -> None:
    """What follows the first empty line passes as it came, in the blocks in which it came."""
    blocks = [block for block in blocks if block]
    result = list(set_apart([b"Subject: x\n\n", *blocks], RESERVED))
    assert all(one is other for one, other in zip(result[1:], blocks, strict=False))
    assert b"".join(result) == b"\nSubject: x\n\n" + b"".join(blocks)


# What it costs, to quote and to set apart


def after_a_field(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Set apart what begins with a field."""
    return set_apart(chain([b"a:"], blocks), RESERVED)


def from_the_start(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Set apart what need not begin with a field."""
    return set_apart(blocks, RESERVED)


UNITS = [
    b">",
    b"F",
    b"x",
    b" ",
    b"\n>",
    b"From ",
    b">From ",
    b"\nFrom",
    b"\nFrom ",
    b"\n>>From ",
    b"\nLines:",
    b"\nLines x",
]
costs = pytest.mark.parametrize(
    "work, unit, block_octets", [*product([quoted, after_a_field, from_the_start], UNITS, [997, BLOCK_OCTETS])]
)


@costs
def test_the_cost_is_linear(work: Work, unit: bytes, block_octets: int) -> None:
    """Four times as much of anything takes about four times as long, not sixteen times."""

    def seconds(blocks: int) -> float:
        began = time.process_time()
        drain(work(repeated(unit, block_octets, blocks)))
        return time.process_time() - began

    quarter, whole = (min(seconds(octets // block_octets) for _ in range(3)) for octets in (1 << 19, 1 << 21))
    assert whole < 10 * quarter + 0.01


@costs
def test_it_takes_little_memory(work: Work, unit: bytes, block_octets: int) -> None:
    """A line of 4 MB is never held as a whole, and lines to alter cost no more than others, however many there are."""
    tracemalloc.start()
    try:
        drain(work(repeated(unit, block_octets, 4_000_000 // block_octets)))
        assert tracemalloc.get_traced_memory()[1] < 8 * BLOCK_OCTETS
    finally:
        tracemalloc.stop()


def repeated(unit: bytes, block_octets: int, blocks: int) -> Iterator[bytes]:
    """Yield blocks of this size, full of the unit."""
    block = (unit * (block_octets // len(unit) + 1))[:block_octets]
    return (block for _ in range(blocks))


def drain(blocks: Iterable[bytes]) -> None:
    for _ in blocks:
        pass
