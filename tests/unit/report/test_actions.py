"""`mailrecv report` and `mailrecv trace`: their options, what they print where, and their exit statuses."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mailrecv import cli
from mailrecv.cli import logs
from mailrecv.cli.files import replace_file
from mailrecv.report import from_journal, progress
from tests.support.journals import Recorder, Session
from tests.unit.report.conftest import Opener

MAILRECV = [sys.executable, "-m", "mailrecv"]


@pytest.fixture(autouse=True)
def no_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the standard streams of the tests alone, whatever they are."""
    monkeypatch.setattr(cli, "take_socket", lambda: None)


@pytest.fixture
def log(story: Recorder, tmp_path: Path) -> str:
    """A log file."""
    return str(story.file(tmp_path / "log"))


def test_report(log: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`report` prints tables, and ends well."""
    assert cli.run(["report", "-l", log]) == 0
    printed = capsys.readouterr()
    assert "3 messages, 1.8 kB of mail, 4 copies, 1 dead letter, 1 failure" in printed.out
    assert printed.err == ""


def test_the_configuration_says_where_the_log_is(log: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without `-l` the log is the one that the configuration names."""
    config = tmp_path / "mailrecv.conf"
    config.write_text(f"logfile {log}\n")
    assert cli.run(["report", "-c", str(config)]) == 0
    assert f"in {log}\n" in capsys.readouterr().out
    assert cli.run(["trace", "-c", str(config), "a1"]) == 0


@pytest.mark.parametrize("action", [["report"], ["trace", "x"]])
def test_a_faulty_configuration(
    action: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a configuration that cannot be read the journal is, where its faults are recorded; and that is told."""
    monkeypatch.setattr(from_journal, "FOLDERS", ())
    assert cli.run([*action, "-c", str(tmp_path / "missing.conf")]) == os.EX_NOINPUT
    printed = capsys.readouterr().err
    assert "missing.conf" in printed
    assert "reading the journal, as no -l names a log\nmailrecv: there is no journal" in printed


def test_several_files(log: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`-l` names more than one file, but not the journal and a file."""
    other = Recorder(now=1_700_000_000)
    Session(other).close()
    assert cli.run(["report", "-l", log, "-l", str(other.file(tmp_path / "log.1")), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["connections"] == 4
    assert cli.run(["report", "-l", log, "-l", "syslog"]) == os.EX_USAGE
    assert "cannot be read together with files" in capsys.readouterr().err


@pytest.mark.parametrize("since", [["--since", "-10w"], ["--since=-10w"]])
def test_since(since: list[str], log: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--since` takes what journalctl takes, a time that begins with `-` too, as an argument of its own."""
    assert cli.run(["report", "-l", log, "--json", *since, "--until", "2000-01-01"]) == 0
    assert json.loads(capsys.readouterr().out)["messages"] == 0
    assert cli.run(["report", "-l", log, "--json", "--since", "2026-11-23 12:30"]) == 0
    assert json.loads(capsys.readouterr().out)["messages"] == 1


@pytest.mark.parametrize(
    "wrong, told",
    [
        (["report", "--since", "noonish"], "noonish: no time; write it as 2026-11-24"),
        (["report", "--top", "0"], "a number from 1 to 10000 expected"),
        (["report", "--json", "--html", "x"], "not allowed with argument"),
        (["report", "--prometheus", "x", "--since", "today"], "--since and --until do not go with it"),
        (["trace"], "required: ID|ADDRESS"),
        (["trace", "<>"], "an id, or the address of a sender, a recipient or a client expected"),
        (["trace", ""], "an id, or the address of a sender, a recipient or a client expected"),
        (["trace", "x", "-n", "-1"], "a number from 1 to 10000 expected"),
    ],
)
def test_usage(wrong: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong command line is explained."""
    assert cli.run(wrong) == os.EX_USAGE
    assert told in capsys.readouterr().err


def test_trace(log: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`trace` prints the last messages of an address, with or without the angle brackets of the log."""
    assert cli.run(["trace", "-l", log, "<status@mydomain.com>"]) == 0
    assert capsys.readouterr().out.count("Message a") == 2
    assert cli.run(["trace", "-l", log, "-n", "1", "status@mydomain.com", "--json"]) == 0
    [trace] = json.loads(capsys.readouterr().out)
    assert trace["id"] == "a2"


@pytest.mark.parametrize("written", ["2001:db8::7", "2001:0DB8:0:0::7"])
def test_the_address_of_a_client_in_any_form(written: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An IPv6 address may be written in other forms than the one that the log has."""
    recorder = Recorder()
    Session(recorder, "2001:db8::7").close()
    assert cli.run(["trace", "-l", str(recorder.file(tmp_path / "log")), written]) == 0
    assert "mail.example.org [2001:db8::7]" in capsys.readouterr().out


def test_octets_that_no_log_has(
    story: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_journal: Opener
) -> None:
    """An address that is no text is not found, in a journal either."""
    journal = as_journal(story)
    monkeypatch.setattr(logs, "open_log", lambda names: journal)
    assert cli.run(["trace", "-l", "syslog", "\udcff@mydomain.com"]) == 1


def test_nothing_to_trace(log: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What the log knows nothing about is told on standard error, with what such a log leaves out."""
    assert cli.run(["trace", "-l", log, "nobody@mydomain.com"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    told = (
        f"nothing about nobody@mydomain.com in {log} (a log file names refused recipients only with the debug flag +)"
    )
    assert printed.err == f"mailrecv: {told}\n"


def test_a_missing_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A log file that is not there is named, with what to do."""
    missing = str(tmp_path / "missing")
    assert cli.run(["report", "-l", missing]) == os.EX_NOINPUT
    told = f"mailrecv: {missing}: no such log file; -l FILE names another, -l syslog the journal\n"
    assert capsys.readouterr().err == told


def test_html(log: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--html FILE` writes a page that all may read, and prints nothing; `-` prints it."""
    page = tmp_path / "page.html"
    assert cli.run(["report", "-l", log, "--html", str(page)]) == 0
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>\n<html")
    assert stat.S_IMODE(page.stat().st_mode) == 0o644
    assert capsys.readouterr().out == ""
    assert cli.run(["report", "-l", log, "--html", "-"]) == 0
    assert capsys.readouterr().out.startswith("<!DOCTYPE html>\n<html")


def test_a_file_that_cannot_be_written(log: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A page that cannot be written is told, with the system's reason."""
    page = str(tmp_path / "missing" / "page.html")
    assert cli.run(["report", "-l", log, "--html", page]) == os.EX_CANTCREAT
    assert capsys.readouterr().err == f"mailrecv: {page}: cannot be written: No such file or directory\n"


def test_prometheus(log: str, story: Recorder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--prometheus` prints metrics; with a file it adds to them what the log has got since."""
    assert cli.run(["report", "-l", log, "--prometheus"]) == 0
    assert "mailrecv_messages_total 3\n" in capsys.readouterr().out
    metrics = tmp_path / "mailrecv.prom"
    for _ in range(2):
        assert cli.run(["report", "-l", log, "--prometheus", str(metrics)]) == 0
        assert "mailrecv_messages_total 3\n" in metrics.read_text()
    Session(story).message("c1", "me@example.org", "me@mydomain.com")
    fresh = Path(log).rename(tmp_path / "log.1")
    assert (
        cli.run(["report", "-l", str(fresh), "-l", str(story.file(tmp_path / "log")), "--prometheus", str(metrics)])
        == 0
    )
    assert "mailrecv_messages_total" in metrics.read_text()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("content", [b"precious\n", b"\xff", b"mailrecv_messages_total 1.2.3\n"])
def test_prometheus_into_another_file(
    content: bytes, log: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file of something else is not overwritten."""
    other = tmp_path / "other"
    other.write_bytes(content)
    assert cli.run(["report", "-l", log, "--prometheus", str(other)]) == os.EX_CANTCREAT
    told = "this was not written by --prometheus; name another file, or remove this one to count anew"
    assert capsys.readouterr().err == f"mailrecv: {other}: {told}\n"
    assert other.read_bytes() == content


def test_prometheus_into_a_folder(log: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be a file of metrics is told, and nobody is told to remove it."""
    assert cli.run(["report", "-l", log, "--prometheus", str(tmp_path)]) == os.EX_CANTCREAT
    assert capsys.readouterr().err == f"mailrecv: {tmp_path}: cannot be read: Is a directory\n"


def test_prometheus_after_another_log(log: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """When the log has moved from the journal to a file, metrics cannot go on: that is told, and they stay."""
    metrics = tmp_path / "mailrecv.prom"
    metrics.write_text("mailrecv_messages_total 3\n# The log has been read up to s=5d1f;i=2a;b=0;m=1;t=2;x=3\n")
    assert cli.run(["report", "-l", log, "--prometheus", str(metrics)]) == os.EX_CANTCREAT
    told = f"--prometheus has read another log so far, not {log}; remove its file to count anew"
    assert capsys.readouterr().err == f"mailrecv: {told}\n"
    assert metrics.read_text().startswith("mailrecv_messages_total 3\n")


def test_a_file_is_replaced_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the new file is complete the old one is there, and a failure leaves nothing behind; a link stays one."""
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    replace_file(str(link), "new")
    assert (link.is_symlink(), target.read_text()) == (True, "new")

    def fail(fd: int) -> None:
        assert target.read_text() == "new"
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        replace_file(str(target), "newer")
    assert target.read_text() == "new"
    assert sorted(tmp_path.iterdir()) == [link, target]


def test_a_device_stays_one() -> None:
    """What is no file is written to, and not replaced."""
    replace_file("/dev/null", "x")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_a_reader_that_has_seen_enough(log: str) -> None:
    """When `head` leaves, `report` ends without a word."""
    command = f"{' '.join(MAILRECV)} report -l {log}; echo $? >&2"
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed:
        run = subprocess.run(["sh", "-c", command], stdout=closed, stderr=subprocess.PIPE, text=True, check=False)
    assert run.stderr == "0\n"


def test_a_full_disk(log: str) -> None:
    """What cannot be printed is told."""
    with Path("/dev/full").open("w") as full:
        run = subprocess.run(
            [*MAILRECV, "report", "-l", log], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (run.returncode, run.stderr) == (
        os.EX_IOERR,
        "mailrecv: standard output cannot be written: No space left on device\n",
    )


@pytest.mark.parametrize("encoding, sign", [("utf-8", "█"), ("ascii", "#")])
def test_encodings(encoding: str, sign: str, log: str) -> None:
    """Bars are drawn with what the terminal has."""
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    run = subprocess.run([*MAILRECV, "report", "-l", log], capture_output=True, check=True, env=environment)
    assert f"{sign} messages" in run.stdout.decode(encoding)


class Terminal(io.StringIO):
    """A stream that a person looks at."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_progress_is_drawn_for_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    """A read that takes long draws a bar on a terminal, and wipes it out at its end."""
    monkeypatch.setattr(progress, "PATIENCE_SECONDS", 0)
    monkeypatch.setattr(progress, "_STEP_SECONDS", 0)
    terminal = Terminal()
    with progress.Progress(terminal) as told:
        told(0.5)
        told(1.0)
    drawn = terminal.getvalue().split("\r")
    assert drawn[1].startswith("reading the log ████████████████████ ")
    assert drawn[2].endswith(" 100%")
    assert drawn[3] == "\x1b[K"


def test_no_progress_is_drawn_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody looks, and in a short read, nothing is drawn."""
    for stream, patience in ((io.StringIO(), 0), (Terminal(), 60)):
        monkeypatch.setattr(progress, "PATIENCE_SECONDS", patience)
        with progress.Progress(stream) as told:
            time.sleep(0.001)
            told(0.5)
        assert stream.getvalue() == ""


def test_an_impatient_person(log: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends a long read without a traceback."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mailrecv.report.counts.count_all", interrupt)
    assert cli.run(["report", "-l", log]) == 130
