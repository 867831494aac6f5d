"""System calls that fail when told to, for a module that is given this in place of `os`."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from mailrecv import trusted_path
from mailrecv.delivery import durable

_CALLS = {
    **{name: getattr(os, name) for name in ("open", "close", "stat", "lstat", "readlink", "fstat", "pread", "write")},
    **{name: getattr(os, name) for name in ("lseek", "fsync", "ftruncate", "fchmod", "fchown")},
    **{name: getattr(os, name) for name in ("link", "rename", "unlink", "mkdir", "makedirs")},
    "flock": fcntl.flock,
    "fcntl": fcntl.fcntl,
}


class FailingOs:
    """Stands for `os` and `fcntl`: some calls fail, all are counted and noted.

    error: the errno of those that fail.  first, last: their numbers, from 1.  most_octets: that a write takes at once.
    calls: each call so far that did not fail, with the path it worked on.
    """

    def __init__(self, error: int = 0, first: int = 0, last: int = 0, most_octets: int | None = None) -> None:
        self._error = error
        self._first, self._last = first, last
        self._most_octets = most_octets
        self.count = 0
        self.calls: list[tuple[str, str]] = []

    def __getattr__(self, name: str) -> Any:
        if name not in _CALLS:
            return getattr(os if hasattr(os, name) else fcntl, name)

        def call(*args: Any, **options: Any) -> Any:
            self.count += 1
            if self._first <= self.count <= self._last:
                if name == "close":
                    os.close(*args)  # as Linux does: the descriptor is gone, whatever close returns
                raise OSError(self._error, f"{os.strerror(self._error)} (injected into {name})")
            if name == "write":
                args = (args[0], args[1][: self._most_octets])
            self.calls.append((name, _path_of(args[0])))
            return _CALLS[name](*args, **options)

        return call


class MeddledOs(FailingOs):
    """Stands for them while somebody else is at work: for the numbers of some calls, what is done right before each."""

    def __init__(self, meddle: Mapping[int, Callable[[], object]]) -> None:
        super().__init__()
        self._meddle = meddle

    def __getattr__(self, name: str) -> Any:
        attribute = super().__getattr__(name)
        if name not in _CALLS:
            return attribute

        def call(*args: Any, **options: Any) -> Any:
            if self.count + 1 in self._meddle:
                self._meddle[self.count + 1]()
            return attribute(*args, **options)

        return call


@contextmanager
def failing(system: FailingOs) -> Iterator[None]:
    """Let the deliveries in the body meet this system: two modules alone touch mailboxes on disk."""
    with (
        mock.patch.object(durable, "os", system),
        mock.patch.object(durable, "fcntl", system),
        mock.patch.object(trusted_path, "os", system),
    ):
        yield


def succeeds(work: Callable[[], object]) -> bool:
    """Run `work`; return whether it ended without an OSError."""
    try:
        work()
    except OSError:
        return False
    return True


def _path_of(subject: int | str) -> str:
    return str(Path(f"/proc/self/fd/{subject}").readlink()) if isinstance(subject, int) else subject
