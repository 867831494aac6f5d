"""Reads a configuration file: every line through the table of directives, every fault kept until the end.

The file says which commands are run, so whoever can change it can do what its reader can. One that a stranger can
change is a fault, as with OpenSSH's files: it must belong to root or to the user who reads it, and nobody else may
write to it.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable

from mailrecv.config.compiled import identity
from mailrecv.config.directives import DIRECTIVES, OLD_DIRECTIVES, OLD_NAMES, Draft
from mailrecv.config.faults import ConfigError, Fault
from mailrecv.config.model import Config
from mailrecv.config.words import MissingWord, WordFault, Words, brief

_LONGEST_TYPO = 40  # characters of a word that may have been meant as a directive


def read_config(path: str) -> Config:
    """Return the configuration that a file holds.

    path: of the file. Raises ConfigError with all its faults, or with one when it cannot be read at all.
    """
    return read_config_and_lines(path)[0]


def read_config_and_lines(path: str) -> tuple[Config, list[str]]:
    """Return the configuration that a file holds, and its lines, for whoever has more to say of them. Raises as above.

    path: of the file.
    """
    before = _identity(path)  # should the file change while it is read, this is not the new one's
    octets, known = read_file(path)
    return parse_config(octets, path, known).replace(identity=before), split_lines(octets)


def read_file(path: str) -> tuple[bytes, tuple[Fault, ...]]:
    """Return the octets of a file, and the fault that strangers can change it, if they can. Raises ConfigError."""
    try:
        with open(path, "rb") as file:
            risk = _risk(os.fstat(file.fileno()))
            octets = file.read()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise ConfigError([Fault(path, 0, 0, f"cannot be read: {_reason(error)}")]) from None
    return octets, (Fault(path, 0, 0, risk),) if risk else ()


def parse_config(octets: bytes, path: str, known: Iterable[Fault] = ()) -> Config:
    """Return the configuration that the octets of a file hold. Raises ConfigError.

    path: for the faults.  known: faults of the file as a whole, to be told with the others.
    """
    draft = Draft()
    faults = list(known)
    sources = split_lines(octets)
    for number, source in enumerate(sources, 1):
        try:
            _read_line(draft, source, number)
        except WordFault as fault:
            faults.append(Fault(path, number, fault.column, fault.text, _shown(source), fault.width))
    for number, undefined in draft.undefined_groups():
        source = _shown(sources[number - 1])
        faults.append(Fault(path, number, undefined.column, undefined.text, source, undefined.width))
    if faults:
        raise ConfigError(sorted(faults, key=lambda fault: (fault.line, fault.column)))
    return draft.finish(path)


def _identity(path: str) -> tuple[int, ...]:
    try:
        return identity(os.stat(path))
    except (OSError, ValueError):
        return ()  # reading it will tell


def _reason(error: OSError | ValueError) -> str:
    """Return why a file cannot be read, and what to do."""
    if not isinstance(error, OSError):
        return str(error)
    if error.errno == errno.EACCES:
        return f"{error.strerror} for the user {_user(os.geteuid())} (namei -l shows which permission is missing)"
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EISDIR):
        return f"{error.strerror} (a file is needed, -c names one)"
    return str(error.strerror)


def split_lines(octets: bytes) -> list[str]:
    """Return the lines of a file; octets that are not UTF-8 stand as surrogates."""
    lines = octets.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    return [line.removesuffix(b"\r").decode("utf-8", "surrogateescape") for line in lines]


def _risk(status: os.stat_result) -> str | None:
    """Return who could change the file that should not be able to, or None."""
    if stat.S_ISCHR(status.st_mode):
        return None  # /dev/null may be written to by everybody, and stays empty
    if status.st_uid not in (0, os.geteuid()):
        whose = f"belongs to {_user(status.st_uid)}, neither to root nor to the user who reads it"
        return f"{whose}, and can run commands (chown root mends that)"
    if status.st_mode & stat.S_IWOTH:
        return "may be changed by everybody, and can run commands (chmod o-w mends that)"
    if status.st_mode & stat.S_IWGRP and not _is_private(status.st_gid, status.st_uid):
        return "may be changed by its group, and can run commands (chmod g-w mends that)"
    return None


def _user(uid: int) -> str:
    import pwd  # only a faulty file needs it

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _is_private(gid: int, uid: int) -> bool:
    """Say whether a group is one of its user alone: of the same name, without other members.

    Where users have such groups, a umask of 002 is common, and lets the group write to all that they make.
    """
    import grp  # only a file that its group may write to needs them
    import pwd

    try:
        user, group = pwd.getpwuid(uid), grp.getgrgid(gid)
    except KeyError:
        return False
    return user.pw_gid == gid and group.gr_name == user.pw_name and set(group.gr_mem) <= {user.pw_name}


def _read_line(draft: Draft, source: str, number: int) -> None:
    words = Words(source)
    if words.empty():
        return
    name = words.word("a directive")
    directive = DIRECTIVES.get(name) or OLD_DIRECTIVES.get(name)
    if directive is None:
        raise words.fault(f"unknown directive {brief(name)}{_hint(name)}")
    try:
        directive.read(draft, words, number)
    except MissingWord as fault:
        raise WordFault(fault.column, fault.width, f"{fault.text}; the form is: {name} {directive.usage}") from None
    draft.directives.append((number, words.text()))


def _hint(name: str) -> str:
    import difflib  # only a faulty file needs it

    known = (*DIRECTIVES, *OLD_NAMES)
    near = difflib.get_close_matches(name.lower(), known, 1) if len(name) <= _LONGEST_TYPO else []
    return f", did you mean {OLD_NAMES.get(near[0], near[0])}?" if near else ""


def _shown(text: str) -> str:
    """Return text without the surrogates that stand for octets outside UTF-8: it is to be printed."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
