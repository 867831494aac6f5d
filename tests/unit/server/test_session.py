"""The driver of a session, over a socket pair: what only the driver does, and the real clients cannot show."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable
from email import message_from_bytes
from email.utils import getaddresses
from pathlib import Path

import pytest

from mailrecv.client import Client, Lookup
from mailrecv.delivery.spool import Spool
from mailrecv.journal.log import open_journal
from mailrecv.server.channel import SocketChannel, Stop
from mailrecv.server.session import Session
from tests.clients.servers import wait_until
from tests.support.configs import config, unasked_client
from tests.support.delivery import messages_in
from tests.support.machine import split_replies, typed

TOO_LATE = "421 No recipient was taken in time, closing"

ENVELOPE = ["HELO x", "MAIL FROM:<a@b>", "RCPT TO:<me@mydomain.com>", "DATA"]


class Driven:
    """A session in a thread.  client: the other end of its connection.  mbox: where mail for me@mydomain.com goes."""

    def __init__(self, folder: Path, *directives: str, who: Client | None = None) -> None:
        self._log = folder / "log"
        self.mbox = folder / "mbox"
        self.client, server = socket.socketpair()
        for end in (self.client, server):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.client.settimeout(10)
        standard = ["limit.fcrdns_check off", f"deliver rcpt_to me@mydomain.com append {self.mbox}"]
        self._session = Session(
            SocketChannel(server, Stop()),
            who or unasked_client(),
            config=config(*standard, *directives),
            domain="mydomain.com",
            journal=open_journal(str(self._log), "srw+F"),
            began=time.monotonic(),
        )
        self.quit: bool | None = None
        self.counts: list[bool] = []  # what whoever counts connections was told
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        self.quit = self._session.run(self.counts.append)

    def __enter__(self) -> Driven:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self._thread.join()

    @property
    def log(self) -> str:
        """What was recorded so far."""
        return self._log.read_text() if self._log.exists() else ""

    def hear(self, number: int) -> list[str]:
        """Return the next replies, so many, each a line."""
        octets = b""
        while octets.count(b"\r\n") < number:
            octets += self.client.recv(1)
        return split_replies(octets)

    def rest(self) -> list[str]:
        """Return the replies up to the end of the session."""
        return split_replies(b"".join(iter(lambda: self.client.recv(4096), b"")))

    def talk(self, *lines: str) -> list[str]:
        """Send these lines and return all replies, up to the end of the session."""
        self.client.sendall(typed(*lines))
        self.client.shutdown(socket.SHUT_WR)
        return self.rest()


@pytest.fixture
def pass_seconds(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """What makes the monotonic clock go forward by so many seconds."""
    passed: list[float] = []
    now = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: now() + sum(passed))
    return passed.append


def test_quit(tmp_path: Path) -> None:
    """A session says whether its client took leave."""
    with Driven(tmp_path) as driven:
        assert driven.talk("QUIT")[-1] == "221 mydomain.com closing connection"
    assert driven.quit is True
    with Driven(tmp_path) as driven:
        driven.talk("NOOP")
    assert driven.quit is False


def test_recipient_given_twice(tmp_path: Path) -> None:
    """A recipient that is given twice, in whatever letter case, gets one copy."""
    with Driven(tmp_path) as driven:
        driven.talk(*ENVELOPE[:3], "RCPT TO:<ME@MyDomain.com>", "DATA", "Hello", ".", "QUIT")
    assert driven.mbox.read_bytes().count(b"\nHello\n") == 1
    assert "WARNING: <ME@MyDomain.com> was given twice, and gets one copy" in driven.log


def test_many_recipients_in_the_dead_letters(tmp_path: Path) -> None:
    """A message for a hundred recipients that no line speaks of, and for one whose copy fails, is there once.

    It names them all, and the log has an entry for each.
    """
    strangers = [f"{'x' * 200}{number}@mydomain.com" for number in range(98)]
    directives = [f"deadletter_file {tmp_path}/dead", f"deliver rcpt_to fails@mydomain.com append {tmp_path}/no/mbox"]
    to = ["me@mydomain.com", "fails@mydomain.com", *strangers]
    with Driven(tmp_path, *directives) as driven:
        replies = driven.talk(*ENVELOPE[:2], *(f"RCPT TO:<{one}>" for one in to), "DATA", "Subject: x", ".", "QUIT")
    assert replies[-2].startswith("250 OK")
    (copy,) = messages_in(tmp_path / "dead")
    assert copy.startswith(b"Return-Path: <a@b>\nX-Envelope-To: <x")
    named = getaddresses([message_from_bytes(copy)["X-Envelope-To"]])
    assert [address for _, address in named] == [*strangers, "fails@mydomain.com"]
    assert copy.endswith(b"\nSubject: x\n")
    for stranger in strangers:
        assert driven.log.count(f"to=<{stranger}> route=append {tmp_path}/dead size=11 seconds=") == 1
    assert "to=<fails@mydomain.com> route=append" in driven.log
    assert driven.log.count("kept with the dead letters") == 1


def test_mail_data_that_cannot_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mail data that cannot be kept is read to its end and refused for now, and the session goes on."""

    def fail(spool: Spool, octets: bytes) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched, Driven(tmp_path) as driven:
        patched.setattr(Spool, "write", fail)
        replies = driven.talk(*ENVELOPE, "Hello", ".", "NOOP", "QUIT")
    assert replies[-3:] == [
        "452 The message cannot be stored now, try again later",
        "250 OK",
        "221 mydomain.com closing connection",
    ]
    assert not driven.mbox.exists()
    assert "ERROR: the mail data cannot be kept: No space left on device" in driven.log
    assert re.search(r"from=<a@b> to=<me@mydomain\.com> .* not delivered for now: 452 ", driven.log)


def test_mail_data_that_is_too_large(tmp_path: Path) -> None:
    """The refusal of a message that is too large is recorded for each recipient, and the session goes on."""
    with Driven(tmp_path, "limit.smtp_data_size 100 552 Too much") as driven:
        replies = driven.talk(*ENVELOPE, *["Hello"] * 100, ".", "MAIL FROM:<c@d>", "QUIT")
    assert replies[-3:] == ["552 Too much", "250 OK", "221 mydomain.com closing connection"]
    assert re.search(r"from=<a@b> to=<me@mydomain\.com> .* not delivered: 552 Too much", driven.log)
    assert not driven.mbox.exists()


@pytest.mark.parametrize("limit", ["idle_secs", "connection_secs", "start_secs"])
def test_client_that_does_not_read_the_last_replies(tmp_path: Path, limit: str) -> None:
    """A client that took its leave, but never reads, holds the session no longer than the limits say."""
    with Driven(tmp_path, f"limit.{limit} 1") as driven:
        driven.client.sendall(typed(*["HELP"] * 200, "QUIT"))
        wait_until(lambda: "connection closed" in driven.log, "the end of the session")
    assert f"limit.{limit} exceeded" in driven.log
    assert f"connection closed ({limit})" in driven.log
    assert "internal error" not in driven.log


# What the client calls itself


@pytest.mark.parametrize(
    "hello, received, for_commands, logged",
    [
        (b"HELO", "unknown", "", ""),
        (b"HELO \t", "unknown", "", ""),
        (b"HELO b\xfcro", "unknown", "", "b\udcfcro"),
        ("HELO büro".encode(), "unknown", "", "büro"),
        (b"HELO -v", "?v", "?v", "-v"),
        (b"HELO --help", "?-help", "?-help", "--help"),
        (b"HELO a-b (x)", "a-b??x?", "a-b (x)", "a-b (x)"),
    ],
)
def test_a_strange_name(tmp_path: Path, hello: bytes, received: str, for_commands: str, logged: str) -> None:
    """A client may call itself anything; where others see it, that is nothing they could take for something else."""
    pipe = f"deliver rcpt_to pipe@mydomain.com pipe printf '(%s)' \"$CLIENT_HELO\" >{tmp_path}/helo"
    with Driven(tmp_path, pipe) as driven:
        driven.client.sendall(
            typed(hello, "MAIL FROM:<a@b>", "RCPT TO:<me@mydomain.com>", "RCPT TO:<pipe@mydomain.com>")
        )
        assert [reply[:3] for reply in driven.talk("DATA", "x", ".", "QUIT")] == [
            "220",
            "250",
            "250",
            "250",
            "250",
            "354",
            "250",
            "221",
        ]
    assert f"\nReceived: from {received} (unknown [192.0.2.7]) by " in driven.mbox.read_text()
    assert (tmp_path / "helo").read_text() == f"({for_commands})"


def test_a_sender_of_another_form(tmp_path: Path) -> None:
    """It is stored, logged and handed on as it is written."""
    pipe = f'deliver rcpt_to pipe@mydomain.com pipe printf %s "$SENDER" >{tmp_path}/sender'
    with Driven(tmp_path, pipe) as driven:
        driven.talk(
            "HELO x",
            "MAIL FROM: UPS < ups  (room 4)@x >",
            "RCPT TO:<pipe@mydomain.com>",
            "RCPT TO:<me@mydomain.com>",
            "DATA",
            ".",
            "QUIT",
        )
    assert (tmp_path / "sender").read_text() == "ups  (room 4)@x"
    mbox = driven.mbox.read_text()
    assert mbox.startswith("From ups__(room_4)@x ")
    assert "\nReturn-Path: <ups  (room 4)@x>\n" in mbox
    assert "from=<ups  (room 4)@x> to=<me@mydomain.com>" in driven.log


# Clients that are no mail servers


@pytest.mark.parametrize(
    "octets, told",
    [
        (b"GET / HTTP/1.0\r\n\r\n", "421 That is HTTP, and this server speaks SMTP"),
        (b"\x16\x03\x01", "421 That is TLS, and this server speaks SMTP without it"),
        (b"RSET\r\nTo: me\r\n", "421 That is a line of a message: say DATA first"),
    ],
)
def test_what_it_was_is_in_the_log(tmp_path: Path, octets: bytes, told: str) -> None:
    """The client hears why, and so does who reads the log; nothing waits for what may still come."""
    with Driven(tmp_path) as driven:
        driven.client.sendall(octets)
        replies = driven.rest()
    assert replies[-1] == told
    assert f"ERROR: {told}\n" in driven.log
    assert "connection closed (refused)" in driven.log


# Mail data whose end was missed


@pytest.mark.parametrize("cause", ["idle_secs", "connection_secs", "left"])
def test_a_missed_end(tmp_path: Path, pass_seconds: Callable[[float], None], cause: str) -> None:
    """However a session ends whose client takes its message for sent, the log says what was wrong with its end."""
    with Driven(tmp_path, "limit.idle_secs 1" if cause == "idle_secs" else "") as driven:
        driven.client.sendall(typed(*ENVELOPE) + b"Subject: x\n\nHello\n.\nQUIT\n")
        assert driven.hear(5)[-1][:3] == "354"  # all that was sent has been read before that was said
        if cause == "connection_secs":
            pass_seconds(601)
            driven.client.sendall(b"x")
        elif cause == "left":
            driven.client.shutdown(socket.SHUT_WR)
        driven.rest()
    (line,) = [line for line in driven.log.splitlines() if "was not complete" in line]
    assert "[192.0.2.7] WARNING: the message was not complete: the dot at its end came with a bare LF" in line
    assert f"connection closed ({cause})" in driven.log
    assert not driven.mbox.exists()


def test_no_missed_end(tmp_path: Path) -> None:
    """Of mail data that broke off, or that came to its end after all, there is nothing of the kind to say."""
    for octets in (b"Hello\r\n", b"Hello\n.\nHello\r\n.\r\n"):
        with Driven(tmp_path) as driven:
            driven.client.sendall(typed(*ENVELOPE) + octets)
            driven.talk()
        assert "was not complete" not in driven.log


# The time to begin


def test_a_client_that_says_nothing(tmp_path: Path) -> None:
    """A client that connects and says nothing is sent away."""
    with Driven(tmp_path, "limit.start_secs 1") as driven:
        assert driven.rest()[-1] == TOO_LATE
    assert "limit.start_secs exceeded" in driven.log
    assert "connection closed (start_secs)" in driven.log


def test_a_client_that_never_comes_to_the_point(tmp_path: Path, pass_seconds: Callable[[float], None]) -> None:
    """So is one that talks, but names nobody who takes mail."""
    with Driven(tmp_path) as driven:
        lines = typed("HELO x", "MAIL FROM:<a@b>", "RCPT TO:<nobody@mydomain.com>")
        driven.client.sendall(lines)
        assert [reply[:3] for reply in driven.hear(4)] == ["220", "250", "250", "550"]
        pass_seconds(61)
        driven.client.sendall(lines)
        assert driven.rest()[-1] == TOO_LATE


def test_a_recipient_in_time(tmp_path: Path, pass_seconds: Callable[[float], None]) -> None:
    """After the first recipient that was taken the limit is over, for whatever comes in the session."""
    with Driven(tmp_path) as driven:
        driven.client.sendall(typed(*ENVELOPE[:3]))
        assert driven.hear(4)[-1] == "250 OK"
        pass_seconds(61)
        assert driven.talk("RSET", "NOOP", *ENVELOPE[1:], "Hello", ".", "QUIT")[-1][:3] == "221"
    assert driven.mbox.read_bytes().endswith(b"\nHello\n\n")


@pytest.mark.parametrize("address", ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"])
def test_a_person_types_slowly(tmp_path: Path, pass_seconds: Callable[[float], None], address: str) -> None:
    """Who is on this machine may take more time."""
    with Driven(tmp_path, who=unasked_client(address)) as driven:
        driven.hear(1)
        pass_seconds(61)
        assert driven.talk("HELO x", "QUIT")[-1][:3] == "221"


@pytest.mark.parametrize(
    "limits, limit", [(("start_secs 1",), "start_secs"), (("connection_secs 1",), "connection_secs")]
)
def test_dns_that_takes_too_long(tmp_path: Path, limits: tuple[str, ...], limit: str) -> None:
    """A wait for DNS is a part of the time that a client has to begin."""
    asked = threading.Event()
    who = Client("192.0.2.7", resolve=lambda _: Lookup(str(asked.wait(10)), temporary=False, steps=()))
    with Driven(tmp_path, *(f"limit.{one}" for one in limits), "allow remotehost example$", who=who) as driven:
        assert driven.talk()[0][:3] == "421"
        asked.set()
    assert f"limit.{limit} exceeded" in driven.log


def test_dns_after_the_first_recipient(tmp_path: Path, pass_seconds: Callable[[float], None]) -> None:
    """For a name that is asked for later there is as much time as for the connection."""
    who = Client("192.0.2.7", resolve=lambda _: Lookup("a.example", temporary=False, steps=()))
    group = ("allowgroup +a ^a\\.example$", f"deliver allowgroup +a rcpt_to a@mydomain.com append {tmp_path}/a")
    with Driven(tmp_path, *group, who=who) as driven:
        driven.client.sendall(typed(*ENVELOPE[:3]))
        assert driven.hear(4)[-1] == "250 OK"
        pass_seconds(61)
        assert driven.talk("RCPT TO:<a@mydomain.com>", "QUIT")[-2:] == ["250 OK", "221 mydomain.com closing connection"]


# The end


@pytest.mark.parametrize("line, counts", [("QUIT", [False]), ("GET /", []), ("NOOP", [])])
def test_who_counts(tmp_path: Path, line: str, counts: list[bool]) -> None:
    """A client that said QUIT no longer counts when it has the last reply; any other does until the end."""
    with Driven(tmp_path) as driven:
        driven.client.sendall(typed(line))
        if counts:
            driven.hear(2)
            assert driven.counts == counts
        else:
            driven.client.shutdown(socket.SHUT_WR)
    assert driven.counts == counts


def test_who_does_not_take_the_last_reply_counts(tmp_path: Path) -> None:
    """Whoever says much and reads nothing, with QUIT at the end, counts as long as its replies wait."""
    with Driven(tmp_path) as driven:
        driven.client.sendall(typed(*["HELP"] * 200, "QUIT"))  # which are answered with more than the socket takes
        wait_until(lambda: driven.counts, "the last reply")
        assert driven.counts == [False, True]
