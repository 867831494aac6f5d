"""What a tree of processes holds, on which the tests of memory and descriptors rely."""

from __future__ import annotations

import os
import signal
import subprocess

from tests.clients.servers import wait_until
from tests.support.process import forget_peak, holding, open_files


def test_children_and_grandchildren_count() -> None:
    """All descendants of a process are added up."""
    script = "sh -c 'sleep 60 & exec 9>/dev/zero; wait' & sleep 60 & wait"
    with subprocess.Popen(["sh", "-c", script], start_new_session=True) as process:
        try:
            wait_until(lambda: "/dev/zero" in open_files(process.pid) and holding(process.pid).processes == 4)
            # A shell that has not become `sleep` yet may close something between the two looks.
            wait_until(lambda: holding(process.pid).descriptors == len(open_files(process.pid)) > 4)
            before = holding(process.pid)
            assert before.threads == 4
            assert 0 < before.megabytes <= before.peak_megabytes
            forget_peak(process.pid)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
