"""Logs that tell a story, for the tests of what reads them: each as a journal and as a file."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from mailrecv.journal import catalogue
from mailrecv.report.event import Source
from mailrecv.report.from_file import FileSource
from mailrecv.report.from_journal import JournalSource
from tests.support.journals import JOURNAL_REMOTE, NOON, Recorder, Session

Opener = Callable[[Recorder], Source]


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Generator[None, None, None]:
    """Let local time be UTC, wherever the tests run."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def recorder() -> Recorder:
    """A log without an entry."""
    return Recorder()


@pytest.fixture
def as_file(tmp_path: Path) -> Opener:
    """Open what was recorded as a log file."""
    return lambda recorder: FileSource([str(recorder.file(tmp_path / "log"))])


@pytest.fixture
def as_journal(tmp_path: Path) -> Opener:
    """Open what was recorded as a journal."""
    if not Path(JOURNAL_REMOTE).exists():
        pytest.skip("needs systemd-journal-remote: run `make test-tools`")
    return lambda recorder: JournalSource(str(recorder.directory(tmp_path)))


@pytest.fixture(params=["as_file", "as_journal"])
def opened(request: pytest.FixtureRequest) -> Opener:
    """Open what was recorded, once as a log file and once as a journal."""
    opener: Opener = request.getfixturevalue(request.param)
    return opener


@pytest.fixture
def story(recorder: Recorder) -> Recorder:
    """An afternoon: mail for two recipients, a script that fails, a stranger who guesses, a dead letter."""
    session = Session(recorder, "192.0.2.7", "mail.example.org")
    recorder.now += 0.5
    session.message("a1", "me@example.org", "status@mydomain.com", "list@mydomain.com", size=1000, seconds=0.25)
    session.message("a2", "me@example.org", "Status@mydomain.com", size=500, seconds=0.125)
    recorder.now += 0.5
    session.close()

    recorder.now, recorder.pid = NOON + 3600, 101
    session = Session(recorder, "203.0.113.9", "unknown")
    session.refuse(550, "No one here by that name.", recipient="sales@mydomain.com", line=7)
    session.refuse(550, "No one here by that name.", recipient="info@mydomain.com", line=7)
    session.record(catalogue.LIMIT_EXCEEDED, limit="smtp_failcmds")
    session.close("refused")

    recorder.now, recorder.pid = NOON + 7200, 102
    session = Session(recorder, "192.0.2.8", "other.example.org")
    session.message("b1", "you@example.org", "script@mydomain.com", size=2000, seconds=3, entry="deferred")
    session.refuse(451, "Not delivered, try again later (00000000000000000b1ff)")
    session.message("b2", "you@example.org", "gone@mydomain.com", size=300, seconds=0.5, entry="dead_letter")
    session.close("left")
    return recorder
