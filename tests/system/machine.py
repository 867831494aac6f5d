"""A Debian machine, booted: systemd-nspawn on a pristine root, with a network of its own that leads nowhere.

What it writes is in memory, and gone with it. A test looks into it in three ways: it runs programs inside (`run`), it
reaches its files (`path`), and it opens sockets in its network (`dial`). These sockets are real ones of the test's own
process, so everything that takes a socket works with them.
"""

from __future__ import annotations

import ctypes
import itertools
import json
import os
import socket
import subprocess
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

from tests.clients import servers

PATIENCE_SECONDS = 60.0  # for what should be there in a moment: several machines may be up, and busy
RESOLV_CONF = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"
_CLONE_NEWNET = 0x40000000  # sched.h
_SECONDS_TO_POWER_OFF = 10
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8", "TERM": "dumb"}
_numbers = itertools.count()

T = TypeVar("T")
wait_until = partial(servers.wait_until, seconds=PATIENCE_SECONDS)


class Machine:
    """A booted machine.  root: of a pristine Debian.  folder: for what the console shows.  options: for nspawn."""

    def __init__(self, root: Path, folder: Path, *options: str) -> None:
        self.console = folder / "console"
        self.cgroup = _own_cgroup() / f"mailrecv-test-{os.getpid()}-{next(_numbers)}"
        self.cgroup.mkdir()
        command = [
            *("systemd-nspawn", "--boot", "--quiet", "--console=pipe", "--register=no", "--keep-unit"),
            # read-only: it is not locked for others, while the overlay can be written to
            *(f"--directory={root}", "--read-only", "--volatile=overlay", "--private-network"),
            *(f"--machine={self.cgroup.name}", "--hostname=mx", "--resolv-conf=off", "--timezone=off", *options),
        ]
        in_cgroup = ["sh", "-c", f'echo $$ >{self.cgroup}/cgroup.procs && exec "$@"', "sh", *command]
        environment = {**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}  # what both releases boot with anywhere
        with self.console.open("wb") as console:
            streams = {"stdin": subprocess.DEVNULL, "stdout": console, "stderr": console}
            self._nspawn = subprocess.Popen(in_cgroup, env=environment, **streams)  # type: ignore[call-overload]
        self._leader = 0
        self._network = self.threads(1)
        try:
            wait_until(self._is_up, "the machine to be up")
        except BaseException:
            self.power_off()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.power_off()

    def power_off(self) -> None:
        """Power off, and wait until nothing is left."""
        self._network.shutdown()
        self._nspawn.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._nspawn.wait(_SECONDS_TO_POWER_OFF)
        (self.cgroup / "cgroup.kill").write_text("1")
        self._nspawn.wait()
        wait_until(lambda: "populated 0" in (self.cgroup / "cgroup.events").read_text(), "its processes to end")
        for group in sorted((self.cgroup, *(path for path in self.cgroup.rglob("*") if path.is_dir())), reverse=True):
            group.rmdir()

    def _is_up(self) -> bool:
        """Look for the first process inside; say whether everything that starts at boot has started."""
        assert self._nspawn.poll() is None, f"nspawn ended early:\n{self.console.read_text(errors='replace')}"
        if not self._leader:
            self._leader = _first_process_inside(self._nspawn.pid)
        if not self._leader:
            return False
        state, _ = self.start("systemctl", "is-system-running", "--wait").communicate()
        return state.strip() in (b"running", b"degraded")

    def start(self, *command: str, **options: Any) -> subprocess.Popen[bytes]:
        """Start a program inside, as root.  options: of Popen."""
        inside = ["nsenter", f"--target={self._leader}", "--all", "--wdns=/", *command]
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        return subprocess.Popen(inside, env=_ENVIRONMENT, **{**streams, **options})

    def run(self, *command: str, octets: bytes = b"", status: int = 0) -> str:
        """Run a program inside, as root, and return what it prints; fail unless it ends with this exit status."""
        with self.start(*command, stdin=subprocess.PIPE) as process:
            try:
                printed = process.communicate(octets, timeout=PATIENCE_SECONDS)[0].decode("utf-8", "replace")
            except BaseException:
                process.kill()
                raise
        assert process.returncode == status, f"{' '.join(command)}: exit status {process.returncode}:\n{printed}"
        return printed

    def shell(self, script: str) -> str:
        """Run a script of the shell inside, as root, and return what it prints; fail when it does."""
        return self.run("sh", "-euc", script)

    def path(self, name: str) -> Path:
        """Return where a file of the machine, given by its absolute path, is for the test."""
        return Path(f"/proc/{self._leader}/root{name}")

    def write(self, name: str, text: str) -> None:
        """Write a file of the machine, in a folder that is made if missing."""
        self.path(name).parent.mkdir(parents=True, exist_ok=True)
        self.path(name).write_text(text, encoding="utf-8")

    def journal(self, *arguments: str) -> list[dict[str, Any]]:
        """Return entries of the journal.  arguments: for journalctl."""
        self.run("journalctl", "--sync")
        lines = self.run("journalctl", "--output=json", "--all", "--quiet", *arguments).splitlines()
        return [json.loads(line) for line in lines]

    def threads(self, number: int) -> ThreadPoolExecutor:
        """Return threads of the test's that live in the machine's network."""
        return ThreadPoolExecutor(number, initializer=lambda: _enter_network(self._leader))

    def in_network(self, call: Callable[..., T], *arguments: Any) -> T:
        """Call a function in such a thread, and return what it returns."""
        return self._network.submit(call, *arguments).result()

    def dial(self, host: str = "127.0.0.1", *, source: str = "", port: int = 25) -> socket.socket:
        """Return a new connection to a port of the machine, from one of its own addresses."""
        where = (source, 0) if source else None
        return self.in_network(socket.create_connection, (host, port), PATIENCE_SECONDS, where)

    @contextmanager
    def addresses(self, *addresses: str) -> Generator[None, None, None]:
        """Give the machine more addresses for some time."""
        for address in addresses:
            self.run("ip", "address", "replace", address, "dev", "lo", "nodad")
        try:
            yield
        finally:
            for address in addresses:
                self.run("ip", "address", "delete", address, "dev", "lo")

    @contextmanager
    def dns(self, *records: str) -> Generator[None, None, None]:
        """Have the machine ask a DNS server of its own for some time.  records: options of dnsmasq."""
        self.write("/etc/resolv.conf", RESOLV_CONF)
        options = ("--keep-in-foreground", "--bind-interfaces", "--conf-file=/dev/null", "--no-resolv", "--no-hosts")
        self.run("systemd-run", "--quiet", "--unit=dns", "dnsmasq", "--listen-address=127.0.0.1", *options, *records)
        wait_until(lambda: self.shell("ss --no-header --listening --udp 'sport = 53'"), "the DNS server")
        try:
            yield
        finally:
            self.run("systemctl", "stop", "dns")

    @property
    def cpu_seconds(self) -> float:
        """The time that all processors together have spent on this machine."""
        usage = (self.cgroup / "cpu.stat").read_text(encoding="ascii").split("\n", 1)[0]
        return int(usage.removeprefix("usage_usec ")) / 1e6


def _own_cgroup() -> Path:
    """Return the folder of the cgroup, of the unified hierarchy, that this process is in."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()]
    (mounted, *_) = [fields[1] for fields in mounts if fields[2] == "cgroup2"]
    groups = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    (own,) = [group.removeprefix("0::/") for group in groups if group.startswith("0::/")]
    return Path(mounted) / own


def _first_process_inside(nspawn: int) -> int:
    """Return the process, a child of nspawn's, that is the first one in a container; 0 while there is none."""
    for child in map(int, Path(f"/proc/{nspawn}/task/{nspawn}/children").read_text(encoding="ascii").split()):
        with suppress(FileNotFoundError, ProcessLookupError):  # one that only prepares the container, and has ended
            process = Path(f"/proc/{child}")
            # Before it is systemd it may still be in namespaces of this machine.
            if (process / "comm").read_text() == "systemd\n" and "\t1\n" in (process / "status").read_text():
                return child
    return 0


def _enter_network(leader: int) -> None:
    """Move this thread, and the sockets it will make, into the network of a process."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path(f"/proc/{leader}/ns/net").open("rb") as network:
        if libc.setns(network.fileno(), _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
