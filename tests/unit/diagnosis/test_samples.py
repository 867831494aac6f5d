"""Samples of what patterns match."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailrecv.diagnosis.samples import has_alternatives, samples
from mailrecv.policy.patterns import Pattern, PatternFault, Verdict

PIECES = st.sampled_from([*".^$|()[]{}*+?-ab7,:", r"\.", r"\d", r"\b", "(?:", "[a-z]", "[^.]", "{2}", "google", "(?i)"])


@pytest.mark.parametrize(
    "pattern, some",
    [
        ("mail.example.com", {"mail.example.com"}),
        (r"^(mail|mx)\d\.example\.com$", {"mail7.example.com", "mx7.example.com"}),
        (r"[a-c]+\.x?y*\.de", {"a..de", "a.x.de", "a.xy.de"}),
        ("a{3}", {"aaa"}),
        (r"^192\.0\.2\.", {"192.0.2."}),
        ("(?<!x)y", set()),
        ("(", set()),
    ],
)
def test_samples(pattern: str, some: set[str]) -> None:
    """Alternatives, classes, groups and quantifiers are read; of what is not, there are no samples."""
    found = samples(pattern)
    assert some <= set(found)
    assert bool(some) == bool(found)


@given(st.lists(PIECES, max_size=12).map("".join))
def test_every_sample_matches(text: str) -> None:
    """Whatever the pattern, what is called a sample matches it, and there are not many."""
    try:
        pattern = Pattern(text)
    except PatternFault:
        return
    found = samples(text)
    assert len(found) <= 16
    assert all(pattern.search(sample) is Verdict.YES for sample in found)


@pytest.mark.parametrize(
    "text, expected",
    [("a|b", True), ("(a|b)c", False), ("[|]", False), (r"\|", False), ("((a|b)|c)d", False), ("(a)|(b)", True)],
)
def test_has_alternatives(text: str, *, expected: bool) -> None:
    """Only a bar outside of all groups and classes makes alternatives of the whole."""
    assert has_alternatives(text) is expected
