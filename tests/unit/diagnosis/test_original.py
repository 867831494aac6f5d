"""Lines that the original understood otherwise."""

from __future__ import annotations

import pytest

from mailrecv.diagnosis.advice import Source
from mailrecv.diagnosis.original import advise
from tests.support.advice import advice, source

PIPE = "deliver rcpt_to a@b pipe cat"
APPEND = "deliver rcpt_to a@b append /x"
GROUPS = [r"allowgroup +near \.x\.org$", r"allowgroup +one ^mail\.x\.org$", r"allowgroup +far ^mail\.y\.org$"]
TRIED_FIRST = "the original tried all append lines before pipe lines"


def grouped(line: str, group: str) -> str:
    return line.replace("deliver", f"deliver allowgroup {group}")


def test_replace() -> None:
    """A line that does nothing is told so, whole."""
    [(line, column, text, instead)] = advice(advise, "domain x", "\treplace rcpt_to ^a c@d  # see there")
    assert (line, column, instead) == (2, 2, "remove it")
    assert text.startswith("this line does nothing, as in the original")


@pytest.mark.parametrize("rest", ["on", "0", "yes 554 Only  ASCII here"])
def test_an_old_name(rest: str) -> None:
    """The name of today is told, with all that stands behind the old one."""
    found = advice(advise, f"ascii_smtp \t{rest}")
    assert found == [(1, 1, "this is the old name of limit.smtp_ascii", f"write: limit.smtp_ascii {rest}")]


@pytest.mark.parametrize(
    "lines, line",
    [
        (["limit.smtp_ascii on"], 1),
        (["ascii_smtp on"], 1),
        (["limit.smtp_ascii on", "ascii_smtp off", "limit.loghex on"], 2),
        (["ascii_smtp off", " limit.smtp_ascii on"], 2),
        (["# ascii_smtp off"], 0),
    ],
)
def test_the_line_that_counts(lines: list[str], line: int) -> None:
    """A limit is found by both of its names: whoever asks which line decides gets the later one."""
    assert source(*lines).line_of("limit.smtp_ascii") == line
    assert Source("x", lines).line_of("limit.smtp_rcpt_to") == 0


@pytest.mark.parametrize(
    "first, second",
    [
        (PIPE, APPEND),
        (grouped(PIPE, "+near"), APPEND),
        (grouped(PIPE, "+near"), grouped(APPEND, "+near")),
        (grouped(PIPE, "+near"), grouped(APPEND, "+one")),
        (grouped(PIPE, "+one"), grouped(APPEND, "+near")),
        (PIPE, grouped(APPEND, "+far")),
    ],
)
def test_append_after_pipe(first: str, second: str) -> None:
    """Where both lines admit the same client the order matters, and the original had another."""
    [(line, column, text, instead)] = advice(advise, *GROUPS, first, second)
    assert (line, column) == (5, second.index("append") + 1)
    assert text == f"line 4 comes before this line; {TRIED_FIRST}"
    assert instead.endswith("move it before line 4")


@pytest.mark.parametrize(
    "lines",
    [
        [APPEND, PIPE],
        [grouped(PIPE, "+one"), grouped(APPEND, "+far")],
        [PIPE, APPEND.replace("a@b", "c@d")],
        [PIPE, PIPE],
        [grouped(PIPE, "+one"), "deliver rcpt_to a@b maildir /y", APPEND],
        [grouped(PIPE, "+one"), APPEND, "limit.idle_secs 300"],
    ],
)
def test_an_order_that_is_meant(lines: list[str]) -> None:
    """Nothing is said of lines that never meet, nor in a file that the original would not have understood."""
    assert advice(advise, *GROUPS, *lines) == []


def test_each_append_line_is_told() -> None:
    """Each line that was tried earlier is told, with the first of the lines that now come before it."""
    found = advice(advise, *GROUPS, grouped(PIPE, "+far"), grouped(PIPE, "+one"), grouped(APPEND, "+near"), APPEND)
    assert [(line, text[:7]) for line, _, text, _ in found] == [(6, "line 5 "), (7, "line 4 ")]
