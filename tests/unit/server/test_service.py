"""What serves everybody at a listening socket, and what the server calls itself."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Generator
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest

from mailrecv.journal.log import open_journal
from mailrecv.server import domain, service
from mailrecv.server.channel import Stop
from mailrecv.server.service import Service
from tests.support.configs import config


class Serving:
    """A service in a thread.  port: of the loopback, where it listens.  log: the file that it records in."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.stop = Stop()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        serving = Service(config(), "mydomain.com", open_journal(str(log)), self.stop)
        self._thread = threading.Thread(target=serving.serve_listener, args=(self._listener,))
        self._thread.start()

    def connect(self) -> socket.socket:
        """Return a new client."""
        return socket.create_connection(("127.0.0.1", self.port), 10)

    def end(self) -> None:
        """Stop it, and wait for its end."""
        self.stop.request()
        self._thread.join(10)
        assert not self._thread.is_alive()


@pytest.fixture
def serving(tmp_path: Path) -> Generator[Serving, None, None]:
    """A running service."""
    running = Serving(tmp_path / "log")
    yield running
    running.end()


def test_too_many_connections(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    """One connection too many is sent away with 421; when another has ended, there is room again."""
    monkeypatch.setattr(service, "MAX_CONNECTIONS", 1)
    with serving.connect() as first:
        assert first.recv(100).startswith(b"220 ")
        with serving.connect() as second:
            assert second.recv(100) == b"421 Too many connections, try again later\r\n"
            assert second.recv(100) == b""
        first.sendall(b"QUIT\r\n")
    deadline = time.monotonic() + 10
    greeting = b"421 "
    while greeting.startswith(b"421 ") and time.monotonic() < deadline:
        with serving.connect() as third:
            greeting = third.recv(100)
    assert greeting.startswith(b"220 ")


def test_no_thread_to_be_had(serving: Serving) -> None:
    """When the system has no thread for one more connection, it is sent away with 421, and the service goes on."""
    no_thread = mock.patch.object(threading.Thread, "start", side_effect=RuntimeError("can't start new thread"))
    with no_thread, serving.connect() as client:
        assert client.recv(100) == b"421 Too many connections, try again later\r\n"
    with serving.connect() as client:
        assert client.recv(100).startswith(b"220 ")


def test_client_that_is_gone_before_it_is_served(serving: Serving) -> None:
    """A client that vanished at once ends no service."""
    for _ in range(20):
        with serving.connect() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    with serving.connect() as client:
        assert client.recv(100).startswith(b"220 ")


def test_stop(serving: Serving) -> None:
    """A stop ends the open sessions, closes the port, and is logged."""
    with serving.connect() as client:
        client.recv(100)
        serving.end()
        assert client.recv(100) == b"421 The server is going down, try again later\r\n"
    with pytest.raises(ConnectionRefusedError):
        serving.connect()
    assert ": stopping: " in serving.log.read_text()


# The server's own name


@pytest.mark.parametrize(
    "node, full, name",
    [
        ("host.example", "unasked.example", "host.example"),
        ("host", "host.example", "host.example"),
        ("host", "localhost", "host"),
    ],
)
def test_host_name(monkeypatch: pytest.MonkeyPatch, node: str, full: str, name: str) -> None:
    """The host's name is taken as it is if it has a dot; else the resolver completes it, if it can."""
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(nodename=node))
    monkeypatch.setattr(socket, "getfqdn", lambda _: full)
    assert domain.host_name(10) == name


def test_host_name_that_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver that does not answer in time is not waited for."""
    answer = threading.Event()
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(nodename="host"))
    monkeypatch.setattr(socket, "getfqdn", lambda _: str(answer.wait(10)))
    assert domain.host_name(0.01) == "host"
    answer.set()
