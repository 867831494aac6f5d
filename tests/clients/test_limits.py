"""Clients that ask too much, wait too long or never read, and a server that is told to stop: all end in order."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.clients.servers import EACH_WAY, Session, Starter, wait_until, with_resolver
from tests.support.machine import typed
from tests.support.process import Witness

TOO_LONG = "421 Connection has lasted too long, closing"
IDLE = "421 Idle for too long, closing"
GOING_DOWN = "421 The server is going down, try again later"
GRACE_SECONDS = 8.0  # over a limit, on a busy machine, the start of the server included


@pytest.fixture
def within() -> Callable[[float], None]:
    """Check that the test, up to now, took at least so many seconds, and not much more."""
    began = time.monotonic()

    def check(seconds: float) -> None:
        assert seconds - 0.1 <= time.monotonic() - began < seconds + GRACE_SECONDS

    return check


# Too much


def test_ten_thousand_commands_in_one_write(start: Starter) -> None:
    """Commands in a burst are answered in order, each once."""
    session = start.session("limit.smtp_commands 20000")
    session.wire.send(typed(*["NOOP", "VRFY x"] * 5000, "QUIT"))
    codes = [reply[:3] for reply in session.wire.rest()]
    assert codes == ["220", *["250", "252"] * 5000, "221"]
    assert session.exit_status() == 0


def test_too_many_commands_in_one_write(start: Starter) -> None:
    """Over the limit the session ends with 421, and the rest of the burst is not answered."""
    session = start.session()
    session.wire.send(typed(*["NOOP"] * 10_000))
    replies = session.wire.rest()
    assert replies[1:] == ["250 OK"] * 1000 + ["421 Too many commands, try again later"]
    assert session.exit_status() == 1
    assert "limit.smtp_commands exceeded" in session.site.log


def test_long_command_lines(start: Starter) -> None:
    """A command line of 10,000 octets is refused, and the session goes on."""
    session = start.session()
    session.wire.send(typed(*["HELO " + "x" * 10_000, "NOOP"] * 10, "QUIT"))
    assert session.wire.rest()[1:-1] == ["500 Line too long", "250 OK"] * 10


# Too long


def test_idle(start: Starter, within: Callable[[float], None]) -> None:
    """A client that says nothing for limit.idle_secs is sent 421."""
    session = start.session("limit.idle_secs 1")
    assert session.wire.rest()[1:] == [IDLE]
    within(1)
    assert session.exit_status() == 1
    assert "limit.idle_secs exceeded" in session.site.log
    assert "connection closed (idle_secs)" in session.site.log


def test_idle_in_mail_data(start: Starter) -> None:
    """A message that was not finished in time is delivered to nobody."""
    session = start.session("limit.idle_secs 1")
    session.wire.envelope("me", "list", "pipe")
    session.wire.send(b"Hello\r\n.")
    assert session.wire.rest() == [IDLE]
    assert (session.site.appended, session.site.in_maildir, session.site.piped) == ([], [], None)


def test_one_octet_at_a_time(start: Starter, within: Callable[[float], None]) -> None:
    """A client that is never idle, but slow, is sent 421 after limit.connection_secs."""
    session = start.session("limit.connection_secs 1")
    with suppress(ConnectionError):
        for octet in b"NOOP\r\n" * 100:
            session.wire.send(bytes([octet]))
            time.sleep(0.1)
            if "limit.connection_secs exceeded" in session.site.log:
                break
    assert session.wire.rest()[-1] == TOO_LONG
    within(1)
    assert session.exit_status() == 1


def test_flood(start: Starter, within: Callable[[float], None]) -> None:
    """A client that never ceases to send, so that the server never waits, is sent 421 after limit.connection_secs."""
    session = start.session("debug -", "limit.connection_secs 1", "limit.smtp_data_size 1000")
    session.wire.envelope("me")
    with suppress(ConnectionError):
        while "connection closed (connection_secs)" not in session.site.log:
            session.wire.send(b"x" * 20_000_000)
    within(1)
    assert session.wire.reply() == TOO_LONG


@pytest.mark.parametrize("limit", ["idle_secs", "connection_secs"])
def test_client_that_never_reads(start: Starter, within: Callable[[float], None], limit: str) -> None:
    """A client that sends and sends, and never reads a reply, holds the server for no longer than the limits say."""
    server = start.server("listen", "debug -", "limit.smtp_commands 1000000000", f"limit.{limit} 1")
    with server.dial(SO_RCVBUF=4096) as client:
        client.settimeout(0.2)
        with suppress(TimeoutError):
            while True:
                client.sendall(typed("HELP") * 10_000)
        server.site.wait_for_log(f"connection closed ({limit})")
    within(1)
    assert "internal error" not in server.site.log


def test_delivery_is_not_cut_off(start: Starter) -> None:
    """A delivery that outlasts limit.connection_secs is finished and answered, and then the session ends."""
    session = start.session("limit.connection_secs 1")
    session.wire.envelope("slow")
    session.wire.send(b"Hello\r\n.\r\n")
    kept, *others = session.wire.rest()
    assert kept[:6] == "250 OK"
    assert others == [TOO_LONG]
    assert session.site.piped == b"Hello\n"


def test_delivery_that_takes_too_long(start: Starter, within: Callable[[float], None]) -> None:
    """A command that outlasts limit.delivery_secs is ended, and the client keeps the message."""
    session = start.session("limit.delivery_secs 1", "deliver rcpt_to ever@mydomain.com pipe sleep 60")
    session.wire.envelope("ever")
    assert session.wire.ask("Hello\r\n.") == "451 Delivery took too long, try again later"
    within(1)


AWAY = "(setsid sh -c 'setsid sleep 60 & sleep 60' >/dev/null 2>&1 &) "


@pytest.mark.parametrize("way", EACH_WAY)
def test_nothing_outlives_a_delivery_that_takes_too_long(start: Starter, tmp_path: Path, way: str) -> None:
    """With the command ends what it has sent away, in sessions of their own, however the server was started."""
    with closing(Witness(tmp_path)) as witness:
        slow = witness.command(f"{AWAY}; nohup sleep 60 & echo; sleep 60")
        server = start.server(way, "limit.delivery_secs 1", f"deliver rcpt_to ever@mydomain.com pipe {slow}")
        with server.connect() as client:
            client.envelope("ever")
            assert client.ask("Hello\r\n.") == "451 Delivery took too long, try again later"
            wait_until(lambda: not witness.somebody_lives(), "the end of all processes")
            assert client.ask("QUIT") == "221 mydomain.com closing connection"


@pytest.mark.parametrize("way", EACH_WAY)
def test_what_a_command_leaves_behind(start: Starter, tmp_path: Path, way: str) -> None:
    """A command that ended well is believed, and what it left behind is spared, but told in the log."""
    with closing(Witness(tmp_path)) as witness:
        leaving = witness.command(f"{AWAY}; sleep 0.2")
        server = start.server(way, f"deliver rcpt_to leaves@mydomain.com pipe {leaving}")
        with server.connect() as client:
            client.envelope("leaves")
            assert client.ask("Hello\r\n.")[:6] == "250 OK"
            assert client.ask("QUIT") == "221 mydomain.com closing connection"
        told = re.findall(r"to=<leaves@mydomain.com> WARNING: .* left processes behind: (.*)", server.site.log)
        [pids] = [[int(pid) for pid in re.findall(r"\((\d+)\)", line)] for line in told]
        assert witness.somebody_lives()
        for pid in pids:
            os.killpg(pid, signal.SIGKILL)


def test_nothing_is_left_of_what_has_ended(start: Starter) -> None:
    """A resident server lets go of processes that commands have left behind, when they have ended."""
    server = start.server("listen", "deliver rcpt_to leaves@mydomain.com pipe sleep 0.3 & echo $!")
    with server.connect() as client:
        client.envelope("leaves")
        assert client.ask("Hello\r\n.")[:6] == "250 OK"
        [pid] = re.findall(r"output: (\d+)", server.site.log)
        wait_until(lambda: not Path(f"/proc/{pid}").exists(), "the end of what is left of the process")


# DNS


@pytest.mark.needs_root
@pytest.mark.needs_tool("unshare")
def test_dns_that_never_answers(
    start: Starter, within: Callable[[float], None], silent_resolver: str, tmp_path: Path
) -> None:
    """A name that cannot be looked up does not hold the connection for longer than limit.connection_secs."""
    program = with_resolver(tmp_path, silent_resolver)
    session = start.session("allow remotehost \\.example$", "limit.connection_secs 1", program=program)
    assert session.wire.rest() == [TOO_LONG]
    within(1)
    assert session.exit_status() == 1
    assert "SMTP connection from remote host unknown [127.0.0.1]" in session.site.log


@pytest.mark.needs_root
@pytest.mark.needs_tool("unshare")
def test_no_domain_and_dns_that_never_answers(
    start: Starter, within: Callable[[float], None], silent_resolver: str, tmp_path: Path
) -> None:
    """Nor does the server's own name, when it has to be looked up."""
    site = start.site("limit.connection_secs 2", config="logfile {folder}/log")
    session = start.session(site=site, program=with_resolver(tmp_path, silent_resolver))
    assert session.wire.rest()[-1] == TOO_LONG
    within(2)


# Stop


def test_stop_while_waiting(start: Starter) -> None:
    """A session that waits for its client ends at once when the server is told to stop."""
    session = start.session()
    session.wire.reply()
    session.process.terminate()
    assert session.wire.rest() == [GOING_DOWN]
    assert session.exit_status() == 1


def test_stop_in_mail_data(start: Starter) -> None:
    """A message that is still coming in when the server is told to stop is not delivered."""
    session = start.session()
    session.wire.envelope("me", "list", "pipe")
    session.wire.send(b"Hello\r\n")
    session.process.terminate()
    assert session.wire.rest() == [GOING_DOWN]
    assert (session.site.appended, session.site.in_maildir, session.site.piped) == ([], [], None)


def deliver_and_stop(start: Starter) -> Session:
    """Return a session that is told to stop in the middle of a delivery."""
    session = start.session()
    session.wire.envelope("slow")
    session.wire.send(b"Hello\r\n.\r\n")
    session.site.wait_for_log("size=6 begins")
    session.process.terminate()
    return session


def test_stop_during_delivery(start: Starter) -> None:
    """A delivery that has begun is finished and answered before the session ends."""
    session = deliver_and_stop(start)
    kept, *others = session.wire.rest()
    assert kept[:6] == "250 OK"
    assert others == [GOING_DOWN]
    assert session.site.piped == b"Hello\n"
    assert session.exit_status() == 1


def test_stop_of_all_sessions(start: Starter) -> None:
    """The resident server ends when its last delivery has ended; a client that waits is sent away at once."""
    server = start.server("listen")
    with server.connect() as delivering, server.connect() as waiting:
        delivering.envelope("slow")
        delivering.send(b"Hello\r\n.\r\n")
        waiting.reply()
        server.site.wait_for_log("size=6 begins")
        server.process.terminate()
        assert waiting.rest() == [GOING_DOWN]
        assert server.site.piped is None
        assert [reply[:3] for reply in delivering.rest()] == ["250", "421"]
    assert server.process.wait() == 0
    assert server.site.piped == b"Hello\n"
