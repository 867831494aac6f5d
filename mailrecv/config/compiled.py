"""A configuration in the form that a session reads fastest: already checked, and read only as far as it is needed.

The compiled form lies in a cache directory and is made from the file by the first session that had to read it, or by
`mailrecv check --compile`. It counts only while the file is the very one that it was made from: same place, size and
times, and the same program. Because it says which commands are run, it must belong to root or to the user who reads it,
like the file itself.

    MAGIC, the lengths of the first two parts and of the whole file
    summary: what a session wants to know first, and which file this was made from
    rules: patterns and replies, in the order of the file
    table: where each bucket of addresses begins, and where the last one ends
    buckets: the `deliver` lines of the addresses with the same checksum, modulo the number of buckets

Each part is in Python's marshal form: nothing else is read as fast, and who could write it is known. This module
imports next to nothing, because the client is waiting for its greeting.
"""

from __future__ import annotations

import marshal
import os
import stat
import sys

from mailrecv import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

CACHE_DIRECTORY = "/var/cache/mailrecv"
MAGIC = f"mailrecv {__version__} configuration, Python {sys.hexversion:08x}\n".encode()
LENGTH_OCTETS = 8  # of each number before the summary and in the table
HEAD_OCTETS = len(MAGIC) + 3 * LENGTH_OCTETS


class Compiled:
    """An open compiled configuration.

    summary: `greeting` (octets, or None where it takes more than the file to know it), `fcrdns_check` and all else that
    `config.compiler` puts there.
    """

    def __init__(self, fd: int, summary: dict[str, Any], rules_at: int, table_at: int) -> None:
        self._fd = fd
        self._rules_at = rules_at
        self._table_at = table_at
        self.summary = summary

    def rules(self) -> dict[str, Any]:
        """Return the patterns and replies. Raises OSError."""
        return _part(os.pread(self._fd, self._table_at - self._rules_at, self._rules_at))

    def bucket(self, number: int) -> dict[str, Any]:
        """Return the `deliver` lines in one bucket, by address. Raises OSError."""
        begin, end = numbers(os.pread(self._fd, 2 * LENGTH_OCTETS, self._table_at + number * LENGTH_OCTETS))
        return _part(os.pread(self._fd, end - begin, begin))

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


def open_compiled(path: str) -> Compiled | None:
    """Return the compiled form of the configuration at `path`, or None when there is none to be trusted."""
    try:
        status = os.stat(path)
        for directory in cache_directories():
            if compiled := _open(name_in(directory, path), path, status):
                return compiled
    except (OSError, ValueError, EOFError, TypeError, KeyError):  # no such file, a NUL in the path, not our form
        pass
    return None


def cache_directories() -> list[str]:
    """Return where compiled configurations may lie, the best place first."""
    given = os.environ.get("CACHE_DIRECTORY")  # systemd.exec(5), CacheDirectory=
    if given:
        return [given.partition(":")[0], CACHE_DIRECTORY]
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.environ.get("HOME") or "/nonexistent", ".cache")
    return [CACHE_DIRECTORY, os.path.join(home, "mailrecv")]


def name_in(directory: str, path: str) -> str:
    """Return the name of the compiled form of the configuration at `path`."""
    return os.path.join(directory, os.path.abspath(path).replace("%", "%25").replace("/", "%2f"))


def identity(status: os.stat_result) -> tuple[int, ...]:
    """Return what changes whenever a file or its permissions change."""
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def numbers(octets: bytes) -> Iterator[int]:
    """Return the numbers in some octets of the file."""
    return (int.from_bytes(octets[at : at + LENGTH_OCTETS], "little") for at in range(0, len(octets), LENGTH_OCTETS))


def _open(name: str, path: str, status: os.stat_result) -> Compiled | None:
    try:
        fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        found = os.fstat(fd)
        head = os.pread(fd, 4096, 0)
        if _is_trustworthy(found) and head.startswith(MAGIC) and len(head) >= HEAD_OCTETS:
            summary_octets, rules_octets, whole_octets = numbers(head[len(MAGIC) : HEAD_OCTETS])
            rules_at = HEAD_OCTETS + summary_octets
            if len(head) < rules_at:
                head = os.pread(fd, rules_at, 0)
            summary = _part(head[HEAD_OCTETS:rules_at])
            is_of_file = summary["path"] == os.path.abspath(path) and summary["identity"] == identity(status)
            if is_of_file and found.st_size == whole_octets:
                return Compiled(fd, summary, rules_at, rules_at + rules_octets)
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)
    return None


def _is_trustworthy(status: os.stat_result) -> bool:
    return (
        stat.S_ISREG(status.st_mode)
        and status.st_uid in (0, os.geteuid())
        and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    )


def _part(octets: bytes) -> dict[str, Any]:
    part: dict[str, Any] = marshal.loads(octets)  # noqa: S302 - of a file that only root and this user can write
    return part
