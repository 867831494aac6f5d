"""The driver of a session, over a socket pair: what only the driver does, and the real clients cannot show."""

from __future__ import annotations

import re
import socket
import threading
import time
from email import message_from_bytes
from email.utils import getaddresses
from pathlib import Path

import pytest

from mailrecv.client import Client
from mailrecv.delivery.spool import Spool
from mailrecv.journal.log import open_journal
from mailrecv.server.channel import SocketChannel, Stop
from mailrecv.server.session import Session
from tests.clients.servers import wait_until
from tests.support.configs import config, unasked_client
from tests.support.delivery import messages_in
from tests.support.machine import split_replies, typed

ENVELOPE = ["HELO x", "MAIL FROM:<a@b>", "RCPT TO:<me@mydomain.com>", "DATA"]


class Driven:
    """A session in a thread.  client: the other end of its connection.  mbox: where mail for me@mydomain.com goes."""

    def __init__(self, folder: Path, *directives: str, who: Client | None = None, seconds: float = 10) -> None:
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
            deadline=time.monotonic() + seconds,
        )
        self.quit: bool | None = None
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        self.quit = self._session.run()

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

    def talk(self, *lines: str) -> list[str]:
        """Send these lines and return all replies, up to the end of the session."""
        self.client.sendall(typed(*lines))
        self.client.shutdown(socket.SHUT_WR)
        return split_replies(b"".join(iter(lambda: self.client.recv(4096), b"")))


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


@pytest.mark.parametrize("limit, seconds", [("idle_secs", 10), ("connection_secs", 1)])
def test_client_that_does_not_read_the_last_replies(tmp_path: Path, limit: str, seconds: float) -> None:
    """A client that took its leave, but never reads, holds the session no longer than the limits say."""
    with Driven(tmp_path, "limit.idle_secs 1" if limit == "idle_secs" else "", seconds=seconds) as driven:
        driven.client.sendall(typed(*["HELP"] * 200, "QUIT"))
        wait_until(lambda: "connection closed" in driven.log, "the end of the session")
    assert f"limit.{limit} exceeded" in driven.log
    assert f"connection closed ({limit})" in driven.log
    assert "internal error" not in driven.log
