"""mailrecv's package in a booted Debian: both ways as units of a real systemd, with its journal.

What such a machine writes is in memory, so fsync costs nothing there; and the CPU time is that of the whole machine,
systemd and journald with it. So these figures stand beside the others, to be compared with each other.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench import smtp_source
from tests.bench.addresses import DOMAIN, RECIPIENT
from tests.system.machine import wait_until
from tests.system.mailhost import FOLDER, MailHost
from tests.system.roots import pristine

RELEASE = "bookworm"
DIST = Path(__file__).parents[2] / "dist"
_CONFIG = f"domain {DOMAIN}\ndeliver rcpt_to {RECIPIENT} append {{folder}}/mbox\n"
_SOCKETS = {"per connection": ("mailrecv.socket", 25), "resident": ("mailrecv-resident.socket", 2525)}
_LISTEN = "[Socket]\nListenStream=\nListenStream=127.0.0.1:{port}\nMaxConnections=1000\nMaxConnectionsPerSource=1000\n"
_SLICE = "payload/system.slice/system-mailrecv.slice"  # of the processes for one connection each


class Unit:
    """A socket unit on a machine, and what it starts.  name: as tables and charts show it.  port: of the machine."""

    def __init__(self, host: MailHost, name: str, port: int) -> None:
        self.name = name
        self._host = host
        self._port = port

    def deliver(self, messages: int, at_once: int) -> float:
        """Send it messages, each over a connection of its own; return the seconds until the last acknowledgement."""
        return self._host.in_network(smtp_source.deliver, self._port, messages, at_once)

    def wait_until_idle(self) -> None:
        """Wait until no process for a connection is left."""
        sessions = self._host.cgroup / _SLICE
        wait_until(lambda: not any(path.is_dir() for path in sessions.glob("*")), "the last session to end")

    @property
    def cpu_seconds(self) -> float:
        """The CPU time that the whole machine has used up to now."""
        return self._host.cpu_seconds

    @property
    def received_octets(self) -> int:
        """How much there is in the mailbox."""
        mailbox = self._host.path(f"{FOLDER}/mbox")
        return mailbox.stat().st_size if mailbox.exists() else 0


@contextmanager
def units() -> Iterator[list[Unit]]:
    """Boot a Debian, and return the units that it listens with."""
    with tempfile.TemporaryDirectory() as folder, booted(Path(folder)) as host:
        yield listening(host, *_SOCKETS)


@contextmanager
def booted(folder: Path) -> Iterator[MailHost]:
    """Boot a Debian with the newest package in ./dist and a configuration.  folder: for what its console shows."""
    package = max(DIST.glob("mailrecv_*.deb"), key=lambda path: path.stat().st_mtime)
    with pristine(RELEASE) as root, MailHost(root, folder) as host:
        host.install(package)
        host.configure(config=_CONFIG)
        yield host


def listening(host: MailHost, *ways: str) -> list[Unit]:
    """Listen in each of these ways that the package has, and return the units."""
    made = []
    for way in ways:
        socket, port = _SOCKETS[way]
        if host.path(f"/usr/lib/systemd/system/{socket}").exists():
            host.write(f"/etc/systemd/system/{socket}.d/bench.conf", _LISTEN.format(port=port))
            made.append(Unit(host, f"mailrecv, {way}, systemd", port))
            host.run("systemctl", "daemon-reload")
            host.run("systemctl", "start", socket)
    return made
