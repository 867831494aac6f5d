"""What commands write into documents: tables, and the sections that hold them.

A section is what stands between `<!-- KIND: NAME -->` and `<!-- end of KIND -->`. The prose around the sections is
written by hand; nothing here touches it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_SECTION = re.compile(r"(<!-- (\w+): (\w+) -->\n).*?(<!-- end of \2 -->)", re.DOTALL)


@dataclass(frozen=True)
class Table:
    """Rows below a heading, each of as many cells."""

    heading: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """Return it as Markdown: the first column to the left, the others to the right."""
        rule = ["---", *("---:" for _ in self.heading[1:])]
        return "\n".join("| " + " | ".join(row) + " |" for row in [self.heading, rule, *self.rows])


def with_sections(text: str, sections: Mapping[str, str]) -> str:
    """Return the text of a document with these sections replaced.

    sections: by their names, in Markdown. Raises ValueError when the document does not have one of them once.
    """
    found = [name for _, _, name, _ in _SECTION.findall(text)]
    for name in sections:
        if found.count(name) != 1:
            raise ValueError(f"the document should have the section {name} once, it has it {found.count(name)} times")

    def renewed(old: re.Match[str]) -> str:
        return f"{old[1]}{sections[old[3]]}\n{old[4]}" if old[3] in sections else old[0]

    return _SECTION.sub(renewed, text)
