"""A message that waits to be delivered, and the trace lines that each copy of it begins with (RFC 821 §4.1.1)."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator

from mailrecv.delivery.header import OF_MBOX_READERS, OF_THIS_SERVER, set_apart
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

    def copy_for(self, *recipients: str, in_mbox: bool = False) -> Iterator[bytes]:
        """Yield the copy for one recipient, or for several that share it, in blocks. Raises OSError.

        It is the trace lines, then the mail data with its header set apart from them.
        """
        reserved = OF_THIS_SERVER | OF_MBOX_READERS if in_mbox else OF_THIS_SERVER
        trace = self.trace_for(*recipients).removesuffix(b"\n")  # that LF comes with the mail data
        for block in set_apart(self.data.blocks(), reserved):
            yield trace + block
            trace = b""

    def trace_for(self, *recipients: str) -> bytes:
        """Return the lines that tell where a copy came from, and for whom it is: `Return-Path:` and `Received:`.

        Where several recipients share the copy, `X-Envelope-To:` names them all, one on each line, and `Received:`
        none, since it has a place for one only.
        What the client called itself is free text, so anything that could be taken for a part of the line is shown as
        `?`, and nothing at all as `unknown`. The addresses come from the grammar, which lets no control character pass.
        """
        shared = len(recipients) > 1
        envelope = "X-Envelope-To: " + ",\n\t".join(f"<{one}>" for one in recipients) + "\n" if shared else ""
        whom = "" if shared else f" for <{recipients[0]}>"
        helo = _NOT_IN_A_HOST_NAME.sub("?", self.helo) or "unknown"
        date = time.strftime("%a, %d %b %Y %H:%M:%S %z", time.localtime(self.received))
        return (
            f"Return-Path: <{self.sender}>\n{envelope}"
            f"Received: from {helo} ({self.client_name} [{self.client_address}]) by {self.domain} with SMTP"
            f" id {self.id}{whom}; {date}\n"
        ).encode("utf-8", "surrogateescape")

    def from_line(self) -> bytes:
        """Return the line that begins a message in an mbox; the null path is shown as MAILER-DAEMON."""
        sender = self.sender.replace(" ", "_") or "MAILER-DAEMON"
        return f"From {sender} {time.asctime(time.gmtime(self.received))}\n".encode("utf-8", "surrogateescape")


def new_id() -> str:
    """Return an id that no other message has: the time in microseconds, then 32 random bits, in hexadecimal."""
    return f"{time.time_ns() // 1000:x}{os.urandom(4).hex()}"
