"""What a process of this machine holds, from /proc."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple


class Holding(NamedTuple):
    """megabytes: resident.  peak_megabytes: the most that were, since `forget_peak`.  descriptors, threads: numbers."""

    megabytes: float
    peak_megabytes: float
    descriptors: int
    threads: int


def holding(pid: int) -> Holding:
    """Return what a process holds now."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    fields = dict(re.findall(r"(?m)^(\w+):\s+(\d+)", status))
    descriptors = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return Holding(int(fields["VmRSS"]) / 1000, int(fields["VmHWM"]) / 1000, descriptors, int(fields["Threads"]))


def forget_peak(pid: int) -> None:
    """Let the peak begin anew (proc(5): clear_refs)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")
