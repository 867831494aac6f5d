"""Tells of a pattern, without a client, whether a host name or an address could satisfy it.

Names are made of some characters, addresses of others. So for what a pattern matches it is enough to know which kinds
of characters stand in it together. A kind that the pattern needs, and that no name has, keeps all names out.
"""

from __future__ import annotations

from mailrecv.policy.patterns import Pattern, PatternFault, Verdict
from mailrecv.policy.reading import NotUnderstood, read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

_DIGIT, _DOT, _HEXADECIMAL, _LETTER, _COLON = (1 << bit for bit in range(5))
_KINDS = {_DIGIT: "0123456789", _DOT: ".", _HEXADECIMAL: "abcdef", _LETTER: "ghijklmnopqrstuvwxyz_-", _COLON: ":"}
_KIND_OF = {character: kind for kind, characters in _KINDS.items() for character in characters}
_NO_CHARACTER = frozenset({0})
_ANYTHING = frozenset(range(1 << len(_KINDS)))

# A mixture is a number with a bit for each kind of characters in it. What may be matched is a set of these; what needs
# a character that no host has anything to do with, such as a blank, is an empty set.
Mixtures: TypeAlias = "frozenset[int]"


def may_match_names(pattern: Pattern) -> bool:
    """Say whether a host name could satisfy a pattern, as far as can be told; with digits and dots alone none does."""
    return any(not mixture & _COLON and mixture & (_HEXADECIMAL | _LETTER) for mixture in mixtures(pattern))


def may_match_somebody(pattern: Pattern) -> bool:
    """Say whether any client could satisfy a pattern: names and IPv4 have no colon, IPv6 has neither dot nor letter."""
    return any(not mixture & _COLON or not mixture & (_DOT | _LETTER) for mixture in mixtures(pattern))


def mixtures(pattern: Pattern) -> Mixtures:
    """Return the mixtures of characters that a pattern may match; any, if it is not understood."""
    try:
        return read(pattern.text, _Mixing())
    except (NotUnderstood, PatternFault):  # the latter: what was taken for a part is none
        return _ANYTHING


class _Mixing:
    """Makes mixtures of the parts of a pattern."""

    def nothing(self) -> Mixtures:
        return _NO_CHARACTER

    def character(self, text: str, *, quantified: bool) -> Mixtures:
        literal = text[1:] if text[0] == "\\" and not text[1:].isalnum() else text
        if text == "\\." or (len(literal) == 1 and literal != "."):
            return frozenset({_KIND_OF[literal.lower()]} if literal.lower() in _KIND_OF else ())
        one = Pattern(text)
        return frozenset(kind for kind, characters in _KINDS.items() if one.search(characters) is Verdict.YES)

    def sequence(self, first: Mixtures, then: Mixtures) -> Mixtures:
        return frozenset(one | other for one in first for other in then)

    def either(self, branches: list[Mixtures]) -> Mixtures:
        return frozenset().union(*branches)

    def repeated(self, part: Mixtures, least: int) -> Mixtures:
        found = part if least else part | _NO_CHARACTER
        while (more := self.sequence(found, found) | found) != found:
            found = more
        return found

    def looked_for(self, part: Mixtures) -> Mixtures:
        return part

    def ruled_out(self, part: Mixtures) -> Mixtures:
        return _NO_CHARACTER
