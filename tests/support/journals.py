"""Logs to read: what sessions would have recorded, at times that the test chooses, as a journal or as a log file.

The entries go through the program's own steps; only their last one, the sink, is the test's.
"""

from __future__ import annotations

import io
import subprocess
import time
from pathlib import Path
from typing import Any

from mailrecv.delivery.message import new_id
from mailrecv.journal import catalogue, processors
from mailrecv.journal.log import Journal
from mailrecv.reply import Reply

JOURNAL_REMOTE = "/lib/systemd/systemd-journal-remote"  # makes journal files from the format of `journalctl -o export`
SERVICE = {"_UID": "995", "_SYSTEMD_SLICE": "system-mailrecv.slice", "_SYSTEMD_UNIT": "mailrecv@7-2-0.service"}
BOOT_ID = "0123456789abcdef0123456789abcdef"
ROUTE = "append /var/mail/inbox"
NOON = 1_795_435_200.0  # 2026-11-23 12:00:00 UTC, a Monday


class Recorder:
    """What sessions record, one entry after the other.

    now: seconds since the epoch, for the next entry.  pid: of the process that records it.  writer: what else journald
    knows of that.  flags: the debug flags.
    """

    def __init__(self, flags: str = "", *, now: float = NOON, pid: int = 100, loghex: bool = True) -> None:
        self.now = now
        self.pid = pid
        self.writer = SERVICE
        self.exported = io.BytesIO()
        self.lines: list[str] = []
        self._to_journal = self._journal(_Exporter(self), processors.render_for_journald, flags, loghex, brackets=True)
        self._to_file = self._journal(_Lines(self), processors.render_for_file, flags, loghex, brackets=False)

    @staticmethod
    def _journal(sink: Any, render: Any, flags: str, loghex: bool, *, brackets: bool) -> Journal:
        with_address = "F" in flags
        describe = processors.Describe(with_address=with_address, brackets=brackets and not with_address)
        return Journal(sink, [processors.Select(flags), processors.MakeSafe(loghex=loghex), describe, render], {})

    def record(self, entry: catalogue.Entry, **facts: object) -> None:
        """Record an entry."""
        self._to_journal.record(entry, **facts)
        self._to_file.record(entry, **facts)

    def directory(self, folder: Path) -> Path:
        """Make a journal in a folder, or add to it what was recorded since, and return the folder."""
        command = [JOURNAL_REMOTE, f"--output={folder}/mail.journal", "-"]
        if new := self.exported.getvalue():
            subprocess.run(command, input=new, capture_output=True, check=True)
        self.exported = io.BytesIO()
        return folder

    def file(self, path: Path) -> Path:
        """Write a log file, and return its path."""
        path.write_text("".join(self.lines), encoding="utf-8")
        return path


class Session:
    """A session that is recorded: a client connects when it is made."""

    def __init__(self, recorder: Recorder, address: str = "192.0.2.7", name: str = "mail.example.org") -> None:
        self._recorder = recorder
        self._facts: dict[str, object] = {"session": new_id(), "client_address": address, "client_name": name}
        self._pid = recorder.pid
        self._began = recorder.now
        self._counts = {"messages": 0, "recipients": 0, "refusals": 0, "commands": 1}  # HELO
        self.record(catalogue.CONNECTION)
        self._facts["helo"] = name

    def record(self, entry: catalogue.Entry, **facts: object) -> None:
        """Record an entry with the facts of the session."""
        self._recorder.pid = self._pid
        self._recorder.record(entry, **self._facts, **facts)

    def begin(self, message_id: str, sender: str) -> None:
        """The client begins a message."""
        self._facts |= {"id": message_id, "sender": sender}

    def end(self) -> None:
        """The message is over."""
        self._facts.pop("id")
        self._facts.pop("sender")

    def deliver(
        self, recipient: str, *, size: int = 1000, seconds: float = 0.01, entry: str = "delivered", route: str = ROUTE
    ) -> None:
        """A copy is handed over, or not.  entry: the name of what is recorded."""
        facts: dict[str, object] = {"recipient": recipient, "size": size, "seconds": float(seconds)}
        if entry in ("deferred", "failed"):
            facts["reason"] = "exit status 75" if entry == "deferred" else "exit status 67"
        else:
            self._counts["recipients"] += 1
        self.record(catalogue.CATALOGUE[entry], route=route, **facts)

    def message(self, message_id: str, sender: str, *recipients: str, **delivery: Any) -> None:
        """The client sends a message.  delivery: as for `deliver`."""
        self.begin(message_id, sender)
        for recipient in recipients:
            self.deliver(recipient, **delivery)
        self._counts["messages"] += 1
        self._counts["commands"] += 2 + len(recipients)
        self.end()

    def refuse(self, code: int, text: str, *, recipient: str = "", command: str = "", line: int = 0) -> None:
        """The client is refused something."""
        self._counts["refusals"] += 1
        self._counts["commands"] += bool(command or recipient)
        said = (command or (f"RCPT TO:<{recipient}>" if recipient else "")).encode()
        self.record(catalogue.REFUSAL, reply=Reply(code, text), command=said, recipient=recipient, line=line)

    def close(self, cause: str = "quit") -> None:
        """The session ends."""
        self._counts["commands"] += cause == "quit"
        self.record(catalogue.DISCONNECTION, cause=cause, **self._counts, seconds=self._recorder.now - self._began)


def afternoon(recorder: Recorder) -> None:
    """Record what the guides show: mail from two hosts, a command that failed once, and a stranger who guesses."""
    mails = [
        (0, "mail-qv1.google.com", "203.0.113.5", "myarchive@mydomain.com", 18_200, 0.41, "delivered"),
        (140, "backup.example.org", "192.0.2.9", "status@mydomain.com", 2_100, 0.012, "delivered"),
        (1_900, "backup.example.org", "192.0.2.9", "list@mydomain.com", 5_400, 0.020, "delivered"),
        (4_000, "backup.example.org", "192.0.2.9", "status@mydomain.com", 2_300, 0.011, "delivered"),
        (4_700, "mail-qv1.google.com", "203.0.113.5", "myarchive@mydomain.com", 44_000, 2.31, "deferred"),
        (6_500, "mail-qv1.google.com", "203.0.113.5", "myarchive@mydomain.com", 44_000, 0.52, "delivered"),
        (8_100, "backup.example.org", "192.0.2.9", "status@mydomain.com", 2_200, 0.014, "delivered"),
    ]
    routes = {
        "myarchive@mydomain.com": "pipe /usr/local/sbin/archive -v",
        "status@mydomain.com": "append /srv/mail/status.mbox",
        "list@mydomain.com": "maildir /srv/mail/list",
    }
    for number, (after, name, address, recipient, octets, seconds, entry) in enumerate(mails):
        recorder.now, recorder.pid = NOON + after, 1039 + number
        session = Session(recorder, address, name)
        message_id = f"{recorder.now:.0f}"[-6:] + "b02027bc37657"
        recorder.now += 0.09 + seconds
        facts = {"size": octets, "seconds": seconds, "entry": entry, "route": routes[recipient]}
        session.message(message_id, f"me@{name.partition('.')[2]}", recipient, **facts)
        if entry == "deferred":
            session.refuse(451, f"Not delivered, try again later ({message_id})")
        recorder.now += 0.02
        session.close()
    recorder.now, recorder.pid = NOON + 8_400, 1050
    session = Session(recorder, "198.51.100.66", "unknown")
    for guess in ("info", "admin", "test"):
        session.refuse(550, "No one here by that name.", recipient=f"{guess}@mydomain.com", line=12)
    session.close("left")


class _Exporter:
    """Writes entries as `journalctl -o export` does."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def msg(self, *fields: str) -> None:
        recorder = self._recorder
        own = [field for field in fields if not field.startswith("SYSLOG_PID=")]
        recorder.exported.write(
            "\n".join(
                [
                    f"__REALTIME_TIMESTAMP={recorder.now * 1e6:.0f}",
                    f"__MONOTONIC_TIMESTAMP={(recorder.now - NOON + 1e8) * 1e6:.0f}",
                    f"_BOOT_ID={BOOT_ID}",
                    f"_PID={recorder.pid}",
                    f"SYSLOG_PID={recorder.pid}",
                    *(f"{name}={value}" for name, value in recorder.writer.items()),
                    *own,
                    "\n",
                ]
            ).encode()
        )


class _Lines:
    """Keeps the lines of a log file, with the recorder's time and process instead of today's."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def msg(self, line: str) -> None:
        _, _, message = line.partition("]: ")
        date = time.asctime(time.localtime(self._recorder.now))
        self._recorder.lines.append(f"{date} MAILRECV[{self._recorder.pid}]: {message}")
