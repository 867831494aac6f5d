"""A session of the real server over a socket pair, all of it in one call, and a walk to compare it with."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from mailrecv.client import Client
from mailrecv.config.reader import read_config, split_lines
from mailrecv.diagnosis.advice import Source
from mailrecv.diagnosis.service import Service
from mailrecv.diagnosis.walk import ID, Walk, walk
from mailrecv.journal.log import open_journal
from mailrecv.server.channel import SocketChannel, Stop
from mailrecv.server.session import Session
from tests.support.machine import split_replies

DOMAIN = "mydomain.com"
MESSAGE = b"Hello\r\n.\r\n"


def myself() -> Service:
    """Return the service as if whoever runs the tests ran it, root or not."""
    return Service("me", os.geteuid(), os.getegid(), tuple(os.getgroups()), "as a test says", certain=False)


def walked(path: Path, client: Client, sender: str, recipient: str, service: Service | None = None) -> Walk:
    """Return the walk through the configuration at `path`."""
    source = Source(str(path), split_lines(path.read_bytes()))
    return walk(read_config(str(path)), source, DOMAIN, client, service or myself(), sender=sender, recipient=recipient)


def session_replies(path: Path, client: Client, octets: bytes) -> list[str]:
    """Return all replies of a session with a client that sends these octets and hears the rest."""
    here, there = socket.socketpair()
    with here:
        here.sendall(octets)
        here.shutdown(socket.SHUT_WR)
        Session(
            SocketChannel(there, Stop()),
            client,
            config=read_config(str(path)),
            domain=DOMAIN,
            journal=open_journal(os.devnull),
            began=time.monotonic(),
        ).run()
        return split_replies(b"".join(iter(lambda: here.recv(65536), b"")))


def compare(path: Path, who: Callable[[], Client], sender: str, recipient: str) -> Walk:
    """Walk, send the real server what the walk sent, and check that it says the same. Return the walk.

    who: makes the client anew, since each asks for its name once.
    """
    way = walked(path, who(), sender, recipient)
    lines = [step.command.encode("utf-8", "surrogateescape") for step in way.steps[1:]]
    octets = b"".join(line + b"\r\n" for line in lines)
    expected = [_text(step.reply.octets()) for step in way.steps]
    if way.end is not None:
        octets += MESSAGE
        expected.append(_text(way.end.octets()))
    assert _without_id(session_replies(path, who(), octets)) == expected
    return way


def _text(octets: bytes) -> str:
    return split_replies(octets)[0]


def _without_id(replies: Sequence[str]) -> list[str]:
    """Return replies with ID for the id of the message, which ends the reply to it."""
    return [re.sub(r"\b[0-9a-f]{21}(?=\)?$)", ID, reply) for reply in replies]
