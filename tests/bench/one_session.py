"""Times one session in a process of its own, from its start to its end, with a small message and with a large one.

    .venv/bin/python tests/bench/one_session.py [MEGABYTES]

The process gets a connected socket on its standard input, as from inetd. Printed are medians of RUNS runs: seconds from
the start to the greeting, seconds of the whole session, megabytes of mail data per second from the first octet sent to
the 250 (the fsync included), and the peak of resident memory. Figures, no verdicts.
"""

from __future__ import annotations

import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

RUNS = 7
LINE = b"x" * 70 + b"\r\n"
MAILRECV = Path(sys.executable).with_name("mailrecv")


class Figures(NamedTuple):
    """What one session took: seconds, seconds, megabytes per second, megabytes."""

    greeting: float
    session: float
    rate: float
    peak: float


def session(directory: Path, mail_data: bytes) -> Figures:
    """Run one session that delivers one message into an mbox, and return its figures."""
    config = directory / "mailrecv.conf"
    config.write_text(
        f"domain bench.example\nlogfile {directory}/log\nlimit.smtp_data_size 2000000000\n"
        f"deliver rcpt_to box@bench.example append {directory}/mbox\n"
    )
    ours, its = socket.socketpair()
    fd = its.fileno()
    began = time.perf_counter()
    with its, subprocess.Popen([MAILRECV, "-c", config], stdin=fd, stdout=fd, stderr=fd) as process:
        its.close()
        with ours, ours.makefile("rb") as replies:
            replies.readline()
            greeting = time.perf_counter() - began
            ours.sendall(b"HELO x\r\nMAIL FROM:<>\r\nRCPT TO:<box@bench.example>\r\nDATA\r\n")
            assert [replies.readline()[:3] for _ in range(4)] == [b"250", b"250", b"250", b"354"]
            sent = time.perf_counter()
            ours.sendall(mail_data)
            ours.sendall(b".\r\n")
            assert replies.readline().startswith(b"250")
            taken = time.perf_counter() - sent
            peak = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
            assert peak
            ours.sendall(b"QUIT\r\n")
            replies.readline()
        assert process.wait() == 0
    (directory / "mbox").unlink()
    return Figures(greeting, time.perf_counter() - began, len(mail_data) / 1e6 / taken, int(peak[1]) / 1e3)


def main() -> None:
    """Run the sessions and print their medians."""
    megabytes = float(sys.argv[1]) if len(sys.argv) > 1 else 20
    with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:  # on a disk, as mail is
        for name, mail_data in [("small", LINE), (f"{megabytes:g} MB", LINE * int(megabytes * 1e6 / len(LINE)))]:
            runs = [session(Path(directory), mail_data) for _ in range(RUNS)]
            greeting, whole, rate, peak = (statistics.median(column) for column in zip(*runs, strict=True))
            print(
                f"{name:>8}: greeting after {greeting * 1000:.0f} ms, session {whole * 1000:.0f} ms,"
                f" {rate:.0f} MB/s, peak {peak:.0f} MB"
            )


if __name__ == "__main__":
    main()
