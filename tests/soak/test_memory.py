"""Memory and descriptors: however much mail comes, and however large it is, the resident server needs no more of them.

What all its processes hold together counts. Each test has a short form, and a long one for `make soak`.
"""

from __future__ import annotations

import random
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.clients.servers import PROGRAM, Server, Starter, wait_until
from tests.support.figures import Figures
from tests.support.machine import typed
from tests.support.process import Holding, forget_peak, holding, open_files

long = (pytest.mark.long, pytest.mark.timeout(3600))

ROOT = Path(__file__).parents[2]
CLIENTS = 4  # at once
HOSTILE_CLIENTS = 200
HOSTILE_GROWTH_MEGABYTES = 3  # of all processes together; it would be several times that
MESSAGES_PER_SESSION = 10
SESSIONS_BEFORE = 20  # until all that is needed is in memory
RECIPIENTS = ("me", "list", "pipe")
SMALL, LARGE = b"x" * 500 + b"\r\n", b"x" * 70 + b"\r\n"  # the second as often as makes it go to the disk
LARGE_LINES = 20_000
GROWTH_MEGABYTES = 4  # of each process
BLOCKS_MEGABYTES = 10  # a few blocks in all the forms that they go through at a time, however many there are


def session(server: Server, number: int) -> None:
    """Send ten messages over one connection: each to another recipient, and some to nobody. Some clients just leave."""
    with server.connect() as client:
        client.send(typed("HELO client"))
        for message in range(MESSAGES_PER_SESSION):
            to = RECIPIENTS[message % len(RECIPIENTS)]
            client.send(typed("MAIL FROM:<me@client>", "RCPT TO:<nobody@mydomain.com>", f"RCPT TO:<{to}@mydomain.com>"))
            large = message == number % 100
            client.send(typed("DATA") + (LARGE * LARGE_LINES if large else SMALL) + typed("."))
        if number % 3 == 0:
            client.send(typed("MAIL FROM:<me@client>", "RCPT TO:<me@mydomain.com>", "DATA", "never finished"))
            client.socket.shutdown(socket.SHUT_WR)
        else:
            client.send(typed("QUIT"))
        assert sum(reply.startswith("250 OK ") for reply in client.rest()) == MESSAGES_PER_SESSION


def nameless_files(server: Server) -> list[str]:
    """Return the files without a name that the server has open: large mail that is coming in."""
    files = open_files(server.process.pid)
    return [file for file in files if file.endswith(" (deleted)") and not file.startswith("/memfd:")]


def sockets(server: Server) -> int:
    """Return how many sockets the server has open."""
    return sum(file.startswith("socket:") for file in open_files(server.process.pid))


def settled(server: Server, sessions: int, sockets_before: int) -> Holding:
    """Return what the server holds when this many sessions have ended."""
    wait_until(lambda: server.site.log.count("connection closed (") == sessions, "the sessions to end")
    wait_until(lambda: sockets(server) == sockets_before, "the connections to be closed")
    return holding(server.process.pid)


@pytest.mark.parametrize("messages", [500, pytest.param(10_000, marks=long)])
def test_many_messages(start: Starter, figure: Figures, messages: int) -> None:
    """After very many messages of all kinds the server holds as much memory and as many descriptors as after few."""
    server = start.server("listen", "debug -", "limit.smtp_failcmds 1000")
    server.site.wait_for_log("listening on")
    idle = sockets(server)
    with ThreadPoolExecutor(CLIENTS) as clients:
        list(clients.map(session, [server] * SESSIONS_BEFORE, range(SESSIONS_BEFORE)))
        before = settled(server, SESSIONS_BEFORE, idle)
        forget_peak(server.process.pid)
        sessions = range(SESSIONS_BEFORE, SESSIONS_BEFORE + messages // MESSAGES_PER_SESSION)
        list(clients.map(session, [server] * len(sessions), sessions))
        after = settled(server, sessions.stop, idle)
    figure(
        f"{messages} messages: {before.megabytes:.1f} MB resident before, {after.megabytes:.1f} MB after them,"
        f" {after.peak_megabytes:.1f} MB at most; {before.descriptors} descriptors before, {after.descriptors} after;"
        f" processes: {after.processes}"
    )
    figure.add(messages, "messages taken by one server")
    assert (after.descriptors, after.processes) == (before.descriptors, before.processes)
    assert after.megabytes < before.megabytes + GROWTH_MEGABYTES * after.processes


def hostile(server: Server, number: int) -> None:
    """Do in a session what no mail server does: mostly lines of any length and any octets."""
    noise = random.Random(number).randbytes(20_000)  # noqa: S311 - the same in every run
    with server.connect() as client, suppress(ConnectionError):
        client.send(noise if number % 4 else typed("HELO x", *["NONSENSE" * 20] * 10))
        client.socket.shutdown(socket.SHUT_WR)
        client.socket.recv(1000)


@pytest.mark.parametrize("sessions", [4_000, pytest.param(400_000, marks=long)])
def test_many_hostile_clients(start: Starter, figure: Figures, sessions: int) -> None:
    """With what its unit tells the C library, the server holds little more after very many hostile sessions."""
    unit = (ROOT / "units" / "mailrecv-resident.service").read_text(encoding="utf-8")
    environment = re.findall(r"(?m)^Environment=(.*)$", unit)
    server = start.server(
        "listen",
        "debug -",
        "limit.client_connections 1000",
        "limit.connections 1000",
        program=("env", *environment, *PROGRAM),
    )
    server.site.wait_for_log("listening on")
    idle = sockets(server)
    with ExitStack() as stack:  # so that there are all the threads that there will be
        assert {stack.enter_context(server.connect()).reply()[:3] for _ in range(HOSTILE_CLIENTS)} == {"220"}
        before = holding(server.process.pid)
    with ThreadPoolExecutor(CLIENTS) as clients:
        list(clients.map(hostile, [server] * sessions, range(sessions)))
    wait_until(lambda: sockets(server) == idle, "the connections to be closed")
    after = holding(server.process.pid)
    figure(f"{sessions} hostile sessions: {before.megabytes:.1f} MB resident before, {after.megabytes:.1f} MB after")
    assert after.megabytes < before.megabytes + HOSTILE_GROWTH_MEGABYTES


@pytest.mark.parametrize("megabytes", [100, pytest.param(1000, marks=long)])
def test_one_huge_message(start: Starter, figure: Figures, megabytes: int) -> None:
    """A message far over the limit takes no memory and no disk, and is refused after its end; the next one is taken."""
    server = start.server("listen", "debug -")
    block = (b"x" * 998 + b"\r\n") * 1000
    with server.connect() as client:
        client.envelope("me")
        for _ in range(23):  # just below the limit: this is kept
            client.send(block)
        wait_until(lambda: nameless_files(server), "the message on the disk")
        before = holding(server.process.pid)
        forget_peak(server.process.pid)
        for _ in range(megabytes - 23):
            client.send(block)
        wait_until(lambda: not nameless_files(server), "the message to be dropped")
        assert client.ask(".") == "552 Message too large"
        peak = holding(server.process.pid).peak_megabytes
        client.send(typed("MAIL FROM:<me@client>", "RCPT TO:<me@mydomain.com>", "DATA", "Hello", ".", "QUIT"))
        assert [reply[:3] for reply in client.rest()] == ["250", "250", "354", "250", "221"]
    figure(f"a message of {megabytes} MB: {before.megabytes:.1f} MB resident before, {peak:.1f} MB at most; 552")
    assert peak < before.megabytes + BLOCKS_MEGABYTES
    assert server.site.appended == [b"Hello\n"]
