"""A long log: how fast it is read, and that its length takes no memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.figures import Figures
from tests.support.journals import Recorder, Session

SESSIONS = 1000  # each of three lines
REPETITIONS = 100
MAX_GROWTH_KIB = 4096


# In a process of its own, which tells what it took: what wait4(2) knows of memory begins with that of the parent.
PROGRAM = """
import re, sys, time
from mailrecv import cli
assert cli.run(["report", "--json", "-l", sys.argv[1]]) == 0
with open("/proc/self/status") as status:
    print(re.search("VmHWM: *([0-9]+)", status.read().replace("\\t", " "))[1], time.process_time(), file=sys.stderr)
"""


def read(log: Path) -> tuple[int, float]:
    """Return the memory in KiB and the processor time in seconds that a report about a log takes."""
    run = subprocess.run([sys.executable, "-c", PROGRAM, log], capture_output=True, text=True, check=True)
    kib, seconds = run.stderr.split()
    return int(kib), float(seconds)


@pytest.mark.slow
def test_a_long_log(tmp_path: Path, figure: Figures) -> None:
    """A log many times as long takes as much memory, and so much more time."""
    recorder = Recorder()
    for number in range(SESSIONS):
        recorder.now, recorder.pid = recorder.now + 1, number
        session = Session(recorder, f"192.0.2.{number % 200}", f"mail{number % 200}.example.org")
        session.message(f"{number:x}", f"me{number}@example.org", "me@mydomain.com")
        session.close()
    short, long = recorder.file(tmp_path / "short"), tmp_path / "long"
    long.write_bytes(short.read_bytes() * REPETITIONS)
    short_kib, _ = read(short)
    long_kib, seconds = read(long)
    assert long_kib < short_kib + MAX_GROWTH_KIB
    lines = len(recorder.lines) * REPETITIONS
    figure(f"report: {lines / seconds:,.0f} lines of a log file in a second of processor time, in {long_kib:,} KiB")
