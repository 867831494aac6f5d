"""Each way to start the program: what serves whom, and with which exit status it ends."""

from __future__ import annotations

import os
import pty
import socket
import subprocess
from pathlib import Path

import pytest

from tests.clients.servers import EACH_WAY, ENVIRONMENT, PROGRAM, Starter, free_port, is_listening
from tests.support.machine import typed

GREETING = "220 mydomain.com SMTP (RFC 822) mailrecv"
GOODBYE = "221 mydomain.com closing connection"


@pytest.mark.parametrize("way", EACH_WAY)
def test_a_session(start: Starter, way: str) -> None:
    """Every way in greets, delivers, says goodbye, closes, and logs who was there."""
    server = start.server(way)
    with server.connect() as client:
        client.envelope("me", "list", "pipe")
        assert client.ask("Hello\r\n.")[:6] == "250 OK"
        assert client.ask("QUIT") == GOODBYE
        assert client.rest() == []
    site = server.site
    assert site.appended == [b"Hello\n"]
    assert site.in_maildir == [b"Hello\n"]
    assert site.piped == b"Hello\n"
    assert "SMTP connection from remote host unknown [127.0.0.1]" in site.log
    assert "connection closed (quit): 7 commands, 1 messages, 3 recipients, 0 refusals" in site.log


@pytest.mark.parametrize("way", EACH_WAY)
def test_several_clients_at_once(start: Starter, way: str) -> None:
    """A client that waits does not keep others waiting."""
    server = start.server(way)
    with server.connect() as first, server.connect() as second:
        assert second.reply() == first.reply() == GREETING
        assert second.ask("QUIT") == first.ask("QUIT") == GOODBYE


@pytest.mark.parametrize("last, status", [("QUIT", 0), ("NOOP", 1)])
def test_standard_streams(start: Starter, last: str, status: int) -> None:
    """With pipes at its standard streams, a session is with localhost; it ends with 0 after QUIT, else with 1."""
    command = [*PROGRAM, "--as-root", "-c", str(start.site().config)]
    ended = subprocess.run(command, input=typed("HELO me", last), capture_output=True, env=ENVIRONMENT, check=False)
    assert ended.stdout.startswith(typed(GREETING, "250 mydomain.com Hello localhost [127.0.0.1]"))
    assert (ended.returncode, ended.stdout.count(b"\r\n"), ended.stderr) == (status, 3, b"")


def test_terminal(start: Starter) -> None:
    """At a terminal a person types lines, reads replies, and sees the log beside them."""
    site = start.site("logfile syslog")
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "r+b", buffering=0) as terminal:
        process = start.process([*PROGRAM, "-c", str(site.config)], site, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        terminal.write(b"helo me\nquit\n")
        shown = b""
        while GOODBYE.encode() not in shown:
            shown += terminal.read(4096)
        assert process.wait() == 0
    assert b"250 mydomain.com Hello localhost" in shown
    assert b"SMTP connection from remote host" in shown


@pytest.mark.parametrize(
    "directive, sent, last_reply, status",
    [
        ("", b"QUIT\r\n", GOODBYE, 0),
        ("", b"NOOP\r\n", "250 OK", 1),
        ("", b"", GREETING, 1),
        ("limit.smtp_commands 0", b"QUIT\r\n", "421 Too many commands, try again later", 1),
        ("allow remotehost ^10\\.", b"QUIT\r\n", "554 This server takes no mail from your host", 1),
    ],
)
def test_exit_status_of_a_session(start: Starter, directive: str, sent: bytes, last_reply: str, status: int) -> None:
    """A session ends with 0 after QUIT, and with 1 when the client left or was turned away."""
    session = start.session(directive)
    session.wire.send(sent)
    session.wire.socket.shutdown(socket.SHUT_WR)
    assert session.wire.rest()[-1] == last_reply
    assert session.exit_status() == status


def test_listen_ends_with_0(start: Starter) -> None:
    """The resident server ends with 0 when it is told to stop."""
    server = start.server("listen")
    server.site.wait_for_log("listening on")
    server.process.terminate()
    assert server.process.wait() == 0


@pytest.mark.parametrize(
    "host, shown",
    [("::1", "[::1]"), ("::ffff:127.0.0.1", "[127.0.0.1]")],
)
def test_listen_on_ipv6(start: Starter, host: str, shown: str) -> None:
    """An IPv6 client is known by its address, an IPv4 client on an IPv6 socket by its IPv4 address."""
    site, port = start.site(), free_port()
    start.process([*PROGRAM, "listen", "-c", str(site.config), f"[{host}]:{port}"], site)
    site.wait_for_log("listening on")
    with socket.create_connection((host, port)) as connection, connection.makefile("rb") as replies:
        connection.sendall(b"HELO me\r\nQUIT\r\n")
        assert replies.read().decode().splitlines()[1] == f"250 mydomain.com Hello unknown {shown}"


def test_listen_on_the_default_address(start: Starter) -> None:
    """A port alone means this port of 127.0.0.1."""
    site, port = start.site(), free_port()
    start.process([*PROGRAM, "listen", "-c", str(site.config), str(port)], site)
    site.wait_for_log(f"listening on 127.0.0.1 port {port}")
    assert is_listening(port)


def test_listen_where_somebody_else_listens(start: Starter) -> None:
    """A port that is taken is told, with exit status 69 (EX_UNAVAILABLE)."""
    site = start.site()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = "{}:{}".format(*taken.getsockname())
        process = start.process([*PROGRAM, "listen", "-c", str(site.config), address], site)
        assert process.wait() == 69
    assert site.errors.startswith(f"mailrecv: cannot listen on {address}: Address already in use; another program has")


def test_datagram_socket(start: Starter) -> None:
    """A socket that is no stream is no client: exit status 64 (EX_USAGE)."""
    site = start.site()
    with socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        process = start.process([*PROGRAM, "-c", str(site.config)], site, stdin=datagrams)
        assert process.wait() == 64
    assert "a stream socket is needed" in site.errors


def test_client_on_a_unix_socket(start: Starter, tmp_path: Path) -> None:
    """A client without an address, on an AF_UNIX socket, is on this machine: localhost."""
    site = start.site()
    ours, theirs = socket.socketpair()
    with ours, theirs, ours.makefile("rb") as replies:
        process = start.process([*PROGRAM, "-c", str(site.config)], site, stdin=theirs, stdout=theirs, stderr=theirs)
        theirs.close()
        ours.sendall(b"HELO me\r\nQUIT\r\n")
        assert replies.read() == typed(GREETING, "250 mydomain.com Hello localhost [127.0.0.1]", GOODBYE)
    assert process.wait() == 0


@pytest.mark.parametrize("options", [["--no-such-option"], ["-d", "q"], ["no-such-action"], ["-c"]])
def test_usage_error_with_a_client_waiting(start: Starter, options: list[str]) -> None:
    """A usage error is exit status 64, and a client that waits is told to come again."""
    session = start.session(arguments=options)
    (reply,) = session.wire.rest()
    assert reply.startswith("421 ")
    assert reply.endswith(" Service not available, try again later")
    assert session.exit_status() == 64
