"""Perl regular expressions, by PCRE2, that no hostile subject can turn into work.

Patterns work on octets and without regard to letter case (as Postfix's pcre tables do: host names and mail addresses
have none). Each match is bounded by MATCH_LIMIT. A match that exceeds it answers CANNOT_TELL, and the caller decides
what is safe. No pattern is compiled to machine code: that would need writable and executable memory, which a hardened
service may not map, and subjects are far too short for it to pay.
"""

from __future__ import annotations

from enum import Enum

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MATCH_LIMIT = 20_000  # PCRE2 match() calls; interpreted, these take about a millisecond
_DIGITS_AND_DOTS = b"0123456789."
_WITHOUT_LETTERS = [  # tables that put a character in the place of all but digits and dots
    bytes(octet if octet in _DIGITS_AND_DOTS else other for octet in range(256)) for other in b"0:\0"
]
_PREFIX = b"(*LIMIT_MATCH=%d)" % MATCH_LIMIT  # one that a pattern sets itself replaces it


class Verdict(Enum):
    """What a test found."""

    YES = "yes"
    NO = "no"
    CANNOT_TELL = "cannot tell"


class PatternFault(Exception):
    """A pattern that PCRE2 does not take.  text: PCRE2's message.  offset: characters from the pattern's beginning."""

    def __init__(self, text: str, offset: int) -> None:
        super().__init__(text, offset)
        self.text = text
        self.offset = offset


class Pattern:
    """One regular expression.

    text: as the configuration has it.  checked: PCRE2 has taken it before, so that there is no need to compile it
    before it is searched for. Raises PatternFault when PCRE2 refuses it.
    """

    __slots__ = ("_compiled", "text")

    def __init__(self, text: str, *, checked: bool = False) -> None:
        self.text = text
        self._compiled = None if checked else _compile(text)

    def search(self, subject: str, *, host_name: bool = False) -> Verdict:
        """Say whether the pattern is found anywhere in `subject`; CANNOT_TELL when that takes too much work.

        host_name: it has to be found because of a letter. Else a pattern for addresses, such as `^192\\.0\\.2\\.`,
        would match `192.0.2.evil.net`, a name that anybody can give to a host.
        """
        import pcre2

        octets = subject.encode("utf-8", "surrogateescape")
        try:
            found = self._find(octets)
            if found is None or (host_name and self._needs_no_letter(octets, found)):
                return Verdict.NO
        except pcre2.LibraryError:  # the match limit; or a pattern that asks for UTF met octets that are none
            return Verdict.CANNOT_TELL
        return Verdict.YES

    def _needs_no_letter(self, name: bytes, found: bytes) -> bool:
        """Say whether the pattern matches a host name whatever stands there in the place of its letters.

        found: what it matches of the name. Where a letter is among that, nothing else is asked. Where none is, as with
        `^192\\.` and `^(?=192\\.)`, the pattern may still have looked at one around it.
        """
        if found.strip(_DIGITS_AND_DOTS):
            return False
        return any(self._find(name.translate(others)) is not None for others in _WITHOUT_LETTERS)

    def _find(self, octets: bytes) -> bytes | None:
        """Return what the pattern matches, or None."""
        if self._compiled is None:
            self._compiled = _compile(self.text)
        match = self._compiled.search(octets)
        return None if match is None else match[0]

    def __repr__(self) -> str:
        return f"Pattern({self.text!r})"


def _compile(text: str) -> Any:
    import pcre2  # a session that needs no pattern does without

    octets = text.encode("utf-8", "surrogateescape")
    try:
        return pcre2.compile(_PREFIX + octets, pcre2.IGNORECASE, jit=False)
    except pcre2.PatternError as error:
        before = octets[: max(0, error.pos - len(_PREFIX))]
        message = str(error.msg).partition("; ")[2] or str(error.msg)
        raise PatternFault(message, len(before.decode("utf-8", "replace"))) from None
