"""A configuration in the form that a session reads fastest: already checked, and read only as far as it is needed.

The compiled form lies in a cache directory and is made from the file by the first session that had to read it, or by
`mailrecv check --compile`. It counts only while the file is the very one that it was made from, by place, size and
times, and the program the very one that made it. Because it says which commands are run, it must belong to root or to
the user who reads it, like the file itself. Whatever is wrong with it, the file is read instead.

    MAGIC, then how many octets there are in all, in the summary, and in the rules
    summary: what a session wants to know first, and which file this was made from
    rules: the patterns for clients, in the order of the file
    table: where each bucket begins, and where the last one ends
    buckets: the `deliver` lines of the addresses with the same checksum, modulo the number of such buckets; in the last
        bucket, the `error` lines in their order

Each part is a checksum and data in Python's marshal form: nothing else is read as fast, and who could write it is
known. This module imports next to nothing, because the client is waiting for its greeting.
"""

from __future__ import annotations

import marshal
import os
import stat
import sys
from zlib import crc32

from mailrecv import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CACHE_DIRECTORY = "/var/cache/mailrecv"
MAGIC = f"mailrecv {__version__} configuration, Python {sys.hexversion:08x}\n".encode()
NUMBER_OCTETS = 8
HEAD_OCTETS = len(MAGIC) + 3 * NUMBER_OCTETS
BROKEN = (OSError, ValueError, EOFError, TypeError, KeyError)  # what reading a broken or a strange file raises
_USUAL_OCTETS = 4096  # more than head and summary have
_STANDARD_STREAMS = (0, 1, 2)  # one that is closed leaves its number to the next file, which must not stay there


class Compiled:
    """An open compiled configuration.

    summary: `greeting` (octets, or None where it takes more than the file to know it), `fcrdns_check` and all else that
    `config.compiler` puts there.
    """

    def __init__(self, fd: int, size: int, summary: dict[str, Any], rules_at: int, table_at: int) -> None:
        self._fd = fd
        self._size = size
        self._rules_at = rules_at
        self._table_at = table_at
        self.summary = summary

    def rules(self) -> dict[str, Any]:
        """Return the patterns for clients. Raises what is in BROKEN."""
        return _part(self._octets(self._rules_at, self._table_at))

    def bucket(self, number: int) -> dict[str, Any]:
        """Return the lines in one bucket. Raises what is in BROKEN."""
        place = self._table_at + number * NUMBER_OCTETS
        begin, end = numbers(self._octets(place, place + 2 * NUMBER_OCTETS))
        return _part(self._octets(begin, end))

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def _octets(self, begin: int, end: int) -> bytes:
        if not begin <= end <= self._size:
            raise ValueError
        return os.pread(self._fd, end - begin, begin)


def open_compiled(path: str) -> Compiled | None:
    """Return the compiled form of the configuration at `path`, or None when there is none to be trusted."""
    try:
        fd = os.open(name_for(path), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except BROKEN:
        return None
    try:
        if fd in _STANDARD_STREAMS:
            raise ValueError
        return _read(fd, path)
    except BROKEN:
        os.close(fd)
        return None


def name_for(path: str) -> str:
    """Return the name of the compiled form of the configuration at `path`, in the cache directory.

    That is the one which CacheDirectory= in a unit makes (systemd.exec(5)), or else the package's.
    """
    return name_in(os.environ.get("CACHE_DIRECTORY", "").partition(":")[0] or CACHE_DIRECTORY, path)


def name_in(directory: str, path: str) -> str:
    """Return the same in another cache directory."""
    return os.path.join(directory, os.path.abspath(path).replace("%", "%25").replace("/", "%2f"))


def identity(status: os.stat_result) -> tuple[int, ...]:
    """Return what changes whenever a file or its permissions change."""
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def program_identity() -> tuple[int, ...]:
    """Return what changes whenever the modules that read and compile are replaced by others. Raises OSError.

    That is a matter of their directory: a new file in it changes its times.
    """
    return identity(os.stat(os.path.dirname(__file__)))


def numbers(octets: bytes) -> list[int]:
    """Return the numbers in some octets of the file."""
    starts = range(0, len(octets), NUMBER_OCTETS)
    return [int.from_bytes(octets[start : start + NUMBER_OCTETS], "little") for start in starts]


def checksum(data: bytes) -> bytes:
    """Return the octets that precede data which has come through whole."""
    return crc32(data).to_bytes(NUMBER_OCTETS, "little")


def _read(fd: int, path: str) -> Compiled:
    """Return what a descriptor holds if that can be trusted, else raise one of BROKEN."""
    status = os.fstat(fd)
    private = not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if not (stat.S_ISREG(status.st_mode) and status.st_uid in (0, os.geteuid()) and private):
        raise PermissionError
    start = os.pread(fd, _USUAL_OCTETS, 0)
    size, summary_octets, rules_octets = numbers(start[len(MAGIC) : HEAD_OCTETS])
    rules_at = HEAD_OCTETS + summary_octets
    table_at = rules_at + rules_octets
    if not (start.startswith(MAGIC) and table_at < size == status.st_size):
        raise ValueError
    if len(start) < rules_at:
        start = os.pread(fd, rules_at, 0)
    summary = _part(start[HEAD_OCTETS:rules_at])
    made_from = (summary["path"], summary["identity"], summary["program"])
    if made_from != (os.path.abspath(path), identity(os.stat(path)), program_identity()):
        raise ValueError
    return Compiled(fd, size, summary, rules_at, table_at)


def _part(octets: bytes) -> dict[str, Any]:
    data = octets[NUMBER_OCTETS:]
    if checksum(data) != octets[:NUMBER_OCTETS]:
        raise ValueError
    part: dict[str, Any] = marshal.loads(data)  # noqa: S302 - of a file that only root and this user can write
    return part
