"""What a process of this machine and all its descendants hold together, from /proc; and whether processes live.

A server may be one process or several, so the tests ask about the whole tree.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_Gone = (FileNotFoundError, ProcessLookupError)  # a process may end while it is looked at


class Holding(NamedTuple):
    """Sums over all processes.

    megabytes: resident; what processes share counts for each.  peak_megabytes: the most that was, since `forget_peak`.
    descriptors, threads, processes: numbers.
    """

    megabytes: float
    peak_megabytes: float
    descriptors: int
    threads: int
    processes: int


class Witness:
    """A FIFO that processes hold open as descriptor 3: at its end, none of them is alive."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "alive"
        os.mkfifo(self.path)
        self._fd = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)

    def command(self, text: str) -> str:
        """Return a command that holds it open, and so does whatever it starts."""
        return f"exec 3>{self.path}; {text}"

    def somebody_lives(self) -> bool:
        """Say whether a process has it open."""
        try:
            return os.read(self._fd, 1) != b""
        except BlockingIOError:
            return True

    def close(self) -> None:
        """Close it."""
        os.close(self._fd)


def lives(pid: int) -> bool:
    """Say whether a process has not ended yet; one that nobody has waited for has."""
    with suppress(*_Gone):
        return (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0] != "Z"
        )
    return False


def holding(pid: int) -> Holding:
    """Return what a process and its descendants hold now."""
    held = [one for process in tree(pid) if (one := _holding_of(process))]
    return Holding(*map(sum, zip(*held, strict=True)))


def forget_peak(pid: int) -> None:
    """Let the peaks begin anew (proc(5): clear_refs)."""
    for process in tree(pid):
        with suppress(*_Gone):
            Path(f"/proc/{process}/clear_refs").write_text("5", encoding="ascii")


def open_files(pid: int) -> list[str]:
    """Return what the descriptors of a process and its descendants lead to."""
    return [file for process in tree(pid) for file in _open_files_of(process)]


def tree(pid: int) -> Iterator[int]:
    """Yield a process and all its descendants."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(*_Gone):
            for child in children.read_text(encoding="ascii").split():
                yield from tree(int(child))


def _holding_of(pid: int) -> Holding | None:
    """Return what one process holds; None when it has ended."""
    with suppress(*_Gone):
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
        fields = dict(re.findall(r"(?m)^(\w+):\s+(\d+)", status))
        if "VmRSS" in fields:  # not so for one that nobody has waited for yet
            descriptors = len(_open_files_of(pid))
            return Holding(
                int(fields["VmRSS"]) / 1000, int(fields["VmHWM"]) / 1000, descriptors, int(fields["Threads"]), 1
            )
    return None


def _open_files_of(pid: int) -> list[str]:
    files = []
    with suppress(*_Gone):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(*_Gone):
                files.append(str(link.readlink()))
    return files
