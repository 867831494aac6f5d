"""The period of a report: times in the forms of systemd.time(7) that people use, and on which both agree."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime, time, timedelta

from mailrecv.values import Value

FORMS = "2026-11-24, '2026-11-24 10:00', 10:00, today, yesterday, now, -2h, '3 days ago' or @SECONDS"
_SECONDS = {  # of the units, each under the names of systemd.time(7)
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3600),
    **dict.fromkeys(("d", "day", "days"), 86400),
    **dict.fromkeys(("w", "week", "weeks"), 604800),
}
_DAYS = {"yesterday": -1, "today": 0, "tomorrow": 1}
_SPAN = r"(?:\d{1,9}\s*[a-z]+\s*)+"
_RELATIVE = re.compile(rf"-(?P<before>{_SPAN})|(?P<ago>{_SPAN})\sago", re.ASCII)
_PLAIN = re.compile(r"@(\d{1,12}(?:\.\d{1,9})?)", re.ASCII)
_ABSOLUTE = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d|yesterday|today|tomorrow)?(?:(?:^|(?<=\d)[ t])(?P<clock>\d\d?:\d\d(?::\d\d)?))?", re.ASCII
)


class Period(Value):
    """From `since` to `until`, both included, in seconds since the epoch."""

    since: float = -math.inf
    until: float = math.inf

    def __contains__(self, time: float) -> bool:
        return self.since <= time <= self.until


def parse_time(text: str, now: datetime | None = None) -> float:
    """Return a time in seconds since the epoch; local time unless it says UTC.  text: in one of FORMS.

    now: for tests.  Raises ValueError.
    """
    words = text.strip().lower()
    if plain := _PLAIN.fullmatch(words):
        return float(plain[1])
    now = now or datetime.now().astimezone()
    if words == "now":
        return now.timestamp()
    if relative := _RELATIVE.fullmatch(words):
        return now.timestamp() - _span(relative["before"] or relative["ago"], text)
    utc = words.endswith(" utc")
    absolute = _ABSOLUTE.fullmatch(words.removesuffix(" utc"))
    if absolute is None or not absolute[0]:
        raise ValueError(f"{text}: no time; write it as {FORMS}")
    day, clock = absolute["day"], absolute["clock"] or "00:00"
    try:
        on = date.fromisoformat(day) if day and day not in _DAYS else now.date() + timedelta(days=_DAYS.get(day, 0))
        at = time.fromisoformat(f"0{clock}" if clock[1] == ":" else clock)
    except ValueError:
        raise ValueError(f"{text}: there is no such time") from None
    return datetime.combine(on, at, UTC if utc else None).timestamp()


def _span(text: str, whole: str) -> float:
    """Return the seconds of `1h 30min`."""
    parts = re.findall(r"(\d+)\s*([a-z]+)", text)
    if unknown := next((unit for _, unit in parts if unit not in _SECONDS), None):
        raise ValueError(f"{whole}: {unknown} is no unit of time; use s, min, h, d or w")
    return float(sum(int(number) * _SECONDS[unit] for number, unit in parts))
