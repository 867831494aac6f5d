"""What strangers may put into the log: some of each kind, and the rest as a number; and nothing of anybody is lost."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest

from mailrecv.journal import catalogue
from mailrecv.journal.catalogue import CATALOGUE, KIND_SECONDS, MAX_OF_A_KIND, WATCHED_REPLIES
from mailrecv.journal.log import Journal
from mailrecv.journal.processors import MAX_WAITING, Select
from mailrecv.reply import Reply

ROOT = Path(__file__).parents[3]
UNKNOWN = Reply(500, "Command not recognized")
TOO_LONG = Reply(500, "Line too long")


class Kept:
    """A sink that keeps entries as they come."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []

    def msg(self, entry: dict[str, Any]) -> None:
        self.entries.append(entry)

    @property
    def names(self) -> list[str]:
        return [entry["event"] for entry in self.entries]

    @property
    def told(self) -> dict[str, int]:
        """What was told in numbers."""
        return {entry["what"]: entry["times"] for entry in self.entries if entry["event"] == "repeated"}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, to be set."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def kept() -> Kept:
    """What was logged."""
    return Kept()


@pytest.fixture
def journal(kept: Kept, clock: list[float]) -> Journal:
    """A journal that ends there, with the debug flag `s`."""
    return Journal(kept, [Select("s"), lambda logger, method, event: ((event,), {})], {})


def refuse(journal: Journal, reply: Reply = UNKNOWN, line: int = 0) -> None:
    journal.record(catalogue.REFUSAL, reply=reply, command=b"x", recipient="", line=line)


def test_a_flood(journal: Journal, kept: Kept, clock: list[float]) -> None:
    """Of each kind so many are logged in any ten seconds, whoever they are from; the others are told as numbers."""
    for number in range(100):
        clock[0] += 0.01
        stranger = journal.of_stranger(client_address=f"192.0.2.{number}")
        stranger.record(catalogue.CONNECTION)
        refuse(stranger, TOO_LONG if number % 4 else UNKNOWN, line=7)
        stranger.record(catalogue.LIMIT_EXCEEDED, limit="smtp_failcmds")
        stranger.leave()
    assert [kept.names.count(name) for name in ("connection", "refusal", "limit_exceeded")] == [MAX_OF_A_KIND] * 3
    journal.tell_counts()
    assert kept.told == {}  # not yet
    clock[0] += KIND_SECONDS
    journal.tell_counts()
    left = 100 - MAX_OF_A_KIND
    assert kept.told["connection"] == kept.told["limit_exceeded smtp_failcmds"] == left
    refusals = [(entry["what"], entry["line"]) for entry in kept.entries if entry.get("what", "").startswith("refusal")]
    assert sorted(refusals) == [(f"refusal {UNKNOWN}", 7), (f"refusal {TOO_LONG}", 7)]
    assert sum(kept.told[what] for what, _ in refusals) == left
    journal.tell_counts(at_once=True)
    assert len(kept.told) == 4  # each number once


def test_any_ten_seconds(journal: Journal, kept: Kept, clock: list[float]) -> None:
    """However the time is cut, there are no ten seconds with more; a slow stranger is logged each time."""
    times: list[float] = []
    for _ in range(600):
        clock[0] += 0.07
        before = len(kept.entries)
        refuse(journal.of_stranger())
        times += [clock[0]] * (len(kept.entries) - before)
    assert len(times) > 3 * MAX_OF_A_KIND
    for first, last in zip(times, times[MAX_OF_A_KIND:], strict=False):
        assert last - first >= KIND_SECONDS
    clock[0] += 2 * KIND_SECONDS
    before = len(kept.entries)
    for _ in range(100):
        clock[0] += KIND_SECONDS / MAX_OF_A_KIND
        refuse(journal.of_stranger())
    assert len(kept.entries) - before == 100


def test_a_client_that_is_admitted(journal: Journal, kept: Kept) -> None:
    """Once a line admits a client, all that it did before is logged in its order, with its facts, and all it does."""
    for _ in range(2 * MAX_OF_A_KIND):
        flood = journal.of_stranger()
        flood.record(catalogue.CONNECTION)
        refuse(flood)
    before = len(kept.entries)
    client = journal.of_stranger(session="1")
    client.record(catalogue.CONNECTION)
    refuse(client.bind(id="2"), TOO_LONG)
    assert len(kept.entries) == before
    client.admit()
    assert [(entry["event"], entry["session"]) for entry in kept.entries[before:]] == [
        ("connection", "1"),
        ("refusal", "1"),
    ]
    assert (kept.entries[-1]["id"], kept.entries[-1]["reply"]) == ("2", TOO_LONG)
    for _ in range(3 * MAX_OF_A_KIND):
        refuse(client)
    client.leave()
    assert len(kept.entries) == before + 2 + 3 * MAX_OF_A_KIND
    journal.tell_counts(at_once=True)
    assert kept.told == {}  # the flood has not left yet


def test_what_waits_is_bounded(journal: Journal, kept: Kept) -> None:
    """A stranger that stays cannot fill the memory: beyond so many, its entries are counted at once."""
    stranger = journal.of_stranger()
    for _ in range(MAX_OF_A_KIND + MAX_WAITING + 500):
        refuse(stranger)
    journal.tell_counts(at_once=True)
    assert kept.told == {f"refusal {UNKNOWN}": 500}
    stranger.leave()
    journal.tell_counts(at_once=True)
    assert kept.told == {f"refusal {UNKNOWN}": MAX_WAITING}


@pytest.mark.parametrize(
    "name", ["internal_error", "traceback", "spool_failed", "config_fault", "command", "reply", "refusal"]
)
def test_what_is_never_only_counted(name: str, journal: Journal, kept: Kept) -> None:
    """Faults are always logged, and what a debug flag asks for, and the refusals that fail2ban's filter looks for."""
    entry = CATALOGUE[name]
    facts = dict.fromkeys(entry.facts, "x") | {"reply": Reply(550, "No one here by that name.")}
    stranger = journal.of_stranger()
    for _ in range(50 * MAX_OF_A_KIND):
        stranger.record(entry, **facts)
    stranger.leave()
    assert kept.names == [name] * 50 * MAX_OF_A_KIND


def test_what_does_not_come_from_strangers(journal: Journal, kept: Kept) -> None:
    """The program's own entries are always logged."""
    for _ in range(3 * MAX_OF_A_KIND):
        journal.record(catalogue.LISTENING, address="x")
    assert len(kept.entries) == 3 * MAX_OF_A_KIND


def test_the_replies_that_are_watched() -> None:
    """The filter for fail2ban that comes with the program looks for these replies, and for no others."""
    text = (ROOT / "docs/examples/fail2ban/filter.d/mailrecv.conf").read_text(encoding="utf-8")
    (words,) = re.findall(r"(?m)^failregex .* ERROR: (\d+ .*)$", text)
    assert words == "550 No (?:one here|such recipient)"
    assert all(re.match(words, reply) for reply in WATCHED_REPLIES)
    assert WATCHED_REPLIES == ("550 No one here", "550 No such recipient")
