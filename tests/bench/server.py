"""What every server that is measured has in common, be it mailrecv or a peer.

Each listens on a port of 127.0.0.1, takes mail for box@bench.example, and appends it to one mailbox. It has a folder
of its own for all that it writes, and a cgroup of its own, which tells what it costs.
"""

from __future__ import annotations

import itertools
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.bench import smtp_source
from tests.bench.cgroup import PATIENCE_SECONDS, Cgroup
from tests.clients.servers import free_port, is_listening, wait_until

DISK = Path("/var/tmp")  # noqa: S108 - mail is on a disk, and /tmp may not be
MEMORY = Path("/dev/shm")  # noqa: S108 - a tmpfs: there fsync costs nothing
_numbers = itertools.count()


class Server(ABC):
    """A server.  place: the folder in which it gets a folder of its own.  name: as tables and charts show it."""

    name: str

    def __init__(self, place: Path = DISK) -> None:
        self.folder = place / f"mailrecv-bench-{os.getpid()}-{next(_numbers)}"
        self.port = free_port()
        self.mailbox = self.folder / "mbox"

    @contextmanager
    def running(self) -> Generator[None, None, None]:
        """Run it for some time; then nothing is left of it."""
        self.cgroup = Cgroup()
        self.folder.mkdir(mode=0o700)
        try:
            self.configure()
            process = self.cgroup.start(self.command(), self.folder)
            wait_until(lambda: is_listening(self.port) or process.poll() is not None, self.name, PATIENCE_SECONDS)
            if process.poll() is not None:
                raise RuntimeError(f"{self.name} ended early:\n{(self.folder / 'output').read_text(errors='replace')}")
            yield
        finally:
            self.cgroup.end()
            shutil.rmtree(self.folder)

    @abstractmethod
    def configure(self) -> None:
        """Write what it reads."""

    @abstractmethod
    def command(self) -> Sequence[str | Path]:
        """Return the command that runs it."""

    def wait_until_idle(self) -> None:  # noqa: B027 - most have nothing to wait for: what is acknowledged is done
        """Wait until it has delivered all that it has taken, and all that it has started for that has ended."""

    def deliver(self, messages: int, at_once: int) -> float:
        """Send it messages, each over a connection of its own; return the seconds until the last acknowledgement."""
        return smtp_source.deliver(self.port, messages, at_once)

    @property
    def cpu_seconds(self) -> float:
        """The CPU time that all its processes have used up to now."""
        return self.cgroup.cpu_seconds

    @property
    def received_octets(self) -> int:
        """How much there is in the mailbox."""
        return self.mailbox.stat().st_size if self.mailbox.exists() else 0
