"""Trying a delivery without making one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mailrecv.delivery.trial import program, try_delivery
from tests.support.users import NOBODY, as_nobody


def failure(method: str, target: str) -> str | None:
    """Return why nobody's delivery there would fail, or None."""
    try:
        with as_nobody():
            try_delivery(method, target)
    except OSError as error:
        return f"{error.filename}: {error.strerror}"
    return None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory of nobody's, to which the way is open."""
    for above in [tmp_path, *tmp_path.parents[: len(tmp_path.parents) - 2]]:
        above.chmod(above.stat().st_mode | 0o055)
    path = tmp_path / "mail"
    path.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(path, NOBODY, -1)
    return path


def everything_in(folder: Path) -> list[tuple[str, int, int]]:
    return [(str(path), path.lstat().st_mode, path.lstat().st_mtime_ns) for path in sorted(folder.rglob("*"))]


@pytest.mark.parametrize("method, name", [("append", "mbox"), ("maildir", "Maildir"), ("maildir", "a/b/Maildir/")])
def test_places_that_can_be_made(folder: Path, method: str, name: str) -> None:
    """What is missing can be made in a directory of the user's, and trying makes nothing."""
    assert failure(method, f"{folder}/{name}") is None
    assert everything_in(folder) == []


@pytest.mark.parametrize("name", ["/dev/null", "/dev/full"])
def test_devices(name: str) -> None:
    """A device that everybody may write to is a place, whatever becomes of the mail."""
    assert failure("append", name) is None


def test_places_that_are_there(folder: Path) -> None:
    """An mbox, a FIFO and a Maildir of the user's can be used; trying leaves them as they are, FIFO readers too."""
    for name in ("cur", "new", "tmp"):
        (folder / "Maildir" / name).mkdir(parents=True)
    (folder / "mbox").write_text("From x\n")
    os.mkfifo(folder / "fifo")
    for path in folder.rglob("*"):
        if os.geteuid() == 0:
            os.chown(path, NOBODY, -1)
    before = everything_in(folder)
    assert [failure(*place) for place in [("append", f"{folder}/mbox"), ("append", f"{folder}/fifo")]] == [None, None]
    assert failure("maildir", f"{folder}/Maildir") is None
    assert everything_in(folder) == before


@pytest.mark.needs_root
def test_places_of_others(folder: Path) -> None:
    """What only root may write is named, with the reason."""
    (folder / "mbox").touch(mode=0o600)
    (folder / "new").mkdir(mode=0o755)
    (folder / "tmp").mkdir(mode=0o755)
    (folder / "inner").mkdir(mode=0o755)
    assert failure("append", f"{folder}/mbox") == f"{folder}/mbox: Permission denied"
    assert failure("append", f"{folder}/inner/mbox") == f"{folder}/inner: Permission denied"
    assert failure("maildir", str(folder)) == f"{folder}/new: Permission denied"
    assert failure("maildir", f"{folder}/inner/Maildir") == f"{folder}/inner: Permission denied"


@pytest.mark.needs_root
def test_a_link_of_somebody_else_s(folder: Path) -> None:
    """The rules of a delivery hold: a link that a third user made is not followed."""
    (folder / "mbox").symlink_to("other")
    os.lchown(folder / "mbox", 4242, 4242)
    assert failure("append", f"{folder}/mbox") == (f"{folder}/mbox: a symbolic link of somebody else's is not followed")


@pytest.mark.needs_root
def test_a_directory_of_somebody_else_s(folder: Path) -> None:
    """So do those about the way there, also where the end of it, or of the way, is missing."""
    folder.chmod(0o1777)
    (folder / "d").mkdir(mode=0o777)
    os.chown(folder / "d", 4242, 4242)
    theirs = f"{folder}/d: belongs to somebody else, where everybody may put things"
    for name in ("d/mbox", "d/missing/mbox"):
        assert failure("append", f"{folder}/{name}") == theirs
    for name in ("d", "d/Maildir", "d/missing/Maildir/"):
        assert failure("maildir", f"{folder}/{name}") == theirs


def test_a_maildir_with_a_file_for_a_folder(folder: Path) -> None:
    """A file in place of new/ or tmp/ is told; what is in place of cur/ does not matter to a delivery."""
    (folder / "new").mkdir(mode=0o777)
    (folder / "cur").touch()
    (folder / "tmp").touch()
    (folder / "new").chmod(0o777)
    assert failure("maildir", str(folder)) == f"{folder / 'tmp'}: Not a directory"


def test_what_is_no_place(folder: Path) -> None:
    """A missing directory, a directory in place of an mbox, and a file in place of a Maildir are told."""
    file = folder / "file"
    file.touch()
    assert failure("append", f"{folder}/missing/mbox") == f"{folder}/missing: No such file or directory"
    assert failure("append", str(folder)) == f"{folder}: Is a directory"
    assert failure("maildir", str(file)) == f"{file}: Not a directory"


@pytest.mark.parametrize(
    "command", ["cat", "cat >/x", "/bin/sh -c x", "cd / && x", "'quoted program'", "A=b cat", "(x)", "$X", ":"]
)
def test_commands_that_can_be_run(command: str) -> None:
    """Programs, the shell's own words, and what only a shell can read."""
    assert failure("pipe", command) is None


@pytest.mark.parametrize(
    "command, reason",
    [
        ("no-such-program -x", "no-such-program: no such program in /usr/local/sbin:"),
        ("/no/such/program", "/no/such/program: No such file or directory"),
        ("  /etc/passwd|cat", "/etc/passwd: cannot be executed"),
        ("/etc", "/etc: cannot be executed"),
    ],
)
def test_commands_that_cannot_be_run(command: str, reason: str) -> None:
    """A program that is not there, or may not be run, is named."""
    assert str(failure("pipe", command)).startswith(reason)


@pytest.mark.parametrize(
    "command, name", [("a -b", "a"), (" /a/b.c|d", "/a/b.c"), ("a=b c", None), ('"a"', None), ("$a", None)]
)
def test_program(command: str, name: str | None) -> None:
    """The first word of a command is its program if it is plain."""
    assert program(command) == name
