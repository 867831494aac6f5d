"""Writes what a forge shows of the manual pages, docs/NAME.SECTION.md, from their sources in docs/man.

    python -m docs.manual            writes them
    python -m docs.manual --check    exits with 1 if what is there is not what would be written

mandoc can write Markdown, but what it makes of lists within lists, of optional words and of references is hardly
readable, and nothing can be linked to. Its HTML has all of that, and Markdown may contain HTML: so a page is a heading
and mandoc's HTML. Only an empty line would end the HTML, and nothing but examples has one.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parent
SOURCES = sorted((DOCS / "man").iterdir())
_OTHERS = "https://manpages.debian.org/%N.%S"
_HEAD_AND_FOOT = re.compile(r'(?ms)^<table class="(?:head|foot)">.*?^</table>\n')
_PERMALINK = re.compile(r'(?s)<a class="permalink" href="[^"]*">(.*?)</a>')  # a heading that leads to itself


def written(source: Path) -> Path:
    """Return where the page goes."""
    return DOCS / f"{source.name}.md"


def page(source: Path) -> str:
    """Return a page in Markdown. Raises CalledProcessError when mandoc fails."""
    references = f"man=%N.%S.md;{_OTHERS}"  # the second for pages that are not ours
    command = ["mandoc", "-T", "html", "-O", f"fragment,{references}", str(source)]
    html = subprocess.run(command, cwd=source.parent, capture_output=True, text=True, check=True).stdout
    name, section = source.stem, source.suffix[1:]
    html = _PERMALINK.sub(r"\1", _HEAD_AND_FOOT.sub("", html))
    html = re.sub(r"(?m)^\n", "&#32;\n", html)
    origin = f"written by docs/manual.py from docs/man/{source.name}; `make docs` renews it"
    return f"<!-- {origin} -->\n\n# {name}({section})\n\n{html}"


def main(arguments: list[str]) -> None:
    """Write the pages, or check them."""
    if arguments == ["--check"]:
        stale = [path for path in SOURCES if written(path).read_text(encoding="utf-8") != page(path)]
        sys.exit(f"stale, `make docs` renews them: {', '.join(path.name for path in stale)}" if stale else 0)
    if arguments:
        sys.exit(__doc__)
    for source in SOURCES:
        written(source).write_text(page(source), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
