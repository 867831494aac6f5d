"""Metrics: what Prometheus's own parser makes of them, and counters that go on from run to run."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mailrecv.report.event import Event
from mailrecv.report.period import Period
from mailrecv.report.prometheus import MAX_SERIES, METRICS, OTHER, Metrics
from tests.support.journals import NOON, Recorder
from tests.unit.report.conftest import Opener

Samples = dict[tuple[str, str], float]


def samples(text: str) -> Samples:
    """Return the samples in a text: by the name and the value of the label, those of 0 left out."""
    return {
        (sample.name.removeprefix("mailrecv_"), "".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.value
    }


def delivered(recipient: str, *, message_id: str = "a1") -> Event:
    facts = {"id": message_id, "recipient": recipient, "size": "10", "seconds": "0.500"}
    return Event(NOON, "delivered", facts, "")


def test_metrics(story: Recorder, opened: Opener) -> None:
    """Each count of the story is a sample."""
    metrics = Metrics()
    for event in opened(story).events(Period()):
        metrics.add(event)
    told = samples(metrics.text())
    assert told.pop(("last_event_timestamp_seconds", "")) == pytest.approx(NOON + 7200)
    assert told == {
        ("connections_total", ""): 3,
        **{("sessions_ended_total", cause): 1 for cause in ("quit", "refused", "left")},
        ("messages_total", ""): 3,
        ("message_bytes_total", ""): 1800,
        ("copies_total", "delivered"): 3,
        ("copies_total", "dead_letter"): 1,
        ("copies_total", "deferred"): 1,
        ("delivery_seconds_total", ""): 4.125,
        ("recipient_copies_total", "status@mydomain.com"): 2,
        ("recipient_copies_total", "list@mydomain.com"): 1,
        ("recipient_failures_total", "script@mydomain.com"): 1,
        ("refusals_total", "550"): 2,
        ("refusals_total", "451"): 1,
        ("limits_exceeded_total", "smtp_failcmds"): 1,
    }


def test_what_the_log_tells_as_a_number() -> None:
    """What was only counted raises a counter by as much."""
    metrics = Metrics()
    metrics.add(Event(NOON, "refusal", {"reply": "500 Command not recognized"}, "", 490))
    metrics.add(Event(NOON, "connection", {}, "", 120))
    told = samples(metrics.text())
    assert (told["refusals_total", "500"], told["connections_total", ""]) == (490, 120)


def test_every_metric_is_explained() -> None:
    """Each metric has its help and its type, also before anything has happened."""
    families = {family.name: family for family in text_string_to_metric_families(Metrics().text())}
    assert {name.removesuffix("_total") for name in METRICS} == {name.removeprefix("mailrecv_") for name in families}
    for family in families.values():
        gauge = family.name == "mailrecv_last_event_timestamp_seconds"
        assert (family.type, bool(family.documentation)) == ("gauge" if gauge else "counter", True)


def test_known_series_begin_at_zero() -> None:
    """What an alarm is set on is there before it first happens."""
    assert 'mailrecv_troubles_total{event="internal_error"} 0\n' in Metrics().text()
    assert 'mailrecv_copies_total{outcome="failed"} 0\n' in Metrics().text()


@pytest.mark.parametrize("recipient", ['"x\\y"@mydomain.com', 'a"} 5\nb', "\\", "ä@mydomain.com", "{}", "\\n"])
def test_labels_are_escaped(recipient: str) -> None:
    """Whatever stands in an address stays within its label, there and back."""
    metrics = Metrics()
    metrics.add(delivered(recipient))
    metrics.position = "x"
    assert samples(metrics.text())["recipient_copies_total", recipient] == 1
    again = Metrics()
    again.go_on_from(metrics.text())
    assert again.text() == metrics.text()


def test_there_are_only_so_many_series() -> None:
    """Beyond so many recipients, the further ones share a series, and those that are there go on."""
    metrics = Metrics()
    for number in range(MAX_SERIES + 50):
        metrics.add(delivered(f"r{number}@mydomain.com", message_id=f"{number:x}"))
    metrics.add(delivered("r0@mydomain.com"))
    told = {key: value for key, value in samples(metrics.text()).items() if key[0] == "recipient_copies_total"}
    assert len(told) == MAX_SERIES + 1
    assert told["recipient_copies_total", OTHER] == 50
    assert told["recipient_copies_total", "r0@mydomain.com"] == 2


def test_counting_goes_on(story: Recorder, opened: Opener) -> None:
    """Metrics that go on from an earlier text and position have each event once."""
    source = opened(story)
    whole, half = Metrics(), Metrics()
    events = list(source.events(Period()))
    for event in events:
        whole.add(event)
    for event in events[:7]:
        half.add(event)
    half.position = "somewhere"
    rest = Metrics()
    rest.go_on_from(half.text())
    assert rest.position == "somewhere"
    for event in events[7:]:
        rest.add(event)
    assert samples(rest.text()) == samples(whole.text())


@pytest.mark.parametrize("text", ["", "hello\n", "mailrecv_connections_total 5\n"])
def test_another_file(text: str) -> None:
    """A file that is not from an earlier run is not taken for one."""
    with pytest.raises(ValueError, match="not written by --prometheus"):
        Metrics().go_on_from(text)
