"""A worker by itself: what becomes of its row in the register, and of a client when there is no thread to be had."""

from __future__ import annotations

import errno
import os
import resource
import socket
import threading
from collections.abc import Generator
from pathlib import Path
from unittest import mock

import pytest

from mailrecv.journal.log import open_journal
from mailrecv.limits import Limit, Limits
from mailrecv.resident.register import Full, Register
from mailrecv.resident.worker import HERE, NO_THREAD, RETIRE, STOP, Shared, Worker, _allow_descriptors
from mailrecv.server import channel
from tests.clients.servers import wait_until
from tests.support.configs import config


class Serving:
    """A worker in a thread.  register: where it enters its clients.  supervisor: the connection to it."""

    def __init__(self, log: Path, *, own_listener: bool) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)
        self.register = Register()
        self.supervisor, self._its_end = socket.socketpair()
        shared = Shared(self.listener.dup(), own_listener, self.register, config(), open_journal(str(log)))
        self.worker = Worker(shared, 1, self._its_end)
        self.thread = threading.Thread(target=self.worker.run)
        self.thread.start()
        assert self.supervisor.recv(1) == HERE

    def connect(self) -> socket.socket:
        """Return a new client."""
        return socket.create_connection(self.listener.getsockname(), 10)

    def end(self) -> None:
        """Stop it, and wait for its end."""
        self.supervisor.close()
        self.thread.join(10)
        assert not self.thread.is_alive()
        self._its_end.close()
        self.listener.close()


@pytest.fixture
def serving(tmp_path: Path) -> Generator[Serving, None, None]:
    """A running worker on a socket of systemd's."""
    running = Serving(tmp_path / "log", own_listener=False)
    yield running
    running.end()


def test_rows(serving: Serving) -> None:
    """Each client has a row in the register, as long as its session lasts."""
    with serving.connect() as one, serving.connect() as other:
        assert one.recv(100)[:4] == other.recv(100)[:4] == b"220 "
        assert serving.register.connections == 2
        one.sendall(b"QUIT\r\n")
        assert one.recv(100)[:4] == b"221 "
        assert one.recv(100) == b""
        one.close()
        wait_until(lambda: serving.register.connections == 1, "the row to be free")
    wait_until(lambda: serving.register.connections == 0, "the rows to be free")


def test_a_client_that_lingers(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever was turned away and leaves its end open counts on: it could hold all the connections that there are."""
    monkeypatch.setattr(channel, "_LINGER_SECONDS", 60.0)
    one_each = Limits(client_connections=Limit(1, NO_THREAD))
    with serving.connect() as client:
        client.sendall(b"GET /\r\n")
        assert b"421 " in b"".join(iter(lambda: client.recv(100), b""))
        with pytest.raises(Full):
            serving.register.enter("127.0.0.1", 2, one_each)
    wait_until(lambda: serving.register.connections == 0, "the rows to be free")


def test_descriptors(tmp_path: Path) -> None:
    """A worker may have enough descriptors open for all connections, as far as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = Limits().connections.value * 5
    try:
        few = len(list(Path("/proc/self/fd").iterdir())) + 100  # other tests may have left some open
        resource.setrlimit(resource.RLIMIT_NOFILE, (few, hard))
        serving = Serving(tmp_path / "log", own_listener=False)
        assert min(needed, hard) <= resource.getrlimit(resource.RLIMIT_NOFILE)[0] <= needed + 256
        serving.end()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_more_descriptors_than_needed() -> None:
    """Nor does it take any away."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        _allow_descriptors(1)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_row_is_forgotten_before_it_is_given_back(serving: Serving) -> None:
    """The next session may have the same row at once; the end of the one before does not make it a stranger."""
    seen = []
    leave = Register.leave

    def look(register: Register, row: int) -> None:
        seen.append(row in serving.worker._rows)
        leave(register, row)

    with mock.patch.object(Register, "leave", look), serving.connect() as client:
        client.recv(100)
        client.shutdown(socket.SHUT_WR)
        wait_until(lambda: seen, "the end of the session")
    assert seen == [False]


def test_no_thread_to_be_had(serving: Serving) -> None:
    """When the system has no thread for one more client it is sent away with 421, and the worker goes on."""
    assert Limits().connections.value > 1
    no_thread = mock.patch.object(threading.Thread, "start", side_effect=RuntimeError("can't start new thread"))
    with no_thread, serving.connect() as client:
        assert client.recv(100) == b"421 Too busy, try again later\r\n"
    wait_until(lambda: serving.register.connections == 0, "the row to be free")
    with serving.connect() as client:
        assert client.recv(100).startswith(b"220 ")


def test_a_socket_of_another_family(tmp_path: Path) -> None:
    """Whoever comes by a socket that tells no address is turned away, and holds no row; the log says so."""
    log = tmp_path / "log"
    serving = Serving(log, own_listener=False)
    vsock = mock.PropertyMock(return_value=socket.AF_VSOCK)
    with mock.patch.object(socket.socket, "family", vsock), serving.connect() as client:
        assert client.recv(100) == b"421 Connections of this kind are not served\r\n"
    assert serving.register.connections == 0
    serving.end()
    assert "on a socket of another kind, AF_VSOCK, was told: 421 Connections of this kind are not" in log.read_text()


def test_clients_that_are_gone_at_once(serving: Serving) -> None:
    """Clients that vanish before they are served end no worker."""
    for _ in range(20):
        with serving.connect() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    with serving.connect() as client:
        assert client.recv(100).startswith(b"220 ")
    wait_until(lambda: serving.register.connections == 0, "the rows to be free")


def test_no_descriptor_for_clients(tmp_path: Path) -> None:
    """While clients cannot be taken in they wait; the log tells why, and not with each try."""
    log = tmp_path / "log"
    serving = Serving(log, own_listener=False)
    shortage = OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    with mock.patch.object(socket.socket, "accept", side_effect=shortage) as accept:
        client = serving.connect()
        wait_until(lambda: accept.call_count > 3, "some tries")
    with client:
        assert client.recv(100).startswith(b"220 ")
    serving.end()
    assert log.read_text().count("ERROR: no client can be taken in now: Too many open files\n") == 1


def test_a_client_that_gave_up_is_no_shortage(tmp_path: Path) -> None:
    """What a client does by itself is no reason to call for a person."""
    log = tmp_path / "log"
    serving = Serving(log, own_listener=False)
    gone = OSError(errno.ECONNABORTED, os.strerror(errno.ECONNABORTED))
    with mock.patch.object(socket.socket, "accept", side_effect=gone) as accept:
        client = serving.connect()
        wait_until(lambda: accept.call_count > 1, "some tries")
    with client:
        assert client.recv(100).startswith(b"220 ")
    serving.end()
    assert "taken in" not in log.read_text()


def test_a_retired_worker(serving: Serving) -> None:
    """It takes no more clients, which wait for another one, and ends after the last of those that it has."""
    with serving.connect() as client:
        client.recv(100)
        serving.supervisor.sendall(RETIRE)
        wait_until(lambda: not serving.worker._accepts, "the worker to hear it")
        with serving.connect() as waiting:
            client.sendall(b"NOOP\r\n")
            assert client.recv(100) == b"250 OK\r\n"
            waiting.settimeout(0.2)
            with pytest.raises(TimeoutError):
                waiting.recv(100)
        assert serving.thread.is_alive()
    serving.thread.join(10)
    assert not serving.thread.is_alive()


@pytest.mark.parametrize("own_listener", [True, False])
def test_a_stop(tmp_path: Path, own_listener: bool) -> None:
    """Clients hear 421; one that waits to be taken hears it too if nobody else will serve the socket."""
    serving = Serving(tmp_path / "log", own_listener=own_listener)
    with serving.connect() as client:
        client.recv(100)
        with mock.patch.object(Worker, "_accept"), serving.connect() as waiting:
            serving.supervisor.sendall(STOP)
            assert client.recv(100) == b"421 The server is going down, try again later\r\n"
            client.close()
            serving.thread.join(10)
            waiting.settimeout(0.2)
            if own_listener:
                assert waiting.recv(100) == b"421 The server is going down, try again later\r\n"
            else:
                with pytest.raises(TimeoutError):
                    waiting.recv(100)
    serving.end()
