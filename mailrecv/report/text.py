"""A report as text, for a terminal of any width, a pipe or a mail."""

from __future__ import annotations

from collections.abc import Iterator

from mailrecv.report.bars import bar, shortened, signs
from mailrecv.report.counts import Counts
from mailrecv.report.event import Source
from mailrecv.report.sections import Section, heading, notes, sections, summary

MIN_BAR_CELLS = 6  # a shorter bar says nothing
MAX_BAR_CELLS = 40  # and a longer one no more
MIN_TEXT_CELLS = 12
_GAP = "  "


def report_text(counts: Counts, source: Source, *, width: int, unicode: bool, top: int) -> str:
    """Return the report, in lines of at most `width` cells where that can be done.

    source: where it was read.  unicode: the reader can show more than ASCII.  top: the most rows of each table.
    """
    lines = list(_head(counts, source, width))
    for section in sections(counts, top):
        lines += ["", *_table(section, width, unicode=unicode)]
    if told := notes(source):
        lines += ["", *told]
    return "".join(line.rstrip() + "\n" for line in lines)


def _head(counts: Counts, source: Source, width: int) -> Iterator[str]:
    yield heading(counts, source)
    if not counts.first:
        return
    yield ""
    line = ""
    for figure, what in summary(counts):
        words = f"{figure} {what}"
        if line and len(line) + 2 + len(words) > width:
            yield line + ","
            line = words
        else:
            line = f"{line}, {words}" if line else words
    yield line


def _table(section: Section, width: int, *, unicode: bool) -> Iterator[str]:
    rows = [section.headings, *section.rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(section.headings))]
    most = max(section.bars, default=0.0)
    free = width - sum(widths) - len(_GAP) * len(widths)
    wanted = MIN_BAR_CELLS if most else 0
    yielding = [column for column in section.text if column not in section.whole]
    for column in sorted(yielding, key=lambda column: -widths[column]):  # the widest text gives way first
        if free < wanted:
            given = min(wanted - free, max(0, widths[column] - MIN_TEXT_CELLS))
            widths[column] -= given
            free += given
    cells = min(free, MAX_BAR_CELLS) if most and free >= MIN_BAR_CELLS else 0
    yield section.title
    for index, row in enumerate(rows):
        line = _GAP.join(
            shortened(cell, widths[column], unicode=unicode).ljust(widths[column])
            if column in section.text
            else cell.rjust(widths[column])
            for column, cell in enumerate(row)
        )
        if index:
            line += _GAP + bar(section.bars[index - 1], most, cells, unicode=unicode, marked=section.marks[index - 1])
        elif any(section.marks):
            legend = _GAP.join(map(" ".join, zip(signs(unicode=unicode), section.legend, strict=True)))
            line += _GAP + legend if len(legend) <= cells else ""
        yield line
    if section.note:
        yield section.note
