"""The README and the guides in docs/ as somebody reads and follows them: their sections, headings, links and commands.

The manual pages, which docs/manual.py writes, are read by tests/support/manual.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from docs import manual

ROOT = Path(__file__).parents[2]
README = "README.md"
_MANUAL = {manual.written(source) for source in manual.SOURCES}
# Each by its path from the top of the work tree.
GUIDES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in [ROOT / README, *sorted((ROOT / "docs").glob("*.md"))]
    if path not in _MANUAL
}


@dataclass(frozen=True)
class Step:
    """A command, in one or more lines, and what stands below it."""

    command: str
    shown: str


def section(guide: str, heading: str) -> str:
    """Return what stands below a heading, up to the next one of any level.  heading: with its number signs."""
    lines = iter(GUIDES[guide].splitlines(keepends=True))
    assert f"{heading}\n" in lines, heading  # which leaves the iterator behind it
    kept, in_block = [], False
    for line in lines:
        in_block ^= line.startswith("```")
        if line.startswith("#") and not in_block:
            break
        kept.append(line)
    return "".join(kept)


def steps(text: str) -> list[Step]:
    """Return the commands of the console blocks in a text, in their order."""
    return [_step(part) for block in blocks(text, "console") for part in re.split(r"(?m)^\$ ", block)[1:]]


def blocks(text: str, kind: str) -> list[str]:
    """Return the code blocks of a kind in a text.  kind: what stands behind the opening fence."""
    return re.findall(rf"(?ms)^```{kind}\n(.*?)^```", text)


def prose(text: str) -> str:
    """Return a text without its code blocks."""
    return re.sub(r"(?ms)^```.*?^```\n", "", text)


def links(text: str) -> list[str]:
    """Return the targets of the links in a text that are no URLs."""
    return re.findall(r"\]\((?!https?:)([^)]+)\)", prose(text))


def anchors(text: str) -> set[str]:
    """Return what a link can lead to in a page: its headings, as forges name them, and the ids in its HTML."""
    headings = re.findall(r"(?m)^#+ (.*)$", prose(text))
    named = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return named | set(re.findall(r'\bid="([^"]+)"', text))


def _step(part: str) -> Step:
    line, _, rest = part.partition("\n")
    if here := re.search(r"<<'(\w+)'", line):
        text, _, rest = rest.partition(f"{here[1]}\n")
        line = f"{line}\n{text}{here[1]}\n"
    while rest.startswith("> "):
        more, _, rest = rest.removeprefix("> ").partition("\n")
        line = f"{line}\n{more}"
    return Step(line, rest)
