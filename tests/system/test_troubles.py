"""What goes wrong around the program: the client is never told a lie, and the socket stays open."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.system.mailhost import MailHost

FAULT = "/etc/mailrecv.conf:1:1: unknown directive domian"


def test_faulty_configuration(server: MailHost) -> None:
    """Clients are told to come again, and both `systemctl status` and the journal tell the administrator why."""
    server.configure(config="domian mydomain.com\n")
    with server.connect() as client:
        (reply,) = client.rest()
    assert reply[:3] == "421"
    server.wait_for_sessions(0)
    assert any(FAULT in message for message in server.messages("--unit=mailrecv@*", "--priority=err"))
    assert FAULT in server.run("systemctl", "status", "--full", "system-mailrecv.slice")
    assert server.listens()
    server.configure()
    assert server.send("me")[:3] == "250"


@pytest.mark.parametrize(
    "route, reply",
    [
        ("", "421 The server is going down, try again later"),  # it waits for the client
        ("deliver rcpt_to hangs@mydomain.com pipe sleep 1000", ""),  # it waits for a command, so it gets no last word
    ],
)
def test_session_over_its_time(server: MailHost, route: str, reply: str) -> None:
    """systemd ends a session that is over RuntimeMaxSec, with all that it runs; nothing counts as delivered."""
    server.configure(route)
    with (
        server.drop_in("mailrecv@.service", "[Service]\nRuntimeMaxSec=1\nTimeoutStopSec=1\n"),
        server.connect() as client,
    ):
        client.envelope("hangs" if route else "me")
        client.send(b"Hello\r\n.\r\n" if route else b"Hello\r\n")
        assert client.rest() == ([reply] if reply else [])
        server.wait_for_sessions(0)
    assert any("reached runtime time limit" in message for message in server.messages())
    assert server.run("find", "/proc", "-maxdepth", "1", "-user", "mailrecv") == ""
    assert server.mail.appended == []
    assert server.send("me")[:3] == "250"


@pytest.fixture
def small_var(server: MailHost) -> Generator[MailHost, None, None]:
    """The machine with /var on a file system of its own, a small one."""
    server.shell(
        "apt-get clean && mount -t tmpfs -o size=64m tmpfs /mnt && cp -a /var/. /mnt && mount --bind /mnt /var"
    )
    yield server
    server.shell("umount --lazy /var && umount /mnt")


def test_full_var(small_var: MailHost) -> None:
    """While /var is full senders are told to come again; when there is room they succeed, and no mailbox is broken."""
    server = small_var
    assert server.send("me", body="before")[:3] == "250"
    server.shell("! dd if=/dev/zero of=/var/filler bs=4k 2>/dev/null")
    assert server.send("me", body="full" * 2000)[:3] == "451"
    assert server.send("list", body="full" * 2000)[:3] == "451"
    assert server.send("pipe", body="full" * 2000)[:3] == "451"
    server.path("/var/filler").unlink()
    assert server.send("me", "list", "pipe", body="after")[:3] == "250"
    assert server.mail.appended == [b"before\n", b"after\n"]
    assert server.mail.in_maildir == [b"after\n"]
    assert server.mail.piped == b"after\n"
