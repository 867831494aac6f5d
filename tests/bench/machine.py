"""On what, with which versions, and when it was measured."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from mailrecv import __version__
from tests.bench import postfix_server
from tests.bench.plan import Plan
from tests.bench.report import Chapter, Table
from tests.bench.server import DISK

QUIET = 0.5  # of the load average: above it, the figures are not worth much


def load_average() -> float:
    """Return how many processes have wanted to run at the same time, over the last minute."""
    return os.getloadavg()[0]


def chapter(plan: Plan, load: float) -> Chapter:
    """Return the table.  load: of the machine before."""
    processor = _found(r"model name.*: (.*)", "/proc/cpuinfo")
    system = _found('PRETTY_NAME="(.*)"', "/etc/os-release")
    rows = [
        ("when", f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, medians of {plan.rounds} rounds, load before: {load:.1f}"),
        ("machine", f"{os.cpu_count()} processors, {processor}, {_memory():.0f} GB"),
        ("disk", f"{_file_system()} for {DISK}"),
        ("system", f"{system}, Linux {platform.release()}"),
        ("mailrecv", f"{__version__}{_commit()}"),
        ("Python", platform.python_version()),
        *((name, version(name)) for name in ("structlog", "pcre2", "systemd-python", "aiosmtpd")),
        ("Postfix", postfix_server.version()),
    ]
    return Chapter("machine", Table(["", ""], rows))


def _found(pattern: str, path: str) -> str:
    match = re.search(pattern, Path(path).read_text(encoding="utf-8"))
    return match[1] if match else platform.machine()


def _memory() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9


def _file_system() -> str:
    return _output("findmnt", "--noheadings", "--output=FSTYPE", f"--target={DISK}")


def _commit() -> str:
    commit = _output("git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty")
    return f", commit {commit}" if commit else ""


def _output(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except FileNotFoundError:
        return ""
