"""What is said of a pattern for clients without a client is true of all of them: many patterns, tried on many hosts."""

from __future__ import annotations

import itertools

import pcre2
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from mailrecv.client import Client
from mailrecv.policy.client_patterns import Expression, client_pattern, is_written_as_address
from mailrecv.policy.clients import Known
from mailrecv.policy.mixtures import may_match_names, may_match_somebody
from mailrecv.policy.patterns import Pattern, PatternFault, Verdict

LABELS = ("192", "0", "2", "a", "cafe", "mail", "x-1", "_u", "7z")
NAMES = [".".join(labels) for number in (1, 2, 3) for labels in itertools.product(LABELS, repeat=number)]
NAMES = [name for name in NAMES if not name.split(".")[-1].isdigit()] + ["192.0.2.9.evil.net", "192.0.2.evil.net"]
ADDRESSES = ["192.0.2.9", "0.0.0.0", "10.2.0.192", "2001:db8::7", "::1", "cafe::", "fe80::a%eth0", "::192.0.2.9"]  # noqa: S104
FORMS = [form for address in ADDRESSES for form in Client(address).address_forms]

# Patterns of digits and dots alone, in all ways to write these
_DIGITS = st.sampled_from(["1", "0", "9", "192", r"\.", r"\d", "[0-9]", "[0-9.]", "[12]", r"\x2e", r"0\.2"])
_QUANTIFIERS = st.sampled_from(["", "", "?", "*", "+", "{1,3}", "+?", "*+"])


def _more(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    several = st.lists(inner, min_size=1, max_size=3)
    groups = st.sampled_from(
        ["(%s)", "(?:%s)", "(?=%s)", "(?<=0)%s", "(?<!1)%s", "(?!%s)", "(?>%s)", "(?<n>%s)", r"%s\K"]
    )
    return st.one_of(
        several.map("".join),
        several.map(lambda all_: f"({'|'.join(all_)})"),
        st.builds(lambda group, text: group % text, groups, inner),
        st.builds(lambda text, quantifier: f"(?:{text}){quantifier}", inner, _QUANTIFIERS),
        st.builds(lambda anchor, text: anchor + text, st.sampled_from(["^", r"\b", r"\A"]), inner),
        inner.map(lambda text: text + "$"),
    )


FOR_ADDRESSES = st.recursive(_DIGITS, _more, max_leaves=8)
_WORDS = r"\. \d \D \w \W \b \K \x3a \1 \Q (?: (?= (?! (?<= (?<n> (?> (?i) [^:] [^.] [[:alpha:]] [0-9a-f] [g-z]"
PIECES = st.sampled_from([*".^$|()[]{}*+?-a29: @", *_WORDS.split(), "{2}", "{0}", "mail", "192", "[[:<:]]"])
ANY_PATTERN = st.lists(PIECES, max_size=10).map("".join)


def compiled(text: str) -> Pattern:
    try:
        return Pattern(text)
    except PatternFault:
        assume(False)
        raise


def found(text: str, subject: str) -> bytes | None:
    """Return what PCRE2 itself finds."""
    match = pcre2.compile(text.encode(), pcre2.IGNORECASE).search(subject.encode())
    return None if match is None else match[0]


@settings(max_examples=150, deadline=None)
@given(FOR_ADDRESSES)
@example("^(?=192)")
@example(r"(?=192\.0\.2\.|9)")
@example(r"^192\.0\.2\.\K")
@example(r"(?<=192\.)(?!1)")
def test_no_name_satisfies_digits_and_dots(text: str) -> None:
    """A pattern of digits and dots alone, however it is written, is satisfied by no name, so that none is asked for."""
    pattern = compiled(text)
    assert not may_match_names(pattern)
    assert not Expression(pattern).may_match_names
    assert [name for name in NAMES if pattern.search(name, host_name=True) is Verdict.YES] == []


@settings(max_examples=300, deadline=None)
@given(ANY_PATTERN)
@example("[^:]:")
@example("(?!:)")
@example("(?:a|1)(?:2|:)")
def test_whom_a_pattern_cannot_match(text: str) -> None:
    """Where no name, or no client at all, is said to satisfy a pattern, there is none: each is tried."""
    pattern = compiled(text)
    if not Expression(pattern).may_match_names and not is_written_as_address(text):
        assert not any((found(text, name) or b"").strip(b"0123456789.") for name in NAMES)
    if not may_match_somebody(pattern):
        assert [subject for subject in (*NAMES, *FORMS) if found(text, subject) is not None] == []


@settings(max_examples=200, deadline=None)
@given(st.one_of(ANY_PATTERN, FOR_ADDRESSES), st.sampled_from(NAMES))
def test_a_name_counts_for_its_letters(text: str, name: str) -> None:
    """A name that satisfies a pattern has a letter that it found, or looked at: without letters there is no match."""
    compiled(text)
    who = Known("198.51.100.7", (), name, may_be_named=False)
    satisfied = any(verdict is Verdict.YES for _, verdict in client_pattern(text, checked=True).tried_on(who))
    if satisfied and not (found(text, name) or b"").strip(b"0123456789."):
        masked = "".join(letter if letter in "0123456789." else "0" for letter in name)
        assert found(text, masked) is None
