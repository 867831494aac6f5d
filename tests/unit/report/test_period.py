"""Times as a person writes them, held against systemd's own reading of them."""

from __future__ import annotations

import re
import subprocess
from datetime import UTC, datetime

import pytest

from mailrecv.report.period import Period, parse_time

NOW = datetime(2026, 11, 26, 12, 30, 15, tzinfo=UTC)
TIMES = {
    "now": "2026-11-26 12:30:15",
    "today": "2026-11-26 00:00:00",
    "yesterday": "2026-11-25 00:00:00",
    "tomorrow": "2026-11-27 00:00:00",
    "2026-11-24": "2026-11-24 00:00:00",
    "2026-11-24 10:00": "2026-11-24 10:00:00",
    "2026-11-24 9:05": "2026-11-24 09:05:00",
    "2026-11-24 10:00:59": "2026-11-24 10:00:59",
    "2026-11-24 10:00 UTC": "2026-11-24 10:00:00",
    "08:00": "2026-11-26 08:00:00",
    "-2h": "2026-11-26 10:30:15",
    "-90s": "2026-11-26 12:28:45",
    "-1h 30min": "2026-11-26 11:00:15",
    "5m ago": "2026-11-26 12:25:15",
    "3 days ago": "2026-11-23 12:30:15",
    "2 weeks ago": "2026-11-12 12:30:15",
    "@1795514400": "2026-11-24 10:00:00",
}


@pytest.mark.parametrize("text, time", TIMES.items())
def test_parse_time(text: str, time: str) -> None:
    """Each form is understood, in any letter case."""
    expected = datetime.fromisoformat(f"{time}+00:00").timestamp()
    assert parse_time(text, NOW) == expected
    assert parse_time(f" {text.upper()} ", NOW) == expected


@pytest.mark.needs_tool("systemd-analyze")
@pytest.mark.parametrize("text", TIMES)
def test_systemd_agrees(text: str) -> None:
    """systemd reads the same time, so that what worked for `journalctl --since` works here."""
    command = ["systemd-analyze", "timestamp", "--", text]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    seconds = re.search(r"UNIX seconds: @([0-9.]+)", shown)
    assert seconds
    assert parse_time(text) == pytest.approx(float(seconds[1]), abs=10)


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "-", "@", "x", "utc", "-2", "-2x", "2h", "ago", "25:00", "10:60", "2026-13-01", "2026-02-30"),
        *("2026-11-2410:00", "24.11.2026", "2026-11-24 10", "today 10:00", "²:00", "@1e9", "--2h", "-h"),
    ],
)
def test_no_time(text: str) -> None:
    """Whatever is no time is refused, with a word on what would be."""
    with pytest.raises(ValueError, match=r"no time; write it as|there is no such time|is no unit of time"):
        parse_time(text, NOW)


def test_period() -> None:
    """A period has both of its ends, and by default none."""
    assert [time in Period(1.0, 3.0) for time in (0.9, 1.0, 3.0, 3.1)] == [False, True, True, False]
    assert 0.0 in Period()
