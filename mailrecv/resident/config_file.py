"""The file of the configuration that a resident server works with: whether it has changed, and what it says now."""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from mailrecv.config.compiled import identity
from mailrecv.config.faults import ConfigError, Fault
from mailrecv.config.model import Config
from mailrecv.config.reader import read_config
from mailrecv.server.configuration import with_options


class ConfigFile:
    """The file of a configuration that is in force, and may change.

    config: what was read.  debug, logfile: what the command line wants instead, or None.
    """

    def __init__(self, config: Config, debug: str | None, logfile: str | None) -> None:
        self.path = config.path
        self._debug = debug
        self._logfile = logfile
        self._last_read = self._last_seen = config.identity

    def has_changed(self) -> bool:
        """Say whether the file is another one than was last read, and was so already at the call before.

        A file that somebody is writing, or is about to put into its place, may be half of one that has no fault. So it
        counts when it has come to rest; how long that takes is up to how often this is called.
        """
        seen = self._identity()
        settled = seen == self._last_seen
        self._last_seen = seen
        return settled and seen != self._last_read

    def read(self) -> Config:
        """Return what the file says now, with what the command line wants instead. Raises ConfigError."""
        self._last_read = self._last_seen = self._identity()
        with suppress(OSError):
            if not stat.S_ISREG(os.stat(self.path).st_mode):
                raise ConfigError([Fault(self.path, 0, 0, "is no regular file, and was read at the start")])
        return with_options(read_config(self.path), self._debug, self._logfile)

    def _identity(self) -> tuple[int, ...]:
        try:
            status = os.stat(self.path)
        except OSError:
            return ()  # not there; reading it tells why
        # A pipe can be read only once, and changes by that.
        return identity(status) if stat.S_ISREG(status.st_mode) else self._last_read
