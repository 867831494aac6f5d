"""Where a log can go. Each sink takes one entry at a time, with `msg`, in the form its renderer made."""

from __future__ import annotations

import array
import errno
import os
import select
import socket
import syslog
import time
from _thread import allocate_lock  # as in `processors`
from collections.abc import Callable
from contextlib import suppress

from mailrecv import trusted_path

IDENTIFIER = "mailrecv"
JOURNALD_SOCKET = "/run/systemd/journal/socket"
JOURNALD_SECONDS = 5  # how long an entry may wait for a journald that is busy with its disk
SYSLOG_SOCKET = "/dev/log"
STREAM_SECONDS = 1.0  # how long a line may wait for whoever reads standard error
_FILE_MODE = 0o644
_ROTATION_SECONDS = 0.5  # how long a log may be missing, or not ours yet, while it is rotated on a busy machine
_ROTATION_STEP_SECONDS = 0.005
# Not to wait for the reader of a FIFO: a log must never hold up a session.
_FILE_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK


class Journald:
    """systemd's journal, by its native protocol.

    libsystemd speaks that too, but waits for ever once journald hangs and its queue is full: a log must never hold up a
    session. Here an entry waits a few seconds, then its message goes to standard error; and after the first that waited
    in vain none waits, until journald takes one again.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        wait = array.array("l", (JOURNALD_SECONDS, 0)).tobytes()  # a timeval
        # Not settimeout(): that waits for room in this socket, and the kernel again, for ever, for room in the queue.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, wait)
        self._flags = 0
        self._instead = Stream()

    def __del__(self) -> None:
        self._socket.close()  # a new configuration may have come, with a log of its own

    def msg(self, *fields: str) -> None:
        """Write an entry.

        fields: NAME=value, MESSAGE first, each a line, and all together less than a datagram takes (unix(7)).
        """
        entry = "".join(f"{field}\n" for field in fields).encode("utf-8", "replace")
        try:
            self._socket.sendto(entry, self._flags, JOURNALD_SOCKET)
            self._flags = 0
        except OSError as error:
            if isinstance(error, BlockingIOError):
                self._flags = socket.MSG_DONTWAIT
            self._instead.msg(fields[0].removeprefix("MESSAGE=") + "\n")


class Syslog:
    """syslog(3), for a system without journald."""

    def __init__(self) -> None:
        syslog.openlog(IDENTIFIER, syslog.LOG_PID, syslog.LOG_MAIL)

    def msg(self, text: str, priority: int) -> None:
        """Write a line."""
        syslog.syslog(priority, text)


class File:
    """A file, opened for each line: it may be rotated at any time, and no signal is needed.

    What a stranger may have put in its place is left alone, as `trusted_path` has it.

    path: of the file.  complain: gets the error and the line when it cannot be written.
    """

    def __init__(self, path: str, complain: Callable[[OSError, str], None]) -> None:
        self._path = path
        self._complain = complain
        self._may_wait = True

    def msg(self, line: str) -> None:
        """Append a line, in one write, so that the lines of several processes never mix."""
        try:
            fd = self._open()
            try:
                os.write(fd, line.encode("utf-8", "replace"))
            finally:
                os.close(fd)
        except OSError as error:
            self._complain(error, line)

    def _open(self) -> int:
        # In a folder that is not ours, logrotate renames the file, makes a new one, and then gives it to us. If that
        # takes too long, no further line waits for it.
        deadline = time.monotonic() + _ROTATION_SECONDS if self._may_wait else 0.0
        while True:
            try:
                fd, _ = trusted_path.open_followed(trusted_path.follow(self._path), _FILE_FLAGS, _FILE_MODE)
                self._may_wait = True
                return fd
            except PermissionError as error:
                self._may_wait = error.errno == errno.EACCES and time.monotonic() < deadline
                if not self._may_wait:
                    raise
                time.sleep(_ROTATION_STEP_SECONDS)


class Stream:
    """Standard error: a terminal, or whatever started the program without a system log at hand.

    That may be journald as well, by way of systemd, or another program that does not read any more.
    """

    def __init__(self) -> None:
        self._poller = select.poll()
        self._poller.register(2, select.POLLOUT)
        self._seconds = STREAM_SECONDS
        self._turn = allocate_lock()

    def msg(self, line: str) -> None:
        """Write a line; nobody is left to be told when that fails, or waits in vain for a reader."""
        octets = line.encode("utf-8", "replace")
        with suppress(OSError), self._turn:  # or two threads would both take the last room for theirs
            for start in range(0, len(octets), select.PIPE_BUF):  # which goes without a wait if anything does
                ready = self._poller.poll(self._seconds * 1000)
                self._seconds = STREAM_SECONDS if ready else 0.0
                if not ready:
                    return
                os.write(2, octets[start : start + select.PIPE_BUF])
