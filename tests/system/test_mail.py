"""Mail from clients that nobody here wrote, inside the machine, to each kind of destination."""

from __future__ import annotations

import stat

import pytest

from tests.system.mailhost import MailHost

MESSAGE = b"""\
From: Me <me@client.example>
To: me@mydomain.com
Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=

.
.. dots
From me: Gr\xc3\xbc\xc3\x9fe
"""
TO = ("me@mydomain.com", "list@mydomain.com", "pipe@mydomain.com")
SMTPLIB = f"""
import smtplib, sys
with smtplib.SMTP("localhost") as client:
    client.sendmail("me@client.example", {TO}, sys.stdin.buffer.read())
"""


def nc(server: MailHost) -> None:
    """Type a message at nc, with bare line feeds, as a person does."""
    commands = ["helo me", "mail from: <me@client.example>", *(f"rcpt to: <{to}>" for to in TO), "data"]
    typed = "\n".join(commands).encode() + b"\n" + MESSAGE.replace(b"\n.", b"\n..") + b".\nquit\n"
    replies = server.run("nc", "localhost", "25", octets=typed).splitlines()
    assert [reply[:3] for reply in replies] == ["220", *["250"] * 5, "354", "250", "221"]


def smtplib(server: MailHost) -> None:
    """Send with Python's client."""
    server.run("python3", "-c", SMTPLIB, octets=MESSAGE.replace(b"\n", b"\r\n"))


def swaks(server: MailHost) -> None:
    """Send with swaks, which ends the last line itself."""
    envelope = ("--from=me@client.example", f"--to={','.join(TO)}")
    server.run("swaks", "--server=localhost", *envelope, "--data=-", octets=MESSAGE[:-1])


@pytest.mark.parametrize("send", [nc, smtplib, swaks])
def test_client(server: MailHost, send: object) -> None:
    """A message arrives as it was sent in the mbox, in the Maildir and at the command, and nobody else can read it."""
    assert callable(send)
    send(server)
    assert server.mail.appended == server.mail.in_maildir == [MESSAGE]
    assert server.mail.piped == MESSAGE
    (in_maildir,) = (server.mail.folder / "maildir/new").iterdir()
    delivered = [server.mail.folder / "mbox", in_maildir, server.mail.folder / "piped"]
    user = server.run("id", "--user", "mailrecv").strip()
    assert {(str(path.stat().st_uid), stat.filemode(path.stat().st_mode)) for path in delivered} == {
        (user, "-rw-------")
    }


def test_refusal(server: MailHost) -> None:
    """swaks shows what the configuration tells a sender, and its exit status says that nobody took the message."""
    printed = server.run("swaks", "--server=localhost", "--to=nobody@mydomain.com", status=24)
    assert "<** 550 No one here by that name." in printed


def test_environment_of_a_command(server: MailHost) -> None:
    """A command runs as the service's user, with what it should know of the message in its environment."""
    server.configure("deliver rcpt_to env@mydomain.com pipe (id -un; printenv HOME SENDER RECIPIENT) >{folder}/piped")
    server.send("env")
    printed = (server.mail.folder / "piped").read_text().split()
    assert printed == ["mailrecv", "/var/lib/mailrecv", "me@client", "env@mydomain.com"]
