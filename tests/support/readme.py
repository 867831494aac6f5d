"""The README as somebody follows it: the commands in a section, each with what it is shown to print."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


@dataclass(frozen=True)
class Step:
    """A command, in one or more lines, and what stands below it."""

    command: str
    shown: str


def section(heading: str) -> str:
    """Return what stands below a heading, up to the next one of any level.  heading: with its number signs."""
    lines = iter(README.read_text(encoding="utf-8").splitlines(keepends=True))
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
    blocks = re.findall(r"(?ms)^```console\n(.*?)^```", text)
    return [_step(part) for block in blocks for part in re.split(r"(?m)^\$ ", block)[1:]]


def _step(part: str) -> Step:
    line, _, rest = part.partition("\n")
    if here := re.search(r"<<'(\w+)'", line):
        text, _, rest = rest.partition(f"{here[1]}\n")
        line = f"{line}\n{text}{here[1]}\n"
    return Step(line, rest)
