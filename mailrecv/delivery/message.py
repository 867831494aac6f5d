"""A message that waits to be delivered, and the trace lines that each copy of it begins with (RFC 821 §4.1.1)."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator

from mailrecv.delivery.spool import Spool
from mailrecv.values import Value

_NOT_IN_A_HOST_NAME = re.compile(r"[^A-Za-z0-9._:\[\]-]")


class Message(Value):
    """A message with its envelope.

    id: unique, in the 250 reply, the trace lines and the log.  sender: the reverse path, empty for the null path.
    helo: what the client called itself, perhaps nothing.  client_name, client_address: who it is; the name may be
    `unknown`.  domain: this server.  received: seconds since the epoch.  data: the mail data, as it came.
    """

    id: str
    sender: str
    helo: str
    client_name: str
    client_address: str
    domain: str
    received: float
    data: Spool

    def copy_for(self, recipient: str) -> Iterator[bytes]:
        """Yield the copy for one recipient in blocks: trace lines, then the mail data. Raises OSError."""
        trace = self.trace_for(recipient)
        for block in self.data.blocks():
            yield trace + block
            trace = b""
        if trace:
            yield trace

    def trace_for(self, recipient: str) -> bytes:
        """Return the Return-Path and Received lines for one recipient.

        What the client called itself is free text, so anything that could be taken for a part of the line is shown as
        `?`, and nothing at all as `unknown`. The addresses come from the grammar, which lets no control character pass.
        """
        helo = _NOT_IN_A_HOST_NAME.sub("?", self.helo) or "unknown"
        date = time.strftime("%a, %d %b %Y %H:%M:%S %z", time.localtime(self.received))
        return (
            f"Return-Path: <{self.sender}>\n"
            f"Received: from {helo} ({self.client_name} [{self.client_address}]) by {self.domain} with SMTP"
            f" id {self.id} for <{recipient}>; {date}\n"
        ).encode("utf-8", "surrogateescape")

    def from_line(self) -> bytes:
        """Return the line that begins a message in an mbox; the null path is shown as MAILER-DAEMON."""
        sender = self.sender.replace(" ", "_") or "MAILER-DAEMON"
        return f"From {sender} {time.asctime(time.gmtime(self.received))}\n".encode("utf-8", "surrogateescape")


def new_id() -> str:
    """Return an id that no other message has: the time in microseconds, then 32 random bits, in hexadecimal."""
    return f"{time.time_ns() // 1000:x}{os.urandom(4).hex()}"
