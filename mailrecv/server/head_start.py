"""Greets a client before the rest of the program is imported, which takes several times as long as to start Python.

That is possible where the greeting depends on nothing but the configuration and the client's address: somebody on this
machine, or no check of names, and no `allow` line. The session later decides for itself, of course, and would still
turn the client away. This module runs while standard output may be the client, so it prints nothing and imports next
to nothing; whatever fails here, there just is no head start.
"""

from __future__ import annotations

import os

from mailrecv.config.compiled import Compiled, open_compiled
from mailrecv.server.passed import passed_fds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mailrecv.config.model import Config


class HeadStart:
    """What is done already.  compiled: the configuration, if it was compiled.  sent: what the client was sent."""

    def __init__(self, compiled: Compiled | None = None, sent: bytes = b"") -> None:
        self.compiled = compiled
        self.sent = sent


def take_head_start(config_path: str) -> HeadStart:
    """Open the compiled configuration, if there is one, and greet the client if that is all it takes."""
    compiled = None
    sent = b""
    try:
        compiled = open_compiled(config_path)
        if compiled is not None and (octets := compiled.summary["greeting"]):
            fd = _given_fd()
            if _is_client(fd, checks_name=compiled.summary["fcrdns_check"]):
                _hold_signals()
                sent = octets[: os.write(fd, octets)]
    except Exception:  # noqa: BLE001, S110 - the session will meet whatever it is, and knows how to tell it
        pass
    return HeadStart(compiled, sent)


def early_greeting(config: Config) -> bytes | None:
    """Return what clients may be greeted with at once, or None if it takes more than the configuration to know."""
    from mailrecv.server.session import greeting

    return None if config.domain is None or config.allow else greeting(config.domain).octets()


def _given_fd() -> int:
    """Return the descriptor of what the program was started with, as `activation` will find it; -1 for several."""
    fds = passed_fds()
    return 0 if not fds else fds[0] if len(fds) == 1 else -1


def _is_client(fd: int, *, checks_name: bool) -> bool:
    """Say whether a descriptor is a connection of somebody whose name need not be asked for."""
    import _socket  # what `socket` is made of; all of that would take a quarter of the time that there is

    connection = _socket.socket(fileno=fd)
    try:
        peer = connection.getpeername()  # raises OSError for a listening socket, and for what is none
        if connection.type != _socket.SOCK_STREAM:
            return False
        if connection.family in (_socket.AF_INET, _socket.AF_INET6):
            return not checks_name or _is_loopback(peer[0])
        return connection.family == _socket.AF_UNIX  # the session turns all others away
    finally:
        connection.detach()


def _hold_signals() -> None:
    """Keep back the signals to stop until the session can answer them: whoever was greeted is told 421, not cut off."""
    import _signal  # type: ignore[import-not-found]  # what `signal` is made of, for the same reason

    _signal.pthread_sigmask(_signal.SIG_BLOCK, (_signal.SIGTERM, _signal.SIGINT))


def _is_loopback(address: str) -> bool:
    return address == "::1" or address.startswith(("127.", "::ffff:127."))
