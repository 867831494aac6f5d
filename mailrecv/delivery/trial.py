"""Tries whether a delivery could be made, without making any: nothing is written, made, locked or run.

A mailbox is held to the same rules as in a delivery, those of `trusted_path` among them. All is asked for the user who
runs this, of the kernel, so that whatever it goes by counts: modes, ACLs, a file system that is mounted read-only.
Every function raises OSError with the reason for which a delivery would fail now. What only the delivery itself can
meet, such as a full disk, stays unseen.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import subprocess

from mailrecv import trusted_path
from mailrecv.delivery.command import PATH

# The first word of a command, if it is a plain one: no variable, quote, pattern or assignment.
_PROGRAM = re.compile(r"[ \t]*([A-Za-z0-9_./+:,@-]+)(?=$|[ \t;|&<>])")


def try_delivery(method: str, target: str) -> None:
    """Try a route of the configuration.  method: append, maildir or pipe.  target: a path or a command."""
    match method:
        case "append":
            try_append(target)
        case "maildir":
            try_maildir(target)
        case "pipe":
            try_command(target)
        case _:
            raise ValueError(f"no such method: {method}")


def try_append(path: str) -> None:
    """Try whether the mbox, device or FIFO at `path` could be appended to, or made if it is missing."""
    end = trusted_path.follow(path)
    try:
        status = os.stat(end)
    except FileNotFoundError:
        _need_directory(os.path.dirname(end) or ".")
        return
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), end)
    if stat.S_ISREG(status.st_mode):
        os.close(os.open(end, os.O_RDWR | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC))
    else:  # opening a FIFO would disturb its reader
        _need_access(end, os.W_OK)


def try_maildir(directory: str) -> None:
    """Try whether a file could be put into the Maildir at `directory`, which may be missing in part or whole."""
    for folder in ("new", "cur", "tmp"):
        try:
            path = trusted_path.follow(os.path.join(directory, folder))
        except FileNotFoundError as error:
            path = str(error.filename)  # the first of the path that is missing
        if not os.path.lexists(path):
            _need_directory(os.path.dirname(path) or ".")
        elif folder != "cur":  # the readers of the Maildir use it, this program only makes it
            _need_directory(path)


def try_command(command: str) -> None:
    """Try whether the program that a command begins with can be run; a command that begins with more is let pass.

    A name without a slash is left to the shell: only it knows which words are its own.
    """
    name = program(command)
    if name is None:
        return
    if "/" in name:
        if not stat.S_ISREG(os.stat(name).st_mode) or not os.access(name, os.X_OK):
            raise PermissionError(errno.EACCES, "cannot be executed", name)
        return
    asked = subprocess.run(
        ["/bin/sh", "-c", 'command -v -- "$1"', "sh", name],
        env={"PATH": PATH},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    if asked.returncode != 0:
        raise FileNotFoundError(errno.ENOENT, f"no such program in {PATH}", name)


def program(command: str) -> str | None:
    """Return the program that a command begins with, as it is written there; None when it begins with more."""
    match = _PROGRAM.match(command)
    return None if match is None else match[1]


def _need_directory(path: str) -> None:
    if not stat.S_ISDIR(os.stat(path).st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
    _need_access(path, os.W_OK | os.X_OK)


def _need_access(path: str, mode: int) -> None:
    if os.access(path, mode):
        return
    read_only = os.statvfs(path).f_flag & os.ST_RDONLY
    number = errno.EROFS if read_only else errno.EACCES
    raise OSError(number, os.strerror(number), path)
