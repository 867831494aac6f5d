"""Reads the text of a pattern as PCRE2 does, as far as patterns for hosts go.

That is literals, escapes, classes, groups, alternatives, quantifiers and lookarounds. What is made of these parts is up
to whoever reads: what characters they can match, or examples of it. A pattern that holds more is not understood, and
then nothing may be said of it.
"""

from __future__ import annotations

import re
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")
_DEEPEST = 40  # groups within groups; Python, unlike PCRE2, must not be led deeper
_QUANTIFIER = re.compile(r"(?:[*?]|\+|\{(?P<least>\d{1,5})(?:,\d*)?\})[?+]?")
_CLASS = re.compile(r"\[(?!:)\^?\]?(?:\\.|\[:\^?[a-z]+:\]|(?!\[[:.=])[^\]\\])*\]", re.DOTALL)
_GROUP = re.compile(r"\((?:\?(?:[ims]*(?:-[ims]+)?:|[>|]|P?<[A-Za-z_]\w*>|'[A-Za-z_]\w*')|(?![?*]))")
_LOOKAROUND = re.compile(r"\(\?<?([=!])")
_NOTHING = re.compile(r"\\[AbBzZGK]|\^|\$|\(\?[ims]*(?:-[ims]+)?\)")  # matches no character
_ESCAPED = re.compile(r"\\(?:[dDwWsShHvVN]|x[0-9a-fA-F]{2}|[^A-Za-z0-9])", re.DOTALL)
_QUOTED = re.compile(r"\\[QE]")
_NO_LITERAL = "\\[(*+?{"


class NotUnderstood(Exception):
    """The pattern holds something that is not read here."""


class Parts(Protocol[T]):
    """What is made of the parts of a pattern."""

    def nothing(self) -> T:
        """What matches no character, such as `^`."""

    def character(self, text: str, *, quantified: bool) -> T:
        """What matches one character: itself, a dot, a class, an escape."""

    def sequence(self, first: T, then: T) -> T:
        """One part, and another behind it."""

    def either(self, branches: list[T]) -> T:
        """Alternatives."""

    def repeated(self, part: T, least: int) -> T:
        """A part with a quantifier.  least: how often it has to be there."""

    def looked_for(self, part: T) -> T:
        """A positive lookahead or lookbehind."""

    def ruled_out(self, part: T) -> T:
        """A negative one."""


def read(text: str, parts: Parts[T]) -> T:
    """Return what `parts` makes of a pattern that PCRE2 takes. Raises NotUnderstood."""
    if _QUOTED.search(text):
        raise NotUnderstood
    return _Reader(text, parts).whole()


class _Reader(Generic[T]):
    """A cursor in a pattern."""

    def __init__(self, text: str, parts: Parts[T]) -> None:
        self._text = text
        self._parts = parts
        self._at = 0
        self._depth = 0

    def whole(self) -> T:
        found = self._alternatives()
        if self._at < len(self._text):
            raise NotUnderstood
        return found

    def _alternatives(self) -> T:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise NotUnderstood
        branches = [self._branch()]
        while self._next() == "|":
            self._at += 1
            branches.append(self._branch())
        self._depth -= 1
        return self._parts.either(branches)

    def _branch(self) -> T:
        found = self._parts.nothing()
        while self._next() not in ("", "|", ")"):
            found = self._parts.sequence(found, self._piece())
        return found

    def _piece(self) -> T:
        """Read an atom with its quantifier."""
        part = self._atom()
        quantifier = self._taken(_QUANTIFIER)
        if quantifier is None:
            return part
        least = quantifier["least"]
        return self._parts.repeated(part, int(least) if least else int(quantifier[0].startswith("+")))

    def _atom(self) -> T:
        if self._taken(_NOTHING):
            return self._parts.nothing()
        if self._taken(_GROUP):
            return self._to_the_parenthesis()
        if lookaround := self._taken(_LOOKAROUND):
            inside = self._to_the_parenthesis()
            return self._parts.looked_for(inside) if lookaround[1] == "=" else self._parts.ruled_out(inside)
        if found := self._taken(_CLASS) or self._taken(_ESCAPED):
            text = found[0]
        elif (text := self._next()) in _NO_LITERAL:
            raise NotUnderstood
        else:
            self._at += 1
        return self._parts.character(text, quantified=_QUANTIFIER.match(self._text, self._at) is not None)

    def _to_the_parenthesis(self) -> T:
        found = self._alternatives()
        if self._next() != ")":
            raise NotUnderstood
        self._at += 1
        return found

    def _next(self) -> str:
        """Return the next character, or an empty text at the end."""
        return self._text[self._at : self._at + 1]

    def _taken(self, token: re.Pattern[str]) -> re.Match[str] | None:
        """Return a token if it comes next, and go on behind it."""
        found = token.match(self._text, self._at)
        if found is not None:
            self._at = found.end()
        return found
