"""More clients than the service takes: the rest come again later, and nothing else happens to anybody."""

from __future__ import annotations

import socket
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import pytest

from tests.clients.servers import Wire
from tests.system.machine import wait_until
from tests.system.mailhost import MailHost

GREETING = "220 mydomain.com SMTP (RFC 822) mailrecv"
BACKLOG = 200  # messages
FLOOD = 2000  # connections
FLOOD_SECONDS = 300  # in which it must be over: no sender waits longer for a greeting (RFC 1123 §5.3.2)
LOG_ENTRIES_PER_SESSION = 4  # begun, connected, left, ended; for a connection that is refused it is one
OTHER_LOG_ENTRIES = 20


@pytest.fixture
def clients() -> Generator[ExitStack, None, None]:
    """Clients that stay connected until the test ends."""
    with ExitStack() as stack:
        yield stack


def limit(server: MailHost, name: str) -> int:
    """Return a limit of the socket's."""
    return int(server.show("mailrecv.socket", name))


def greeted(client: Wire) -> bool:
    """Say whether the client is greeted; otherwise the connection was closed."""
    with suppress(ConnectionResetError):
        if reply := client.reply():
            assert reply == GREETING
            return True
    return False


def connect(server: MailHost, clients: ExitStack, source: str, number: int) -> list[Wire]:
    """Return so many clients from one address, all greeted."""
    wires = [clients.enter_context(server.connect(source=source)) for _ in range(number)]
    assert all(map(greeted, wires))
    return wires


def test_too_many_from_one_address(server: MailHost, clients: ExitStack) -> None:
    """One address may hold so many sessions; one more is closed, while other addresses get in, until one has left."""
    held = connect(server, clients, "127.0.0.2", limit(server, "MaxConnectionsPerSource"))
    with server.connect(source="127.0.0.2") as refused:
        assert not greeted(refused)
    assert server.send("me", source="127.0.0.3")[:3] == "250"
    assert held.pop().ask("QUIT")[:3] == "221"
    server.wait_for_sessions(len(held))
    assert server.send("me", source="127.0.0.2")[:3] == "250"


def test_a_backlog_from_one_address(server: MailHost) -> None:
    """A mail server that delivers over twenty connections at once, each opened anew, is never turned away."""

    def send(number: int) -> str:
        return server.send("list", body=f"Hello {number}", source="127.0.0.4")

    before = limit(server, "NRefused")
    with ThreadPoolExecutor(20) as senders:
        assert {reply[:3] for reply in senders.map(send, range(BACKLOG))} == {"250"}
    assert limit(server, "NRefused") == before
    assert len(server.mail.in_maildir) == BACKLOG


def test_too_many_altogether(server: MailHost, clients: ExitStack) -> None:
    """With all sessions taken the next client is closed and nobody else notices; it gets in when one has left."""
    total, each = limit(server, "MaxConnections"), limit(server, "MaxConnectionsPerSource")
    held = [
        wire
        for first in range(0, total, each)
        for wire in connect(server, clients, f"127.0.1.{first + 1}", min(each, total - first))
    ]
    with server.connect() as refused:
        assert not greeted(refused)
    assert [wire.ask("NOOP")[:3] for wire in held] == ["250"] * total
    assert held.pop().ask("QUIT")[:3] == "221"
    server.wait_for_sessions(total - 1)
    assert server.send("me")[:3] == "250"


def flood() -> None:
    """Open and close connections, as fast as they are taken, from many addresses."""
    for number in range(FLOOD):
        with socket.socket() as client:
            client.bind((f"127.0.2.{number % 250 + 1}", 0))
            client.settimeout(60)
            client.connect(("127.0.0.1", 25))


def test_flood(server: MailHost) -> None:
    """Thousands of quick connections cut no session, close no port, and leave nothing behind but some lines each."""
    before = [limit(server, name) for name in ("NAccepted", "NRefused")]
    with server.connect() as held:
        held.envelope("me")
        server.in_network(flood)
        assert held.ask("Hello\r\n.")[:3] == "250"
        held.ask("QUIT")
    wait_until(lambda: is_taken(server), "a sender that comes again to be greeted", seconds=FLOOD_SECONDS)
    server.wait_for_sessions(0)
    accepted, refused = (limit(server, name) - was for name, was in zip(("NAccepted", "NRefused"), before, strict=True))
    assert accepted + refused > FLOOD
    assert len(server.log()) <= refused + accepted * LOG_ENTRIES_PER_SESSION + OTHER_LOG_ENTRIES
    assert server.listens()
    assert server.send("me", body="Hello again")[:3] == "250"
    assert server.mail.appended == [b"Hello\n", b"Hello again\n"]


def is_taken(server: MailHost) -> bool:
    """Say whether a new client is greeted, in whatever time that takes."""
    with server.connect() as client:
        client.socket.settimeout(FLOOD_SECONDS)
        return greeted(client)
