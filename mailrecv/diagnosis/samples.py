"""Finds names and addresses that a pattern matches, by reading it as its writer will have meant it.

It knows as much of PCRE2's language as is written for host names: literals, escapes, classes, groups, alternatives and
quantifiers. Of a pattern that holds more it says nothing. A `.` without a quantifier is read as the dot that most
people mean by it. Every sample has been tried, so what is returned is matched for certain.
"""

from __future__ import annotations

import itertools
import re

from mailrecv.policy.patterns import Pattern, PatternFault, Verdict

_MAX_SAMPLES = 16  # of one pattern, and of each part of it
_QUANTIFIER = re.compile(r"([*+?]|\{(\d+)(?:,\d*)?\})[?+]?")
_CLASS = re.compile(r"\[\^?\]?(?:\\.|\[:\^?[a-z]+:\]|[^\]\\])*\]", re.DOTALL)
_GROUP = re.compile(r"\((?:\?:|(?!\?|\*))")
_NOTHING = re.compile(r"\\[AbBzZ]|\^|\$|\(\?i\)")  # matches no character
_KINDS = {"d": "7", "w": "x", "s": " ", "D": "x", "W": "-", "S": "x"}
_MEMBERS = "x7-._:abcdefghijklmnopqrstuvwyz0123456789"  # which member of a class is taken, the first of these


class _NotUnderstood(Exception):
    """The pattern holds something that is not read here."""


def samples(pattern: Pattern) -> list[str]:
    """Return strings that a pattern matches for certain, or none."""
    try:
        found, rest = _alternatives(pattern.text)
    except _NotUnderstood:
        return []
    if rest:
        return []
    return [sample for sample in dict.fromkeys(found) if pattern.search(sample) is Verdict.YES]


def has_alternatives(text: str) -> bool:
    """Say whether a pattern that is understood here has a `|` outside of all groups."""
    try:
        return _branch(text)[1].startswith("|")
    except _NotUnderstood:
        return False


def _alternatives(text: str) -> tuple[list[str], str]:
    """Return samples of alternatives, and the text behind them: a closing parenthesis, or nothing."""
    found: list[str] = []
    while True:
        branch, text = _branch(text)
        found += branch
        if not text.startswith("|"):
            return found[:_MAX_SAMPLES], text
        text = text[1:]


def _branch(text: str) -> tuple[list[str], str]:
    found = [""]
    while text and text[0] not in "|)":
        piece, text = _piece(text)
        found = [first + then for first, then in itertools.product(found, piece)][:_MAX_SAMPLES]
    return found, text


def _piece(text: str) -> tuple[list[str], str]:
    """Return samples of the first atom of a text with its quantifier, and what follows."""
    quantified = text[0] == "." and _QUANTIFIER.match(text, 1)
    found, rest = (["x"], text[1:]) if quantified else _atom(text)
    quantifier = _QUANTIFIER.match(rest)
    if quantifier is None:
        return found, rest
    rest = rest[quantifier.end() :]
    if quantifier[1] in ("*", "?"):
        return ["", *found], rest
    times = int(quantifier[2] or 1)
    if times > _MAX_SAMPLES:
        raise _NotUnderstood
    return ([one * times for one in found] if times else ["", *found]), rest


def _atom(text: str) -> tuple[list[str], str]:
    if match := _NOTHING.match(text):
        return [""], text[match.end() :]
    if match := _GROUP.match(text):
        found, rest = _alternatives(text[match.end() :])
        if not rest:
            raise _NotUnderstood
        return found, rest[1:]
    if match := _CLASS.match(text):
        return [_member(match[0])], text[match.end() :]
    if text[0] == "\\" and len(text) > 1:
        if text[1] in _KINDS:
            return [_KINDS[text[1]]], text[2:]
        if not text[1].isalnum():
            return [text[1]], text[2:]
        raise _NotUnderstood
    if text[0] in "\\[(*+?":
        raise _NotUnderstood
    return [text[0]], text[1:]


def _member(text: str) -> str:
    """Return a character of a class, as PCRE2 reads it."""
    try:
        pattern = Pattern(text)
    except PatternFault:
        raise _NotUnderstood from None
    for character in _MEMBERS:
        if pattern.search(character) is Verdict.YES:
            return character
    raise _NotUnderstood
