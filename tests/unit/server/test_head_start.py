"""Who is greeted at once, and with what: only a client that the session would greet in the same words."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Generator, Mapping
from pathlib import Path

import pytest

from mailrecv.server import head_start
from mailrecv.server.head_start import early_greeting, take_head_start
from mailrecv.server.session import greeting
from tests.support.compiled import compile_file
from tests.support.configs import config

GREETING = b"220 mydomain.com SMTP (RFC 822) mailrecv\r\n"
ROOT = Path(__file__).parents[3]
# Does what `mailrecv` does first, and tells the world what it has imported for that.
PROGRAM = """\
import os, sys
if sys.argv[2:]:
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=sys.argv[2])
    os.dup2(int(sys.argv[3]), 3)
from mailrecv.server.head_start import take_head_start
taken = take_head_start(sys.argv[1])
os.write(2, repr((taken.sent, taken.compiled is not None, sorted(sys.modules))).encode())
"""


@pytest.fixture(autouse=True)
def _signals_are_let_through() -> Generator[None, None, None]:
    """What a head start keeps back here is not kept back from the programs that other tests start."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def greeted(
    file: Path, server: socket.socket, *systemd: str, environment: Mapping[str, str] | None = None
) -> tuple[bytes, bool, set[str]]:
    """Start on a socket; return what was sent, whether there was a compiled configuration, and what was imported.

    systemd: the value of LISTEN_FDS, if it is passed as systemd does it, or else it is standard input.
    """
    passed = [*systemd, str(server.fileno())] if systemd else []
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(file), *passed],
        stdin=subprocess.DEVNULL if systemd else server.fileno(),
        stdout=subprocess.DEVNULL if systemd else server.fileno(),
        stderr=subprocess.PIPE,
        pass_fds=[server.fileno()],
        env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
        check=True,
    )
    sent, compiled, modules = eval(ended.stderr)  # noqa: S307 - of our own making
    return sent, compiled, set(modules)


def connected() -> tuple[socket.socket, socket.socket]:
    """Return a client's end of a TCP connection, and the server's."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        return client, listener.accept()[0]


@pytest.mark.parametrize("systemd", [(), ("1",)], ids=["xinetd", "systemd"])
def test_a_client_is_greeted_at_once(file: Path, systemd: tuple[str, ...]) -> None:
    """A client on this machine hears the greeting of the session, before anything of weight is imported."""
    compile_file(file)
    client, server = connected()
    with client, server:
        sent, compiled, modules = greeted(file, server, *systemd)
        assert (sent, compiled) == (GREETING, True)
        assert client.recv(1000) == GREETING
    assert not modules & {"socket", "re", "structlog", "mailrecv.smtp", "mailrecv.server.session"}


def test_a_client_without_an_address(file: Path) -> None:
    """A client on an AF_UNIX socket is on this machine, and greeted."""
    compile_file(file)
    client, server = socket.socketpair()
    with client, server:
        assert greeted(file, server)[0] == client.recv(1000) == GREETING


def test_nothing_is_compiled(file: Path) -> None:
    """Without a compiled configuration nobody is greeted yet."""
    client, server = connected()
    with client, server:
        assert greeted(file, server)[:2] == (b"", False)


@pytest.mark.parametrize("count", ["0", "2", "x", "-1"])
def test_not_one_socket_from_systemd(file: Path, count: str) -> None:
    """Where systemd passed no socket, or several, descriptor 3 is nobody's client."""
    compile_file(file)
    client, server = connected()
    with client, server:
        assert greeted(file, server, count)[:2] == (b"", True)


def test_socket_that_systemd_passed_to_another_process(file: Path) -> None:
    """A LISTEN_PID that is another process's is not this one's business: then it is standard input that counts."""
    compile_file(file)
    client, server = connected()
    with client, server:
        environment = {"LISTEN_PID": "1", "LISTEN_FDS": "1"}
        assert greeted(file, server, environment=environment)[0] == client.recv(1000) == GREETING


def test_what_is_no_client(file: Path) -> None:
    """A listening socket, one for datagrams and one that nobody is connected to are no clients."""
    compile_file(file)
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as lonely:
        assert greeted(file, listener)[:2] == (b"", True)
        assert greeted(file, lonely)[:2] == (b"", True)
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with one, other:
        assert greeted(file, other)[:2] == (b"", True)


def test_standard_input_that_is_no_socket(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person at a terminal or a pipe is not greeted here."""
    compile_file(file)
    read_end, write_end = os.pipe()
    monkeypatch.setattr(head_start, "_given_fd", lambda: write_end)
    try:
        assert take_head_start(str(file)).sent == b""
    finally:
        os.close(write_end)
    assert os.read(read_end, 1) == b""
    os.close(read_end)


def test_a_client_that_is_gone(file: Path) -> None:
    """Nothing is sent to a client that has left; the session will find out."""
    compile_file(file)
    client, server = socket.socketpair()
    client.close()
    with server:
        assert greeted(file, server)[:2] == (b"", True)


def test_whose_name_has_to_be_asked_for(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With limit.fcrdns_check only those are greeted at once whose name the check does not ask for."""
    strict = file.read_text(encoding="utf-8").replace("fcrdns_check off", "fcrdns_check on")
    for text, here, sent in [("", False, GREETING), (strict, True, GREETING), (strict, False, b"")]:
        if text:
            file.write_text(text, encoding="utf-8")
        compile_file(file)
        client, server = connected()
        with client, server:
            monkeypatch.setattr(head_start, "_given_fd", server.fileno)
            monkeypatch.setattr(head_start, "_is_loopback", lambda address, here=here: here)
            assert take_head_start(str(file)).sent == sent


@pytest.mark.parametrize(
    "address, here",
    [
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("128.0.0.1", False),
        ("12.7.0.0", False),
        ("::ffff:192.0.2.7", False),
        ("::1234", False),
        ("fe80::1%lo", False),
        ("1::1", False),
    ],
)
def test_loopback(address: str, here: bool) -> None:
    """Loopback is the same as for the session's own check."""
    from mailrecv.client import Client

    assert head_start._is_loopback(address) is here
    assert Client(address).loopback is here


def test_early_greeting() -> None:
    """There is a greeting for everybody only where every client is greeted, and the name is in the configuration."""
    assert early_greeting(config("domain mydomain.com")) == greeting("mydomain.com").octets() == GREETING
    assert early_greeting(config("debug s")) is None
    assert early_greeting(config("domain mydomain.com", "allow remotehost ^127")) is None


def test_whatever_fails(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no head start then, and nobody hears of it."""
    compile_file(file)

    def fail() -> int:
        raise AssertionError("whatever")

    monkeypatch.setattr(head_start, "_given_fd", fail)
    taken = take_head_start(str(file))
    assert taken.sent == b""
    assert taken.compiled is not None
