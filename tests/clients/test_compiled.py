"""Sessions that start from a compiled configuration: a client sees no difference, whatever becomes of it."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mailrecv.config.compiler import SETTLING_SECONDS
from tests.clients.servers import ENVIRONMENT, Session, Starter

GREETING = "220 mydomain.com SMTP (RFC 822) mailrecv"


class Cached:
    """A site whose configuration is compiled into a cache directory of its own, by the sessions themselves."""

    def __init__(self, start: Starter) -> None:
        self._start = start
        self.site = start.site("limit.fcrdns_check on")
        self.directory = self.site.folder / "cache"
        self.directory.mkdir()

    def session(self, **options: Any) -> Session:
        """Start a session."""
        environment = {**ENVIRONMENT, "CACHE_DIRECTORY": str(self.directory)}
        return self._start.session(site=self.site, environment=environment, **options)

    def deliver(self, **options: Any) -> None:
        """Deliver a message in a session, which ends well."""
        session = self.session(**options)
        session.wire.envelope("me")
        assert session.wire.ask("Hello\r\n.")[:3] == "250"
        assert session.wire.ask("QUIT")[:3] == "221"
        assert session.exit_status() == 0

    @property
    def compiled(self) -> Path | None:
        """The compiled configuration."""
        found = list(self.directory.iterdir())
        assert len(found) <= 1
        return found[0] if found else None

    def replace(self, old: str, new: str) -> None:
        """Change the configuration."""
        self.site.config.write_text(self.site.config.read_text().replace(old, new))


@pytest.fixture
def cached(start: Starter) -> Cached:
    """A site whose configuration the first session has compiled."""
    cached = Cached(start)
    time.sleep(SETTLING_SECONDS + 0.1)
    cached.deliver()
    assert cached.compiled is not None
    return cached


def test_the_first_session_compiles_for_the_others(cached: Cached) -> None:
    """The sessions after the first deliver the same, and log the same."""
    first = cached.site.log
    made = cached.compiled
    assert made is not None
    before = made.stat()
    cached.deliver()
    assert cached.site.appended == [b"Hello\n"] * 2
    second = cached.site.log.removeprefix(first)
    assert second.count("\n") == first.count("\n")
    assert f"SMTP reply: {GREETING}" in second
    assert made.stat() == before


def test_a_file_that_was_read_too_soon_after_a_change(start: Starter) -> None:
    """Within a tick of the clock the file may change twice: what was read then is never kept, even later."""
    cached = Cached(start)
    session = cached.session()
    assert session.wire.reply() == GREETING
    time.sleep(SETTLING_SECONDS + 0.1)
    assert session.wire.ask("QUIT")[:3] == "221"
    assert session.exit_status() == 0
    assert cached.compiled is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_right_after_the_greeting(cached: Cached, number: int) -> None:
    """Whoever has been greeted is told that the server goes down, however early it does."""
    session = cached.session()
    assert session.wire.reply() == GREETING  # when most of the program is still to be imported
    session.process.send_signal(number)
    assert session.wire.rest() == ["421 The server is going down, try again later"]
    assert session.exit_status() == 1


def test_a_changed_file_holds_at_once(cached: Cached) -> None:
    """The first session after a change goes by the new file, and greets nobody that it turns away."""
    cached.replace("debug srw+F\n", "debug srw+F\nallow remotehost ^192\\.0\\.2\\.\n")
    session = cached.session()
    assert session.wire.rest() == ["554 This server takes no mail from your host"]
    assert session.exit_status() == 1


def test_a_fault_holds_at_once(cached: Cached) -> None:
    """A file that has become faulty is told so: 421 and nothing before it, exit status 78."""
    cached.replace("domain ", "domian ")
    session = cached.session(arguments=["-l", str(cached.site.folder / "log")])
    (reply,) = session.wire.rest()
    assert reply.startswith("421 ")
    assert session.exit_status() == 78
    assert "unknown directive domian" in cached.site.log


def test_options_hold(cached: Cached) -> None:
    """-d and -l of the command line have the last word, with what is compiled as with the file."""
    log = cached.site.folder / "another"
    for flags in ("-", "s", "c"):
        log.unlink(missing_ok=True)
        cached.deliver(arguments=["-d", flags, "-l", str(log)])
        logged = log.read_text()
        assert ("DEBUG: SMTP cmd" in logged) == (flags == "s")
        assert ("domain mydomain.com" in logged) == (flags == "c")


def _as_garbage(cached: Cached, made: Path) -> None:
    made.write_bytes(b"x" * made.stat().st_size)


def _cut_off(cached: Cached, made: Path) -> None:
    os.truncate(made, made.stat().st_size - 1)


def _spoilt_at_the_end(cached: Cached, made: Path) -> None:
    size = made.stat().st_size
    made.write_bytes(made.read_bytes()[:-200] + bytes(200))
    assert made.stat().st_size == size


def _spoilt_in_the_middle(cached: Cached, made: Path) -> None:
    whole = made.read_bytes()
    at = whole.index(b"^nobody@")
    made.write_bytes(whole[:at] + b"^y" + whole[at + 2 :])


def _a_directory(cached: Cached, made: Path) -> None:
    made.unlink()
    (made / "x").mkdir(parents=True)


def _no_cache_directory(cached: Cached, made: Path) -> None:
    shutil.rmtree(cached.directory)
    cached.directory.touch()


def _writable_by_all(cached: Cached, made: Path) -> None:
    text = made.read_bytes()
    made.write_bytes(text.replace(b"mydomain.com SMTP", b"urdomain.com SMTP"))
    made.chmod(0o666)


@pytest.mark.parametrize(
    "trouble",
    [
        _as_garbage,
        _cut_off,
        _spoilt_at_the_end,
        _spoilt_in_the_middle,
        _a_directory,
        _no_cache_directory,
        _writable_by_all,
    ],
)
def test_no_session_fails(cached: Cached, trouble: Callable[[Cached, Path], None]) -> None:
    """Whatever is where the compiled configuration should be, sessions go on, each by the file."""
    assert cached.compiled is not None
    trouble(cached, cached.compiled)
    for _ in range(2):
        cached.deliver()
    assert cached.site.appended == [b"Hello\n"] * 3


def test_two_sessions_at_once(cached: Cached) -> None:
    """Sessions at the same time that find nothing compiled all do their work, and what they leave is whole."""
    assert cached.compiled is not None
    cached.compiled.unlink()
    sessions = [cached.session() for _ in range(6)]
    for session in sessions:
        session.wire.envelope("me")
    for session in sessions:
        session.wire.send(b"Hello\r\n.\r\nQUIT\r\n")
    assert [session.exit_status() for session in sessions if session.wire.rest()] == [0] * 6
    assert cached.compiled is not None
    cached.deliver()
    assert len(cached.site.appended) == 8
