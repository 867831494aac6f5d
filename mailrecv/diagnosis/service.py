"""Who runs the service, what its unit hides from it, and how to see the machine with its eyes.

The unit is asked first: systemd knows its drop-ins too. Without a unit it is the user `mailrecv`, as for xinetd, and
without that the user who asks.
"""

from __future__ import annotations

import grp
import json
import os
import pwd
import shlex
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NoReturn

from mailrecv.values import Value

UNITS = ("mailrecv@.service", "mailrecv.service")
DEFAULT_USER = "mailrecv"
_PROPERTIES = (
    "Id",
    "LoadState",
    "User",
    "Group",
    "SupplementaryGroups",
    "WorkingDirectory",
    "ProtectHome",
    "ProtectSystem",
    "ReadWritePaths",
    "InaccessiblePaths",
    "ReadOnlyPaths",
)
_ANSWER_SECONDS = 10.0  # longer than that, and systemd counts as not there
_HOMES = ("/home", "/root", "/run/user")
# systemd.exec(5): what each value of ProtectSystem= makes read-only
_READ_ONLY = {"yes": ("/usr", "/boot", "/efi"), "full": ("/usr", "/boot", "/efi", "/etc"), "strict": ("/",)}
_ALWAYS_WRITABLE = ("/dev", "/proc", "/sys")


class UnknownUser(Exception):
    """There is no such user on this machine.  str: who says that there is, and what to do."""


class CannotTell(Exception):
    """Only root can see the machine as another user does."""


class Service(Value):
    """Who runs mailrecv.

    user: the name.  uid, gid, groups: as the system has them.  known_from: how it is known, as in `as --user says`.
    certain: False when nothing but a guess says so.  unit: what systemd says of the unit, by property; empty without
    one.
    """

    user: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    known_from: str
    certain: bool = True
    unit: Mapping[str, str] = MappingProxyType({})

    def whole_path(self, path: str) -> str:
        """Return a path of the configuration as the service sees it: systemd starts it at the root, unless told."""
        return os.path.join(self.unit.get("WorkingDirectory", "").lstrip("!-") or "/", path) if self.unit else path

    def hidden_by_unit(self, path: str) -> str | None:
        """Return how the unit hides an absolute path from the service; None when it does not."""
        if _lies_in(path, self.unit.get("InaccessiblePaths", "").split()):
            return "hidden by the unit (InaccessiblePaths=)"
        if _lies_in(path, _HOMES) and self.unit.get("ProtectHome", "no") not in ("no", "read-only"):
            return "hidden by the unit, as all home directories are (ProtectHome=)"
        return None

    def closed_by_unit(self, path: str) -> str | None:
        """Return how the unit keeps the service from writing to an absolute path; None when it does not."""
        if hidden := self.hidden_by_unit(path):
            return hidden
        if _lies_in(path, self.unit.get("ReadWritePaths", "").split()):
            return None
        if _lies_in(path, self.unit.get("ReadOnlyPaths", "").split()):
            return "read-only in the unit (ReadOnlyPaths=)"
        if _lies_in(path, _HOMES) and self.unit.get("ProtectHome") == "read-only":
            return "read-only in the unit, as all home directories are (ProtectHome=)"
        if _lies_in(path, _ALWAYS_WRITABLE):
            return None
        if _lies_in(path, _READ_ONLY.get(self.unit.get("ProtectSystem", "no"), ())):
            return "read-only in the unit (ProtectSystem=)"
        return None

    def become(self) -> None:
        """Make this process one of the service's user, for good: only root can. Raises OSError."""
        os.setgroups(self.groups)
        os.setresgid(self.gid, self.gid, self.gid)
        os.setresuid(self.uid, self.uid, self.uid)

    def see(self, look: Callable[[], Any]) -> Any:
        """Return what `look` returns for the service's user: something that JSON knows.

        It runs in a child that has become that user for good, so that the kernel itself answers. Raises CannotTell.
        """
        if os.geteuid() == self.uid:
            return look()
        if os.geteuid() != 0:
            raise CannotTell(f"only root can try what the user {self.user} may do")
        read_fd, write_fd = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(read_fd)
            self._answer(look, write_fd)
        os.close(write_fd)
        with open(read_fd, "rb") as answer:
            octets = answer.read()
        os.waitpid(child, 0)
        seen, failure = json.loads(octets) if octets else (None, "the process that tried it was killed")
        if failure is not None:
            raise CannotTell(f"what the user {self.user} may do cannot be tried: {failure}")
        return seen

    def _answer(self, look: Callable[[], Any], write_fd: int) -> NoReturn:
        """Become the user, look, write what was seen or what failed, and end this process, whatever happens."""
        try:
            try:
                self.become()
                found = [look(), None]
            except Exception as error:  # noqa: BLE001 - in this process nobody else can tell it
                found = [None, f"{type(error).__name__}: {error}"]
            with open(write_fd, "wb") as answer:
                answer.write(json.dumps(found).encode())
        finally:
            os._exit(0)


def find_service(name: str | None = None) -> Service:
    """Return who runs the service.  name: of the user, when the administrator says so. Raises UnknownUser."""
    if name is not None:
        return _service(name, "as --user says")
    unit = _unit()
    if unit:
        return _service(unit["User"] or "root", f"as the unit {unit['Id']} says", unit)
    try:
        return _service(DEFAULT_USER, "as there is no unit, but a user of this name")
    except UnknownUser:
        name = _name(os.geteuid())
    groups = tuple(os.getgroups())
    known_from = f"as there is neither a unit nor a user {DEFAULT_USER}"
    return Service(name, os.geteuid(), os.getegid(), groups, known_from, certain=False)


def _service(name: str, known_from: str, unit: dict[str, str] | None = None) -> Service:
    try:
        entry = pwd.getpwuid(int(name)) if name.isascii() and name.isdigit() else pwd.getpwnam(name)
    except (KeyError, OverflowError):
        make = f"adduser --system --group {shlex.quote(name)} makes one"
        raise UnknownUser(f"mailrecv runs as the user {name}, {known_from}, but there is none; {make}") from None
    unit = unit or {}
    gid = _gid(unit.get("Group", ""), entry.pw_gid)
    others = (_gid(group, gid) for group in unit.get("SupplementaryGroups", "").split())
    groups = {*os.getgrouplist(entry.pw_name, gid), *others}
    return Service(entry.pw_name, entry.pw_uid, gid, tuple(sorted(groups)), known_from, unit=unit)


def _gid(name: str, default: int) -> int:
    if not name:
        return default
    if name.isascii() and name.isdigit():
        return int(name)
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return default


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _unit() -> dict[str, str]:
    """Return what systemd says of the first unit of ours that it knows; empty when there is none, or no systemd."""
    import subprocess

    names = [name.replace("@.", "@check.") for name in UNITS]
    command = ["systemctl", "show", f"--property={','.join(_PROPERTIES)}", *names]
    try:
        asked = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_ANSWER_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return {}
    for block in asked.stdout.split("\n\n"):
        unit = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if unit.get("LoadState") == "loaded":
            return {**dict.fromkeys(_PROPERTIES, ""), **unit, "Id": unit.get("Id", "").replace("@check.", "@.")}
    return {}


def _lies_in(path: str, places: tuple[str, ...] | list[str]) -> bool:
    return any(f"{path}/".startswith(f"{place.lstrip('-+').rstrip('/')}/") for place in places)
