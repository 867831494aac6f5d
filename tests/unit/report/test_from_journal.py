"""The journal: who may read it, and entries that only look like mailrecv's."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from unittest import mock

import pytest

from mailrecv.journal import catalogue
from mailrecv.report import from_journal
from mailrecv.report.event import LogError, OtherLog
from mailrecv.report.from_journal import JournalSource
from mailrecv.report.period import Period
from mailrecv.values import Value
from tests.support.journals import Recorder, Session
from tests.unit.report.conftest import Opener

ALWAYS = Period()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let a folder be where journals are."""
    monkeypatch.setattr(from_journal, "FOLDERS", (str(tmp_path),))
    return tmp_path


def test_no_journal(folder: Path) -> None:
    """Where nothing keeps a journal, that is said, and what to do."""
    with pytest.raises(LogError, match=f"there is no journal in {folder}; -l FILE reads a log file") as error:
        JournalSource()
    assert error.value.status == os.EX_NOINPUT


def test_no_access(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who may not read the journal of the system is told which group can, instead of getting an empty report."""
    machine = folder / "0123456789abcdef0123456789abcdef"
    machine.mkdir()
    (machine / "system.journal").touch()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(LogError, match="usermod -aG systemd-journal") as error:
        JournalSource()
    assert error.value.status == os.EX_NOPERM


def test_a_journal_that_cannot_be_opened(tmp_path: Path) -> None:
    """A journal that is not where it should be is named."""
    with pytest.raises(LogError, match="missing cannot be read: No such file"):
        list(JournalSource(str(tmp_path / "missing")).events(ALWAYS))


@pytest.mark.parametrize(
    "false, made",
    [
        (b"MAILRECV_SECONDS=0.010", b"MAILRECV_SECONDS=nan"),
        (b"MAILRECV_SIZE=1000", b"MAILRECV_SIZE=-5"),
        (b"MAILRECV_ID=f1", b"MAILRECV_ID=<b>"),
        (b"MAILRECV_EVENT=delivered", b"MAILRECV_EVENT=failed"),
        (b"MAILRECV_EVENT=delivered", b"NOTHING=1"),
    ],
)
def test_entries_that_mailrecv_cannot_have_written(
    false: bytes, made: bytes, recorder: Recorder, as_journal: Opener
) -> None:
    """An entry whose fields do not have their forms is not counted, and that is told."""
    session = Session(recorder)
    session.message("f1", "me@example.org", "me@mydomain.com")
    session.close()
    exported = recorder.exported.getvalue()
    assert false in exported
    recorder.exported.seek(0)
    recorder.exported.truncate()
    recorder.exported.write(exported.replace(false, made))
    source = as_journal(recorder)
    assert [event.name for event in source.events(ALWAYS)] == ["connection", "disconnection"]
    assert source.unread == 1


def test_other_programs(recorder: Recorder, as_journal: Opener) -> None:
    """Entries of other programs are not even looked at."""
    Session(recorder).close()
    exported = recorder.exported.getvalue()
    recorder.exported.write(exported.replace(b"SYSLOG_IDENTIFIER=mailrecv", b"SYSLOG_IDENTIFIER=other"))
    source = as_journal(recorder)
    assert len(list(source.events(ALWAYS))) == 2
    assert source.unread == 0


USER = {"_UID": "1000", "_SYSTEMD_SLICE": "user-1000.slice", "_SYSTEMD_UNIT": "user@1000.service"}


@pytest.mark.parametrize(
    "writer",
    [
        USER,
        USER | {"_SYSTEMD_UNIT": "session-3.scope", "_COMM": "mailrecv", "_EXE": "/usr/bin/python3.11"},
        USER | {"_SYSTEMD_USER_UNIT": "mailrecv-resident.service", "_SYSTEMD_USER_SLICE": "system-mailrecv.slice"},
        {"_UID": "33", "_SYSTEMD_SLICE": "system.slice", "_SYSTEMD_UNIT": "apache2.service"},
        {"_UID": "1000", "_SYSTEMD_SLICE": "system.slice", "_SYSTEMD_UNIT": "cron.service"},
        {},
    ],
)
def test_entries_that_others_have_written(writer: dict[str, str], recorder: Recorder, as_journal: Opener) -> None:
    """Whatever fields another user writes, nothing of it is counted or traced; the report tells how many there were."""
    honest = Session(recorder)
    honest.message("f1", "me@example.org", "me@mydomain.com")
    recorder.writer = writer
    forged = Session(recorder, "192.0.2.66")
    forged.message("f2", "me@example.org", "me@mydomain.com")
    honest.message("f1", "me@example.org", "forged@mydomain.com")  # in the name of the honest session
    source = as_journal(recorder)
    assert [event.fact("id") for event in source.events(ALWAYS)] == ["", "f1"]
    assert source.foreign == 3
    assert source.unread == 0
    for term in ("me@mydomain.com", "me@example.org", "f1"):
        [trace] = source.traces(term, ALWAYS, 5)
        assert [event.name for event in trace] == ["connection", "delivered"]
    for term in ("f2", "192.0.2.66", "forged@mydomain.com"):
        assert source.traces(term, ALWAYS, 5) == []


@pytest.mark.parametrize(
    "writer",
    [
        {"_UID": "995", "_SYSTEMD_SLICE": "system-mailrecv.slice", "_SYSTEMD_UNIT": "mailrecv@7-2-0.service"},
        {"_UID": "1007", "_SYSTEMD_SLICE": "system-mailrecv.slice", "_SYSTEMD_UNIT": "mailrecv@7-2-0.service"},
        {"_UID": "995", "_SYSTEMD_SLICE": "system.slice", "_SYSTEMD_UNIT": "mailrecv-resident.service"},
        {"_UID": "995", "_SYSTEMD_SLICE": "system.slice", "_SYSTEMD_UNIT": "mailrecv.service"},
        {"_UID": "995", "_SYSTEMD_SLICE": "system.slice", "_SYSTEMD_UNIT": "xinetd.service"},
        {"_UID": "0", "_SYSTEMD_SLICE": "user-0.slice", "_SYSTEMD_UNIT": "session-1.scope"},
        {"_UID": "4242", "_SYSTEMD_SLICE": "system.slice", "_SYSTEMD_UNIT": "inetd.service"},
    ],
)
def test_entries_of_ours(
    writer: dict[str, str], recorder: Recorder, as_journal: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Entries count from all ways that mailrecv is started, as any user that a drop-in names; and from root."""
    account = pwd.struct_passwd(("mailrecv", "x", 4242, 4242, "", "/", "/bin/false"))
    monkeypatch.setattr(pwd, "getpwnam", {"mailrecv": account}.__getitem__)
    recorder.writer = writer
    session = Session(recorder)
    session.message("f1", "me@example.org", "me@mydomain.com")
    session.close()
    source = as_journal(recorder)
    assert len(list(source.events(ALWAYS))) == 3
    assert source.foreign == 0
    assert [len(trace) for trace in source.traces("me@mydomain.com", ALWAYS, 5)] == [3]


@pytest.mark.parametrize("recipients", [50, 1000])
@pytest.mark.parametrize("term", ["f1", "me@example.org", "192.0.2.7"])
def test_a_trace_reads_each_entry_a_few_times(
    term: str, recipients: int, recorder: Recorder, as_journal: Opener
) -> None:
    """However many entries a message has, what it takes to trace it grows just with their number."""
    session = Session(recorder)
    session.message("f1", "me@example.org", *(f"r{number}@mydomain.com" for number in range(recipients)))
    session.close()
    source = as_journal(recorder)
    with (
        mock.patch.object(from_journal, "_event", wraps=from_journal._event) as read,
        mock.patch.object(Value, "__eq__", return_value=False) as compared,
    ):
        [trace] = source.traces(term, ALWAYS, 5)
    assert len(trace) == recipients + 2
    assert read.call_count <= 2 * len(trace) + 5
    assert compared.call_count <= len(trace)


def test_a_trace_that_is_cut(recorder: Recorder, as_journal: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trace that is not whole says so, and names the command that shows all of it; one that just fits is whole."""
    session = Session(recorder)
    session.message("f1", "me@example.org", *["me@mydomain.com"] * 18)
    session.close()
    [whole] = as_journal(recorder).traces("f1", ALWAYS, 5)
    assert (len(whole), whole.cut) == (20, "")
    monkeypatch.setattr(from_journal, "MAX_SESSION_ENTRIES", 19)
    [trace] = as_journal(recorder).traces("f1", ALWAYS, 5)
    assert (len(trace), trace.cut) == (20, "")
    monkeypatch.setattr(from_journal, "MAX_SESSION_ENTRIES", 10)
    [trace] = as_journal(recorder).traces("f1", ALWAYS, 5)
    assert len(trace) < 20
    assert trace.cut == f"journalctl -o short-full MAILRECV_SESSION={whole[0].fact('session')}"


def test_counting_never_reads_the_text(recorder: Recorder, as_journal: Opener) -> None:
    """What an entry's text says does not matter: its fields count."""
    session = Session(recorder)
    session.message("f1", "x> to=<victim@mydomain.com> route=x size=1 seconds=0.001 delivered", "me@mydomain.com")
    session.close()
    [delivered] = [event for event in as_journal(recorder).events(ALWAYS) if event.name == "delivered"]
    assert delivered.fact("recipient") == "me@mydomain.com"


def test_a_trace_has_what_debug_flags_add(as_journal: Opener) -> None:
    """A trace shows all that was recorded: commands and DNS, too, if flags had that logged."""
    recorder = Recorder("sh")
    session = Session(recorder)
    session.record(catalogue.COMMAND, command=b"HELO mail.example.org")
    session.message("f1", "me@example.org", "me@mydomain.com")
    session.record(catalogue.COMMAND, command=b"QUIT")
    session.close()
    [trace] = as_journal(recorder).traces("f1", ALWAYS, 5)
    assert [event.name for event in trace] == ["connection", "command", "delivered", "command", "disconnection"]


def test_sessions_of_one_client_at_the_same_time(recorder: Recorder, as_journal: Opener) -> None:
    """Sessions that one process has with one client are told apart, each with its own end and its own refusals."""
    first, second = Session(recorder), Session(recorder)
    second.refuse(550, "No one here by that name.", recipient="sales@mydomain.com", line=7)
    first.message("f1", "a@example.org", "me@mydomain.com")
    second.close("left")
    first.close("quit")
    source = as_journal(recorder)
    [trace] = source.traces("f1", ALWAYS, 5)
    assert [event.name for event in trace] == ["connection", "delivered", "disconnection"]
    assert trace[-1].fact("cause") == "quit"
    names = [[event.name for event in trace] for trace in source.traces("192.0.2.7", ALWAYS, 5)]
    assert names == [["connection", "refusal", "disconnection"], ["connection", "delivered", "disconnection"]]


def test_a_client_without_a_session(recorder: Recorder, as_journal: Opener) -> None:
    """A client that was turned away before it had a session has a trace of its own, beside its sessions."""
    session = Session(recorder)
    recorder.record(catalogue.LIMIT_EXCEEDED, limit="client_connections", client_address="192.0.2.7")
    session.close()
    names = [[event.name for event in trace] for trace in as_journal(recorder).traces("192.0.2.7", ALWAYS, 5)]
    assert names == [["limit_exceeded"], ["connection", "disconnection"]]


def test_the_position_in_another_log(recorder: Recorder, as_journal: Opener) -> None:
    """A reading that was of a log file cannot go on in the journal."""
    Session(recorder).close()
    with pytest.raises(OtherLog, match="--prometheus has read another log so far"):
        list(as_journal(recorder).events(ALWAYS, "1795435200+1"))
