"""Faults: how they are shown to a person and to an editor."""

from __future__ import annotations

import pytest

from mailrecv.config.faults import ConfigError, Fault
from tests.support.configs import faults, the_fault


def marked(fault: Fault) -> str:
    """Return what stands above the carets on a screen, where a tab goes to the next multiple of 8."""
    _, source, carets = (line.expandtabs() for line in fault.with_source().split("\n"))
    start = carets.index("^")
    assert carets == " " * start + "^" + "~" * (len(carets) - start - 1)
    return source[start : len(carets)]


def test_a_fault_begins_with_its_place() -> None:
    """A fault is FILE:LINE:COLUMN: and what is wrong; below it stand the line and a caret under the word."""
    (fault,) = faults("domain x\n  loghex perhaps # yes\n")
    assert fault.with_source().split("\n") == [
        "mailrecv.conf:2:10: on or off expected, found perhaps",
        "      loghex perhaps # yes",
        "             ^~~~~~~",
    ]


def test_a_fault_of_the_whole_file_has_no_line() -> None:
    """A file that cannot be read is one fault, without a place in it."""
    fault = Fault("mailrecv.conf", 0, 0, "cannot be read: No such file or directory")
    assert str(fault) == fault.with_source() == "mailrecv.conf: cannot be read: No such file or directory"


@pytest.mark.parametrize(
    "line, word",
    [
        ("domian x", "domian"),
        ("\tloghex\tperhaps\t# tabs", "perhaps"),
        ("\t \tlimit.smtp_commands\t \tmany\t421", "many"),
        ("domain x yy zz", "yy"),
        ("error rcpt_to ^Jürgen@ 250 Welcome", "250"),
        ("error rcpt_to Jürgen([z-a]|b) 550 No", "]|b)"),
        ("deliver allowgroup +none rcpt_to a@b.example append /x", "+none"),
        ("domain " + "x" * 100_000 + " more", "more"),
        (" " * 100_000 + "domian " + "y " * 50_000, "domian"),
        ("domain x " + "\t" * 100_000 + "yy", "yy"),
    ],
    ids=lambda text: text.strip()[:20],
)
def test_the_carets_stand_under_the_word(line: str, word: str) -> None:
    """The carets cover exactly the word at fault, with tabs before it, and in a line of any length."""
    assert marked(the_fault(line)) == word


@pytest.mark.parametrize("line", ["domain", "\tdeliver rcpt_to\ta@b.example  ", "domain # none"])
def test_the_caret_of_a_missing_word_stands_behind_the_last(line: str) -> None:
    """Where a word is missing there is one caret, just behind the word before it."""
    fault = the_fault(line)
    assert marked(fault).strip() == ""
    assert fault.column == len(line.partition("#")[0].rstrip()) + 1


def test_a_long_line_is_cut_to_what_is_near_the_fault() -> None:
    """Of a very long line only the part around the fault is shown, with a sign where it goes on."""
    shown = the_fault("loghex " + "x" * 100_000).with_source().split("\n")[1:]
    assert shown == ["    loghex " + "x" * 110 + "...", "           ^" + "~" * 112]
    words = "deliver rcpt_to " + "a" * 100 + "@my.com"
    shown = the_fault(f"{words} place /srv/mail/" + "b" * 100).with_source().split("\n")[1:]
    assert shown == [f"    ...{words[-56:]} place /srv/mail/{'b' * 41}...", f"    {' ' * 60}^~~~~"]


def test_a_line_that_fits_is_shown_whole() -> None:
    """A line is not cut as long as there is room for it, wherever the fault is."""
    line = "deliver rcpt_to " + "a" * 80 + "@my.com place /srv"
    assert the_fault(line).with_source().split("\n")[1] == f"    {line}"


def test_nothing_unprintable_is_shown() -> None:
    """Octets outside UTF-8 and characters that could steer a terminal are shown as something harmless."""
    (first, second) = faults(b"domain x \xff\nloghex \x1b[2J\xc2\x9b2J")
    assert first.with_source().split("\n")[1] == "    domain x \ufffd"
    assert second.with_source().split("\n")[1] == "    loghex ?[2J?2J"


def test_the_error_is_all_its_faults() -> None:
    """The exception's text is one line per fault."""
    assert str(ConfigError(faults("a\nb"))).split("\n") == [
        "mailrecv.conf:1:1: unknown directive a",
        "mailrecv.conf:2:1: unknown directive b",
    ]
