"""When, on what machine and with which versions something is measured."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from mailrecv import __version__


def of_now() -> dict[str, str]:
    """Return what every figure needs beside it, by name."""
    return {
        "when": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "machine": f"{os.cpu_count()} processors, {_processor()}, {_memory():.0f} GB",
        "system": f"{_system()}, Linux {platform.release()}",
        "mailrecv": f"{__version__}{_commit()}",
        "Python": platform.python_version(),
    }


def output_of(*command: str) -> str:
    """Return what a program prints, empty when there is no such program."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except FileNotFoundError:
        return ""


def _processor() -> str:
    return _found(r"model name.*: (.*)", "/proc/cpuinfo")


def _system() -> str:
    return _found('PRETTY_NAME="(.*)"', "/etc/os-release")


def _found(pattern: str, path: str) -> str:
    match = re.search(pattern, Path(path).read_text(encoding="utf-8"))
    return match[1] if match else platform.machine()


def _memory() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9


def _commit() -> str:
    commit = output_of("git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty")
    return f", commit {commit}" if commit else ""
