"""What holds for every message that is put into an mbox."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailrecv.delivery.mbox import quoted
from mailrecv.delivery.spool import BLOCK_OCTETS
from tests.support.delivery import quoted_line_by_line, unquoted

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


@pytest.mark.parametrize("unit", [b">", b"F", b"\n>", b"From ", b"\nFrom ", b"\n>>From ", b"\nFrom"], ids=repr)
@pytest.mark.parametrize("block_octets", [997, BLOCK_OCTETS])
def test_the_cost_is_linear(unit: bytes, block_octets: int) -> None:
    """Four times as much of anything takes about four times as long, not sixteen times."""

    def seconds(blocks: int) -> float:
        began = time.process_time()
        drain(quoted(repeated(unit, block_octets, blocks)))
        return time.process_time() - began

    quarter, whole = (min(seconds(octets // block_octets) for _ in range(3)) for octets in (1 << 19, 1 << 21))
    assert whole < 10 * quarter + 0.01


@pytest.mark.parametrize("unit", [b">", b"F", b"x", b">From ", b"\nFrom ", b"\n>>From "], ids=repr)
@pytest.mark.parametrize("block_octets", [997, BLOCK_OCTETS])
def test_it_takes_little_memory(unit: bytes, block_octets: int) -> None:
    """A line of 4 MB is never held as a whole, and lines to quote cost no more than others, however many there are."""
    tracemalloc.start()
    try:
        drain(quoted(repeated(unit, block_octets, 4_000_000 // block_octets)))
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
