"""Mail servers from Debian packages, run without being installed: a machine has room for one, and keeps what it has.

Their files lie in ~/.cache/mailrecv-tests, or in the folder that MAILRECV_TEST_CACHE names, and are laid over /usr and
/etc in a mount namespace: whoever runs there sees an installed package, and nobody else does.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

CACHE = Path(os.environ.get("MAILRECV_TEST_CACHE") or Path.home() / ".cache" / "mailrecv-tests")
MERGED = ("bin", "lib", "lib64", "sbin")  # of /: links into /usr
USERS = {"postfix": 64101, "postdrop": 64102, "Debian-exim": 64103}  # that the packages would make


@cache
def unpacked(package: str) -> Path:
    """Return a folder with the files of a package, and of all that it needs and this machine does not have."""
    wanted = _wanted(package)
    root = CACHE / f"{package}-{hashlib.sha256(' '.join(wanted).encode()).hexdigest()[:12]}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{package}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # somebody else may be at it
        if not root.exists():
            _make(root, [archive.partition("_")[0] for archive in wanted])
    return root


def in_place(package: str, *command: str) -> tuple[str, ...]:
    """Return a command that runs another where a package seems to be installed."""
    root = unpacked(package)
    mounts = [f"mount -t overlay -o ro,lowerdir={root}/{name}:/{name} {package} /{name}" for name in ("usr", "etc")]
    script = " && ".join([*mounts, 'exec "$@"'])
    return ("unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", *command)


def _wanted(package: str) -> list[str]:
    """Return the names of the archives that it takes to install a package here, itself among them."""
    with tempfile.TemporaryDirectory() as nothing:  # what apt has downloaded already, it would not name
        options = ["--print-uris", "--reinstall", "--no-install-recommends", "-oDir::Cache::archives=" + nothing]
        return [line.split()[1] for line in _apt_get("install", *options, package).splitlines()]


def _make(root: Path, packages: Sequence[str]) -> None:
    """Make a root of packages, which appears under its name when it is complete."""
    with tempfile.TemporaryDirectory(dir=root.parent, prefix=f"{root.name}-new-") as folder:
        _apt_get("download", *packages, folder=folder)
        new = Path(folder) / "root"
        for name in MERGED:
            (new / "usr" / name).mkdir(parents=True)
            (new / name).symlink_to(f"usr/{name}")
        for archive in sorted(Path(folder).glob("*.deb")):
            _unpack(archive, new)
        _add_users(new / "etc")
        new.chmod(0o755)
        new.rename(root)


def _unpack(archive: Path, root: Path) -> None:
    """Unpack a package without taking its /lib, which is a folder, for another than /usr/lib."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", archive], stdout=subprocess.PIPE) as unpacking:
        subprocess.run(["tar", "-x", "--keep-directory-symlink", "-C", root], stdin=unpacking.stdout, check=True)
    assert unpacking.returncode == 0


def _add_users(etc: Path) -> None:
    """Add the users that the packages would make to copies of the machine's own files."""
    etc.mkdir(exist_ok=True)
    for name, line in {"passwd": "{0}:x:{1}:{1}::/nonexistent:/usr/sbin/nologin\n", "group": "{0}:x:{1}:\n"}.items():
        known = Path("/etc", name).read_text(encoding="utf-8")
        added = [line.format(user, number) for user, number in USERS.items() if f"\n{user}:" not in known]
        (etc / name).write_text(known + "".join(added), encoding="utf-8")


def _apt_get(*arguments: str, folder: str | None = None) -> str:
    """Return what apt-get prints.  folder: in which it is run."""
    command = ["apt-get", "-qq", *arguments]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if ended.returncode != 0:  # the lists may be missing, or older than the archive
        subprocess.run(["apt-get", "-qq", "update"], capture_output=True, check=False)
        ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"{' '.join(command)} failed:\n{ended.stdout}{ended.stderr}"
    return ended.stdout
