"""Connections per second, and what one costs: smtp-source against mailrecv in its two ways, and against its peers."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Protocol

from docs.figures import Table
from tests.bench import smtp_source, systemd_server
from tests.bench.aiosmtpd_server import Aiosmtpd
from tests.bench.cgroup import Cgroup
from tests.bench.mailrecv_server import PerConnection, Resident, let_configurations_settle
from tests.bench.measuring import Figures, Spread, in_rounds
from tests.bench.plan import Plan
from tests.bench.postfix_server import Postfix
from tests.bench.report import Chapter, Chart, cell

RATE = "connections per second"
DELIVERED = "messages delivered per second"
CPU = "CPU ms per message"
FLOOR = "`python3 -I -S -c pass`, no server"
_ENOUGH_SECONDS = 0.2  # for a guess at a rate


class Loaded(Protocol):
    """What takes a load, and can tell what it has cost."""

    @property
    def name(self) -> str:
        """As tables and charts show it."""

    @property
    def cpu_seconds(self) -> float:
        """The CPU time that it has used up to now."""

    @property
    def received_octets(self) -> int:
        """How much it has delivered up to now."""

    def deliver(self, messages: int, at_once: int) -> float:
        """Send it messages; return the seconds until the last acknowledgement."""

    def wait_until_idle(self) -> None:
        """Wait until it has delivered all, and nothing goes on any more."""


Rates = dict[tuple[str, int], dict[str, Spread]]


def measure(plan: Plan) -> Rates:
    """Return the figures of each server and of the floor, at each number of connections at once."""
    with ExitStack() as stack:
        servers = [PerConnection(), Resident(), Aiosmtpd(), Aiosmtpd(fsync=False), Postfix()]
        for server in servers:
            stack.enter_context(server.running())
        booted = stack.enter_context(systemd_server.units()) if plan.systemd else []
        let_configurations_settle()
        cases: dict[tuple[str, int], Callable[[], Figures]] = {}
        everything: list[Loaded] = [*servers, *booted]
        for loaded in everything:
            for at_once in plan.at_once:
                messages = _enough(partial(load, loaded, at_once), plan.load_seconds, at_once)
                cases[loaded.name, at_once] = partial(load, loaded, at_once, messages)
        for at_once in plan.at_once:
            processes = _enough(partial(_started, at_once), plan.load_seconds, at_once)
            cases[FLOOR, at_once] = partial(_started, at_once, processes)
        return in_rounds("connections", cases, plan.rounds)


def load(server: Loaded, at_once: int, messages: int) -> Figures:
    """Send messages to a server. Raises RuntimeError when not all of them are in the mailbox afterwards."""
    before, octets = server.cpu_seconds, server.received_octets
    began = time.perf_counter()
    seconds = server.deliver(messages, at_once)
    server.wait_until_idle()
    delivered = time.perf_counter() - began
    if server.received_octets < octets + messages * smtp_source.MESSAGE_OCTETS:
        raise RuntimeError(f"{server.name} has acknowledged more than it has delivered")
    cpu = server.cpu_seconds - before
    return {RATE: messages / seconds, DELIVERED: messages / delivered, CPU: cpu / messages * 1000}


def _started(at_once: int, processes: int) -> Figures:
    """Start a bare Python so many times: what a process for each connection costs before it does anything."""
    cgroup = Cgroup()
    with tempfile.TemporaryDirectory() as folder:
        python = f"{sys.executable} -I -S -c pass"
        began = time.perf_counter()
        process = cgroup.start(["sh", "-c", f"seq {processes} | xargs -n 1 -P {at_once} {python}"], Path(folder))
        if process.wait() != 0:
            raise subprocess.CalledProcessError(process.returncode, python)
        seconds = time.perf_counter() - began
        cpu = cgroup.cpu_seconds
        cgroup.end()
    return {RATE: processes / seconds, DELIVERED: processes / seconds, CPU: cpu / processes * 1000}


def _enough(run: Callable[[int], Figures], seconds: float, at_once: int) -> int:
    """Return how often something has to be done to last so many seconds; this warms it up, too."""
    number = 2 * at_once
    while (rate := run(number)[RATE]) * _ENOUGH_SECONDS > number:
        number *= 4
    return max(2 * at_once, round(rate * seconds))


def chapter(rates: Rates) -> Chapter:
    """Return the table and the charts."""
    names = list(dict.fromkeys(name for name, _ in rates))
    numbers = list(dict.fromkeys(number for _, number in rates))
    heading = ["", *(f"{number} at once: per second" for number in numbers)]
    heading += [f"{number} at once: CPU ms" for number in numbers]
    rows = []
    for name in names:
        figures = [cell(rates[name, number][what]) for what in (RATE, CPU) for number in numbers]
        rows.append([name, *figures])
        if name == Postfix.name:
            figures = [cell(rates[name, number][DELIVERED]) for number in numbers]
            rows.append([f"{name}, until delivered", *figures, *("" for _ in numbers)])
    labels = [f"{number} at once" for number in numbers]
    charts = [
        Chart(file, title, "", labels, {name: medians(rates, name, what) for name in names})
        for file, title, what in [
            ("connections", "Connections per second, one message each (more is better)", RATE),
            ("cpu", "CPU milliseconds per message, all processes together (less is better)", CPU),
        ]
    ]
    return Chapter("connections", Table(heading, rows), charts)


def medians(rates: Rates, name: str, what: str) -> list[float]:
    """Return a figure of one server at each number of connections at once."""
    return [figures[what].median for (server, _), figures in rates.items() if server == name]
