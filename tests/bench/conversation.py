"""A client in Python, for what smtp-source cannot do: take the time of each step, and meet a refusal.

It waits for each reply before it goes on. What it costs itself is in no figure but the seconds.
"""

from __future__ import annotations

import socket
import time
from typing import Self

from tests.bench.addresses import CLIENT, RECIPIENT, SENDER

PATIENCE_SECONDS = 600.0
LINE = b"SGVyZSBpcyBhIGxpbmUgYXMgYW4gYXR0YWNobWVudCBoYXMgdGhlbSwgaW4gYmFzZTY0LiBJdCBp\r\n"
SHORT_MAIL = b"Subject: measured\r\n\r\n" + LINE * 50  # about 4,000 octets, like the load's


def mail_data(megabytes: float) -> bytes:
    """Return mail data of this size, as an attachment makes it: lines of 76 letters."""
    return LINE * round(megabytes * 1e6 / len(LINE))


class Conversation:
    """A session seen from the client; it is ended with QUIT.  connection: to the server."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._connection.settimeout(PATIENCE_SECONDS)
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # the last dot is not to wait
        self._replies = connection.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._replies.close()
        self._connection.close()

    def begin(self) -> None:
        """Read the greeting, and introduce oneself."""
        self.expect("220")
        self.ask(f"HELO {CLIENT}")

    def expect(self, code: str) -> None:
        """Read a reply. Raises RuntimeError for one with another code."""
        reply = self._replies.readline().decode("ascii", "replace")
        if not reply.startswith(code):
            raise RuntimeError(f"{code} expected, but the server said {reply!r}")

    def ask(self, command: str, code: str = "250") -> None:
        """Send a command and read the reply, which has to have this code."""
        self._connection.sendall(command.encode("ascii") + b"\r\n")
        self.expect(code)

    def send(self, octets: bytes, *recipients: str) -> float:
        """Send a message; return the seconds from the first octet of its data to the 250."""
        self.ask(f"MAIL FROM:<{SENDER}>")
        for recipient in recipients or (RECIPIENT,):
            self.ask(f"RCPT TO:<{recipient}>")
        self.ask("DATA", "354")
        began = time.perf_counter()
        self._connection.sendall(octets)
        self._connection.sendall(b".\r\n")
        self.expect("250")
        return time.perf_counter() - began

    def end(self) -> None:
        """Say QUIT, and close the connection when the server has said goodbye."""
        self.ask("QUIT", "221")
        self.__exit__()


def connect(port: int) -> Conversation:
    """Return a conversation with the server at a port of 127.0.0.1."""
    return Conversation(socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS))
