"""Finds names and addresses that a pattern matches, by reading it as its writer will have meant it.

A `.` without a quantifier is read as the dot that most people mean by it. Of a pattern with lookarounds nothing is
said, nor of one that `policy.reading` does not understand. Every sample has been tried, so what is returned is matched
for certain.
"""

from __future__ import annotations

import itertools
import re

from mailrecv.policy.patterns import Pattern, PatternFault, Verdict
from mailrecv.policy.reading import NotUnderstood, read

_MAX_SAMPLES = 16  # of one pattern, and of each part of it
_MEMBERS = "x7-._:abcdefghijklmnopqrstuvwyz0123456789"  # which of several characters is taken, the first of these
_ONE_CHARACTER = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_INNERMOST_GROUP = re.compile(r"\([^()]*\)")


def samples(text: str) -> list[str]:
    """Return strings that a regular expression matches for certain, or none."""
    try:
        pattern = Pattern(text)
        found = read(text, _Sampling())
    except (PatternFault, NotUnderstood):
        return []
    return [sample for sample in dict.fromkeys(found) if pattern.search(sample) is Verdict.YES]


def has_alternatives(text: str) -> bool:
    """Say whether a pattern has a `|` outside of all groups."""
    text = _ONE_CHARACTER.sub("", text)
    while (shorter := _INNERMOST_GROUP.sub("", text)) != text:
        text = shorter
    return "|" in text


class _Sampling:
    """Makes samples of the parts of a pattern."""

    def nothing(self) -> list[str]:
        return [""]

    def character(self, text: str, *, quantified: bool) -> list[str]:
        if text == ".":
            return ["x"] if quantified else ["."]
        if len(text) == 1:
            return [text]
        pattern = Pattern(text)
        for character in text[1:] if text[0] == "\\" and not text[1:].isalnum() else _MEMBERS:
            if pattern.search(character) is Verdict.YES:
                return [character]
        raise NotUnderstood

    def sequence(self, first: list[str], then: list[str]) -> list[str]:
        return [one + other for one, other in itertools.product(first, then)][:_MAX_SAMPLES]

    def either(self, branches: list[list[str]]) -> list[str]:
        return list(itertools.chain(*branches))[:_MAX_SAMPLES]

    def repeated(self, part: list[str], least: int) -> list[str]:
        if least > _MAX_SAMPLES:
            raise NotUnderstood
        return [one * least for one in part] if least else ["", *part][:_MAX_SAMPLES]

    def looked_for(self, part: list[str]) -> list[str]:
        raise NotUnderstood

    def ruled_out(self, part: list[str]) -> list[str]:
        raise NotUnderstood
