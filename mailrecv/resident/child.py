"""A worker as its supervisor knows it: a process, and a connection to talk to it."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Self

from mailrecv.resident import worker

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Child:
    """A process that was forked.

    number: by which the register knows it.  processor: that it keeps to.  retired: it was told to take no more clients.
    ready: it has told that it takes them.  unanswered: questions that it has not answered yet.
    """

    def __init__(self, number: int, processor: int, pid: int, connection: socket.socket) -> None:
        self.number = number
        self.processor = processor
        self.pid = pid
        self.connection = connection
        self.process_fd = os.pidfd_open(pid)
        self.began = time.monotonic()
        self.retired = False
        self.ready = False
        self.unanswered = 0

    @classmethod
    def fork(cls, number: int, processor: int, live: Callable[[socket.socket], None]) -> Self:
        """Return a new one.

        live: what it does, with the connection to its supervisor; it does not return here from that. Raises OSError
        when the system has no process or descriptor to give.
        """
        ours, theirs = socket.socketpair()
        # A signal that is for this process must not be taken for its own by a child that has not changed how it deals
        # with them yet: both would note it in the same pipe.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        pid = -1
        try:
            pid = os.fork()
            if pid == 0:
                _live(live, ours, theirs, mask)
            ours.setblocking(False)
            return cls(number, processor, pid, ours)
        except OSError:
            ours.close()
            if pid > 0:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            raise
        finally:
            theirs.close()
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def tell(self, word: bytes) -> None:
        """Say something to it, without a wait: what a worker that hangs does not hear is made up for by its end."""
        with suppress(OSError):
            self.connection.send(word)

    def ask(self) -> None:
        """Ask whether it is there."""
        self.unanswered += 1
        self.tell(worker.ARE_YOU_THERE)

    def hear(self) -> None:
        """Take in what it has said."""
        with suppress(OSError):
            if self.connection.recv(1024):
                self.ready = True
                self.unanswered = 0

    def kill(self) -> None:
        """End it at once."""
        os.kill(self.pid, signal.SIGKILL)

    def bury(self) -> str:
        """Let go of it when it has ended; return how it did, or "" when that was as it should be."""
        _, status = os.waitpid(self.pid, 0)
        self.forget()
        code = os.waitstatus_to_exitcode(status)
        if code < 0:
            return f"was killed by signal {-code} ({signal.strsignal(-code)})"
        return f"ended with exit status {code}" if code else ""

    def forget(self) -> None:
        """Close what is open for it here."""
        os.close(self.process_fd)
        self.connection.close()


def _live(
    live: Callable[[socket.socket], None], ours: socket.socket, theirs: socket.socket, mask: Iterable[int]
) -> None:
    """Do what a child does, and end."""
    status = os.EX_SOFTWARE
    try:
        ours.close()
        signal.set_wakeup_fd(-1)
        # They may come to all processes at a terminal or of a service, but are the supervisor's affair. Not ignored but
        # let pass: what is ignored would be ignored by the commands that are run, too.
        for number in _SIGNALS:
            signal.signal(number, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        live(theirs)
        status = os.EX_OK
    finally:
        os._exit(status)
