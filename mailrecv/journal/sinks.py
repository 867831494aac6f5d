"""Where a log can go. Each sink takes one entry at a time, with `msg`, in the form its renderer made."""

from __future__ import annotations

import errno
import os
import syslog
import time
from collections.abc import Callable
from contextlib import suppress

from mailrecv import trusted_path

IDENTIFIER = "mailrecv"
JOURNALD_SOCKET = "/run/systemd/journal/socket"
SYSLOG_SOCKET = "/dev/log"
_FILE_MODE = 0o644
_ROTATION_SECONDS = 0.5  # how long a log may be missing, or not ours yet, while it is rotated on a busy machine
_ROTATION_STEP_SECONDS = 0.005
# Not to wait for the reader of a FIFO: a log must never hold up a session.
_FILE_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK


class Journald:
    """systemd's journal, by its native protocol."""

    def __init__(self) -> None:
        try:
            from systemd._journal import sendv  # where systemd.journal has it from, at a tenth of the cost
        except ImportError:
            from systemd.journal import sendv

        self._sendv = sendv

    def msg(self, *fields: str) -> None:
        """Write an entry.  fields: NAME=value, MESSAGE first, the values free of anything that is not UTF-8."""
        try:
            self._sendv(*fields)
        except OSError:
            Stream().msg(fields[0].removeprefix("MESSAGE=") + "\n")


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
    """Standard error: a terminal, or whatever started the program without a system log at hand."""

    def msg(self, line: str) -> None:
        """Write a line; nobody is left to be told when that fails."""
        with suppress(OSError):
            os.write(2, line.encode("utf-8", "replace"))
