"""Log files: rotated, compressed, damaged, and with lines that somebody would like to pass off as others."""

from __future__ import annotations

import gzip
import os
import subprocess
from pathlib import Path
from unittest import mock

import pytest

from mailrecv.journal import catalogue
from mailrecv.journal.catalogue import MAX_OF_A_KIND
from mailrecv.report import from_file, lines
from mailrecv.report.event import LogError
from mailrecv.report.from_file import MAX_PROCESSES, FileSource
from mailrecv.report.period import Period
from tests.support.journals import NOON, Recorder, Session
from tests.unit.report.conftest import Opener

ALWAYS = Period()
VICTIM = "victim@mydomain.com"


def test_files_are_read_in_the_order_of_time(tmp_path: Path) -> None:
    """Files may be named in any order, and those that end in `.gz` are unpacked."""
    paths = []
    for number, name in enumerate(["log.2.gz", "log.1", "log"]):
        recorder = Recorder(now=NOON + number * 86400)
        Session(recorder, f"192.0.2.{number}").close()
        path = recorder.file(tmp_path / name)
        if name.endswith(".gz"):
            path.write_bytes(gzip.compress(path.read_bytes()))
        paths.append(str(path))
    events = FileSource(paths[::-1]).events(ALWAYS)
    assert [event.fact("client_address")[-1] for event in events if event.name == "connection"] == ["0", "1", "2"]


def test_a_log_that_was_not_rotated_yet(tmp_path: Path) -> None:
    """A rotated file that is missing is passed over, as long as there is any file."""
    recorder = Recorder()
    recorder.record(catalogue.CONFIG_REFUSED, path="/etc/mailrecv.conf")
    log = str(recorder.file(tmp_path / "log"))
    assert [event.name for event in FileSource([f"{log}.1", log]).events(ALWAYS)] == ["config_refused"]
    with pytest.raises(LogError, match="no such log file"):
        list(FileSource([f"{log}.1", f"{log}.2"]).events(ALWAYS))


@pytest.mark.parametrize(
    "content, status",
    [
        (None, os.EX_NOINPUT),
        (b"no gzip", os.EX_NOINPUT),
        (gzip.compress(b"x" * 5000)[:-20], os.EX_NOINPUT),
        (gzip.compress(os.urandom(500))[:12] + os.urandom(500), os.EX_NOINPUT),
    ],
)
def test_a_file_that_cannot_be_read(content: bytes | None, status: int, tmp_path: Path) -> None:
    """A file that is missing or damaged is named, with an exit status of its own."""
    path = tmp_path / "log.gz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(LogError, match=f"{path}: (no such log file|damaged)") as error:
        list(FileSource([str(path)]).events(ALWAYS))
    assert error.value.status == status


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has no right to read a file is told what to do."""

    def refuse(path: str, mode: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    path = tmp_path / "log"
    path.touch()
    monkeypatch.setattr(lines, "open", refuse, raising=False)
    with pytest.raises(LogError, match="you may not read this; ask as root") as error:
        FileSource([str(path)])
    assert error.value.status == os.EX_NOPERM


def test_a_folder_is_no_log(tmp_path: Path) -> None:
    """What is no file is named with the system's reason."""
    with pytest.raises(LogError, match="cannot be read: Is a directory"):
        FileSource([str(tmp_path)])


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\xff\x00\x1b[2J",
        b"Mon Nov 23 12:00:00 2026 MAILRECV[1]: nothing that mailrecv says",
        b"Mon Xxx 23 12:00:00 2026 MAILRECV[1]: limit.smtp_commands exceeded",
        b"Mon Nov 23 29:00:00 99999 MAILRECV[1]: limit.smtp_commands exceeded",
        b"Nov 23 12:00:00 vm postfix/smtpd[1]: connect from unknown[192.0.2.1]",
        b"x" * 200_000,
    ],
)
def test_foreign_lines(line: bytes, recorder: Recorder, tmp_path: Path) -> None:
    """Lines that mailrecv has not written are counted as unread, and do no harm to the others."""
    session = Session(recorder)
    recorder.lines.append("FOREIGN\n")
    session.close()
    path = recorder.file(tmp_path / "log")
    path.write_bytes(path.read_bytes().replace(b"FOREIGN", line))
    source = FileSource([str(path)])
    assert [event.name for event in source.events(ALWAYS)] == ["connection", "disconnection"]
    assert source.unread >= 1


def test_a_line_that_is_not_complete_yet(recorder: Recorder, tmp_path: Path) -> None:
    """A last line without its end, as when the file is being written, is read as it is."""
    Session(recorder).close()
    path = recorder.file(tmp_path / "log")
    path.write_bytes(path.read_bytes()[:-30])
    source = FileSource([str(path)])
    assert [event.name for event in source.events(ALWAYS)] == ["connection"]
    assert source.unread == 1


@pytest.mark.parametrize(
    "sender",
    [
        f"x> to=<{VICTIM}> route=append /x size=99999 seconds=0.001 delivered",
        f"x> to=<{VICTIM}> route=append /x",
        f"x> to=<{VICTIM}",
        "x> to=<x> route=x size=1 seconds=0.001 kept with the dead letters",
    ],
)
def test_nobody_passes_a_message_off_as_anothers(sender: str, recorder: Recorder, as_file: Opener) -> None:
    """A sender that is written like the rest of the line makes it ambiguous: it counts for nobody, and that is told."""
    session = Session(recorder)
    session.message("f1", sender, "me@mydomain.com")
    session.message("f2", "me@example.org", "me@mydomain.com")
    session.close()
    source = as_file(recorder)
    delivered = [event for event in source.events(ALWAYS) if event.fact("recipient")]
    assert [(event.fact("id"), event.fact("recipient")) for event in delivered] == [("f2", "me@mydomain.com")]
    assert source.ambiguous == 1


def test_one_process_with_several_clients(recorder: Recorder, as_file: Opener) -> None:
    """When a process serves several clients at once, nobody can tell whose a line is, and nobody guesses."""
    first, second = Session(recorder, "192.0.2.1"), Session(recorder, "192.0.2.2")
    first.message("f1", "a@example.org", "me@mydomain.com")
    second.message("f2", "b@example.org", "me@mydomain.com")
    first.close()
    second.close()
    third = Session(recorder, "192.0.2.3")
    third.message("f3", "c@example.org", "me@mydomain.com")
    clients = [event.fact("client_address") for event in as_file(recorder).events(ALWAYS) if event.fact("id")]
    assert clients == ["", "", "192.0.2.3"]
    [trace] = as_file(recorder).traces("f2", ALWAYS, 5)
    assert [event.name for event in trace] == ["delivered"]


def test_one_process_with_several_clients_and_addresses(as_file: Opener) -> None:
    """With the debug flag `F` each line has the client's address."""
    recorder = Recorder("F")
    first, second = Session(recorder, "192.0.2.1"), Session(recorder, "2001:db8::2")
    second.message("f2", "b@example.org", "me@mydomain.com")
    first.message("f1", "a@example.org", "me@mydomain.com")
    clients = [event.fact("client_address") for event in as_file(recorder).events(ALWAYS) if event.fact("id")]
    assert clients == ["2001:db8::2", "192.0.2.1"]


@pytest.mark.parametrize("flags", ["", "F"])
def test_the_trace_of_one_of_several_clients(flags: str, as_file: Opener) -> None:
    """When a process serves several clients at once, the trace of one shows nothing that another did."""
    recorder = Recorder(flags)
    first, second = Session(recorder, "192.0.2.1"), Session(recorder, "192.0.2.2")
    first.refuse(550, "No one here by that name.")
    second.message("f2", "b@example.org", "me@mydomain.com")
    first.close()
    second.close()
    own = {"192.0.2.1": ["refusal", "disconnection"], "192.0.2.2": ["delivered", "disconnection"]}
    for client, named in own.items():
        [trace] = as_file(recorder).traces(client, ALWAYS, 5)
        assert [event.name for event in trace] == ["connection", *(named if flags else [])]
        assert {event.fact("client_address") for event in trace} == {client}


@pytest.mark.parametrize("hidden", ["known", "unknown"])
def test_sessions_that_are_only_counted(hidden: str, as_file: Opener) -> None:
    """Where clients come in a flood, what is logged of one whose connection was not is taken for nobody else's."""
    recorder = Recorder()
    for number in range(MAX_OF_A_KIND):
        Session(recorder, f"198.51.100.{number}").close()
        recorder.now += 0.9
    lines = len(recorder.lines)
    stranger = Session(recorder, "203.0.113.9")
    if hidden == "unknown":
        del recorder.lines[lines]
    recorder.now += 300
    honest = Session(recorder, "192.0.2.7")
    stranger.refuse(550, "No one here by that name.")
    honest.message("f1", "me@example.org", "me@mydomain.com")
    events = {event.name: event for event in as_file(recorder).events(ALWAYS)}
    assert events["refusal"].fact("client_address") == ""
    assert events["delivered"].fact("client_address") == ("192.0.2.7" if hidden == "unknown" else "")


def test_a_long_trace(recorder: Recorder, as_file: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line is put into a trace once; one that is not whole says so, and names the command that shows all lines."""
    session = Session(recorder)
    session.message("f1", "me@example.org", *(f"r{number}@mydomain.com" for number in range(3000)))
    session.close()
    source = as_file(recorder)
    process = from_file._Process
    with mock.patch.object(process, "_concerns", autospec=True, side_effect=process._concerns) as asked:
        [trace] = source.traces("f1", ALWAYS, 5)
    assert (len(trace), trace.cut) == (3002, "")
    assert asked.call_count <= len(trace) + 5
    monkeypatch.setattr(from_file, "MAX_TRACE_EVENTS", 100)
    [trace] = source.traces("f1", ALWAYS, 5)
    assert (len(trace), trace.cut) == (100, f"zgrep -hF 'MAILRECV[100]' {source.name}")
    shown = subprocess.run(trace.cut, shell=True, capture_output=True, text=True, check=True).stdout  # noqa: S602
    assert len(shown.splitlines()) == 3002
    [trace] = source.traces("r2000@mydomain.com", ALWAYS, 5)
    assert trace.cut


def test_a_reply_that_has_the_id_of_a_message(recorder: Recorder, as_file: Opener) -> None:
    """The reply to a message that was not delivered is part of its trace, and not of the session's other messages."""
    first, second = "00000000000000000b1ff", "00000000000000000b2ff"
    session, other = Session(recorder), Session(recorder)
    for message_id in (first, second):
        session.message(message_id, "a@example.org", "me@mydomain.com", entry="failed")
        session.refuse(554, f"Delivery failed ({message_id})")
    other.close()
    for message_id in (first, second):
        [trace] = as_file(recorder).traces(message_id, ALWAYS, 5)
        assert [event.name for event in trace] == ["failed", "refusal"]
        assert trace[1].fact("reply") == f"554 Delivery failed ({message_id})"


def test_sessions_whose_end_was_never_logged(recorder: Recorder, as_file: Opener) -> None:
    """Of processes that were killed only the last ones are remembered: memory stays flat."""
    killed = Session(recorder, "192.0.2.1")
    for number in range(MAX_PROCESSES):
        recorder.pid = 1000 + number
        alive = Session(recorder, "192.0.2.2")
    alive.message("f2", "b@example.org", "me@mydomain.com")
    killed.message("f1", "a@example.org", "me@mydomain.com")
    clients = [event.fact("client_address") for event in as_file(recorder).events(ALWAYS) if event.fact("id")]
    assert clients == ["192.0.2.2", ""]
