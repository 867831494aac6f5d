"""Patterns: PCRE2 on octets, and never much work."""

from __future__ import annotations

import time

import pytest

from mailrecv.policy.patterns import Pattern, PatternFault, Verdict

RUNAWAY = [  # pattern, subject: each would take longer than a life without a match limit
    (r"(a+)+$", "a" * 500 + "!"),
    (r"^(\w+\.?)+$", "mail." * 50 + "!"),
    (r"([a-z]+)*@(x|y)$", "a" * 200 + "@z"),
    (r"^(a|aa)+$", "a" * 100 + "b"),
]
MOMENT = 0.25  # seconds; a hundred times what a slow machine needs


@pytest.mark.parametrize(
    "pattern, subject",
    [
        (r"google\.com", "mail.google.com.example"),
        (r"^mail[a-z0-9-]*\.google\.com$", "mail-1.google.com"),
        (r"^MAIL\.Google\.com$", "mail.gOOgle.com"),
        (r"^192\.0\.2\.(?:[0-9]|1[0-9])$", "192.0.2.17"),
        (r"^(?<label>a+)\.\k<label>$", "aa.aa"),
        (r"^(\((?:[^()]|(?1))*\))$", "(a(b)c)"),
        (r"^a++b(?=c)", "aabc"),
        (r"(?-i)^Mail", "Mail"),
        (r"^#[0-9]+#$", "#1#"),
        (r"", "anything"),
        (r"ü", "jürgen"),
        (r"^j..rgen$", "jürgen"),
        (r"^\xff$", "\udcff"),
    ],
)
def test_what_is_found(pattern: str, subject: str) -> None:
    """Perl's syntax, unanchored unless written so, without regard to letter case, on octets."""
    assert Pattern(pattern).search(subject) is Verdict.YES


@pytest.mark.parametrize(
    "pattern, subject",
    [
        (r"^google\.com$", "mail.google.com"),
        (r"mail.google.com$", "mail.google.com.example"),
        (r"(?-i)^Mail", "mail"),
        (r"^j.rgen$", "jürgen"),
        (r"^.$", ""),
    ],
)
def test_what_is_not_found(pattern: str, subject: str) -> None:
    """What is anchored, of another case where that matters, or of other octets, does not match."""
    assert Pattern(pattern).search(subject) is Verdict.NO


@pytest.mark.parametrize("pattern, subject", RUNAWAY)
def test_a_runaway_pattern_is_stopped(pattern: str, subject: str) -> None:
    """A match that would go on for ages is given up within milliseconds, and says so."""
    start = time.monotonic()
    assert Pattern(pattern).search(subject) is Verdict.CANNOT_TELL
    assert time.monotonic() - start < MOMENT


@pytest.mark.parametrize(
    "pattern, subject",
    [(r"a*a*a*[xy]", ("a" * 40 + "b") * 12), (r"(?=(a*))(.*?\1)*[xy]", "a" * 500)],
)
def test_a_match_just_below_the_limit_is_quick(pattern: str, subject: str) -> None:
    """A subject made to cost as much as the limit allows, from each of its octets on, costs little in sum."""
    start = time.monotonic()
    assert Pattern(pattern).search(subject) is Verdict.NO
    assert time.monotonic() - start < MOMENT


def test_a_pattern_may_set_its_own_limit() -> None:
    """A limit at the beginning of a pattern replaces the one that holds for all."""
    pattern, subject = r"^(a+)+$", "a" * 12 + "b"
    assert Pattern(pattern).search(subject) is Verdict.NO
    assert Pattern("(*LIMIT_MATCH=100)" + pattern).search(subject) is Verdict.CANNOT_TELL


def test_octets_that_are_not_the_characters_asked_for() -> None:
    """A pattern that asks for UTF-8 cannot tell about octets that are none."""
    assert Pattern("(*UTF)^j.rgen$").search("jürgen") is Verdict.YES
    assert Pattern("(*UTF)^j.rgen$").search("j\udcfcrgen") is Verdict.CANNOT_TELL


@pytest.mark.parametrize(
    "pattern, message, offset",
    [
        ("(abc", "missing closing parenthesis", 4),
        ("*a", "quantifier does not follow a repeatable item", 1),
        ("[z-a]", "range out of order in character class", 4),
        ("äöü日😀(abc", "missing closing parenthesis", 9),
        ("日本[z-a]", "range out of order in character class", 6),
        ("\\", "\\ at end of pattern", 1),
    ],
)
def test_a_bad_pattern(pattern: str, message: str, offset: int) -> None:
    """A bad pattern is refused with PCRE2's message and its offset in characters."""
    with pytest.raises(PatternFault) as caught:
        Pattern(pattern)
    assert (caught.value.text, caught.value.offset) == (message, offset)


def test_a_pattern_too_large_is_refused() -> None:
    """A pattern that PCRE2 finds too large is a fault with an offset within it."""
    with pytest.raises(PatternFault, match="too large") as caught:
        Pattern("x" * 200_000)
    assert 0 <= caught.value.offset <= 200_000
