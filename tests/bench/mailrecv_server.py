"""mailrecv in its two ways: a process for each connection, as systemd starts it, and resident.

The program is the one next to the Python that measures, or the one that the environment variable MAILRECV names, such
as an installed /usr/bin/mailrecv. It logs to a file, and syncs every message to the disk, as it always does.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from mailrecv.config.compiler import SETTLING_SECONDS
from tests.bench.addresses import DOMAIN, RECIPIENT
from tests.bench.cgroup import PATIENCE_SECONDS
from tests.bench.server import DISK, Server
from tests.clients.servers import wait_until

PROGRAM = Path(os.environ.get("MAILRECV") or Path(sys.executable).with_name("mailrecv"))
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}


class Mailrecv(Server):
    """mailrecv.  directives: of the configuration, before the one for RECIPIENT; {folder} stands for the folder."""

    def __init__(self, place: Path = DISK, directives: Sequence[str] = ()) -> None:
        super().__init__(place)
        self.directives = directives
        self.config = self.folder / "mailrecv.conf"

    def configure(self) -> None:
        write_config(self.config, self.directives)

    def in_environment(self, *command: str | Path) -> list[str | Path]:
        """Return a command that runs another with what a unit of systemd would give it."""
        given = {**ENVIRONMENT, "TMPDIR": self._spool, "CACHE_DIRECTORY": self.folder}
        return ["env", "-i", *(f"{name}={value}" for name, value in given.items()), *command]

    @property
    def _spool(self) -> Path:
        return self.folder.parent  # where large mail waits: on the same kind of disk as the mailbox


class PerConnection(Mailrecv):
    """mailrecv, started anew for each connection by systemd's own tool for that."""

    name = "mailrecv, per connection"

    def command(self) -> Sequence[str | Path]:
        passed = [f"-E{name}" for name in ("PATH", "LANG", "TMPDIR", "CACHE_DIRECTORY")]
        activate = ["systemd-socket-activate", "--accept", f"--listen=127.0.0.1:{self.port}", *passed]
        return self.in_environment(*activate, PROGRAM, "-c", self.config)

    def wait_until_idle(self) -> None:
        """Wait until the last session has ended, and only the listener is left."""
        wait_until(lambda: len(self.cgroup.processes) <= 1, "the last session to end", PATIENCE_SECONDS)


class Resident(Mailrecv):
    """mailrecv, one service for all connections."""

    name = "mailrecv, resident"

    def command(self) -> Sequence[str | Path]:
        return self.in_environment(PROGRAM, "listen", "-c", self.config, f"127.0.0.1:{self.port}")


def let_configurations_settle() -> None:
    """Wait until configurations that were written just now can be compiled by the next session, as any older one is."""
    time.sleep(SETTLING_SECONDS + 0.1)


def write_config(path: Path, directives: Sequence[str] = ()) -> None:
    """Write a configuration that delivers to `mbox` beside it, and sets no limit that a measurement would meet."""
    lines = [
        f"domain {DOMAIN}",
        "logfile {folder}/log",
        "limit.smtp_commands 1000000",
        "limit.smtp_data_size 2000000000",
        "limit.smtp_rcpt_to 1000000",
        "limit.connections 1000",
        "limit.client_connections 1000",
        *directives,
        f"deliver rcpt_to {RECIPIENT} append {{folder}}/mbox",
    ]
    text = "".join(f"{line}\n" for line in lines)
    path.write_text(text.replace("{folder}", str(path.parent)), encoding="utf-8")
