"""The page: it stands alone, and a stranger's text is nothing but text in it."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest

from mailrecv.report.charts import MAX_STEPS, columns
from mailrecv.report.counts import Counts, count_all
from mailrecv.report.data import report_data, trace_data
from mailrecv.report.event import Event
from mailrecv.report.from_file import FileSource
from mailrecv.report.page import report_page
from mailrecv.report.period import Period
from mailrecv.report.style import STYLE
from tests.support.journals import NOON, Recorder
from tests.unit.report.conftest import Opener

HOSTILE = "<script>alert(1)</script>\"'&lt;![CDATA[x]]><!--<style>*{x:url(//evil.example)}"
VOID = ("meta",)


class Reader(HTMLParser):
    """Reads a page as a browser does: its tags, attributes and texts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attributes]
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def page(counts: Counts, *, top: int = 10) -> str:
    source = FileSource([__file__])
    source.name = "a log"
    return report_page(counts, source, top)


def test_what_the_page_shows(story: Recorder, as_file: Opener) -> None:
    """The page has the figures, a chart over time for mail, octets and refusals, and the tables."""
    read = Reader(page(count_all(as_file(story).events(Period()))))
    assert {"Mail received", "By hour", "Recipients", "Clients", "Slowest deliveries"} <= set(read.texts)
    assert "From 2026-11-23 12:00:00 to 2026-11-23 14:00:00 UTC, in a log" in read.texts
    assert {"status@mydomain.com", "mail.example.org [192.0.2.7]", "1.8 kB", "550 No one here by that name."} <= set(
        read.texts
    )
    labels = [value for name, value in read.attributes if name == "aria-label"]
    assert labels == ["Messages, per hour, over time", "Mail, kB per hour, over time", "Refusals, per hour, over time"]
    assert {"2026-11-23 12:00: 2 messages, 1.5 kB, 0 failures, 0 refusals"} <= set(read.texts)


def test_a_strangers_text_is_text() -> None:
    """Whatever clients and files say appears word for word, and makes no tag, attribute or style."""
    plain, hostile = Counts(), Counts()
    for counts, text in ((plain, "x"), (hostile, HOSTILE)):
        facts = {"recipient": text, "client_address": text, "client_name": text, "id": text, "reply": text}
        for name in (
            "connection",
            "delivered",
            "deferred",
            "refusal",
            "limit_exceeded",
            "disconnection",
            "spool_failed",
        ):
            counts.add(Event(NOON, name, {**facts, "cause": text, "limit": text, "route": text}, text))
    expected, read = Reader(page(plain)), Reader(page(hostile))
    assert read.tags == expected.tags
    assert read.attributes == expected.attributes
    assert {HOSTILE, HOSTILE.lower(), f"{HOSTILE} [{HOSTILE}]"} <= set(read.texts)
    assert "script" not in read.tags


def test_the_page_stands_alone(story: Recorder, as_file: Opener) -> None:
    """The page names nothing to load: no source, no link, no import, no font; and forbids it besides."""
    made = page(count_all(as_file(story).events(Period())))
    read = Reader(made)
    assert not {"script", "link", "img", "iframe", "a", "object", "use"} & read.tags
    assert not {"src", "href", "style", "onload", "onclick"} & {name for name, _ in read.attributes}
    assert not re.search(r"url\(|@import|https?:|//", made)
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in read.attributes


def test_light_dark_and_print() -> None:
    """Every colour has a value for light, for dark and for paper, and every one that is used is there."""
    used = set(re.findall(r"var\((--\w+)\)", STYLE))
    light, dark, paper = (
        set(re.findall(r"(--\w+):", block)) for block in re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
    )
    assert used == light == dark
    assert paper == light - {"--room"}


def test_nothing_recorded() -> None:
    """A page about nothing says so, without charts."""
    read = Reader(page(Counts()))
    assert "Nothing was recorded in a log in this time." in read.texts
    assert "svg" not in read.tags


@pytest.mark.parametrize(
    "unit, highest, values, shown",
    [
        ("per hour", 1, ["0", "1"], "per hour"),
        ("per hour", 3, ["0", "1", "2", "3"], "per hour"),
        ("per hour", 93, ["0", "50", "100"], "per hour"),
        ("per hour", 4001, ["0", "2,000", "4,000", "6,000"], "per hour"),
        ("B per day", 900, ["0", "500", "1,000"], "B per day"),
        ("B per day", 2_300_000, ["0", "1", "2", "3"], "MB per day"),
        ("B per day", 0, ["0", "1"], "B per day"),
    ],
)
def test_axes(unit: str, highest: float, values: list[str], shown: str) -> None:
    """An axis has a few round steps that reach beyond the highest value, and its unit stands above it."""
    chart = columns("Mail", unit, [("12:00", "noon"), ("13:00", "later")], [(highest, 0), (0, 0)])
    texts = [text for element in chart.iter("text") if element.get("class") == "value" and (text := element.text)]
    assert texts == values
    assert len(texts) <= MAX_STEPS + 1
    assert "".join(chart[0].itertext()) == f"Mail {shown}"


def test_json(story: Recorder, as_file: Opener) -> None:
    """The data has every documented key, times in UTC, and all rows."""
    source = as_file(story)
    data = json.loads(json.dumps(report_data(count_all(source.events(Period())), source)))
    assert list(data) == [
        *("source", "first", "last", "messages", "octets", "failures", "dead_letters", "refusals", "connections"),
        *("copies", "hours", "recipients", "clients", "slowest", "refusals_by_cause", "limits_exceeded"),
        *("sessions_by_end", "troubles", "not_counted"),
    ]
    assert (data["messages"], data["octets"], data["copies"]) == (3, 1800, 4)
    assert data["hours"][0]["begins"] == "2026-11-23T12:00:00.000+00:00"
    assert data["recipients"][0] == {
        "recipient": "status@mydomain.com",
        "messages": 2,
        "octets": 1500,
        "failures": 0,
        "dead_letters": 0,
    }
    assert data["clients"][0]["name"] == "mail.example.org"
    assert list(data["slowest"][0]) == ["seconds", "time", "id", "recipient", "route", "size", "outcome"]
    assert data["not_counted"] == {"unread": 0, "ambiguous": 0, "foreign": 0}


def test_json_of_a_trace(story: Recorder, opened: Opener) -> None:
    """A trace has the message's id, and each event with its facts; one of a session with several messages has no id."""
    source = opened(story)
    [trace] = trace_data(source.traces("a2", Period(), 5))
    assert trace["id"] == "a2"
    assert [event["event"] for event in trace["events"]] == ["connection", "delivered", "disconnection"]
    assert trace["events"][1]["facts"]["recipient"] == "Status@mydomain.com"
    assert trace_data(source.traces("192.0.2.7", Period(), 5))[0]["id"] is None
