"""Tells a client that it cannot be served, with one reply.

It has the last word when all else failed, so it imports next to nothing.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress

from mailrecv.reply import Reply
from mailrecv.server.activation import is_listening

_LONGEST_QUEUE = 1 << 16  # listen(2): no socket's backlog is longer; who comes after these came too late


def not_available() -> Reply:
    """Return what every client is told while this server cannot work at all."""
    return Reply(421, f"{os.uname().nodename} Service not available, try again later")


def turn_away(given: socket.socket | None) -> None:
    """Tell a client that waits on what the program was started with to come again.

    given: a connected socket; a listening one, where any number may wait; a closed one, where nobody waits; or None for
    standard input and output.
    """
    reply = not_available()
    if given is None:
        with suppress(OSError):
            os.write(1, reply.octets())
    elif given.fileno() >= 0:
        if is_listening(given):
            refuse_all(given, reply)
        else:
            refuse(given, reply)


def refuse_all(listener: socket.socket, reply: Reply) -> None:
    """Send a reply to each client that waits to be accepted, and close its connection."""
    listener.setblocking(False)
    with suppress(OSError):  # BlockingIOError: nobody waits any more
        for _ in range(_LONGEST_QUEUE):
            refuse(listener.accept()[0], reply)


def refuse(connection: socket.socket, reply: Reply) -> None:
    """Send a client one reply, if that goes without a wait, and close its connection."""
    with suppress(OSError):
        connection.send(reply.octets(), socket.MSG_DONTWAIT)
    with suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
    connection.close()
