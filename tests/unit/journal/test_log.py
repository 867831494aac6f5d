"""From a record to what a sink gets: selected, safe, described, and in the form of the place where it goes."""

from __future__ import annotations

import errno
import math
import os
import re
import select
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from pathlib import Path
from unittest import mock

import pytest
import structlog
from structlog.types import EventDict

from mailrecv.config import DEBUG_FLAGS
from mailrecv.journal import catalogue, processors, sinks
from mailrecv.journal.catalogue import CATALOGUE, Entry
from mailrecv.journal.escape import MAX_CHARACTERS, shown
from mailrecv.journal.log import open_journal
from mailrecv.reply import Reply
from tests.support.users import NOBODY

FORGED = "x [9.9.9.9]\nPRIORITY=0"


def event(entry: Entry = catalogue.REFUSAL, /, **facts: object) -> EventDict:
    """Return an entry as it goes through the processors."""
    return {"event": entry.name, "entry": entry, **facts}


def kept(flags: str, entry: Entry) -> bool:
    """Say whether an entry is recorded with these flags."""
    try:
        processors.Select(flags)(None, "msg", event(entry))
    except structlog.DropEvent:
        return False
    return True


@pytest.mark.parametrize("flag", DEBUG_FLAGS)
def test_select(flag: str) -> None:
    """A flag adds the entries that need it to those that need none; `a` adds all."""
    names = {entry.name for entry in CATALOGUE.values() if kept(flag, entry)}
    assert names == {entry.name for entry in CATALOGUE.values() if flag == "a" or entry.flag in ("", flag)}


def test_make_safe() -> None:
    """Numbers and octets become text, in one printable line."""
    safe = processors.MakeSafe(loghex=True)
    facts = {"reply": Reply(550, "No [x]\nno"), "command": b"\xff["}
    made = safe(None, "msg", event(**facts, seconds=1.23456, line=7))
    del made["event"], made["entry"]
    assert made == {"reply": "550-No [x] / 550 no", "command": "<0xff>[", "seconds": "1.235", "line": "7"}


@pytest.mark.parametrize("brackets, sender", [(True, "[9.9.9.9]"), (False, "<0x5b>9.9.9.9]")])
def test_describe(brackets: bool, sender: str) -> None:
    """In the message, brackets may remain in the configuration's words alone; facts are never touched."""
    facts = {"sender": "[9.9.9.9]", "recipient": "a@b", "route": "append /[x]", "line": "7"}
    describe = processors.Describe(with_address=False, brackets=brackets)
    made = describe(None, "msg", event(catalogue.ROUTED, **facts))
    assert made["message"] == f"mail from <{sender}> to <a@b>: append /[x] (line 7)"
    assert facts.items() <= made.items()


def test_render_for_journald() -> None:
    """Every fact is a field, in one line each, and the message comes first."""
    made = processors.MakeSafe(loghex=True)(None, "msg", event(reply=Reply(550, "No"), command=FORGED))
    described = processors.Describe(with_address=False, brackets=False)(None, "msg", made)
    fields, options = processors.render_for_journald(None, "msg", described)
    assert options == {}
    assert fields == (
        "MESSAGE=ERROR: 550 No",
        f"PRIORITY={catalogue.REFUSAL.priority}",
        f"MESSAGE_ID={catalogue.REFUSAL.message_id}",
        "SYSLOG_IDENTIFIER=mailrecv",
        f"SYSLOG_PID={os.getpid()}",
        "MAILRECV_EVENT=refusal",
        "MAILRECV_REPLY=550 No",
        "MAILRECV_COMMAND=x [9.9.9.9]<0x0a>PRIORITY=0",
    )


@pytest.mark.parametrize(
    "flags, facts, shown",
    [
        ("F", {"client_address": "192.0.2.7"}, "[192.0.2.7] limit.x exceeded"),
        ("a", {"client_address": "192.0.2.7"}, "[192.0.2.7] limit.x exceeded"),
        ("", {"client_address": "192.0.2.7"}, "limit.x exceeded"),
        ("F", {}, "limit.x exceeded"),
    ],
)
def test_file(tmp_path: Path, flags: str, facts: dict[str, str], shown: str) -> None:
    """A line of a file has date, program and process, and with F or a the client's address, if there is a client."""
    open_journal(str(tmp_path / "log"), flags).bind(**facts).record(catalogue.LIMIT_EXCEEDED, limit="x")
    line = (tmp_path / "log").read_text()
    assert re.fullmatch(rf"\w{{3}} \w{{3}} [ \d]\d [\d:]{{8}} \d{{4}} MAILRECV\[{os.getpid()}\]: (.*)\n", line)
    assert line.endswith(f"]: {shown}\n")


def test_bind(tmp_path: Path) -> None:
    """What is bound to a journal is in its own entries and in no other's."""
    journal = open_journal(str(tmp_path / "log"), "F")
    journal.bind(client_address="192.0.2.7").record(catalogue.LIMIT_EXCEEDED, limit="x")
    journal.record(catalogue.LIMIT_EXCEEDED, limit="y")
    first, second = (tmp_path / "log").read_text().splitlines()
    assert first.endswith(": [192.0.2.7] limit.x exceeded")
    assert second.endswith("]: limit.y exceeded")


def test_file_is_made_for_all_to_read(tmp_path: Path) -> None:
    """A log file that is missing is made, and everyone may read it; what is there stays."""
    log = tmp_path / "log"
    umask = os.umask(0o022)
    try:
        for name in "xy":
            open_journal(str(log)).record(catalogue.LIMIT_EXCEEDED, limit=name)
    finally:
        os.umask(umask)
    assert stat.S_IMODE(log.stat().st_mode) == 0o644
    assert log.read_text().count("\n") == 2


def test_file_that_cannot_be_written(tmp_path: Path) -> None:
    """What cannot be written is handed to whoever deals with that, with the reason."""
    complaints: list[tuple[OSError, str]] = []
    sinks.File(str(tmp_path), lambda error, line: complaints.append((error, line))).msg("a line\n")
    ((error, line),) = complaints
    assert isinstance(error, IsADirectoryError)
    assert line == "a line\n"


def test_file_that_is_not_ours_for_a_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line waits while logrotate makes the new file and gives it to us; if it never does, one line waits for it."""
    log, clock, real_open = tmp_path / "log", [0.0], os.open
    complaints: list[str] = []
    rotation_seconds = iter([0.1, 0.1, math.inf])

    def open_what_is_ours(path: str, *options: int) -> int:
        if clock[0] < ours_at:
            raise PermissionError(errno.EACCES, "not ours")
        return real_open(path, *options)

    monkeypatch.setattr(os, "open", open_what_is_ours)
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: clock.append(clock.pop() + seconds))
    file = sinks.File(str(log), lambda _, line: complaints.append(line))
    for line in ("first\n", "second\n", "third\n"):
        ours_at = clock[0] + next(rotation_seconds)
        file.msg(line)
    assert (log.read_text(), complaints) == ("first\nsecond\n", ["third\n"])
    gave_up_at = clock[0]
    file.msg("fourth\n")
    assert (clock[0], complaints) == (gave_up_at, ["third\n", "fourth\n"])
    ours_at = 0.0
    file.msg("fifth\n")
    assert log.read_text() == "first\nsecond\nfifth\n"


@pytest.mark.needs_root
def test_file_that_a_stranger_could_have_made(tmp_path: Path) -> None:
    """A log that somebody else has made where everybody may, or their link leads to, is not written, nor waited for."""
    folder, victim = tmp_path / "tmp", tmp_path / "victim"
    folder.mkdir()
    folder.chmod(0o1777)
    victim.touch()
    (folder / "theirs").touch()
    (folder / "link").symlink_to(victim)
    (folder / "second").hardlink_to(victim)
    (folder / "folder").mkdir()
    for name in ("theirs", "link", "folder"):
        os.lchown(folder / name, NOBODY, NOBODY)
    complaints: list[str] = []
    for name in ("theirs", "link", "second", "folder/log", "link/log"):
        with mock.patch.object(time, "sleep", side_effect=AssertionError):
            sinks.File(str(folder / name), lambda error, _: complaints.append(f"{error.filename}")).msg("a line\n")
    assert complaints == [str(folder / name) for name in ("theirs", "link", "second", "folder", "link")]
    assert [path.stat().st_size for path in (folder / "theirs", victim)] == [0, 0]
    assert list((folder / "folder").iterdir()) == []


@pytest.mark.needs_root
def test_file_that_may_be_anybodys(tmp_path: Path) -> None:
    """Elsewhere a log may belong to anybody, and lie in anybody's folder; links of root's are followed."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "log").touch()
    for path in (tmp_path / "folder", tmp_path / "folder" / "log"):
        os.chown(path, NOBODY, NOBODY)
    (tmp_path / "link").symlink_to("folder/log")
    (tmp_path / "new").symlink_to("folder/new")
    complaints: list[OSError] = []
    for name in ("folder/log", "link", "new"):
        sinks.File(str(tmp_path / name), lambda error, _: complaints.append(error)).msg("a line\n")
    assert complaints == []
    assert (tmp_path / "folder" / "log").read_text() == "a line\n" * 2
    assert (tmp_path / "folder" / "new").read_text() == "a line\n"


@pytest.mark.parametrize("redirected", ["log", "|cat"])
def test_standard_error_as_a_file(tmp_path: Path, redirected: str) -> None:
    """/dev/stderr is written to, whether it is a file or a pipe."""
    script = "from mailrecv.journal import sinks; sinks.File('/dev/stderr', lambda error, _: print(error)).msg('x')"
    path = tmp_path / "log"
    with path.open("wb") as file:
        to = file if redirected == "log" else subprocess.PIPE
        done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=to, check=True)
    assert (done.stderr or path.read_bytes(), done.stdout) == (b"x", b"")


def test_fifo_without_reader(tmp_path: Path) -> None:
    """A log file that is a FIFO which nobody reads is one that cannot be written; it holds nobody up."""
    os.mkfifo(tmp_path / "log")
    complaints: list[OSError] = []
    sinks.File(str(tmp_path / "log"), lambda error, _: complaints.append(error)).msg("a line\n")
    assert [error.errno for error in complaints] == [errno.ENXIO]


# journald


class Hung:
    """A journald that takes entries only when it is told to."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(str(path))
        self.close = self._socket.close

    def take(self) -> list[bytes]:
        """Take all that waits."""
        entries = []
        with suppress(BlockingIOError):
            while True:
                entries.append(self._socket.recv(1 << 20))
        return entries


@pytest.fixture
def hung(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Hung, None, None]:
    """A journald that hangs, and a program that waits for it a moment only."""
    monkeypatch.setattr(sinks, "JOURNALD_SOCKET", str(tmp_path / "socket"))
    monkeypatch.setattr(sinks, "JOURNALD_SECONDS", 1)
    journald = Hung(tmp_path / "socket")
    yield journald
    journald.close()


def test_fields_for_journald(hung: Hung) -> None:
    """Each field is a line."""
    sinks.Journald().msg("MESSAGE=a = b", "PRIORITY=6", "MAILRECV_SENDER=")
    assert hung.take() == [b"MESSAGE=a = b\nPRIORITY=6\nMAILRECV_SENDER=\n"]


def test_the_largest_entry(hung: Hung, capfd: pytest.CaptureFixture[str]) -> None:
    """An entry with facts as large as any client can make them goes to journald whole."""
    fact = shown("\N{GRINNING FACE}" * 2 * MAX_CHARACTERS, loghex=True)
    sinks.Journald().msg(f"MESSAGE={fact}", f"MAILRECV_TEXT={fact}")
    assert [len(entry) for entry in hung.take()] == [2 * len(fact) + len("MESSAGE=\nMAILRECV_TEXT=\n")]
    assert capfd.readouterr().err == ""


def test_no_journald(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """The message of an entry for which there is no journald goes to standard error."""
    monkeypatch.setattr(sinks, "JOURNALD_SOCKET", str(tmp_path / "missing"))
    sinks.Journald().msg("MESSAGE=a message", "PRIORITY=6")
    assert capfd.readouterr().err == "a message\n"


def test_journald_that_hangs(hung: Hung, capfd: pytest.CaptureFixture[str]) -> None:
    """One entry waits, and for no longer than a moment; the messages of all that find no room are on standard error.

    Once journald reads again it gets all, at once.
    """
    journald = sinks.Journald()
    began = time.monotonic()
    for number in range(1000):
        journald.msg(f"MESSAGE={number}")
    assert time.monotonic() - began < 5
    taken = [entry.decode()[len("MESSAGE=") : -1] for entry in hung.take()]
    missed = capfd.readouterr().err.split()
    assert taken + missed == [str(number) for number in range(1000)]
    assert taken
    assert missed
    for _ in range(100):
        journald.msg("MESSAGE=again")
        assert hung.take() == [b"MESSAGE=again\n"]
    assert capfd.readouterr().err == ""


def test_many_threads_and_a_journald_that_hangs(hung: Hung) -> None:
    """Threads that find the last room for one entry all get on."""
    journald = sinks.Journald()
    threads = [threading.Thread(target=journald.msg, args=["MESSAGE=x"], daemon=True) for _ in range(1000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert not any(thread.is_alive() for thread in threads)


def socket_ends() -> tuple[int, int]:
    ours, theirs = socket.socketpair()
    return ours.detach(), theirs.detach()


@pytest.mark.parametrize("ends", [os.pipe, socket_ends])
def test_standard_error_that_nobody_reads(ends: Callable[[], tuple[int, int]], monkeypatch: pytest.MonkeyPatch) -> None:
    """When even standard error takes nothing, as under systemd when journald hangs, lines are lost, but no time is.

    Once it is read again it gets all, at once.
    """
    monkeypatch.setattr(sinks, "STREAM_SECONDS", 0.1)
    lines = [f"{number} {'x' * 3 * select.PIPE_BUF}\n" for number in range(200)]
    reader, writer = ends()
    before = os.dup(2)
    os.dup2(writer, 2)
    try:
        stream = sinks.Stream()
        began = time.monotonic()
        for line in lines:
            stream.msg(line)
        assert time.monotonic() - began < 5
        os.set_blocking(reader, False)
        with suppress(BlockingIOError):
            while True:
                os.read(reader, 1 << 20)
        stream.msg("again\n")
        assert os.read(reader, 1 << 20) == b"again\n"
    finally:
        os.dup2(before, 2)
        for fd in (before, reader, writer):
            os.close(fd)
