"""Deadlines: no connection outlives its limits by more than two seconds, whatever keeps it busy.

A connection may last for `limit.connection_secs`. A delivery that has begun by then may still take
`limit.delivery_secs`, and the copies that failed, all together, as long again on their way to the dead letters.
"""

from __future__ import annotations

import fcntl
import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.clients.servers import Server, Starter, Wire, with_resolver
from tests.support.figures import Figures
from tests.support.machine import typed

CONNECTION_SECONDS = 3
DELIVERY_SECONDS = 1
GRACE_SECONDS = 2
DIRECTIVES = (
    "debug F",
    f"limit.connection_secs {CONNECTION_SECONDS}",
    f"limit.delivery_secs {DELIVERY_SECONDS}",
    "limit.smtp_commands 1000000000",
    "deadletter_file {folder}/locked",
    "deliver rcpt_to fifo@mydomain.com append {folder}/fifo",
    "deliver rcpt_to locked@mydomain.com append {folder}/locked",
    "deliver rcpt_to sleeps@mydomain.com pipe sleep 60",
    "deliver rcpt_to traps@mydomain.com pipe trap '' TERM INT HUP; sleep 60; sleep 60",
    "deliver rcpt_to parent@mydomain.com pipe sleep 60 & sleep 60 & wait",
    "deliver rcpt_to hides@mydomain.com pipe setsid sleep 8 & sleep 60",
    "deliver rcpt_to writes@mydomain.com pipe exec yes",
    "deliver rcpt_to stopped@mydomain.com pipe kill -STOP $$",
    *(f"deliver rcpt_to sleeps{number}@mydomain.com pipe sleep 60" for number in range(20)),
    *(f"deliver rcpt_to fails{number}@mydomain.com pipe false" for number in range(20)),
)
ENDED = re.compile(r"\[(127\.0\.\d\.\d+)\] connection closed \((\w+)\): .*, ([\d.]+) seconds")


def message(*recipients: str, data: bytes = b"Hello\r\n") -> bytes:
    """Return all that it takes to send a message."""
    to = [f"RCPT TO:<{name}@mydomain.com>" for name in recipients]
    return typed("HELO client", "MAIL FROM:<me@client>", *to, "DATA") + data + typed(".")


def sends(octets: bytes, *, again: bool = False, seconds: float = 0.0) -> Callable[[Wire], None]:
    """Return a client that sends these octets, and then waits; or sends them again and again, with pauses."""

    def client(wire: Wire) -> None:
        wire.send(octets)
        while again:
            time.sleep(seconds)
            wire.send(octets)

    return client


def never_reads(wire: Wire) -> None:
    """Ask for more and more replies, and read none."""
    wire.socket.settimeout(CONNECTION_SECONDS + GRACE_SECONDS)
    sends(typed("HELP") * 1000, again=True)(wire)


MAIL_DATA = typed("HELO x", "MAIL FROM:<>", "RCPT TO:<me@mydomain.com>", "DATA")
WAITING = {
    "a client that says nothing": sends(b""),
    "a client that never ends a line": sends(b"x", again=True, seconds=0.1),
    "a client that says NOOP for ever": sends(typed("NOOP"), again=True, seconds=0.01),
    "a client that never reads": never_reads,
    "mail data that stops": sends(MAIL_DATA + b"Hello"),
    "mail data without end": sends(MAIL_DATA + b"x" * 100_000, again=True, seconds=0.05),
    "an end of data that stops": sends(MAIL_DATA + b"\r\n.\r"),
}
DELIVERING = {
    "a locked mailbox": sends(message("locked") * 4),
    "a FIFO whose reader does not read": sends(message("fifo", data=b"x" * 1_000_000 + b"\r\n") * 4),
    "a command that sleeps": sends(message("sleeps") * 4),
    "a command that ignores signals": sends(message("traps") * 4),
    "a command that has children": sends(message("parent") * 4),
    "a command that leaves a process behind": sends(message("hides") * 4),
    "a command that writes for ever": sends(message("writes") * 4),
    "a command that stops itself": sends(message("stopped") * 4),
    "twenty commands that sleep": sends(message(*(f"sleeps{number}" for number in range(20)))),
}
RESCUING = {
    "locked dead letters": sends(message("me", "sleeps", *(f"fails{number}" for number in range(20)))),
}

CLIENTS = {**WAITING, **DELIVERING, **RESCUING}


def be(client: Callable[[Wire], None], server: Server, address: str) -> None:
    """Be a client at this address until the server has had enough."""
    with socket.create_connection(("127.0.0.1", server.port), 30, (address, 0)) as connection, Wire(connection) as wire:
        with suppress(OSError):
            client(wire)
        with suppress(OSError):
            if client is not never_reads:
                wire.rest()


@pytest.fixture
def server(start: Starter) -> Iterator[Server]:
    """A server with a FIFO that has a reader, and a mailbox that is locked."""
    server = start.server("listen", *DIRECTIVES)
    os.mkfifo(server.site.folder / "fifo")
    reader = os.open(server.site.folder / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    with (server.site.folder / "locked").open("wb") as locked:
        fcntl.flock(locked, fcntl.LOCK_EX)
        yield server
    os.close(reader)


def test_no_connection_outlives_its_limits(server: Server, figure: Figures) -> None:
    """Whatever a client does, and whatever its message meets, its connection ends in time; all of them at once."""
    addresses = {name: f"127.0.1.{number}" for number, name in enumerate(CLIENTS, 1)}
    with ThreadPoolExecutor(len(CLIENTS)) as threads:
        began = time.monotonic()
        for name, client in CLIENTS.items():
            threads.submit(be, client, server, addresses[name])
    assert time.monotonic() - began < 30
    ended = {address: (cause, float(seconds)) for address, cause, seconds in ENDED.findall(server.site.log)}
    lasted = {name: ended[address] for name, address in addresses.items()}
    assert {cause for cause, _ in lasted.values()} == {"connection_secs"}
    allowed = {
        **dict.fromkeys(WAITING, CONNECTION_SECONDS),
        **dict.fromkeys(DELIVERING, CONNECTION_SECONDS + DELIVERY_SECONDS),
        **dict.fromkeys(RESCUING, CONNECTION_SECONDS + 2 * DELIVERY_SECONDS),
    }
    late = {name: seconds - allowed[name] for name, (_, seconds) in lasted.items()}
    figure(f"{len(late)} ways to keep a connection busy: the latest ended {max(late.values()):+.2f} s after its limits")
    assert {name: seconds for name, seconds in late.items() if seconds > GRACE_SECONDS} == {}
    assert "internal error" not in server.site.log


@pytest.mark.needs_root
@pytest.mark.needs_tool("unshare")
def test_no_name_server_holds_a_connection(
    start: Starter, silent_resolver: str, tmp_path: Path, figure: Figures
) -> None:
    """A name server that never answers holds nobody for longer, however many wait for it at once."""
    program = with_resolver(tmp_path, silent_resolver)
    server = start.server("listen", *DIRECTIVES, "allow remotehost \\.example$", program=program)
    with ExitStack() as stack:
        clients = [stack.enter_context(server.connect()) for _ in range(10)]  # more the log only counts
        assert {client.rest()[0][:3] for client in clients} == {"421"}
    ended = [(cause, float(seconds)) for _, cause, seconds in ENDED.findall(server.site.log)]
    assert len(ended) == len(clients)
    assert {cause for cause, _ in ended} == {"connection_secs"}
    late = max(seconds for _, seconds in ended) - CONNECTION_SECONDS
    figure(f"{len(clients)} connections that wait for DNS: the latest ended {late:+.2f} s after its limits")
    assert late <= GRACE_SECONDS
