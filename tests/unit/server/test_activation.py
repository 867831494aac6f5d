"""What the program was started with, and that nothing printed reaches a client. Each case is a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mailrecv.server.activation import UnservedFamily, is_listening, peer_address
from mailrecv.server.refusal import turn_away

# Takes the socket, tells it what it is, and makes as much noise as it can.
PROGRAM = """\
import os, sys
from mailrecv.server.activation import ActivationError, take_socket
try:
    given = take_socket()
except ActivationError as error:
    print("refused:", error, flush=True)
    raise SystemExit(64)
if given is not None:
    given.sendall(b"a client")
print("printed", flush=True)
print("printed too", file=sys.stderr, flush=True)
for fd in 0, 1, 2:
    try:
        os.write(fd, b"written")
    except OSError:
        pass
os.system("echo from a command; echo from a command >&2")
"""
COMMAND = [sys.executable, "-c", PROGRAM]
# Runs a command with descriptors from 3 on, and a word about them in the environment, as systemd does.
ACTIVATE = """\
import os, sys
fd, count, *command = sys.argv[1:]
for target in range(3, 3 + int(count) if count.isdigit() else 4):
    os.dup2(int(fd), target)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=count)
os.execvp(command[0], command)
"""


@contextmanager
def connected(kind: int = socket.SOCK_STREAM) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Return a client's end of a connection, and the server's."""
    client, server = socket.socketpair(socket.AF_UNIX, kind)
    with client, server:
        yield client, server


def heard(client: socket.socket, server: socket.socket) -> bytes:
    """Return all that a client was sent."""
    server.close()
    return b"".join(iter(lambda: client.recv(4096), b""))


@pytest.mark.parametrize("streams", [["stdin"], ["stdin", "stdout"], ["stdin", "stdout", "stderr"]])
def test_socket_on_the_standard_streams(streams: list[str]) -> None:
    """A socket that comes as standard input is taken off each standard stream that it is, and off no other."""
    with connected() as (client, server):
        stdin, stdout, stderr = (
            server.fileno() if name in streams else subprocess.PIPE for name in ("stdin", "stdout", "stderr")
        )
        process = subprocess.Popen(COMMAND, stdin=stdin, stdout=stdout, stderr=stderr)
        output, errors = process.communicate(timeout=10)
        assert heard(client, server) == b"a client"
    assert process.returncode == 0
    assert output == (None if "stdout" in streams else b"printed\nwrittenfrom a command\n")
    assert errors == (None if "stderr" in streams else b"printed too\nwrittenfrom a command\n")


def run_activated(fd: int, count: int | str, *program: str) -> subprocess.CompletedProcess[bytes]:
    """Run a program as systemd would, with a descriptor, of a socket if all is well, `count` times."""
    command = [sys.executable, "-c", ACTIVATE, str(fd), str(count), *(program or COMMAND)]
    nothing = subprocess.DEVNULL
    return subprocess.run(command, pass_fds=[fd], stdin=nothing, capture_output=True, timeout=10, check=False)


def test_socket_from_systemd() -> None:
    """A socket that systemd passes is taken, and the standard streams are left alone."""
    with connected() as (client, server):
        ended = run_activated(server.fileno(), 1)
        assert heard(client, server) == b"a client"
    assert ended.stdout == b"printed\nwrittenfrom a command\n"


def test_two_sockets_from_systemd() -> None:
    """Two sockets are one too many."""
    with connected() as (_, server):
        ended = run_activated(server.fileno(), 2)
    said = b"refused: one socket is needed (a single ListenStream=), systemd gave 2\n"
    assert (ended.returncode, ended.stdout) == (64, said)


def test_strange_number_of_sockets() -> None:
    """A LISTEN_FDS that is no number is an error."""
    with connected() as (_, server):
        ended = run_activated(server.fileno(), "x")
    assert (ended.returncode, ended.stdout) == (
        64,
        b"refused: LISTEN_FDS, which only systemd should set, is no number\n",
    )


def test_no_command_inherits_a_socket_from_systemd() -> None:
    """What the program runs does not get the client's socket."""
    program = "import os; from mailrecv.server.activation import take_socket; taken = take_socket()\n"
    program += "print(taken.fileno(), taken.get_inheritable())"
    with connected() as (_, server):
        ended = run_activated(server.fileno(), 1, sys.executable, "-c", program)
    assert (ended.stdout, ended.stderr) == (b"3 False\n", b"")


def test_socket_that_systemd_passed_to_another_process() -> None:
    """A LISTEN_PID that is another process's is not this one's business."""
    with connected() as (client, server):
        environment = {"LISTEN_PID": "1", "LISTEN_FDS": "1"}
        subprocess.run(COMMAND, env=environment, stdin=server.fileno(), capture_output=True, timeout=10, check=True)
        assert heard(client, server) == b"a client"


@pytest.mark.parametrize("stdin", [subprocess.DEVNULL, subprocess.PIPE])
def test_no_socket(stdin: int) -> None:
    """A pipe or a file is no socket, and is left where it is."""
    ended = subprocess.run(COMMAND, stdin=stdin, capture_output=True, timeout=10, check=True)
    assert ended.stdout == b"printed\nwrittenfrom a command\n"


def test_closed_standard_streams() -> None:
    """A standard stream that is closed is opened to nowhere, before the client's socket can take its place."""
    with connected() as (client, server):
        command = ["sh", "-c", 'exec "$@" >&- 2>&-', "sh", *COMMAND]
        ended = subprocess.run(command, stdin=server.fileno(), timeout=10, check=False)
        assert heard(client, server) == b"a client"
    assert ended.returncode == 0


def test_datagram_socket() -> None:
    """A datagram socket is nothing to serve."""
    with connected(socket.SOCK_DGRAM) as (_, server):
        ended = subprocess.run(COMMAND, stdin=server.fileno(), capture_output=True, timeout=10, check=False)
    said = b"refused: a stream socket is needed (ListenStream=), this one is SOCK_DGRAM\n"
    assert (ended.returncode, ended.stdout) == (64, said)


def test_is_listening() -> None:
    """A listening socket and a connected one are told apart."""
    with socket.create_server(("127.0.0.1", 0)) as listener, connected() as (client, _):
        assert is_listening(listener)
        assert not is_listening(client)


def test_peer_address() -> None:
    """The client's address is the peer's; a peer on an AF_UNIX socket has none; one that left is an OSError."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    with client, server, connected() as (local, _):
        assert peer_address(server) == "127.0.0.1"
        assert peer_address(local) is None
    with socket.socket() as unconnected, pytest.raises(OSError, match="not connected"):
        peer_address(unconnected)


@pytest.mark.parametrize("family", [socket.AF_VSOCK, socket.AF_TIPC, 12345])
def test_other_families(family: int) -> None:
    """A peer on a socket of any other family is not taken for this machine."""
    with connected() as (local, _):
        strange = socket.socket(family, socket.SOCK_STREAM, fileno=os.dup(local.fileno()))
        with strange, pytest.raises(UnservedFamily, match=getattr(family, "name", "12345")):
            peer_address(strange)


def test_file_from_systemd() -> None:
    """What LISTEN_FDS stands for may be no socket at all."""
    with Path(os.devnull).open("rb") as file:
        ended = run_activated(file.fileno(), 1)
    assert ended.returncode == 64
    assert ended.stdout.startswith(b"refused: LISTEN_FDS, which only systemd should set, does not stand for a socket: ")


def test_turn_away(capfd: pytest.CaptureFixture[str]) -> None:
    """Whoever waits hears 421: on a socket, or else on standard output; a closed or a listening socket is no matter."""
    with connected() as (client, server):
        turn_away(server)
        turn_away(server)
        assert heard(client, server).endswith(b" Service not available, try again later\r\n")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        turn_away(listener)
        assert is_listening(listener)
    assert capfd.readouterr().out == ""
    turn_away(None)
    assert capfd.readouterr().out.startswith("421 ")
