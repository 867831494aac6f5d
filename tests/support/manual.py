"""The manual pages as a test sees them: sections, lists with terms, displays.

They are read from what docs/manual.py has made of the sources, docs/*.md: mandoc's HTML, where each element has the
mdoc macro that it stems from as its class.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET  # of our own files

DOCS = Path(__file__).parents[2] / "docs"


def text(element: ET.Element) -> str:
    """Return the text of an element, in one line."""
    return " ".join("".join(element.itertext()).split())


def words(element: ET.Element, macro: str) -> list[str]:
    """Return what stands in an element under a macro, such as `Fl`."""
    return [text(found) for found in element.iter() if found.get("class") == macro]


class Item(NamedTuple):
    """An item of a list: its term, and what stands below that."""

    term: ET.Element
    body: ET.Element

    @property
    def default(self) -> str:
        """What stands behind `Default:`, or nothing."""
        return text(self.body).partition("Default: ")[2]


class Page:
    """A page.  name: as in `mailrecv.conf.5`."""

    def __init__(self, name: str) -> None:
        self.path = DOCS / f"{name}.md"
        _, _, html = self.path.read_text(encoding="utf-8").partition("<div ")
        self.root = ET.fromstring(f"<div {html}")  # noqa: S314

    @property
    def text(self) -> str:
        """The whole text, in one line."""
        return text(self.root)

    def section(self, title: str) -> ET.Element:
        """Return the section or subsection of this title; an empty one if there is none."""
        found = [section for section in self.root.iter("section") if text(section[0]) == title]
        return found[0] if found else ET.Element("section")

    def items(self, title: str) -> list[Item]:
        """Return the items of all lists in the section of this title."""
        lists = self.section(title).iter("dl")
        return [Item(*pair) for found in lists for pair in zip(found[::2], found[1::2], strict=True)]

    def displays(self) -> Iterator[str]:
        """Yield each display: an example, with its line ends."""
        for display in self.root.iter("pre"):
            yield "\n".join(line.rstrip() for line in "".join(display.itertext()).strip("\n").split("\n")) + "\n"

    def ids(self) -> set[str]:
        """Return what a link to the page can name."""
        return {element.attrib["id"] for element in self.root.iter() if "id" in element.attrib}

    def links(self) -> set[str]:
        """Return where the links of the page lead."""
        return {link.attrib["href"] for link in self.root.iter("a")}


PAGES = {path.name: Page(path.name) for path in sorted((DOCS / "man").iterdir())}
PROGRAM, CONFIG, LOG = PAGES["mailrecv.8"], PAGES["mailrecv.conf.5"], PAGES["mailrecv.log.5"]
COMMANDS = [page for name, page in PAGES.items() if name.endswith(".8")]  # the program, and actions with their own page
