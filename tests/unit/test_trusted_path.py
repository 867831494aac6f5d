"""Paths that may be written to: where they lead, and the honest set-ups that are not to be turned away.

What an attacker may try is in the tests of the attacks.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from mailrecv import trusted_path
from mailrecv.trusted_path import LINK, OWNER, SECOND_NAME, follow, open_followed
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


# What root has opened before it became another user


def become_nobody() -> None:
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


def open_as_nobody(path: str, flags: int, octets: bytes = b"log\n") -> int:
    """Write to what is at `path`. Return how it was opened."""

    def write() -> int:
        become_nobody()
        fd, _ = open_followed(follow(path), flags | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK, 0o600)
        os.write(fd, octets)
        return fcntl.fcntl(fd, fcntl.F_GETFL)

    return in_child(write)


@pytest.mark.needs_root
@pytest.mark.parametrize("directory", ["/proc/self/fd", "/dev/fd"])
def test_a_pipe_that_is_open_already(directory: str) -> None:
    """What this user may not open anew is written to as it is, and stays as its opener wants it."""
    reader, writer = os.pipe()
    with open(reader, "rb") as reading, open(writer, "wb") as writing:  # noqa: PTH123 - descriptors
        open_as_nobody(f"{directory}/{writer}", os.O_WRONLY)
        assert not fcntl.fcntl(writer, fcntl.F_GETFL) & os.O_NONBLOCK
        writing.close()
        assert reading.read() == b"log\n"


@pytest.mark.needs_root
def test_a_file_that_is_open_already(tmp_path: Path) -> None:
    """A file of root's is written to where its opener has got to."""
    with (tmp_path / "file").open("wb", buffering=0) as file:
        file.write(b"before\n")
        open_as_nobody(f"/proc/self/fd/{file.fileno()}", os.O_WRONLY)
        file.write(b"after\n")
    assert (tmp_path / "file").read_bytes() == b"before\nlog\nafter\n"


@pytest.mark.needs_root
@pytest.mark.parametrize("opened, wanted", [("r", os.O_WRONLY), ("r+", os.O_RDWR), ("w", os.O_RDWR)])
def test_what_is_open_in_another_way(tmp_path: Path, opened: str, wanted: int) -> None:
    """What is open for reading only is not written to, and no mbox is: it would be written to anywhere."""
    (tmp_path / "file").touch(mode=0o600)
    with (tmp_path / "file").open(opened) as file, pytest.raises(PermissionError):
        open_as_nobody(f"/proc/self/fd/{file.fileno()}", wanted)


def test_what_is_not_open() -> None:
    """A descriptor that is not open is one that is missing."""
    with pytest.raises(FileNotFoundError):
        open_followed(follow("/dev/fd/9999"), os.O_WRONLY | os.O_CREAT, 0o600)


# One user's files that root trusts


def of_service(path: Path) -> Path:
    os.lchown(path, SERVICE, SERVICE)
    return path


@pytest.fixture
def sticky(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory as /tmp, with things of the service's, whose files are trusted."""
    monkeypatch.setattr(trusted_path, "_trusted_with_files", set[int]())
    trusted_path.trust_files_of(SERVICE)
    folder = tmp_path / "sticky"
    folder.mkdir()
    folder.chmod(0o1777)
    (folder / "log").touch()
    (folder / "link").symlink_to(tmp_path / "roots")
    (folder / "folder").mkdir()
    os.mkfifo(folder / "fifo")
    for name in ("log", "link", "folder", "fifo"):
        of_service(folder / name)
    (folder / "two").touch()
    (folder / "names").hardlink_to(of_service(folder / "two"))
    (folder / "stranger").touch()
    os.chown(folder / "stranger", NOBODY, NOBODY)
    return folder


@pytest.mark.needs_root
def test_a_trusted_users_file(sticky: Path) -> None:
    """A file that this user has where everybody may put things is written to."""
    fd, _ = open_followed(follow(f"{sticky}/log"), os.O_WRONLY | os.O_CREAT, 0o600)
    os.close(fd)


@pytest.mark.needs_root
@pytest.mark.parametrize(
    "name, reason",
    [("link", LINK), ("folder/log", OWNER), ("fifo", OWNER), ("names", SECOND_NAME), ("stranger", OWNER)],
)
def test_what_a_trusted_user_is_not_trusted_with(sticky: Path, name: str, reason: str) -> None:
    """Root does not go where this user may lead it, and trusts nobody else."""
    with pytest.raises(PermissionError, match=reason):
        open_followed(follow(f"{sticky}/{name}"), os.O_RDWR | os.O_CREAT, 0o600)
    assert not (sticky.parent / "roots").exists()
