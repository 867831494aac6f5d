"""Writes a file for others to read: they find the old one or the new one, never half of it."""

from __future__ import annotations

import os
import tempfile

_MODE = 0o644


def replace_file(path: str, text: str) -> None:
    """Write a file by way of another one in its folder, which then takes its place. Raises OSError.

    A pipe or a device keeps its place, and is just written to. A symbolic link leads to the file that is replaced.
    """
    path = os.path.realpath(path)
    if os.path.exists(path) and not os.path.isfile(path):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return
    folder, name = os.path.split(path)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=folder, prefix=f".{name}.", delete=False) as file:
        try:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), _MODE)
            os.fsync(file.fileno())
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise
