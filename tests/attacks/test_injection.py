"""Injection: whatever a client puts into a name or an address stays text wherever it goes.

It goes into the log, trace lines, the `From ` lines of an mbox, the environment of a shell command, and a terminal.
Reverse DNS names, which a client's owner can choose too, are in test_names.py.
"""

from __future__ import annotations

import mailbox
import os
import pty
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import IO

import pytest

from tests.clients.servers import PROGRAM, Server, Site, Starter, free_port, is_listening, wait_until
from tests.support.machine import typed

PWNED = "pwned"  # a file that a command of the attacker's would make
FROM_LINE = "From admin@mydomain.com Mon Aug  1 12:40:13 2022"
TEXTS: list[bytes] = [
    # for a shell
    b"$(touch pwned)",
    b"`touch pwned`",
    b"x;touch pwned;",
    b"x';touch pwned;'",
    b'x";touch pwned;"',
    b"x\\\\';touch pwned;#",
    b"|touch pwned",
    b"&touch pwned&",
    b">pwned",
    b"${IFS}touch${IFS}pwned",
    b"() { :;}; touch pwned",
    b"a[$(touch${IFS}pwned)]",
    b"*",
    b"-n",
    b"-oQ/tmp -X/tmp/pwned",
    b"../../../pwned",
    b"~root",
    # for a format
    b"%s%n%x",
    b"{0}{message}{entry.__class__}",
    b"%(message)s",
    # for a reader of headers or of an mbox
    b"x\nBcc: victim@mydomain.com",
    b"x\r\nSubject : forged\r\n\r\nforged",  # with `Subject:` for a command, the session would end
    b"x>\n\n" + FROM_LINE.encode() + b"\n\nforged",
    b"x \n \n" + FROM_LINE.encode(),
    b"x> (forged [9.9.9.9]) by mydomain.com with SMTP id 1 for <x>; now\nX: ",
    b"x Mon Aug  1 12:40:13 2022",
    b"x) (y",
    b"\x00",
    b"x\x00y",
    b"x\rSubject: forged",
    b"x\x0bSubject: forged",
    b"x\x85Subject: forged",
    "x\x85\u2028Subject: forged".encode(),
    # for a terminal
    b"\x1b]0;pwned\x07",
    b"\x1b[2J\x1b[1;31mpwned",
    b"\x1bc",
    b"\x9b2J",
    b"\xc2\x9b2J",
    b"\x08\x08\x08\x7f",
    b"\x0e\x0f\x05",
    "\u202epwned\u2066\ufeff".encode(),
    # for something that reads UTF-8
    b"\xff\xfe\xc0\xaf\xed\xa0\x80",
    "Gr\u00fc\u00dfe".encode(),
]
HONEST = b"client.example"
ACCEPTED = (b"careful", b"careless", b"me")
DIRECTIVES = (
    "debug a",
    "limit.smtp_ascii off",
    "limit.smtp_failcmds 1000",
    "limit.smtp_unknowncmd 1000",
    "deadletter_file {folder}/mbox",
    # what a careful administrator writes, and a careless one
    'deliver rcpt_to careful@mydomain.com pipe env -0 >>env; printf "%s\\0" "$SENDER" "$CLIENT_HELO" >>quoted',
    "deliver rcpt_to careless@mydomain.com pipe echo $SENDER $CLIENT_HELO $RECIPIENT $CLIENT_HOSTNAME >>bare",
)
VARIABLES = {"PATH", "HOME", "LANG", "PWD", "SENDER", "RECIPIENT", "LOCAL", "DOMAIN", "MESSAGE_SIZE", "MAILRECV_ID"}
VARIABLES |= {"CLIENT_ADDRESS", "CLIENT_HOSTNAME", "CLIENT_HELO"}
LOG_LINE = re.compile(r"[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4} MAILRECV\[\d+\]: (.+)")
DELIVERED = re.compile(r"route=append \S+ size=\d+ seconds=\S+ delivered")
COLOURS = re.compile(rb"\x1b\[[0-9;]*m")
FROM = re.compile(rb"From \S+ [A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}")


def harmless(name: bytes) -> bytes:
    """Return what a command gets for a name in HELO, of which it gets one line."""
    name = name.split(b"\r\n")[0].strip(b" \t")
    return re.sub(rb"^-", b"?", name) if name.isascii() else b""


def quoted(text: bytes) -> bytes:
    """Return a local part that means this text."""
    return b'"' + re.sub(rb'(["\\])', rb"\\\1", text) + b'"'


def attack(text: bytes) -> bytes:
    """Return a session that puts a text wherever it can; of the lines that may be refused, a harmless one follows."""
    senders = [text, quoted(text) + b"@" + HONEST, b"x@" + text, b"me@" + HONEST]
    recipients = [quoted(text) + b"@mydomain.com", b"x@" + text, text, *(b"%s@mydomain.com" % one for one in ACCEPTED)]
    return typed(
        *(b"HELO " + name for name in (HONEST, text)),
        *(b"MAIL FROM:<" + sender + b">" for sender in senders),
        *(b"RCPT TO:<" + recipient + b">" for recipient in recipients),
        *(verb + b" " + text for verb in (b"VRFY", b"NOOP", b"HELP")),
        text,
        *("DATA", "Subject: real", "", "Boo", ".", "QUIT"),
    )


TRIED = len(TEXTS) * attack(b"?").count(b"?")  # each text in each place


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The site of a server that had every text in every place."""
    starter = Starter(tmp_path_factory.mktemp("attacked"))
    server = starter.server("listen", *DIRECTIVES)
    for text in TEXTS:
        with server.connect() as client:
            client.send(attack(text))
            assert client.rest()[-2].startswith("250 OK "), text
    starter.end()
    return server.site


@pytest.mark.attacks(TRIED)
def test_nothing_is_run(attacked: Site) -> None:
    """A shell command that uses these texts, with quotes or without, runs nothing and writes nowhere but it should."""
    found = {path.name for path in attacked.folder.iterdir()}
    assert found == {"mailrecv.conf", "log", "stderr", "mbox", "env", "quoted", "bare"}
    assert (attacked.folder / "bare").read_bytes().count(b"\n") == len(TEXTS)
    assert not (Path("/tmp") / PWNED).exists()  # noqa: S108 - it must not be there


def test_a_command_gets_the_text_as_it_is(attacked: Site) -> None:
    """In the environment there are the documented variables and no others, and a quoted one is the text itself, but for
    a name in HELO that is not ASCII or that looks like an option.
    """
    environment = [entry.partition(b"=") for entry in (attacked.folder / "env").read_bytes().split(b"\0")[:-1]]
    assert {name.decode() for name, _, _ in environment} == VARIABLES
    assert len(environment) == len(VARIABLES) * len(TEXTS)
    pairs = (attacked.folder / "quoted").read_bytes().split(b"\0")[:-1]
    senders, names = set(pairs[::2]), set(pairs[1::2])
    assert names <= {HONEST, *map(harmless, TEXTS)}
    assert {HONEST, b"$(touch pwned)", b"%s%n%x", b"?n", b""} <= names
    assert {b"*", b"() { :;}; touch pwned", b"x) (y", b"x@-n"} <= senders
    assert [sender for sender in senders if sender.startswith(b"-")] == []


def test_no_header_and_no_message_is_forged(attacked: Site) -> None:
    """The mbox holds a message for all that were delivered, each with the headers of the server and of its author."""
    lines = (attacked.folder / "mbox").read_bytes().split(b"\n")
    beginnings = [line for line in lines if line.startswith(b"From ")]
    assert all(FROM.fullmatch(line) for line in beginnings)
    assert len(beginnings) > len(TEXTS)
    with closing(mailbox.mbox(attacked.folder / "mbox", create=False)) as box:
        copies = [box.get_bytes(key) for key in list(box.keys())]
    assert len(copies) == len(beginnings)
    recipients = 0
    for copy in copies:
        headers, body = copy.split(b"\n\n", 1)
        sharing = headers.count(b">,\n\t<") + 1
        names = [header.split(b" ")[0] for header in headers.replace(b"\n\t", b" ").split(b"\n")]
        assert names == [
            b"Return-Path:",
            *([b"X-Envelope-To:"] if sharing > 1 else []),
            b"Received:",
            b"Subject:",
        ]
        assert body == b"Boo\n"
        recipients += sharing
    assert recipients == len(DELIVERED.findall(attacked.log))


def test_no_log_line_is_forged(attacked: Site) -> None:
    """Each line is one of the server's, behind the client's address, and nothing but printable ASCII."""
    for line in attacked.log.splitlines():
        assert line.isascii()
        assert line.isprintable()
        logged = LOG_LINE.fullmatch(line)
        assert logged, line
        ours = (f"DEBUG: {attacked.config}:", "listening on ", "stopping: ", "repeated ")
        assert logged[1].startswith(("[127.0.0.1] ", *ours)), line


@pytest.mark.attacks(TRIED)
@pytest.mark.parametrize("loghex", ["on", "off"])
def test_a_terminal_obeys_nobody_else(start: Starter, loghex: str) -> None:
    """A person who watches the log at a terminal sees colours, and no command that a client sent."""
    site = start.site("logfile syslog", f"loghex {loghex}", *DIRECTIVES)
    ours, theirs = pty.openpty()
    port = free_port()
    command = [*PROGRAM, "listen", "-c", str(site.config), f"127.0.0.1:{port}"]
    server = Server(site, port, start.process(command, site, stderr=theirs))
    os.close(theirs)
    wait_until(lambda: is_listening(port))
    with os.fdopen(ours, "rb", buffering=0) as terminal, ThreadPoolExecutor() as threads:
        shown = threads.submit(all_of, terminal)
        for text in TEXTS:
            with server.connect() as client:
                client.send(attack(text))
                client.rest()
        server.process.terminate()
    printed = COLOURS.sub(b"", shown.result()).replace(b"\r\n", b"").decode()
    assert printed.count("connection closed (quit)") == len(TEXTS)
    assert printed.isprintable()
    assert printed.isascii() is (loghex == "on")


def all_of(terminal: IO[bytes]) -> bytes:
    """Return what is written to a terminal until the last program there ends."""
    octets = b""
    with suppress(OSError):
        while block := terminal.read(65536):
            octets += block
    return octets
