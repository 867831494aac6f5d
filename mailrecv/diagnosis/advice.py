"""A piece of advice: what in a configuration is legal but surely not meant, where, and what to write instead."""

from __future__ import annotations

from collections.abc import Sequence

from mailrecv.config.directives import OLD_NAMES
from mailrecv.config.faults import Fault
from mailrecv.config.model import Deliver
from mailrecv.config.words import Words
from mailrecv.values import Value

ADDRESS, METHOD, TARGET = 2, 3, 4  # words of `deliver rcpt_to ADDRESS METHOD TARGET`, for `word_of`
_GROUP_WORDS = 2  # more before them, with `allowgroup +NAME`


class Advice(Value):
    """One warning.

    place: where it is, and what is wrong.  instead: what to write or to do instead, in words.
    """

    place: Fault
    instead: str

    def with_source(self) -> str:
        """Return the warning with its line and a caret, and below these what to do."""
        place = self.place.replace(text=f"warning: {self.place.text}")
        return f"{place.with_source()}\n    {self.instead}"


class Source:
    """The text of a configuration, to point at.  path: of the file.  lines: as `config.reader.split_lines` has them."""

    def __init__(self, path: str, lines: Sequence[str]) -> None:
        self.path = path
        self._lines = lines

    def line(self, number: int) -> str:
        """Return a line, without its comment and the blanks around it."""
        return _printable(Words(self._lines[number - 1]).text())

    def comment(self, number: int) -> str:
        """Return the comment that was cut off a line, with its `#`; "" when there is none."""
        line, kept = self._lines[number - 1], Words(self._lines[number - 1]).text()
        return line[line.find(kept) + len(kept) :].strip()

    def line_of(self, directive: str) -> int:
        """Return the number of the last line with a directive, the one that counts; 0 when there is none.

        directive: what it is called today; a line may have its old name.
        """
        names = {directive, *(old for old, new in OLD_NAMES.items() if new == directive)}
        lines = enumerate(self._lines, 1)
        return max((number for number, line in lines if names & {*Words(line).text().split()[:1]}), default=0)

    def advice(self, line: int, word: int, text: str, instead: str, *, to_end: bool = False) -> Advice:
        """Return advice about a word of a line, counted from 0; or, `to_end`, about all from there to its end."""
        words = Words(self._lines[line - 1])
        for _ in range(word):
            words.word("")
        if to_end:
            words.rest("")
        else:
            words.word("")
        found = words.fault(text)
        source = _printable(self._lines[line - 1])
        return Advice(Fault(self.path, line, found.column, text, source, found.width), instead)

    def advice_for_all(self, text: str, instead: str) -> Advice:
        """Return advice about the file as a whole."""
        return Advice(Fault(self.path, 0, 0, text), instead)


def word_of(rule: Deliver, position: int) -> int:
    """Return which word of a `deliver` line stands at a position that is counted without a group."""
    return position if rule.group is None else position + _GROUP_WORDS


def _printable(text: str) -> str:
    """Return text without the surrogates that stand for octets outside UTF-8, as a comment may hold them."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
