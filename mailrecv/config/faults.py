"""What is wrong with a configuration file, and where."""

from __future__ import annotations

from collections.abc import Iterable

from mailrecv.values import Value


class Fault(Value):
    """One fault.

    path: of the file.  line, column: counted from 1; 0 for a fault of the file as a whole.  text: what is wrong.
    source: the line itself.  width: how many characters of it the fault covers.
    """

    path: str
    line: int
    column: int
    text: str
    source: str = ""
    width: int = 1

    def __str__(self) -> str:
        """Return `FILE:LINE:COLUMN: text`, the form that editors jump to."""
        return f"{self.path}:{self.line}:{self.column}: {self.text}" if self.line else f"{self.path}: {self.text}"

    def with_source(self) -> str:
        """Return the fault with its line below it and a caret under the word."""
        if not self.line:
            return str(self)
        start = max(0, min(self.column - 1 - _BEFORE, len(self.source) - _SHOWN))
        end = start + _SHOWN
        shown = self.source[start:end]
        if start:
            shown = _CUT + shown[len(_CUT) :]
        if end < len(self.source):
            shown = shown[: -len(_CUT)] + _CUT
        indent = "".join("\t" if character == "\t" else " " for character in shown[: self.column - 1 - start])
        shown = "".join(character if character.isprintable() or character == "\t" else "?" for character in shown)
        return f"{self}\n    {shown}\n    {indent}^{'~' * min(self.width - 1, len(shown) - len(indent) - 1)}"


_SHOWN = 120  # characters of a line that are shown, and how many of them before the fault
_BEFORE = 60
_CUT = "..."  # stands where a line goes on


class ConfigError(Exception):
    """The configuration has faults.  faults: all of them, in file order."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(map(str, self.faults)))
