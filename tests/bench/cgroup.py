"""The processes of a server, all of them, those included that have ended: a cgroup.

The kernel keeps their CPU time together in `cpu.stat`, to the microsecond. Sums over /proc would miss a child that
nobody has waited for, and count in ticks of 10 ms, which is more than a whole session of some servers takes.
"""

from __future__ import annotations

import itertools
import os
import re
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tests.clients.servers import wait_until

PATIENCE_SECONDS = 60.0
_numbers = itertools.count()


class Cgroup:
    """A cgroup of its own, below that of this process. Needs root, and the unified hierarchy."""

    def __init__(self) -> None:
        self._path = _own_cgroup() / f"mailrecv-bench-{os.getpid()}-{next(_numbers)}"
        self._path.mkdir()
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, command: Sequence[str | Path], folder: Path) -> subprocess.Popen[bytes]:
        """Start a program in it.  folder: where it runs, and where its output goes to the file `output`."""
        inside = ["sh", "-c", f'echo $$ >{self._path}/cgroup.procs && exec "$@"', "sh", *command]
        with (folder / "output").open("ab") as output:
            process = subprocess.Popen(inside, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        self._started.append(process)
        return process

    @property
    def processes(self) -> list[int]:
        """The ids of those that run."""
        return [int(pid) for pid in (self._path / "cgroup.procs").read_text(encoding="ascii").split()]

    @property
    def cpu_seconds(self) -> float:
        """The CPU time that they have used up to now, on all processors together, in user and in kernel mode."""
        usage = (self._path / "cpu.stat").read_text(encoding="ascii").split("\n", 1)[0]
        return int(usage.removeprefix("usage_usec ")) / 1e6

    @property
    def peaks_megabytes(self) -> list[float]:
        """The most memory that each of those that run has had resident, since it began or since `forget_peaks`.

        What processes share counts for each of them.
        """
        peaks = []
        for pid in self.processes:
            with suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
                status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
                peaks += [int(kilobytes) * 1024 / 1e6 for kilobytes in re.findall(r"VmHWM:\s+(\d+) kB", status)]
        return peaks

    def forget_peaks(self) -> None:
        """Let the peak of each start anew from what it has resident now."""
        for pid in self.processes:
            with suppress(FileNotFoundError, ProcessLookupError):
                Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")

    def end(self) -> None:
        """Kill what runs, and remove the cgroup."""
        (self._path / "cgroup.kill").write_text("1", encoding="ascii")
        for process in self._started:
            process.wait()
        events = self._path / "cgroup.events"
        wait_until(lambda: "populated 0" in events.read_text(encoding="ascii"), "processes to end", PATIENCE_SECONDS)
        self._path.rmdir()


def _own_cgroup() -> Path:
    """Return the folder of the cgroup, of the unified hierarchy, that this process is in."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()]
    (mounted, *_) = [fields[1] for fields in mounts if fields[2] == "cgroup2"]
    groups = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    (own,) = [group.removeprefix("0::/") for group in groups if group.startswith("0::/")]
    return Path(mounted) / own
