"""A report as one self-contained page: it loads nothing, runs nothing, follows light and dark, and can be printed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from mailrecv import __version__
from mailrecv.report.charts import columns, row_bar
from mailrecv.report.counts import Counts
from mailrecv.report.event import Source
from mailrecv.report.markup import document, element
from mailrecv.report.sections import (
    MESSAGES_AND_FAILURES,
    TIME_FORMS,
    TIMELINE,
    TROUBLES,
    Section,
    buckets,
    date,
    heading,
    notes,
    sections,
    size,
    summary,
)
from mailrecv.report.style import STYLE
from mailrecv.report.tally import Tally

TITLE = "Mail received"
_NOTHING_ELSE = "default-src 'none'; style-src 'unsafe-inline'"  # should a browser be talked into it all the same
_SHORT_TIMES = {"hour": "%H:%M", "day": "%b %d", "month": "%b %Y"}


def report_page(counts: Counts, source: Source, top: int) -> str:
    """Return the page.  source: where the counts are from.  top: the most rows of each table."""
    main = element("main", element("header", element("h1", TITLE), element("p", heading(counts, source))))
    if counts.first:
        main.extend(_body(counts, top))
    footer = element("footer", *(element("p", note) for note in notes(source)))
    footer.append(element("p", f"Made by mailrecv {__version__} on {date(time.time(), '%Y-%m-%d %H:%M %Z')}."))
    main.append(footer)
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_NOTHING_ELSE),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{TITLE}: {heading(counts, source)}"),
        element("style", STYLE),
    )
    return document(element("html", head, element("body", main), lang="en"))


def _body(counts: Counts, top: int) -> Iterator[Element]:
    figures = (element("div", element("dd", figure), element("dt", what)) for figure, what in summary(counts))
    yield element("dl", *figures, class_="figures")
    tables = sections(counts, top)
    yield from (_table(table) for table in tables if table.kind == TROUBLES)
    for table in tables:
        if table.kind == TIMELINE:
            details = element("details", element("summary", "The same in numbers"), _rows(table))
            yield element("section", element("h2", table.title), _charts(counts), details)
    yield from (_table(table) for table in tables if not table.kind)


def _charts(counts: Counts) -> Element:
    unit, rows = buckets(counts)
    tallies = [tally for _, tally in rows]
    times = [(_short(begin, unit), f"{date(begin, TIME_FORMS[unit])}: {_told(tally)}") for begin, tally in rows]
    legend = element("span", element("i", class_="good"), " delivered ", element("i", class_="bad"), " failed")
    legend.set("class", "legend")
    messages = columns("Messages", f"per {unit}", times, [(t.messages + t.failures, t.failures) for t in tallies])
    messages[0].append(legend)
    octets = columns("Mail", f"B per {unit}", times, [(t.octets, 0) for t in tallies])
    refusals = columns("Refusals", f"per {unit}", times, [(t.refusals, 0) for t in tallies], "other")
    return element("div", messages, octets, refusals, class_="charts")


def _short(begin: float, unit: str) -> str:
    """Return a time for the axis; at midnight, the day."""
    form = "day" if unit == "hour" and time.localtime(begin).tm_hour == 0 else unit
    return date(begin, _SHORT_TIMES[form])


def _told(tally: Tally) -> str:
    counts = f"{tally.messages:,} messages, {size(tally.octets)}"
    return f"{counts}, {tally.failures:,} failures, {tally.refusals:,} refusals"


def _table(section: Section) -> Element:
    return element("section", element("h2", section.title), _rows(section), class_=section.kind or "table")


def _rows(section: Section) -> Element:
    most = max(section.bars, default=0.0)
    headings = [_cell("th", section, column, name) for column, name in enumerate(section.headings)]
    if most:
        headings.append(element("th", class_="bar"))
    body = element("tbody")
    kind = "good" if section.legend == MESSAGES_AND_FAILURES else "other"
    for row, value, trouble in zip(section.rows, section.bars, section.marks, strict=True):
        cells = [_cell("td", section, column, cell) for column, cell in enumerate(row)]
        if most:
            cells.append(element("td", row_bar(value, trouble, most, kind), class_="bar"))
        body.append(element("tr", *cells))
    table = element("div", element("table", element("thead", element("tr", *headings)), body), class_="scroll")
    if section.note:
        table.append(element("p", section.note, class_="note"))
    return table


def _cell(tag: str, section: Section, column: int, text: str) -> Element:
    return element(tag, text, class_="text" if column in section.text else "number")
