"""Patterns for clients: which others they match, and what is to be written instead."""

from __future__ import annotations

import pytest

from mailrecv.diagnosis.host_patterns import advise, strangers
from mailrecv.diagnosis.samples import samples
from mailrecv.policy.patterns import Pattern, Verdict
from tests.support.advice import advice

WIDE = [  # a pattern, which others it matches, and what to write instead
    ("google.com", "google.com.evil.net, evilgoogle.com and googlexcom", r"(^|\.)google\.com$"),
    (r"google\.com", "google.com.evil.net and evilgoogle.com", r"(^|\.)google\.com$"),
    (r"google\.com$", "evilgoogle.com", r"(^|\.)google\.com$"),
    (".google.com$", ".googlexcom", r"\.google\.com$"),
    ("^mail.google.com$", "mailxgoogle.com and mail.googlexcom", r"^mail\.google\.com$"),
    (r"^mail\.google\.com", "mail.google.com.evil.net", r"^mail\.google\.com$"),
    (r"(google|yahoo)\.com$", "evilgoogle.com", r"(^|\.)(google|yahoo)\.com$"),
    (
        "mx1.example.com|mx2.example.com",
        "mx1.example.com.evil.net, mx1xexample.com and mx1.examplexcom",
        r"(^|\.)(?:mx1\.example\.com|mx2\.example\.com)$",
    ),
    ("192.0.2.7", "192-0-2-7.evil.net and 192.0.2.70", r"^192\.0\.2\.7$"),
    (r"^192\.0\.2\.1", "192.0.2.10", r"^192\.0\.2\.1$"),
    (r"10\.", "110.7.7.7", r"^10\.[0-9.]+$"),
    ("127.0.0.1|::1", "127-0-0-1.evil.net", r"^(?:127\.0\.0\.1|::1)$"),
]
NARROW = [
    r"\.google\.com$",
    r"^mail[a-zA-z0-9-]*\.google\.com$",
    r"^mail-[a-z]+-f\d+\.google\.com$",
    r"^(.+\.)?example\.org$",
    r"(^|\.)google\.com$",
    r"^192\.0\.2\.7$",
    r"^192\.0\.2\.",
    r"^192\.0\.2\.[0-9]+$",
    "^2001:db8:",
    r"^(127\.0\.0\.1|::1)$",
    "^localhost$",
]
MEANT_FOR_ALL = [".", ".*", "^.+$"]
NOT_UNDERSTOOD = [r"(?<=\.)google\.com$", r"\bgoogle\.com$", r"(?i:google)\.com", r"\Qgoogle.com\E", r"a{20}\.com"]


@pytest.mark.parametrize("pattern, others, instead", WIDE)
def test_patterns_that_match_strangers(pattern: str, others: str, instead: str) -> None:
    """A pattern that other hosts can match is told with some of these, and with a pattern that none of them matches."""
    line = f"allow remotehost {pattern}"
    assert advice(advise, line) == [(1, 18, f"the pattern also matches {others}", f"write: {instead}")]
    assert advice(advise, f"allow remotehost {instead}") == []


@pytest.mark.parametrize("pattern, _, instead", WIDE)
def test_what_is_written_instead_matches_what_was_meant(pattern: str, _: str, instead: str) -> None:
    """The better pattern still matches the host that the old one was written for."""
    meant = samples(Pattern(pattern))[0]
    if set(meant) <= set("0123456789."):
        meant += "7" * meant.endswith(".") + ".7" * (3 - meant.rstrip(".").count(".") - meant.endswith("."))
    assert Pattern(instead).search(meant) is Verdict.YES


@pytest.mark.parametrize("pattern", [*NARROW, *MEANT_FOR_ALL, *NOT_UNDERSTOOD])
def test_patterns_that_get_no_advice(pattern: str) -> None:
    """Nothing is said of a pattern that matches no stranger, that is meant for all, or that is not understood."""
    assert advice(advise, f"allow remotehost {pattern}") == []


def test_groups() -> None:
    """The patterns of a group get the same advice, at their own place."""
    lines = ["allowgroup +g ^mail$", "  allowgroup  +g  google.com  # not theirs alone"]
    [(line, column, _, _)] = advice(advise, *lines)
    assert (line, column) == (2, 19)


def test_a_pattern_without_a_better_one() -> None:
    """Where no better pattern can be made up, the form of one is told."""
    [(_, _, text, instead)] = advice(advise, "allow remotehost ^mail")
    assert text == "the pattern also matches mail.evil.net"
    assert instead.endswith(r"such as ^mail\.example\.com$")


def test_every_stranger_is_matched() -> None:
    """Each name or address that is shown is matched."""
    for text, *_ in WIDE:
        pattern = Pattern(text)
        found = [other for sample in samples(pattern) for other in strangers(pattern, sample)]
        assert found
        assert all(pattern.search(other) is Verdict.YES for other in found)
