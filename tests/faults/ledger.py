"""What a power cut would take away at each moment of a session, by the rules of POSIX, worked out from its calls.

Data is safe once its file was synced after it was written, a name once its directory was synced after it was made. A
sync that failed may have lost the data of a file for good: another one that succeeds proves nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from tests.faults.traced import Call

_ACKNOWLEDGED = re.compile(r"(?<!\d)250 OK [0-9a-f]{12,}")
_NOT_MAIL = ("log", "stderr", "trace")


class Ledger:
    """What is not safe in a folder."""

    def __init__(self, folder: Path) -> None:
        """Take everything that is in the folder now for safe."""
        self._folder = folder
        self._made = {str(path) for path in folder.rglob("*")}
        self._files = {str(path) for path in folder.rglob("*") if path.is_file()}
        self._names: set[str] = set()
        self._data: set[str] = set()
        self._lost: set[str] = set()

    def at_risk(self) -> set[str]:
        """Return the paths of all files in the folder that a power cut would take away or damage."""
        risky = (
            self._data
            | self._lost
            | {file for file in self._files for name in self._names if Path(file).is_relative_to(name)}
        )
        inside = {path.removeprefix(f"{self._folder}/") for path in risky if path.startswith(f"{self._folder}/")}
        return {path for path in inside if path not in _NOT_MAIL and Path(path).parent.name != "tmp"}

    def follow(self, calls: Iterable[Call]) -> list[set[str]]:
        """Return what was at risk at each 250 to a message."""
        found = []
        for call in calls:
            if call.name == "sendto":
                found += [self.at_risk() for _ in _ACKNOWLEDGED.findall(call.arguments)]
            elif call.failed:
                if call.name == "fsync":
                    self._lost |= self._data.intersection(call.paths)
            else:
                self._note(call)
        return found

    def _note(self, call: Call) -> None:
        match call.name, call.paths:
            case "openat", [path] if "O_CREAT" in call.arguments:
                self._make(path)
                self._files.add(path)
            case "mkdir", [path]:
                self._make(path)
            case "write", [path, *_]:
                self._data.add(path)
            case "ftruncate", [path]:
                self._data.add(path)
                self._lost.discard(path)
            case "fsync" | "fdatasync", [path]:
                self._data.discard(path)
                self._names = {name for name in self._names if str(Path(name).parent) != path}
            case "sync", _:
                self._data.clear()
                self._names.clear()
            case "rename", [path, new_path]:
                self._name_too(path, new_path)
                self._forget(path)
            case "link", [path, new_path]:
                self._name_too(path, new_path)
            case "unlink", [path]:
                self._forget(path)

    def _make(self, path: str) -> None:
        if path not in self._made:
            self._made.add(path)
            self._names.add(path)

    def _name_too(self, path: str, new_path: str) -> None:
        self._make(new_path)
        for kind in (self._files, self._data, self._lost):
            if path in kind:
                kind.add(new_path)

    def _forget(self, path: str) -> None:
        for kind in (self._made, self._files, self._names, self._data, self._lost):
            kind.discard(path)
