"""What is logged, where it goes, what programs make of it, and that no client can forge any of it."""

from __future__ import annotations

import json
import os
import random
import re
import socket
import subprocess
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from mailrecv.journal.catalogue import CATALOGUE
from tests.clients.forger import CLIENT, Forged, from_client
from tests.clients.servers import ENVIRONMENT, PROGRAM, Starter, in_private_mounts
from tests.support import forgeries
from tests.support.machine import typed

LINE = re.compile(r"[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4} MAILRECV\[\d+\]: (?P<message>.+)")


# A file


def test_lines_of_a_log_file(start: Starter) -> None:
    """Each line has its date, program and process, and with flag F the client's address before the message."""
    server = start.server("listen", "debug F")
    server.site.wait_for_log("listening on")  # all workers are; one may serve before
    with from_client(server.port) as client:
        client.send(typed("HELO x", "MAIL FROM:<a@b>", "RCPT TO:<nobody@mydomain.com>", "QUIT"))
        client.rest()
    lines = [LINE.fullmatch(line) for line in server.site.log.splitlines()]
    assert [line and re.sub(r"\d\.\d+ sec", "0 sec", line["message"]) for line in lines] == [
        f"listening on 127.0.0.1 port {server.port}",
        f"[{CLIENT}] SMTP connection from remote host unknown [{CLIENT}]",
        f"[{CLIENT}] ERROR: 550 No one here by that name.",
        f"[{CLIENT}] connection closed (quit): 4 commands, 0 messages, 0 recipients, 1 refusals, 0 seconds",
    ]


def test_log_file_that_is_rotated_in_a_session(start: Starter) -> None:
    """A log file that was renamed away is followed by a new one at once, with no signal."""
    session = start.session("debug s")
    session.wire.reply()
    (session.site.folder / "log").rename(session.site.folder / "log.1")
    session.wire.ask("NOOP")
    assert "SMTP cmd: NOOP" in session.site.log
    assert "SMTP connection" not in session.site.log
    assert "SMTP connection" in (session.site.folder / "log.1").read_text()


def test_no_line_can_be_forged(forged: Forged) -> None:
    """Whatever a client says stands behind its own address, in a line of the server's."""
    lines = forged.site.log.splitlines()
    for kind in ["SMTP cmd: ", "regex ", "mail from ", " begins", " data: ", " output: ", " delivered"]:
        assert any(kind in line and forgeries.VICTIM in line for line in lines), kind
    for line in lines:
        logged = LINE.fullmatch(line)
        assert logged, line
        assert logged["message"].startswith((f"[{CLIENT}] ", f"DEBUG: {forged.site.config}:", "listening on ")), line


def test_a_flood_beside_honest_mail(start: Starter) -> None:
    """Strangers leave some lines of each kind and a number; honest mail, from the first line to the last, and each
    refusal that fail2ban looks for, are all there. The report counts everything.
    """
    floods, mails, guesses = 150, 15, 5
    server = start.server("listen", "debug F", "limit.client_connections 3")
    server.site.wait_for_log("listening on")
    began = time.monotonic()
    kinds = (
        [typed("HELO x", "NONSENSE", "NONSENSE", "QUIT")] * floods
        + [typed("HELO x", "MAIL FROM:<a@b>", "RCPT TO:<me@mydomain.com>", "DATA", "Hello", ".", "QUIT")] * mails
        + [typed("HELO x", "MAIL FROM:<a@b>", "RCPT TO:<nobody@mydomain.com>", "QUIT")] * guesses
    )
    random.Random(1).shuffle(kinds)  # noqa: S311
    for sent in kinds:
        with server.connect() as client:
            client.send(sent)
            client.rest()
    with ExitStack() as stack:
        held = [stack.enter_context(server.connect()) for _ in range(3)]
        assert {client.reply()[:3] for client in held} == {"220"}
        for _ in range(100):
            with server.connect() as client:
                assert client.rest() == ["421 Too many connections from your host, try again later"]
    server.process.terminate()
    server.process.wait()
    log, told = server.site.log, server.site.repeated
    most = 10 * (1 + (time.monotonic() - began) // 10) * len(os.sched_getaffinity(0))  # for each worker
    assert log.count(" delivered\n") == log.count(", 1 messages, 1 recipients, 0 refusals, ") == mails
    assert log.count("ERROR: 550 No one here by that name.\n") == guesses
    for line, what, number in (
        ("ERROR: 500 Command not recognized\n", "refusal 500 Command not recognized", 2 * floods),
        ("limit.client_connections exceeded\n", "limit_exceeded client_connections", 100),
    ):
        assert log.count(line) + told[what] == number
        assert log.count(line) <= most
    connections = floods + mails + guesses + 3
    assert log.count("SMTP connection from remote host") + told["connection"] == connections
    counted = [*PROGRAM, "report", "--json", "-l", str(server.site.folder / "log")]
    report = json.loads(subprocess.run(counted, env=ENVIRONMENT, capture_output=True, check=True).stdout)
    refused = sum(report["limits_exceeded"].values())
    assert (report["messages"], report["refusals"], refused) == (mails, 2 * floods + guesses, 100)
    assert (report["connections"], sum(report["sessions_by_end"].values())) == (connections, connections)


def test_a_session_of_a_stranger(start: Starter) -> None:
    """Where each session is a process of its own, what is too much in it is a number at its end."""
    session = start.session("debug -", "limit.smtp_unknowncmd 1000", "limit.smtp_failcmds 1000")
    session.wire.send(typed("HELO x", *["NONSENSE"] * 60, "QUIT"))
    session.wire.rest()
    session.exit_status()
    line = "ERROR: 500 Command not recognized\n"
    assert session.site.log.count(line) + session.site.repeated["refusal 500 Command not recognized"] == 60
    assert 10 <= session.site.log.count(line) <= 20
    assert session.site.log.splitlines()[-1].endswith("Command not recognized")


# The system's log


@contextmanager
def listening(path: Path) -> Generator[list[bytes], None, None]:
    """Take all datagrams that come to a socket at this path."""
    datagrams: list[bytes] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(path))
        thread = threading.Thread(target=lambda: datagrams.extend(iter(lambda: receiver.recv(1 << 16), b"")))
        thread.start()
        try:
            yield datagrams
        finally:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.sendto(b"", str(path))
            thread.join()


def log_of_a_session(start: Starter, path: Path, mounts: Sequence[str], debug: str, sent: bytes) -> list[bytes]:
    """Return what a session logs to a socket, without the system's own log.  mounts: what puts the socket in place."""
    program = in_private_mounts("mount -t tmpfs tmpfs /run", *mounts)
    with listening(path) as datagrams:
        session = start.session("logfile syslog", f"debug {debug}", "limit.smtp_ascii off", program=program)
        session.wire.send(sent)
        session.wire.rest()
        session.exit_status()
    return datagrams


def logged_by_journald(start: Starter, folder: Path, debug: str, sent: bytes) -> list[dict[str, str]]:
    """Return the entries, by the names of their fields, that a session leaves in journald."""
    mounts = ["mkdir -p /run/systemd/journal", f"mount --bind {folder} /run/systemd/journal"]
    return [fields(entry) for entry in log_of_a_session(start, folder / "socket", mounts, debug, sent)]


def fields(entry: bytes) -> dict[str, str]:
    """Read an entry in journald's native protocol; fail if a field comes twice."""
    found: dict[str, str] = {}
    while entry:
        name, separator, entry = re.split(b"([=\n])", entry, maxsplit=1)
        if separator == b"=":
            value, entry = entry.split(b"\n", 1)
        else:
            end = 8 + int.from_bytes(entry[:8], "little")
            value, entry = entry[8:end], entry[end + 1 :]
        assert name.decode() not in found
        found[name.decode()] = value.decode()
    return found


MESSAGE = typed("HELO client", "MAIL FROM:<me@client>", "RCPT TO:<me@mydomain.com>", "DATA", "Hello", ".", "QUIT")


@pytest.mark.needs_root
@pytest.mark.needs_tool("unshare")
def test_fields_in_journald(start: Starter, tmp_path: Path) -> None:
    """Every fact of an entry is a field, beside a readable message and the fixed fields of its kind."""
    entries = logged_by_journald(start, tmp_path, "+", MESSAGE)
    names = ["connection", "routed", "delivery_started", "delivered", "disconnection"]
    assert [entry["MAILRECV_EVENT"] for entry in entries] == names
    delivered = entries[3]
    assert delivered["MESSAGE"].startswith(f"{delivered['MAILRECV_ID']}: from=<me@client> to=<me@mydomain.com> route=")
    del delivered["MESSAGE"], delivered["SYSLOG_PID"]
    assert float(delivered.pop("MAILRECV_SECONDS")) < 10
    assert re.fullmatch(r"[0-9a-f]+", delivered.pop("MAILRECV_ID"))
    assert {entry["MAILRECV_SESSION"] for entry in entries} == {delivered.pop("MAILRECV_SESSION")}
    assert re.fullmatch(r"append /.*/mbox", delivered.pop("MAILRECV_ROUTE"))
    assert delivered == {
        "PRIORITY": "6",
        "MESSAGE_ID": CATALOGUE["delivered"].message_id,
        "SYSLOG_IDENTIFIER": "mailrecv",
        "MAILRECV_EVENT": "delivered",
        "MAILRECV_CLIENT_ADDRESS": "127.0.0.1",
        "MAILRECV_CLIENT_NAME": "unknown",
        "MAILRECV_HELO": "client",
        "MAILRECV_SENDER": "me@client",
        "MAILRECV_RECIPIENT": "me@mydomain.com",
        "MAILRECV_SIZE": "6",
    }


@pytest.mark.needs_root
@pytest.mark.needs_tool("unshare")
def test_no_field_can_be_forged(start: Starter, tmp_path: Path) -> None:
    """Whatever a client says is one line of the one field that it belongs to."""
    forgery = b"x\nPRIORITY=0\nMAILRECV_CLIENT_ADDRESS=9.9.9.9\n\0\r\xff\n"
    commands = [b"HELO " + forgery, b"VRFY " + forgery, forgery, b"RCPT TO:<" + forgery + b">", b"NOOP"]
    data = [b"HELO x", b"MAIL FROM:<a@b>", b"RCPT TO:<me@mydomain.com>", b"DATA", forgery, b"."]
    entries = logged_by_journald(start, tmp_path, "a", typed(*commands, *data, "QUIT"))
    ours = [entry for entry in entries if "MAILRECV_CLIENT_ADDRESS" in entry]
    assert len(ours) > len(commands) + len(data)
    assert {entry["MAILRECV_CLIENT_ADDRESS"] for entry in ours} == {"127.0.0.1"}
    assert all(int(entry["PRIORITY"]) == CATALOGUE[entry["MAILRECV_EVENT"]].priority for entry in entries)
    assert all(value.isprintable() for entry in entries for value in entry.values())
    assert sum("PRIORITY=0" in value for entry in ours for value in entry.values()) > len(commands)


@pytest.mark.needs_root
@pytest.mark.needs_tool("unshare")
def test_journald_that_hangs(start: Starter, tmp_path: Path) -> None:
    """A session is served to its end, and soon, while journald takes nothing."""
    mounts = ["mount -t tmpfs tmpfs /run", "mkdir -p /run/systemd/journal"]
    program = in_private_mounts(*mounts, f"mount --bind {tmp_path} /run/systemd/journal")
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as hung,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as others,
    ):
        hung.bind(str(tmp_path / "socket"))
        with suppress(BlockingIOError):
            while True:
                others.sendto(b"MESSAGE=of another program\n", str(tmp_path / "socket"))
        session = start.session("logfile syslog", "debug +", program=program)
        session.wire.send(MESSAGE)
        assert [reply[:3] for reply in session.wire.rest()] == ["220", "250", "250", "250", "354", "250", "221"]
        assert session.exit_status() == 0
    assert session.site.appended == [b"Hello\n"]


@pytest.mark.needs_root
@pytest.mark.needs_tool("unshare")
def test_syslog(start: Starter, tmp_path: Path) -> None:
    """Without journald an entry is a line for syslog, of the facility for mail, with the same message."""
    device = ["mount -t tmpfs tmpfs /dev", "mknod -m 666 /dev/null c 1 3", f"ln -s {tmp_path}/log /dev/log"]
    sent = typed("NOOP", "HELO [9.9.9.9]\n<0>", "RCPT", "QUIT")
    lines = log_of_a_session(start, tmp_path / "log", device, "-", sent)
    shown = [re.sub(r"^(<\d+>)\w{3} [ \d]\d [\d:]{8} (mailrecv)\[\d+\]", r"\1\2", line.decode()) for line in lines]
    assert [line.removesuffix("\0") for line in shown[:-1]] == [
        "<23>mailrecv: SMTP connection from remote host unknown [127.0.0.1]",
        "<21>mailrecv: ERROR: 501 Control characters in the host name",
        "<21>mailrecv: ERROR: 503 Say HELO first",
    ]
    assert shown[-1].startswith("<23>mailrecv: connection closed (quit): 4 commands")
