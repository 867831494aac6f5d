"""What serves a client on a socket: only families whose addresses the configuration can speak of."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from mailrecv.journal.log import open_journal
from mailrecv.server.channel import Stop
from mailrecv.server.service import Service
from tests.support.configs import config

GREETING = b"220 mydomain.com SMTP (RFC 822) mailrecv\r\n"


@pytest.mark.parametrize(
    "family, told",
    [
        (socket.AF_UNIX, GREETING),
        (socket.AF_VSOCK, b"421 Connections of this kind are not served\r\n"),
        (socket.AF_TIPC, b"421 Connections of this kind are not served\r\n"),
    ],
)
def test_families(family: int, told: bytes, tmp_path: Path) -> None:
    """A client by a UNIX socket is somebody on this machine; one by AF_VSOCK, from a virtual machine, is not."""
    log = tmp_path / "log"
    service = Service(config(), "mydomain.com", open_journal(str(log)), Stop())
    client, server = socket.socketpair()
    with client:
        client.shutdown(socket.SHUT_WR)
        service.serve_connection(socket.socket(family, socket.SOCK_STREAM, fileno=server.detach()), time.monotonic())
        assert client.recv(1000) == told
        assert client.recv(1000) == b""
    assert ("another kind, AF_" in log.read_text()) is (told != GREETING)
