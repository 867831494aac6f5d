"""Measures the installed service: connections per second, and what each costs, at 1, 4 and 20 connections at once.

    make bench-connections                              as root, with nothing else going on
    .venv/bin/python -m tests.bench.connections trixie

Each client connects, reads the greeting, says QUIT and reads to the end. The same unit then starts programs that do
nothing, to show what systemd and the interpreter cost by themselves. CPU is all that the whole machine in its container
has used, systemd and journald with it, but not the clients. Figures, no verdicts.
"""

from __future__ import annotations

import itertools
import os
import socket
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.system.machine import wait_until
from tests.system.mailhost import EXAMPLES, MailHost
from tests.system.roots import pristine

CONNECTIONS = 200  # of each measurement
AT_ONCE = (1, 4, 20)
QUIET = 0.5  # of the load average: above it the figures are not worth much
UNIT = "mailrecv@.service"
SERVICES = {
    "mailrecv": "",
    "mailrecv, hardened.conf": "hardened.conf",
    "python3 -I -S -c pass": "[Service]\nExecStart=\nExecStart=/usr/bin/python3 -I -S -c pass\n",
    "/bin/true": "[Service]\nExecStart=\nExecStart=/bin/true\n",
}


def converse(source: str) -> None:
    """Be a client that has nothing to say, from this address; the server may not answer at all."""
    with socket.create_connection(("127.0.0.1", 25), 60, (source, 0)) as client:
        if client.recv(4096):
            client.sendall(b"QUIT\r\n")
            while client.recv(4096):
                pass


def measure(server: MailHost, at_once: int) -> tuple[float, float]:
    """Return connections per second, and the seconds of CPU that each took."""
    slice_ = server.cgroup / "payload/system.slice/system-mailrecv.slice"
    sources = itertools.cycle(f"127.0.1.{number}" for number in range(1, 101))  # no client has too many
    cpu, began = server.cpu_seconds, time.perf_counter()
    with server.threads(at_once) as clients:
        list(clients.map(converse, itertools.islice(sources, CONNECTIONS)))
    seconds = time.perf_counter() - began
    wait_until(lambda: not slice_.exists() or not any(path.is_dir() for path in slice_.iterdir()), "the last session")
    return CONNECTIONS / seconds, (server.cpu_seconds - cpu) / CONNECTIONS


def main() -> None:
    """Print a table for a release of Debian."""
    release = sys.argv[1] if len(sys.argv) > 1 else "bookworm"
    package = max(Path("dist").glob("mailrecv_*.deb"), key=lambda path: path.stat().st_mtime)
    load = os.getloadavg()[0]
    print(f"{package.name} on {release}, {os.cpu_count()} processors, load average {load:.1f} before")
    if load > QUIET:
        print("This machine is busy: the figures are too bad.")
    print(f"{'':25}" + "".join(f"{number:>5} at once    " for number in AT_ONCE))
    print(f"{'':25}" + "conn/s  CPU ms    " * len(AT_ONCE))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(MailHost(stack.enter_context(pristine(release)), folder))
        server.install(package)
        server.configure()
        server.enable()
        for name, drop_in in SERVICES.items():
            example = server.path(f"{EXAMPLES}/systemd/{drop_in}")
            with server.drop_in(UNIT, example.read_text() if example.is_file() else drop_in):
                figures = [measure(server, at_once) for at_once in AT_ONCE]
            print(f"{name:25}" + "".join(f"{rate:6.1f}  {cpu * 1000:6.1f}    " for rate, cpu in figures))


if __name__ == "__main__":
    main()
