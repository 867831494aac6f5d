"""What the program was started with: a socket from systemd or from inetd, or a person's standard streams.

A socket that came as standard input came as standard output and standard error too (xinetd does that). It is moved
away from there at once, so that nothing which prints, now or later, can reach the client.
"""

from __future__ import annotations

import os
import socket
import stat

from mailrecv.client import socket_address
from mailrecv.server.passed import passed_fds

_STANDARD_STREAMS = (0, 1, 2)


class UnservedFamily(Exception):
    """A socket tells nothing of its other end that the configuration could speak of.  name: of its address family."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class ActivationError(Exception):
    """What the program was started with is nothing it can serve."""


def open_closed_streams() -> None:
    """Open each standard stream that is closed to nowhere, or the next file that is opened would take its place."""
    while (fd := os.open(os.devnull, os.O_RDWR)) in _STANDARD_STREAMS:
        pass
    os.close(fd)


def take_socket() -> socket.socket | None:
    """Return the socket that this process was started with, or None when there is none.

    It is a connected stream socket or a listening one. Raises ActivationError for anything else.
    """
    open_closed_streams()
    given = _take_from_systemd() or _take_from_standard_input()
    if given is not None and given.type != socket.SOCK_STREAM:
        raise ActivationError(f"a stream socket is needed (ListenStream=), this one is {given.type.name}")
    return given


def is_listening(given: socket.socket) -> bool:
    """Say whether a socket accepts connections, rather than being one."""
    return bool(given.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def peer_address(connection: socket.socket) -> str | None:
    """Return the client's address, or None for a peer on this machine without one (AF_UNIX).

    Raises OSError when it has left; and UnservedFamily. A virtual machine, by AF_VSOCK, must not count as this machine,
    which may do more than others.
    """
    family = connection.family
    if family not in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6):
        raise UnservedFamily(getattr(family, "name", f"family {family}"))
    peer = connection.getpeername()
    return None if family == socket.AF_UNIX else socket_address(peer)


def _take_from_systemd() -> socket.socket | None:
    try:
        fds = passed_fds()
        if len(fds) > 1:
            raise ActivationError(f"one socket is needed (a single ListenStream=), systemd gave {len(fds)}")
        for fd in fds:
            os.set_inheritable(fd, False)
            return socket.socket(fileno=fd)
    except ValueError:
        raise ActivationError("LISTEN_FDS, which only systemd should set, is no number") from None
    except OSError as error:
        what = f"LISTEN_FDS, which only systemd should set, does not stand for a socket: {error.strerror}"
        raise ActivationError(what) from None
    return None


def _take_from_standard_input() -> socket.socket | None:
    status = os.fstat(0)
    if not stat.S_ISSOCK(status.st_mode):
        return None
    given = socket.socket(fileno=os.dup(0))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for fd in _STANDARD_STREAMS:
        if os.path.samestat(os.fstat(fd), status):
            os.dup2(nowhere, fd)
    os.close(nowhere)
    return given
