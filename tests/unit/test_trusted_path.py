"""Paths that may be written to: where they lead, and the honest set-ups that are not to be turned away.

What an attacker may try is in the tests of the attacks.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from mailrecv.trusted_path import follow, open_followed
from tests.support.delivery import in_child
from tests.support.users import NOBODY

GROUP = 4242  # of nobody's
SERVICE = 4243


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with `a`, `a/b`, the file `a/b/file`, and links."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").touch()
    (tmp_path / "link").symlink_to("a")
    (tmp_path / "a" / "absolute").symlink_to(tmp_path / "a" / "b")
    (tmp_path / "a" / "twice").symlink_to("../link/b")
    (tmp_path / "to_file").symlink_to("a/twice/file")
    (tmp_path / "to_nothing").symlink_to("a/nothing")
    return tmp_path


@pytest.mark.parametrize(
    "path, end",
    [
        ("a/b/file", "a/b/file"),
        ("a//b/file", "a/b/file"),
        ("a/missing", "a/missing"),
        ("link/b/file", "a/b/file"),
        ("link/absolute/file", "{}/a/b/file"),
        ("a/twice/file", "a/../a/b/file"),
        ("to_file", "a/../a/b/file"),
        ("to_nothing", "a/nothing"),
        ("link/../a/b", "a/../a/b"),
        ("a/b/", "a/b/."),
        ("{}/to_file", "{}/a/../a/b/file"),
        (".", "."),
        ("/", "/."),
        ("..", ".."),
        ("/dev/null", "/dev/null"),
        ("/proc/self/fd/1", "/proc/self/fd/1"),
        ("/dev/fd/1", "/proc/self/fd/1"),
    ],
)
def test_follow(folder: Path, path: str, end: str) -> None:
    """Links are followed wherever they are in a path, relative and absolute ones; those below /proc are left."""
    found = follow(path.format(folder))
    assert found == end.format(folder)
    if Path(found).exists() and not found.startswith("/proc/"):
        assert Path(found).samefile(path.format(folder))


def test_follow_from_somewhere(folder: Path) -> None:
    """A path may begin where another one has led to, as long as it is a relative one."""
    assert follow("file", follow("link/absolute")) == f"{folder}/a/b/file"
    assert follow("../b/missing", "a/b") == "a/b/../b/missing"
    assert follow("absolute/file", "a") == f"{folder}/a/b/file"
    assert follow("/dev/null", "a") == "/dev/null"


@pytest.mark.parametrize(
    "path, error, step",
    [
        ("missing/file", FileNotFoundError, "missing"),
        ("a/missing/b/c", FileNotFoundError, "a/missing"),
        ("missing/", FileNotFoundError, "missing"),
        ("to_nothing/file", FileNotFoundError, "a/nothing"),
        ("a/b/file/x", NotADirectoryError, "a/b/file"),
        ("a/b/file/", NotADirectoryError, "a/b/file"),
    ],
)
def test_a_step_that_cannot_be_gone(folder: Path, path: str, error: type[OSError], step: str) -> None:
    """The error names the step, not the whole path."""
    with pytest.raises(error) as failure:
        follow(path)
    assert failure.value.filename == step


def test_the_way_is_as_the_kernel_goes_it(folder: Path) -> None:
    """Where a path leads is where the kernel would go, however its links and dots are mixed."""
    for name in ("link/../link/twice/../b/file", "a/twice/../../to_file", "link/absolute/../twice/./file"):
        found = Path(follow(name))
        assert found.samefile(name)
        assert not any(path.is_symlink() for path in (found, *found.parents))


def var_mail(folder: Path) -> Path:
    """A directory of a group's that its members may write to, as Debian's /var/mail, with a user's mailbox."""
    os.chown(folder, 0, GROUP)
    folder.chmod(0o2775)
    return theirs(folder / "box", 0o660)


def spool(folder: Path) -> Path:
    """A directory that everybody may write to, as /var/mail elsewhere, with the service's own mailbox."""
    folder.chmod(0o1777)
    (folder / "box").touch()
    os.chown(folder / "box", SERVICE, GROUP)
    return folder / "box"


def shared(folder: Path) -> Path:
    """A directory of a group's and of another user's, with one of a third's in it."""
    os.chown(folder, NOBODY, GROUP)
    folder.chmod(0o2770)
    (folder / "project").mkdir()
    os.chown(folder / "project", SERVICE + 1, GROUP)
    (folder / "project").chmod(0o2770)
    return folder / "project" / "box"


def home(folder: Path) -> Path:
    """The home directory of another user, with directories of theirs."""
    os.chown(folder, NOBODY, GROUP)
    folder.chmod(0o770)
    (folder / "mail").mkdir()
    os.chown(folder / "mail", NOBODY, GROUP)
    (folder / "mail").chmod(0o770)
    return theirs(folder / "mail" / "box", 0o660)


def below_tmp(folder: Path) -> Path:
    """Directories of the service's own, and of root's, below one like /tmp."""
    folder.chmod(0o1777)
    (folder / "roots").mkdir()
    (folder / "roots" / "own").mkdir()
    os.chown(folder / "roots" / "own", SERVICE, -1)
    (folder / "link").symlink_to("roots")
    return folder / "link" / "own" / "box"


def moved_by_root(folder: Path) -> Path:
    """A mailbox that root has put elsewhere, with a link in its old place."""
    (folder / "new").mkdir()
    os.chown(folder / "new", SERVICE, -1)
    (folder / "old").symlink_to(folder / "new")
    return folder / "old" / "box"


def theirs(path: Path, mode: int) -> Path:
    path.touch()
    path.chmod(mode)
    os.chown(path, NOBODY, GROUP)
    return path


@pytest.mark.needs_root
@pytest.mark.parametrize("set_up", [var_mail, spool, shared, home, below_tmp, moved_by_root])
def test_honest_set_ups(tmp_path: Path, set_up: Callable[[Path], Path]) -> None:
    """What an administrator may have set up is written to by the service, as far as its rights go."""
    for above in [tmp_path, *tmp_path.parents[: len(tmp_path.parents) - 2]]:
        above.chmod(above.stat().st_mode | 0o011)
    folder = tmp_path / "folder"
    folder.mkdir()
    path = set_up(folder)

    def open_as_service() -> int:
        os.setgroups([GROUP])
        os.setresgid(SERVICE, SERVICE, SERVICE)
        os.setresuid(SERVICE, SERVICE, SERVICE)
        fd, status = open_followed(follow(str(path)), os.O_WRONLY | os.O_CREAT, 0o600)
        os.close(fd)
        return status.st_mode

    assert stat.S_ISREG(in_child(open_as_service))
