"""On what, with which versions, and when it was measured."""

from __future__ import annotations

import os
from importlib.metadata import version

from docs.figures import Table
from tests.bench import postfix_server
from tests.bench.plan import Plan
from tests.bench.report import Chapter
from tests.bench.server import DISK
from tests.support import circumstances

QUIET = 0.5  # of the load average: above it, the figures are not worth much


def load_average() -> float:
    """Return how many processes have wanted to run at the same time, over the last minute."""
    return os.getloadavg()[0]


def chapter(plan: Plan, load: float) -> Chapter:
    """Return the table.  load: of the machine before."""
    now = circumstances.of_now()
    rows = [
        ("when", f"{now['when']}, medians of {plan.rounds} rounds, load before: {load:.1f}"),
        ("machine", now["machine"]),
        ("disk", f"{_file_system()} for {DISK}"),
        *((name, now[name]) for name in ("system", "mailrecv", "Python")),
        *((name, version(name)) for name in ("structlog", "pcre2", "systemd-python", "aiosmtpd")),
        ("Postfix", postfix_server.version()),
    ]
    return Chapter("machine", Table(["", ""], rows))


def _file_system() -> str:
    return circumstances.output_of("findmnt", "--noheadings", "--output=FSTYPE", f"--target={DISK}")
