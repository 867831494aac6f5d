"""aiosmtpd as a peer, in a process of its own, with and without fsync."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from tests.bench import aiosmtpd_program
from tests.bench.server import DISK, Server


class Aiosmtpd(Server):
    """aiosmtpd.  fsync: whether a message is on the disk before the 250."""

    def __init__(self, place: Path = DISK, *, fsync: bool = True) -> None:
        super().__init__(place)
        self.name = self.name_of(fsync=fsync)
        self._options = ["--fsync"] if fsync else []

    @staticmethod
    def name_of(*, fsync: bool) -> str:
        """Return its name in tables and charts."""
        return "aiosmtpd, fsync" if fsync else "aiosmtpd, no fsync"

    def configure(self) -> None:
        """Do nothing: its command line says all."""

    def command(self) -> Sequence[str | Path]:
        return [sys.executable, "-P", aiosmtpd_program.__file__, str(self.port), self.mailbox, *self._options]
