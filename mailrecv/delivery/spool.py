"""The mail data of a message while it comes in, and for as long as copies are made of it.

Small messages stay in memory, larger ones go to a temporary file that has no name, so that a crash leaves nothing
behind and memory stays flat.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from io import BytesIO
from typing import IO

MEMORY_OCTETS = 1 << 20  # a message up to this size is kept in memory
BLOCK_OCTETS = 1 << 18  # what is read and written at a time


class Spool:
    """Mail data with LF line ends.  size: octets so far."""

    def __init__(self) -> None:
        self.size = 0
        self._file: IO[bytes] = BytesIO()

    def write(self, octets: bytes) -> None:
        """Add mail data. Raises OSError, with the directory, when the temporary file cannot be written."""
        try:
            if self.size <= MEMORY_OCTETS < self.size + len(octets):
                memory, self._file = self._file, temporary_file()
                memory.seek(0)
                write_all(self._file, memory.read())
            write_all(self._file, octets)
        except OSError as error:
            error.filename = error.filename or _directory()
            raise
        self.size += len(octets)

    def blocks(self) -> Iterator[bytes]:
        """Yield the mail data from its beginning, in blocks of BLOCK_OCTETS. Raises OSError."""
        self._file.seek(0)
        while block := self._file.read(BLOCK_OCTETS):
            yield block

    def close(self) -> None:
        """Forget the mail data."""
        self._file.close()


def temporary_file() -> IO[bytes]:
    """Return a new file without a name, in TMPDIR or else /var/tmp: /tmp may well be memory. Raises OSError."""
    directory = _directory()
    try:
        fd = os.open(directory, os.O_TMPFILE | os.O_RDWR | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
        import tempfile  # takes as long as to write some megabytes; only a few file systems need it

        return tempfile.TemporaryFile(dir=directory, buffering=0)
    return os.fdopen(fd, "r+b", buffering=0)


def _directory() -> str:
    return os.environ.get("TMPDIR") or "/var/tmp"  # noqa: S108 - for files without a name


def write_all(file: IO[bytes], octets: bytes) -> None:
    """Write all of `octets` to an unbuffered file, however little it takes at a time. Raises OSError."""
    view = memoryview(octets)
    while view:
        view = view[file.write(view) :]
