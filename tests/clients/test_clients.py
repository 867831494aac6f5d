"""Mail clients that nobody here wrote: what they send arrives octet for octet, and the mbox can be read."""

from __future__ import annotations

import mailbox
import os
import pty
import re
import shlex
import smtplib
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.clients.servers import (
    EACH_WAY,
    PATIENCE_SECONDS,
    SYSTEMD,
    XINETD,
    Server,
    Site,
    Starter,
    unquoted,
    without_trace,
)
from tests.support.guides import README, ROOT
from tests.support.machine import split_replies, typed

# With all the headers that a client may want to add, and LF line ends.
HEADERS = (
    b"From: me@client.example\nTo: me@mydomain.com\nDate: Mon, 01 Aug 2022 12:40:13 +0000\nMessage-ID: <1@client>\n"
)
MESSAGES = {
    "dots": HEADERS + b"\n.\n..\n.a\n...\n a.\n.\n.\nend.\n",
    "From lines": HEADERS + b"\nFrom me\n>From you\n\n>>From them\n From \nFrom\n\nFrom me Mon Aug  1 12:40:13 2022\n",
    "8-bit": HEADERS + b"Subject: Gr\xc3\xbc\xc3\x9fe\n\nGr\xfc\xdfe\n\x80\xff\n\x7f\t\x01\n",
    "empty body": HEADERS + b"\n",
    "long line": HEADERS + b"\n" + b"0123456789" * 10_000 + b"\nend\n",
    "large": HEADERS + b"\n" + b"".join(b"%070d\n" % number for number in range(21_000)),
}
RECIPIENTS = ("me@mydomain.com", "list@mydomain.com")

Send = Callable[[Server, bytes], None]


def crlf(message: bytes) -> bytes:
    """Return a message as it goes over the wire."""
    return message.replace(b"\n", b"\r\n")


def smtplib_helo(server: Server, message: bytes) -> None:
    """Send with Python's client, as one that knows no EHLO."""
    with smtplib.SMTP("127.0.0.1", server.port) as client:
        client.helo("client.example")
        client.sendmail("me@client.example", RECIPIENTS, crlf(message))


def smtplib_ehlo(server: Server, message: bytes) -> None:
    """Send with Python's client, which tries EHLO first."""
    with smtplib.SMTP("127.0.0.1", server.port) as client:
        client.sendmail("me@client.example", RECIPIENTS, crlf(message))
        assert not client.does_esmtp


def smtplib_bare_lf(server: Server, message: bytes) -> None:
    """Send with Python's client what its email package makes: bare LFs, after which the client doubles dots."""
    with smtplib.SMTP("127.0.0.1", server.port) as client:
        client.sendmail("me@client.example", RECIPIENTS, message.removesuffix(b"\n") + b"\r\n")


def swaks(server: Server, message: bytes) -> None:
    """Send with swaks, which ends the last line itself."""
    (server.site.folder / "message").write_bytes(message.removesuffix(b"\n"))
    envelope = ["--from=me@client.example", f"--to={','.join(RECIPIENTS)}"]
    run(["swaks", f"--server=127.0.0.1:{server.port}", *envelope, f"--data=@{server.site.folder}/message"])


def curl(server: Server, message: bytes) -> None:
    """Send with curl."""
    to = [word for recipient in RECIPIENTS for word in ("--mail-rcpt", recipient)]
    url = f"smtp://127.0.0.1:{server.port}/client.example"
    run(["curl", "-sS", "--crlf", "-T", "-", "--mail-from", "me@client.example", *to, url], message)


def msmtp(server: Server, message: bytes) -> None:
    """Send with msmtp."""
    options = ["--host=127.0.0.1", f"--port={server.port}", "--from=me@client.example", "--file=/dev/null"]
    run(["msmtp", *options, *RECIPIENTS], message)


def nc(server: Server, message: bytes) -> None:
    """Send with nc what a mail server would send."""
    data = crlf(re.sub(rb"(?m)^\.", b"..", message))
    commands = ["MAIL FROM:<me@client.example>", *(f"RCPT TO:<{recipient}>" for recipient in RECIPIENTS), "DATA"]
    sent = run_nc(server, typed("HELO client.example", *commands) + data + typed(".", "QUIT"))
    assert [reply[:3] for reply in split_replies(sent)] == ["220", "250", "250", "250", "250", "354", "250", "221"]


def run(command: Sequence[str], octets: bytes = b"") -> bytes:
    """Run a program with these octets as its input and return its output; fail when the program does."""
    ended = subprocess.run(command, input=octets, capture_output=True, timeout=PATIENCE_SECONDS, check=False)
    assert ended.returncode == 0, ended.stdout[-2000:].decode() + ended.stderr[-2000:].decode()
    return ended.stdout


def run_nc(server: Server, octets: bytes) -> bytes:
    """Send octets with nc and return what it prints up to the end of the connection."""
    return run(["nc", "127.0.0.1", str(server.port)], octets)


CLIENTS = [
    pytest.param(smtplib_helo),
    pytest.param(smtplib_ehlo),
    pytest.param(smtplib_bare_lf),
    pytest.param(swaks, marks=pytest.mark.needs_tool("swaks")),
    pytest.param(curl, marks=pytest.mark.needs_tool("curl")),
    pytest.param(msmtp, marks=pytest.mark.needs_tool("msmtp")),
    pytest.param(nc, marks=pytest.mark.needs_tool("nc")),
]


@pytest.mark.parametrize("send", CLIENTS)
@pytest.mark.parametrize("way", [SYSTEMD, XINETD])
def test_client(start: Starter, way: str, send: Send) -> None:
    """Every message of every client arrives as it was sent, in the mbox and in the Maildir."""
    server = start.server(way)
    sent = dict(MESSAGES)
    if send is swaks:
        del sent["empty body"]  # it would add a line
    for message in sent.values():
        send(server, message)
    assert server.site.appended == list(sent.values())
    assert server.site.in_maildir == list(sent.values())


@pytest.mark.needs_tool("nc")
@pytest.mark.parametrize("way", EACH_WAY)
def test_typed_at_nc(start: Starter, way: str) -> None:
    """What a person types at nc, with bare line feeds, is answered and delivered."""
    server = start.server(way)
    assert run_nc(server, b"help\nquit\n").decode().splitlines() == [
        "220 mydomain.com SMTP (RFC 822) mailrecv",
        "214-Help:",
        "214-   HELO, DATA, RSET, NOOP, QUIT,",
        "214-   MAIL FROM:, RCPT TO:,",
        "214    VRFY, EXPN, EHLO, SEND, SOML, SAML, TURN",
        "221 mydomain.com closing connection",
    ]
    message = b"From: Me <me@mydomain.com>\nSubject: Test\n\nTest message line 1.\nTest line 2.\n"
    commands = b"helo mydomain.com\nmail from: <me@mydomain.com>\nrcpt to: <me@mydomain.com>\ndata\n"
    replies = split_replies(run_nc(server, commands + message + b".\nquit\n"))
    assert [reply[:3] for reply in replies] == ["220", "250", "250", "250", "354", "250", "221"]
    assert server.site.appended == [message]


@pytest.mark.needs_tool("free")
def test_the_output_of_a_program(start: Starter) -> None:
    """With the README's way to send a message, the output of `free` arrives as the text that it is."""
    server = start.server("listen")
    readme = (ROOT / README).read_text(encoding="utf-8")
    one_line = next(line for line in readme.splitlines() if line.startswith("$ python3 -c 'import smtplib"))
    _, _, program = shlex.split(one_line.removeprefix("$ "))
    program = program.replace("import smtplib", "import smtplib, sys").replace('"Hello"', "sys.stdin.read()")
    program = program.replace("2525", str(server.port)).replace("status@localhost", "me@mydomain.com")
    output = run(["free"])
    run([sys.executable, "-c", program], output)
    with closing(mailbox.mbox(server.site.folder / "mbox", create=False)) as box:
        (message,) = box
    assert message.get_payload(decode=True) == output
    assert message.keys() == ["Return-Path", "Received"]
    assert re.search(r" for <me@mydomain.com>; .* [+-][0-9]{4}$", message["Received"])


ANY_OCTETS = bytes(octet for octet in range(256) if octet != 0x0A)
BINARY = b"\0\r\0" + ANY_OCTETS + b"\r\r\n\r" + ANY_OCTETS[::-1] * 1000 + b"\n.\n.\r\r\0.\n\n\r\n"


@pytest.mark.parametrize("way", EACH_WAY)
@pytest.mark.parametrize(
    "data, delivered",
    [
        (BINARY, BINARY.replace(b"\r\n", b"\n")),
        (b"", b""),
        (b"\r\n", b"\n"),
        (b"..\r\n", b".\n"),
    ],
    ids=["binary", "nothing", "empty line", "dot"],
)
def test_octets(start: Starter, way: str, data: bytes, delivered: bytes) -> None:
    """Any octets arrive as they are, NUL and bare CR and LF too; only the line ends and the leading dots are undone."""
    server = start.server(way)
    with server.connect() as client:
        client.envelope("list", "pipe")
        client.send(data + typed(".", "QUIT"))
        assert [reply[:3] for reply in client.rest()] == ["250", "221"]
    assert server.site.in_maildir == [delivered]
    assert server.site.piped == delivered


# Reading the mbox


@pytest.fixture
def mbox(start: Starter) -> Path:
    """An mbox with every message in it."""
    server = start.server("listen")
    for message in MESSAGES.values():
        smtplib_helo(server, message)
    return server.site.folder / "mbox"


def test_mbox_read_by_python(mbox: Path) -> None:
    """Python's mailbox finds every message, with its sender on the line before it."""
    with closing(mailbox.mbox(mbox, create=False)) as box:
        assert [message["Message-ID"] for message in box] == ["<1@client>"] * len(MESSAGES)
        assert {message.get_from().split()[0] for message in box} == {"me@client.example"}
    assert Site(mbox.parent).appended == list(MESSAGES.values())


@pytest.mark.needs_tool("formail")
def test_mbox_read_by_formail(mbox: Path, tmp_path: Path) -> None:
    """formail splits the mbox into just these messages."""
    run(["formail", "-n", "1", "-s", "sh", "-c", f"cat >{tmp_path}/$FILENO"], mbox.read_bytes())
    found = [(tmp_path / f"{number:03}").read_bytes() for number in range(len(MESSAGES))]
    assert b"".join(found) == mbox.read_bytes()
    assert [without_trace(unquoted(one.partition(b"\n")[2]))[:-1] for one in found] == list(MESSAGES.values())


@pytest.mark.needs_tool("mutt")
def test_mbox_read_by_mutt(mbox: Path, tmp_path: Path) -> None:
    """mutt finds just these messages."""
    keys = f"<tag-pattern>~A<enter><tag-prefix><pipe-message>cat >>{tmp_path}/found<enter><exit>"
    options = f"set folder={tmp_path} quit=yes wait_key=no pipe_split=yes pipe_decode=no"
    ours, theirs = pty.openpty()
    mutt = subprocess.Popen(
        ["mutt", "-n", "-F", "/dev/null", "-R", "-e", options, "-e", f"push '{keys}'", "-f", str(mbox)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TERM": "vt100"},
    )
    os.close(theirs)
    with mutt, os.fdopen(ours, "rb", buffering=0) as screen, suppress(OSError):  # the screen is gone when mutt ends
        while screen.read(4096):
            pass
    assert mutt.returncode == 0
    assert (tmp_path / "found").read_bytes() == mbox.read_bytes()
