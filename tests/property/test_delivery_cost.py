"""Time grows with what is delivered, never faster, and a large configuration costs a session next to nothing."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from mailrecv.config import compiler
from mailrecv.config.compiled import open_compiled
from mailrecv.delivery.mbox import quoted
from tests.support.compiled import compile_file
from tests.support.machine import pieces

BLOCK_OCTETS = 1 << 18
SIZE_OCTETS = 16_000_000
GROWTH = 16
TOLERATED_GROWTH = 64  # quadratic cost would be 256


def seconds(unit: bytes, size_octets: int, block_octets: int) -> float:
    """Return the processor time that it takes to quote so many octets, the best of two."""
    blocks = list(pieces(unit * (size_octets // len(unit)), block_octets))
    best = float("inf")
    for _ in range(2):
        before = time.process_time()
        for _ in quoted(blocks):
            pass
        best = min(best, time.process_time() - before)
    return best


@pytest.mark.parametrize("block_octets", [BLOCK_OCTETS, 1 << 30], ids=["in blocks", "in one piece"])
@pytest.mark.parametrize(
    "unit",
    [b"x", b">", b"\n", b"\n>", b"F", b"From ", b"\nFrom ", b"\n>From ", b">From ", b">" * 5000 + b"From ", b"\nFrom"],
)
def test_quoting_is_linear(unit: bytes, block_octets: int) -> None:
    """Sixteen times as much of anything takes about sixteen times as long to quote."""
    growth = 0.0
    for _ in range(5):  # something else may be busy on this machine
        growth = seconds(unit, SIZE_OCTETS, block_octets) / seconds(unit, SIZE_OCTETS // GROWTH, block_octets)
        if growth < TOLERATED_GROWTH:
            break
    assert growth < TOLERATED_GROWTH


def octets_read(path: Path, lines: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """Return how much of a compiled configuration of so many lines is read to find where mail for one address goes."""
    path.write_text("".join(f"deliver rcpt_to user{number}@x.example append /mail/box\n" for number in range(lines)))
    compile_file(path)
    read = []

    def pread(fd: int, count: int, offset: int, pread: object = os.pread) -> bytes:
        octets: bytes = pread(fd, count, offset)  # type: ignore[operator]
        read.append(len(octets))
        return octets

    with monkeypatch.context() as patched:
        patched.setattr(os, "pread", pread)
        compiled = open_compiled(str(path))
        assert compiled is not None
        (found,) = compiler.load(compiled).deliver[f"user{lines - 1}@x.example"]
        compiled.close()
    assert found.line == lines
    return sum(read)


def test_a_large_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session reads as little of a compiled configuration of 20,000 lines as of one of 200."""
    monkeypatch.setenv("CACHE_DIRECTORY", str(tmp_path))
    few, many = (octets_read(tmp_path / "mailrecv.conf", lines, monkeypatch) for lines in (200, 20_000))
    assert many < few + 4_000
