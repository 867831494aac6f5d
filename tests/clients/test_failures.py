"""Whatever fails inside, a client gets nothing but replies and keeps its mail; and the log says what failed."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.servers import ENVIRONMENT, PROCESS_PER_SESSION, PROGRAM, Starter, in_private_mounts
from tests.support.machine import typed

HELLO = typed("HELO client", "MAIL FROM:<me@client>", "RCPT TO:<me@mydomain.com>", "DATA", "Hello", ".", "QUIT")
NOT_AVAILABLE = "Service not available, try again later"
INTERNAL_ERROR = "421 Internal error, closing, try again later"


def assert_turned_away(replies: list[str]) -> None:
    """Check that a client heard a 421 and nothing else."""
    (reply,) = replies
    assert reply.startswith("421 ")
    assert reply.endswith(NOT_AVAILABLE)


# The configuration


def remove(path: Path) -> None:
    path.unlink()


def make_a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def fill_with_octets(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 1000)


def add_faults(path: Path) -> None:
    path.write_text(path.read_text() + "domian x\nallow remotehost [a\n")


BAD_CONFIGURATIONS = pytest.mark.parametrize(
    "spoil, faults",
    [
        (remove, ["cannot be read: No such file or directory"]),
        (make_a_directory, ["cannot be read: Is a directory"]),
        (fill_with_octets, [":1:1: control character 0x00", "901 more faults, run mailrecv check to see them"]),
        (add_faults, [":9:1: unknown directive domian", ":10:20: bad pattern"]),
    ],
)


@BAD_CONFIGURATIONS
def test_bad_configuration(start: Starter, spoil: Callable[[Path], None], faults: list[str]) -> None:
    """With a configuration that cannot be used the client hears 421, the log every fault, and the exit status is 78."""
    site = start.site()
    spoil(site.config)
    session = start.session(site=site, arguments=["-l", f"{site.folder}/log"])
    assert_turned_away(session.wire.rest())
    assert session.exit_status() == 78
    assert all(fault in site.log for fault in faults)


@BAD_CONFIGURATIONS
def test_bad_configuration_of_a_resident_server(
    start: Starter, spoil: Callable[[Path], None], faults: list[str]
) -> None:
    """A resident server does not start to serve with it: exit status 78, and the faults on standard error."""
    site = start.site()
    spoil(site.config)
    process = start.process([*PROGRAM, "listen", "-c", str(site.config), "127.0.0.1:0"], site)
    assert process.wait() == 78
    assert all(fault in site.errors for fault in faults)


@pytest.mark.parametrize("way", PROCESS_PER_SESSION)
def test_bad_configuration_in_each_way(start: Starter, way: str) -> None:
    """However the program is started, the client hears 421 and nothing else."""
    server = start.server(way, "domian x")
    with server.connect() as client:
        assert_turned_away(client.rest())


@pytest.mark.parametrize("way", PROCESS_PER_SESSION)
def test_a_session_reads_the_configuration_anew(start: Starter, way: str) -> None:
    """A fault that was mended holds nobody up: the next connection is served."""
    server = start.server(way, "domian x")
    server.site.config.write_text(server.site.config.read_text().replace("domian x", ""))
    with server.connect() as client:
        client.send(HELLO)
        assert client.rest()[-1] == "221 mydomain.com closing connection"
    assert server.site.appended == [b"Hello\n"]


# The log


def test_log_file_that_cannot_be_written(start: Starter) -> None:
    """Mail flows, and what could not be logged goes to the system's log with the reason."""
    server = start.server("systemd", "logfile {folder}")
    with server.connect() as client:
        client.send(HELLO)
        assert client.rest()[-1] == "221 mydomain.com closing connection"
    site = server.site
    assert site.appended == [b"Hello\n"]
    assert f"ERROR: the log file cannot be written: {site.folder}: Is a directory (mailrecv check says " in site.errors
    assert "it should have said: " in site.errors
    assert "to=<me@mydomain.com>" in site.errors


@pytest.mark.needs_root
@pytest.mark.needs_tool("unshare")
def test_journal_that_takes_nothing(start: Starter, tmp_path: Path) -> None:
    """Mail flows when journald is gone and only its socket is left."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as gone:
        gone.bind(str(tmp_path / "socket"))
    mounts = ["mount -t tmpfs tmpfs /run", "mkdir -p /run/systemd/journal"]
    program = in_private_mounts(*mounts, f"mount --bind {tmp_path} /run/systemd/journal")
    session = start.session("logfile syslog", program=program)
    session.wire.send(HELLO)
    assert session.wire.rest()[-1] == "221 mydomain.com closing connection"
    assert session.site.appended == [b"Hello\n"]
    assert session.exit_status() == 0


# Exceptions

SABOTAGE = """\
import sys, {module} as module
owner, name = module, "{name}"
while "." in name:
    part, _, name = name.partition(".")
    owner = getattr(owner, part)
works = getattr(owner, name)
def fails_once(*args, **options):
    setattr(owner, name, works)
    print("to standard output", flush=True)
    print("to standard error", file=sys.stderr, flush=True)
    raise {error}
setattr(owner, name, fails_once)
from mailrecv.__main__ import main
main()
"""
FAILING = [  # module, what fails in it once, and how many replies the client gets before
    ("mailrecv.policy.clients", "admit", 0),
    ("mailrecv.server.chronicle", "Chronicle.connected", 0),
    ("mailrecv.server.chronicle", "Chronicle.reply", 1),
    ("mailrecv.server.chronicle", "Chronicle.command", 1),
    ("mailrecv.policy.recipients", "route", 3),
    ("mailrecv.delivery.spool", "Spool.write", 5),
    ("mailrecv.server.session", "hand_over", 5),
    ("mailrecv.server.chronicle", "Chronicle.delivery_ended", 5),
    ("mailrecv.smtp", "Receiver.next_event", 0),
]


def sabotaged(module: str, name: str, error: str = "RuntimeError('sabotage')") -> tuple[str, ...]:
    """Return the program, with a function in it that fails at its first call, after it has printed something."""
    return (sys.executable, "-c", SABOTAGE.format(module=module, name=name, error=error))


def with_one_worker(program: tuple[str, ...]) -> tuple[str, ...]:
    """Return a program, run where a resident server has one worker, so that there each client meets the same."""
    return ("taskset", "--cpu-list", str(min(os.sched_getaffinity(0))), *program)


@pytest.mark.parametrize("module, name, replies_before", FAILING)
def test_exception(start: Starter, module: str, name: str, replies_before: int) -> None:
    """The client hears 421 and nothing else, the log holds the traceback, the exit status is 1."""
    session = start.session(program=sabotaged(module, name))
    session.wire.send(HELLO)
    replies = session.wire.rest()
    assert replies[-1] == INTERNAL_ERROR
    assert [reply[:3] for reply in replies[:-1]] == ["220", "250", "250", "250", "354"][:replies_before]
    assert session.exit_status() == 1
    log = session.site.log
    assert "ERROR: internal error: RuntimeError('sabotage')" in log
    assert "TRACEBACK: Traceback (most recent call last):" in log
    assert ", in fails_once" in log
    assert "connection closed (error)" in log


def test_exception_in_the_record_of_an_end(start: Starter) -> None:
    """When the end of a session cannot be recorded, the client has had all its replies."""
    session = start.session(program=sabotaged("mailrecv.server.chronicle", "Chronicle.ended"), arguments=["-d", "-"])
    session.wire.send(HELLO)
    assert [reply[:3] for reply in session.wire.rest()] == ["220", "250", "250", "250", "354", "250", "221"]
    assert session.site.appended == [b"Hello\n"]


@pytest.mark.parametrize("module, name, replies_before", FAILING)
def test_exception_in_a_resident_server(start: Starter, module: str, name: str, replies_before: int) -> None:
    """The next client is served as if nothing had happened."""
    site = start.site()
    server = start.server("listen", site=site, program=with_one_worker(sabotaged(module, name)))
    with server.connect() as client:
        client.send(HELLO)
        assert client.rest()[-1] == INTERNAL_ERROR
    before = len(site.appended)
    with server.connect() as client:
        client.send(HELLO)
        assert client.rest()[-1] == "221 mydomain.com closing connection"
    assert site.appended[before:] == [b"Hello\n"]


@pytest.mark.parametrize("way", PROCESS_PER_SESSION)
@pytest.mark.parametrize("error", ["", "raise ImportError('sabotage')"])
def test_module_that_prints_or_fails_when_imported(start: Starter, tmp_path: Path, way: str, error: str) -> None:
    """What a module prints never reaches the client; when it cannot be imported the client hears 421."""
    (tmp_path / "structlog.py").write_text(
        "import os, sys\n"
        "print('to standard output', flush=True)\n"
        "os.write(1, b'to descriptor 1')\n"
        "os.write(2, b'to descriptor 2')\n"
        f"{error}\n"
        "sys.path.remove(os.path.dirname(__file__))\n"
        "del sys.modules['structlog']\n"
        "import structlog\n"
    )
    environment = {**ENVIRONMENT, "PYTHONPATH": f"{tmp_path}:{ENVIRONMENT['PYTHONPATH']}"}
    server = start.server(way, environment=environment)
    with server.connect() as client:
        client.send(HELLO)
        replies = client.rest()
    if error:
        assert_turned_away(replies)
    else:
        assert [reply[:3] for reply in replies] == ["220", "250", "250", "250", "354", "250", "221"]
        assert server.site.appended == [b"Hello\n"]


@pytest.mark.parametrize("way", PROCESS_PER_SESSION)
def test_usage_error_in_each_way(start: Starter, way: str) -> None:
    """An option that does not exist, in the configuration of xinetd or systemd, is a 421 and nothing else."""
    server = start.server(way, arguments=["--no-such-option"])
    with server.connect() as client:
        assert_turned_away(client.rest())


# Clients that go away


LINES_BEFORE_DATA = 4
END_OF_DATA = HELLO.index(b".\r\nQUIT") + len(b".\r\n")


def test_client_that_stops_at_any_point(start: Starter) -> None:
    """Each command that came whole is answered; a message whose end has come is delivered, any other to nobody."""
    server = start.server("listen", "debug -")
    for size in range(len(HELLO) + 1):
        with server.connect() as client:
            client.send(HELLO[:size])
            client.socket.shutdown(socket.SHUT_WR)
            codes = [reply[:3] for reply in client.rest()]
        lines = HELLO[:size].count(b"\r\n")
        assert codes == ["220", "250", "250", "250", "354", "250", "221"][: 1 + lines - (lines > LINES_BEFORE_DATA)]
    assert server.site.appended == [b"Hello\n"] * (len(HELLO) + 1 - END_OF_DATA)
    server.process.terminate()
    assert server.process.wait() == 0
    left = server.site.log.count("connection closed (left)") + server.site.repeated["disconnection left"]
    assert left == len(HELLO)
    assert "internal error" not in server.site.log


def test_client_that_vanishes_at_any_point(start: Starter) -> None:
    """A connection that is reset, at whatever point, is no internal error, and never half a message."""
    server = start.server("listen", "debug -")
    server.site.wait_for_log("listening on")  # from then on it ends when it is told to, as it should
    for size in range(len(HELLO) + 1):
        client = server.connect()
        client.send(HELLO[:size])
        client.vanish()
    server.process.terminate()
    assert server.process.wait() == 0  # when the last of these sessions has ended
    assert set(server.site.appended) <= {b"Hello\n"}
    assert "internal error" not in server.site.log


def test_client_that_vanishes_during_the_delivery(start: Starter) -> None:
    """A message that is complete is delivered, although nobody is left to hear of it, and the log says so."""
    server = start.server("listen")
    client = server.connect()
    client.envelope("slow")
    client.send(b"Hello\r\n.\r\n")
    server.site.wait_for_log("size=6 begins")
    client.vanish()
    server.site.wait_for_log("connection closed (left)")
    assert server.site.piped == b"Hello\n"
    assert "to=<slow@mydomain.com> route=pipe sleep 1.5" in server.site.log
    assert " delivered\n" in server.site.log
