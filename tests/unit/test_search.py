"""The search in large blocks: by re, then by PCRE2, with the same answers, and by re alone where PCRE2 may not."""

from __future__ import annotations

import re
import subprocess
import sys
from itertools import product
from pathlib import Path

import pcre2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailrecv.delivery import mbox
from mailrecv.search import RE_OCTETS, Search
from mailrecv.smtp import framing

ROOT = Path(__file__).parents[2]
USED = [framing._CRLF._UNUSUAL, framing._CRLF._HOLDS_DOTS, framing._LF._UNUSUAL, mbox._HOLDS_QUOTABLE]
PIECES = [b"\r", b"\n", b".", b">", b"x", b"From "]
# Denies itself memory that is both written and executed (prctl(2): PR_SET_MDWE), as MemoryDenyWriteExecute= does.
DENIED = """\
import ctypes
ctypes.CDLL(None).prctl(65, 1, 0, 0, 0)
from mailrecv.search import RE_OCTETS, Search
search = Search(rb"x[^y]")
print([search(text) for text in (b"ax", b"axz", b"x" * RE_OCTETS, b"ax", b"axz")])
"""


def by_pcre2(used: Search) -> Search:
    """Return the same search when it has gone over to PCRE2."""
    other = Search(used._pattern)
    other(bytes(RE_OCTETS))
    assert other._search != other._by_re
    return other


@pytest.mark.parametrize("used", USED, ids=lambda used: repr(used._pattern))
def test_both_find_the_same(used: Search) -> None:
    """In every arrangement of a few pieces, PCRE2 finds what re finds."""
    other = by_pcre2(used)
    for number in range(6):
        for pieces in product(PIECES, repeat=number):
            octets = b"".join(pieces)
            assert other(octets) is (re.search(used._pattern, octets) is not None), octets


@given(st.sampled_from(USED), st.lists(st.sampled_from(PIECES) | st.binary(max_size=50)).map(b"".join))
def test_both_find_the_same_anywhere(used: Search, octets: bytes) -> None:
    """The same in any octets."""
    assert by_pcre2(used)(octets) is (re.search(used._pattern, octets) is not None)


def test_small_mail_needs_no_pcre2(monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to RE_OCTETS nothing is compiled."""
    monkeypatch.delattr(pcre2, "compile")
    looked_for = Search(b"x")
    assert not looked_for(bytes(RE_OCTETS - 1))
    assert looked_for(b"x")
    assert looked_for._search == looked_for._by_re


def test_pcre2_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where PCRE2 fails, re goes on, and PCRE2 is not asked again."""
    asked = []

    def fail(pattern: bytes, **options: bool) -> None:
        asked.append(options)
        raise MemoryError

    monkeypatch.setattr(pcre2, "compile", fail)
    looked_for = Search(b"x")
    for _ in range(3):
        assert not looked_for(bytes(RE_OCTETS))
        assert looked_for(b"x")
    assert asked == [{"jit": True}]


def test_without_memory_for_machine_code() -> None:
    """In a process that may not make machine code, a search finds all the same."""
    ended = subprocess.run([sys.executable, "-c", DENIED], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "[False, True, True, False, True]\n"), ended.stderr


def test_no_group_is_possessive() -> None:
    """No pattern of the program repeats a group possessively: the Python of Debian 12 gets that wrong."""
    sources = {path: path.read_text(encoding="utf-8") for path in (ROOT / "mailrecv").rglob("*.py")}
    assert [path for path, text in sources.items() if re.search(r"[^\\\[]\)(?:[*+?]|\{[0-9,]+\})\+", text)] == []
