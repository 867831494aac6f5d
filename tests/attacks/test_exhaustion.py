"""Exhaustion: whoever takes as much as there is of time, connections or memory, gets little, and others are served."""

from __future__ import annotations

import mailbox
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, suppress
from itertools import repeat
from threading import Event, Thread

import pytest

from tests.clients.servers import Server, Starter, Wire, wait_until
from tests.support.machine import typed
from tests.support.process import forget_peak, holding

GREETING = "220 mydomain.com SMTP (RFC 822) mailrecv"
TOO_MANY = "421 Too many connections, try again later"
MAX_CONNECTIONS = 100
CLIENTS = 200
LIMITS = (f"limit.connections {MAX_CONNECTIONS}", f"limit.client_connections {CLIENTS}")
ENDED = re.compile(r"connection closed \((\w+)\): .*, ([\d.]+) seconds")


# Connections


def trickle(clients: Iterable[Wire], stop: Event) -> None:
    """Send an octet for each of these clients now and then, as a slowloris does."""
    while not stop.wait(0.2):
        for client in clients:
            with suppress(ConnectionError):
                client.send(b"x")


@pytest.mark.attacks(1)
def test_slow_clients(start: Starter) -> None:
    """Of two hundred clients that never finish a line, those over the maximum are told so; limits free the others."""
    server = start.server("listen", "debug -", *LIMITS, "limit.idle_secs 2", "limit.connection_secs 4")
    server.site.wait_for_log("listening on")
    before = holding(server.process.pid)
    stop = Event()
    with ExitStack() as stack:
        slow = [stack.enter_context(server.connect()) for _ in range(CLIENTS)]
        greetings = [client.reply() for client in slow]
        assert Counter(greetings) == {GREETING: MAX_CONNECTIONS, TOO_MANY: CLIENTS - MAX_CONNECTIONS}
        with server.connect() as honest:
            assert honest.rest() == [TOO_MANY]
        waiting = [client for client, greeting in zip(slow, greetings, strict=True) if greeting == GREETING]
        stack.callback(stop.set)
        Thread(target=trickle, args=(waiting[1::2], stop)).start()
        replies = Counter(reply for client in waiting for reply in client.rest())
    half = MAX_CONNECTIONS / 2
    assert replies == {
        "421 Idle for too long, closing": half,
        "421 Connection has lasted too long, closing": half,
    }
    with server.connect() as honest:
        assert honest.ask("NOOP") == GREETING
    allowed = {"idle_secs": 2, "connection_secs": 4}  # the others have left
    lasted = [(cause, float(seconds)) for cause, seconds in ENDED.findall(server.site.log) if cause in allowed]
    assert lasted
    assert [(cause, seconds) for cause, seconds in lasted if seconds >= allowed[cause] + 2] == []
    wait_until(lambda: holding(server.process.pid).descriptors == before.descriptors, "as few descriptors as before")
    assert holding(server.process.pid).processes == before.processes
    assert holding(server.process.pid).megabytes < before.megabytes + 20 * before.processes


@pytest.mark.attacks(1)
def test_slow_clients_do_not_slow_down_others(start: Starter) -> None:
    """While there is room, an honest client beside very many slow ones is served at once."""
    server = start.server("listen", "debug -", *LIMITS)
    stop = Event()
    with ExitStack() as stack:
        slow = [stack.enter_context(server.connect()) for _ in range(MAX_CONNECTIONS - 10)]
        assert {client.reply() for client in slow} == {GREETING}
        stack.callback(stop.set)
        Thread(target=trickle, args=(slow, stop)).start()
        began = time.monotonic()
        for _ in range(5):
            with server.connect() as honest:
                honest.envelope("list")
                honest.send(typed("Hello", ".", "QUIT"))
                assert [reply[:3] for reply in honest.rest()] == ["250", "221"]
        assert time.monotonic() - began < 5
    assert len(server.site.in_maildir) == 5


# Work


RECIPIENT = "a" * 450 + "!"


@pytest.mark.attacks(1)
def test_runaway_pattern(start: Starter) -> None:
    """Recipients made for a pattern that would go on for ages are refused at once, and others are served meanwhile."""
    rule = "error rcpt_to ^(a+)+$ 550 No one here by that name."
    server = start.server("listen", "debug -", "limit.smtp_failcmds 1000", rule)
    began = time.monotonic()
    with server.connect() as hostile, server.connect() as honest:
        hostile.send(typed("HELO x", "MAIL FROM:<>", *[f"RCPT TO:<{RECIPIENT}>"] * 500, "QUIT"))
        honest.envelope("list")
        assert honest.ask("Hello\r\n.")[:6] == "250 OK"
        assert hostile.rest()[3:-1] == ["550 No one here by that name."] * 500
    assert time.monotonic() - began < 10
    server.process.terminate()
    assert server.process.wait() == 0
    assert server.site.log.count("too much work, given up") + server.site.repeated["pattern_limit"] == 500


# Size

MB = 1_000_000
LINE = 512 - len("\r\n")


def blocks(unit: bytes, octets: int) -> Iterator[bytes]:
    """Yield so many octets, made of the unit, in blocks."""
    block = unit * (MB // len(unit))
    return repeat(block, octets // len(block))


DATA = {
    "a line without end": b"x",
    "line ends": b"\r\n",
    "bare CRs": b"\r",
    "dots": b"..\r\n",
    "almost ends": b"\r\n.\r",
    "dots after bare LFs": b"\n..",
    "headers": b"X: y\r\n",
    "headers to rename": b"Status:\r\n",
    "From lines": b"From \r\n",
    "quoted From lines": b">>>>From \r\n",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that has taken a message already, so that all that it needs is in memory."""
    starter = Starter(tmp_path_factory.mktemp("server"))
    server = starter.server("listen", "debug -", "deadletter_file {folder}/dead")
    with server.connect() as client:
        client.envelope("me", "list")
        client.send(b"x" * 10 * MB + typed("", ".", "QUIT"))
        assert client.rest()[0][:3] == "250"
    yield server
    starter.end()


@pytest.fixture
def little_memory(server: Server) -> Iterator[None]:
    """Check that a test makes the server take no more than a few megabytes more at any time."""
    before = holding(server.process.pid).megabytes
    forget_peak(server.process.pid)
    yield
    assert holding(server.process.pid).peak_megabytes < before + 10


@pytest.mark.attacks(1)
@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("unit", [b"x", b"\r", b"\0", b"HELO "], ids=ascii)
def test_a_command_line_without_end(server: Server, unit: bytes) -> None:
    """A command line of sixty megabytes is one refused command."""
    with server.connect() as client:
        client.reply()
        for block in blocks(unit, 60 * MB):
            client.send(block)
        assert client.ask("") == "500 Line too long"
        assert client.ask("NOOP") == "250 OK"


@pytest.mark.attacks(1)
@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("unit", DATA.values(), ids=DATA)
def test_mail_data_of_one_kind(server: Server, unit: bytes) -> None:
    """Mail data as large as it may be, made of what needs the most work, is delivered."""
    with server.connect() as client:
        client.envelope("me", "list")
        for block in blocks(unit, 23 * MB):
            client.send(block)
        client.send(typed("", ".", "QUIT"))
        assert [reply[:3] for reply in client.rest()] == ["250", "221"]


@pytest.mark.attacks(1)
@pytest.mark.usefixtures("little_memory")
def test_a_burst_of_commands(server: Server) -> None:
    """Of a million commands in a burst the server answers as many as it may."""
    with server.connect() as client, suppress(ConnectionError):
        client.send(typed("NOOP") * 1_000_000)
        assert client.rest()[1:] == ["250 OK"] * 1000 + ["421 Too many commands, try again later"]


@pytest.mark.attacks(1)
@pytest.mark.usefixtures("little_memory")
def test_the_longest_names_and_addresses(server: Server) -> None:
    """A message from the longest address to a hundred of the longest is delivered, and names all of them."""

    def longest(before: str, after: str) -> str:
        return before + "x" * (LINE - len(before) - len(after)) + after

    with server.connect() as client:
        client.send(typed(longest("HELO ", ""), longest("MAIL FROM:<", "@client.example>")))
        client.send(typed(*(longest(f"RCPT TO:<{number}", "@mydomain.com>") for number in range(100))))
        client.send(typed("DATA", "Hello", ".", "QUIT"))
        assert {reply[:3] for reply in client.rest()} == {"220", "250", "354", "221"}
    with closing(mailbox.mbox(server.site.folder / "dead", create=False)) as box:
        (message,) = box
        assert message["X-Envelope-To"].count("@mydomain.com>") == 100
