"""What root does at standard streams: as the service's user, so that the service finds everything as it needs it.

A mailbox or a log file that root has made is one that the service cannot write to, and a command that was tried as root
says nothing of what it may do as that user.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from mailrecv import trusted_path
from mailrecv.config.model import SYSLOG
from mailrecv.diagnosis.service import Service, UnknownUser, find_service

_MEANT = "--as-root says that this is meant"


class Root:
    """The rights of root, up to the first delivery.  logfile: as the configuration has it, not written to yet."""

    def __init__(self, logfile: str) -> None:
        self._new_log = ""
        self._decided = False
        if logfile == SYSLOG:
            return
        try:
            owner = os.lstat(logfile).st_uid
        except FileNotFoundError:
            self._new_log = logfile
        except OSError:
            pass  # the log itself will tell
        else:
            if owner != 0:
                _trust_files_of_service()  # the log may be one that root has given away, up to the first delivery

    def give_up(self) -> None:
        """Become the service's user, if that was not tried yet, and say so on standard error."""
        if self._decided:
            return
        self._decided = True
        try:
            service = find_service()
            if service.uid == 0:
                if not service.certain:
                    _say(f"warning: root delivers this, {service.known_from}; {_MEANT}")
                return
            with suppress(OSError):  # what cannot be given away is no reason to stay root
                self._give_log(service)
            import mailrecv.delivery.processes  # noqa: F401 - root's Python may lie where this user cannot read

            service.become()
        except (UnknownUser, OSError) as error:
            _say(f"warning: root delivers this: {error}; {_MEANT}")
            return
        _forget_unwritable_directory()
        _say(f"delivering as the user {service.user}, {service.known_from}; --as-root would deliver as root")

    def leave(self) -> None:
        """Leave the log to the service's user, also where nothing was delivered."""
        if self._new_log and not self._decided:
            with suppress(UnknownUser, OSError):
                service = find_service()
                if service.uid != 0 and self._give_log(service):
                    _say(f"the new log file {self._new_log} now belongs to the user {service.user}")

    def _give_log(self, service: Service) -> bool:
        """Give the log file to the service's user if it was made here, and return whether it was. Raises OSError."""
        if not self._new_log or not os.path.lexists(self._new_log):
            return False
        fd = os.open(self._new_log, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            status = os.fstat(fd)
            ours = stat.S_ISREG(status.st_mode) and status.st_uid == 0 and status.st_nlink == 1
            if ours:  # and nothing that somebody else has put there meanwhile
                os.fchown(fd, service.uid, service.gid)
            return ours
        finally:
            os.close(fd)


def _trust_files_of_service() -> None:
    with suppress(UnknownUser, OSError):
        trusted_path.trust_files_of(find_service().uid)


def _forget_unwritable_directory() -> None:
    """Keep large messages in the usual place if root's own TMPDIR is closed to this user."""
    if not os.access(os.environ.get("TMPDIR") or "/", os.W_OK | os.X_OK):
        os.environ.pop("TMPDIR", None)


def _say(text: str) -> None:
    with suppress(OSError):  # standard error may be closed
        os.write(2, f"mailrecv: {text}\n".encode("utf-8", "surrogateescape"))
