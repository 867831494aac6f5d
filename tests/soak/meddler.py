"""A program that meddles with mailboxes while mail comes in, as logrotate, mail readers and lock holders do.

    meddler.py FOLDER

It renames FOLDER/mbox to FOLDER/mbox.N, locks it for a while in either of the two ways, rewrites it in place as mutt
does when it marks a message as read, and moves what is new in FOLDER/maildir to cur/; all at random, until SIGTERM.
Then it prints how often it did each.

All of it is one thread of one process: a lock of fcntl(2) is lost when the process closes the file anywhere else.
"""

from __future__ import annotations

import fcntl
import os
import random
import signal
import sys
import time
from collections import Counter
from contextlib import suppress
from itertools import count
from pathlib import Path
from types import FrameType

LARGEST_REWRITE_OCTETS = 4_000_000
PAUSE_SECONDS = 0.03


class Meddler:
    """Meddles with the mailboxes in a folder."""

    def __init__(self, folder: Path) -> None:
        self._mbox = folder / "mbox"
        self._maildir = folder / "maildir"
        self._numbers = count(1)
        self._chance = random.Random(0)  # noqa: S311 - what it does is not secret
        self._stopped = False
        self.done: Counter[str] = Counter()

    def run(self) -> None:
        """Meddle until `stop` is called."""
        ways = (self._rotate, self._hold_flock, self._hold_fcntl, self._rewrite, self._rewrite, self._read_maildir)
        while not self._stopped:
            with suppress(FileNotFoundError):
                self._chance.choice(ways)()
            time.sleep(self._chance.random() * PAUSE_SECONDS)

    def stop(self, number: int, frame: FrameType | None) -> None:
        """End `run`; a signal handler."""
        self._stopped = True

    def _rotate(self) -> None:
        self._mbox.rename(self._mbox.with_name(f"mbox.{next(self._numbers)}"))
        if self._chance.random() < 0.5:
            self._mbox.touch(0o600)  # as logrotate's `create` does
        self.done["renames"] += 1

    def _hold_flock(self) -> None:
        with self._mbox.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            time.sleep(self._chance.random() * PAUSE_SECONDS)
        self.done["locks by flock"] += 1

    def _hold_fcntl(self) -> None:
        with self._mbox.open("r+b") as file:
            fcntl.lockf(file, fcntl.LOCK_EX)
            time.sleep(self._chance.random() * PAUSE_SECONDS)
        self.done["locks by fcntl"] += 1

    def _rewrite(self) -> None:
        with self._mbox.open("r+b", buffering=0) as file:
            fcntl.lockf(file, fcntl.LOCK_EX)
            if os.fstat(file.fileno()).st_size <= LARGEST_REWRITE_OCTETS:
                octets = file.read()
                file.truncate(0)
                file.seek(0)
                time.sleep(self._chance.random() * PAUSE_SECONDS)
                view = memoryview(octets)
                while view:
                    view = view[file.write(view) :]
                self.done["rewrites"] += 1

    def _read_maildir(self) -> None:
        for path in list((self._maildir / "new").iterdir()):
            path.rename(self._maildir / "cur" / f"{path.name}:2,S")
            self.done["moves to cur"] += 1


if __name__ == "__main__":
    meddler = Meddler(Path(sys.argv[1]))
    signal.signal(signal.SIGTERM, meddler.stop)
    meddler.run()
    print(", ".join(f"{times} {what}" for what, times in sorted(meddler.done.items())))  # noqa: T201 - it is a program
