"""A client with an address of its own, and a server to whom it said all that could forge the log."""

from __future__ import annotations

import socket
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.clients.servers import Site, Starter, Wire
from tests.support import forgeries
from tests.support.machine import typed

CLIENT = "127.0.0.7"  # of the loopback too, and nobody else's
ASKED = ("HELO x", "MAIL FROM:<a@b>", "RCPT TO:<nobody@mydomain.com>", "RSET")
REFUSAL = "550 No one here by that name."


@contextmanager
def from_client(port: int, address: str = CLIENT) -> Generator[Wire, None, None]:
    """Connect from the address of the client."""
    with socket.socket() as connection:
        connection.bind((address, 0))
        connection.settimeout(10)
        connection.connect(("127.0.0.1", port))
        with Wire(connection) as wire:
            yield wire


@dataclass(frozen=True)
class Forged:
    """What was forged.  site: of the server.  refusals: how often the client was told that an address is nobody's."""

    site: Site
    refusals: int


@pytest.fixture(params=["on", "off"])
def forged(start: Starter, request: pytest.FixtureRequest) -> Forged:
    """A server, with `loghex` on and off, whose client said all that it could to forge the log."""
    directives = (*forgeries.DIRECTIVES, forgeries.DELIVER, f"loghex {request.param}", "deadletter_file {folder}/dead")
    server = start.server("listen", *directives)
    with from_client(server.port) as client:
        client.send(typed(*forgeries.FORGERIES, *ASKED * 3, "QUIT"))
        replies = client.rest()
    assert replies[-1].startswith("221 ")
    return Forged(server.site, replies.count(REFUSAL))
