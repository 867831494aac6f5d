"""Locks, syncs, renames and cutting back: what is done is on the disk, what failed is undone."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from unittest import mock

import pytest

from mailrecv.delivery import durable
from tests.support.delivery import NOBODY, in_child, open_descriptors
from tests.support.failing_os import FailingOs, failing


@pytest.fixture(autouse=True)
def _no_descriptor_is_leaked() -> Iterator[None]:
    """No test here leaves a descriptor open, whatever fails in it."""
    before = open_descriptors()
    yield
    assert open_descriptors() == before


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "box"


def append(path: Path | str, *blocks: bytes, seconds: float = 5) -> None:
    with durable.appending(str(path), time.monotonic() + seconds) as file:
        file.write(blocks)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# Appending to a file


def test_append(path: Path) -> None:
    """A file is made if missing, for its owner alone, and grows at its end."""
    append(path, b"one ", b"", b"two ")
    append(path, b"three")
    assert path.read_bytes() == b"one two three"
    assert mode_of(path) == 0o600


def test_the_mode_of_an_existing_file_stays(path: Path) -> None:
    """A file that the administrator made keeps the mode that it was given."""
    path.touch()
    path.chmod(0o640)
    append(path, b"x")
    assert mode_of(path) == 0o640


@pytest.mark.parametrize(
    "before, octets, tail",
    [(b"", 2, b""), (b"x", 2, b"x"), (b"xyz", 2, b"yz"), (b"xyz", 3, b"xyz"), (b"xyz", 0, b"")],
)
def test_tail(path: Path, before: bytes, octets: int, tail: bytes) -> None:
    """The tail is what the file ends with, and then what was written."""
    path.write_bytes(before)
    with durable.appending(str(path), time.monotonic() + 5) as file:
        assert file.size == len(before)
        assert file.tail(octets) == tail
        file.write([b"", b"new"])
        assert file.size == len(before) + 3
        assert file.tail(5) == (before + b"new")[-5:]


def test_small_blocks_are_written_together(path: Path) -> None:
    """Blocks go to the system in few calls, and in their order."""
    blocks = [b"%d," % number for number in range(1000)] + [b"x" * 100_000, b"y", b"z" * 70_000]
    system = FailingOs()
    with failing(system):
        append(path, *blocks)
    assert path.read_bytes() == b"".join(blocks)
    assert [name for name, _ in system.calls].count("write") <= 5


def test_a_part_that_fails_is_cut_off(path: Path) -> None:
    """Of the parts of an append only the one that failed is missing, and the next is told where the file ends."""
    path.write_bytes(b"before ")
    with durable.appending(str(path), time.monotonic() + 5) as file:
        file.write([b"one "])
        with pytest.raises(ZeroDivisionError), file.part():
            file.write(b"%d " % (number // number) for number in (2, 1, 0))
        assert file.tail(4) == b"one "
        with file.part():
            file.write([b"three"])
    assert path.read_bytes() == b"before one three"


@pytest.mark.parametrize("error", [OSError(errno.EIO, "x"), ValueError(), KeyboardInterrupt()], ids=repr)
def test_whatever_goes_wrong_the_file_is_cut_back(path: Path, error: BaseException) -> None:
    """A file ends where it ended before, whatever kind of exception stops the append."""
    path.write_bytes(b"before")

    def blocks() -> Iterator[bytes]:
        yield b"half"
        raise error

    with pytest.raises(type(error)), durable.appending(str(path), time.monotonic() + 5) as file:
        file.write(blocks())
    assert path.read_bytes() == b"before"


@pytest.mark.parametrize("nuls", [1, 4095, 4096, 4097, 100_000])
@pytest.mark.parametrize("before", [b"", b"a\0b", b"a" * 4096])
def test_nuls_at_the_end_are_cut_off(path: Path, before: bytes, nuls: int) -> None:
    """What a crash has left where data was not written yet is no part of the file."""
    path.write_bytes(before + bytes(nuls))
    append(path, b"x")
    assert path.read_bytes() == before + b"x"


SPARSE_OCTETS = 16 << 30


@pytest.mark.parametrize("before", [b"", b"a\0b", b"a" * 4096, b"a" * 10_001])
@pytest.mark.parametrize("written", [0, 1, 5000], ids="and {} written ones".format)
def test_a_huge_hole_at_the_end_is_cut_off(path: Path, before: bytes, written: int) -> None:
    """NULs that are a hole are not read, however many they are; neither if some that are none come after them."""
    path.write_bytes(before)
    os.truncate(path, SPARSE_OCTETS)
    with path.open("ab") as file:
        file.write(bytes(written))
    system = FailingOs()
    with failing(system):
        append(path, b"x")
    assert path.read_bytes() == before + b"x"
    assert [name for name, _ in system.calls].count("pread") <= 10
    assert [name for name, _ in system.calls].count("lseek") <= 200


def test_a_hole_where_holes_are_not_known(path: Path) -> None:
    """A file system that cannot tell what is a hole has what is there read."""

    class WithoutHoles(FailingOs):
        def lseek(self, fd: int, offset: int, whence: int) -> int:
            raise OSError(errno.EINVAL, "no holes here")

    path.write_bytes(b"before")
    os.truncate(path, 100_000)
    with failing(WithoutHoles()):
        append(path, b"x")
    assert path.read_bytes() == b"beforex"


def test_more_nuls_than_are_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of endless NULs that are on the disk only some are read and cut off: what is appended comes after the others."""
    monkeypatch.setattr(durable, "_MOST_NULS", 3 * 4096)
    path.write_bytes(b"before" + bytes(100_000))
    system = FailingOs()
    with failing(system):
        append(path, b"x")
    assert [name for name, _ in system.calls].count("pread") == 3
    content = path.read_bytes()
    assert content == b"before" + bytes(len(content) - 7) + b"x"
    assert 100_000 - 4 * 4096 <= len(content) <= 100_000 - 2 * 4096


def test_the_limit_of_file_sizes(path: Path) -> None:
    """A file that may grow no further (RLIMIT_FSIZE) is cut back to where it ended."""
    path.write_bytes(b"before")

    def limited_append() -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        append(path, b"x" * 500, b"x" * 500)

    with pytest.raises(OSError, match="File too large"):
        in_child(limited_append)
    assert path.read_bytes() == b"before"


def test_data_is_synced_before_success_and_the_name_before_the_data(path: Path) -> None:
    """A new file's name is made safe before its first octet is written, its data after the last."""
    system = FailingOs()
    with failing(system):
        append(path, b"x", b"y")
    calls = [call for call in system.calls if call[0] in ("fsync", "write")]
    assert calls == [("fsync", str(path.parent)), ("write", str(path)), ("fsync", str(path))]


def test_what_is_cut_back_is_synced(path: Path) -> None:
    """The cut goes to the disk too, or a crash would bring back what was reported failed."""
    path.write_bytes(b"before")
    system = FailingOs()
    with failing(system), pytest.raises(TypeError):
        append(path, b"x", "not octets")  # type: ignore[arg-type]
    assert [name for name, _ in system.calls][-3:] == ["ftruncate", "fsync", "close"]


def test_the_name_behind_a_symbolic_link_is_synced(tmp_path: Path) -> None:
    """When a symbolic link leads to a new file, the directory of the file is synced, not that of the link."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    link = tmp_path / "link"
    link.symlink_to("elsewhere/box")
    system = FailingOs()
    with failing(system):
        append(link, b"x")
    assert ("fsync", str(elsewhere)) in system.calls
    assert (elsewhere / "box").read_bytes() == b"x"


# The lock


HOLDERS = {  # programs that lock a file while they run another: as util-linux's flock does, and as mutt and Postfix do
    "flock": ["flock"],
    "fcntl": [
        sys.executable,
        "-Sc",
        (
            "import fcntl, subprocess, sys\n"
            "file = open(sys.argv[1], 'ab')\n"
            "fcntl.lockf(file, fcntl.LOCK_EX)\n"
            "subprocess.run(sys.argv[2:])"
        ),
    ],
}
each_kind_of_lock = pytest.mark.parametrize(
    "kind", [pytest.param("flock", marks=pytest.mark.needs_tool("flock")), "fcntl"]
)


@contextmanager
def locked(path: Path, while_locked: str, kind: str) -> Iterator[None]:
    """Have another program hold a lock of this kind while it runs a shell command."""
    command = [*HOLDERS[kind], str(path), "sh", "-c", f"echo; {while_locked}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=path.parent) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield


@each_kind_of_lock
def test_a_lock_that_is_released_is_waited_for(path: Path, kind: str) -> None:
    """While another program holds the lock, nothing is written; once it is released, the append goes on."""
    with locked(path, "sleep 0.2; printf theirs >>box", kind):
        append(path, b" ours")
    assert path.read_bytes() == b"theirs ours"


@each_kind_of_lock
def test_a_lock_that_is_not_released(path: Path, kind: str) -> None:
    """A lock that is held past the deadline is a TimeoutError that names the file, at the deadline."""
    with locked(path, "sleep 0.5", kind):
        began = time.monotonic()
        with pytest.raises(TimeoutError, match="locked by another process") as failure:
            append(path, b"x", seconds=0.2)
        assert 0.2 <= time.monotonic() - began < 0.4
    assert failure.value.filename == str(path)
    assert path.read_bytes() == b""


@each_kind_of_lock
@pytest.mark.parametrize("rotate", ["mv box box.1", "mv box box.1; touch box", "ln box box.1; rm box"])
def test_a_file_that_is_replaced_while_its_lock_is_waited_for(path: Path, kind: str, rotate: str) -> None:
    """What logrotate has put aside in the meantime is left alone: the append goes to the file of that name."""
    path.write_bytes(b"old")
    with locked(path, f"sleep 0.1; {rotate}", kind):
        append(path, b"new")
    assert path.read_bytes() == b"new"
    assert path.with_name("box.1").read_bytes() == b"old"


@pytest.mark.parametrize("lock", [fcntl.flock, fcntl.lockf])
def test_others_are_kept_out(path: Path, lock: Callable[[int, int], None]) -> None:
    """While an append goes on, no other program gets a lock of either kind; afterwards it does."""

    def try_to_lock() -> None:
        with path.open("ab") as file:
            lock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)

    with durable.appending(str(path), time.monotonic() + 5), pytest.raises(BlockingIOError):
        in_child(try_to_lock)
    in_child(try_to_lock)


def test_a_thread_does_not_unlock_for_another(path: Path) -> None:
    """A file that one thread has locked stays locked when another thread has tried to, and given up."""

    def give_up() -> None:
        with pytest.raises(TimeoutError):
            append(path, b"x", seconds=0)

    def lock() -> None:
        with path.open("ab") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    with durable.appending(str(path), time.monotonic() + 5):
        thread = threading.Thread(target=give_up)
        thread.start()
        thread.join()
        with pytest.raises(BlockingIOError):
            in_child(lock)


def test_a_free_lock_is_taken_even_past_the_deadline(path: Path) -> None:
    """A deadline ends waiting only: what needs no wait still succeeds."""
    append(path, b"x", seconds=-1)
    assert path.read_bytes() == b"x"


# A file that is moved away


def test_a_file_that_is_moved_away_before_it_is_synced(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever moved it may have read it already: what was written is there, but it does not count."""
    fsync = os.fsync

    def move(fd: int) -> None:
        path.rename(path.with_name("aside"))
        fsync(fd)

    path.write_bytes(b"before ")
    monkeypatch.setattr(os, "fsync", move)
    with pytest.raises(durable.MovedAway) as moved:
        append(path, b"x")
    assert moved.value.filename == str(path)
    assert path.with_name("aside").read_bytes() == b"before x"
    assert not path.exists()


@pytest.mark.parametrize("again", ["other", "same"])
def test_a_link_that_leads_elsewhere_before_the_sync(path: Path, monkeypatch: pytest.MonkeyPatch, again: str) -> None:
    """It is the path that counts: a link on it that leads to another file by then has moved the mailbox, too."""
    other, same = path.with_name("other"), path.with_name("same")
    fsync = os.fsync

    def turn(fd: int) -> None:
        path.unlink()
        path.symlink_to(again)
        fsync(fd)

    same.write_bytes(b"before ")
    path.symlink_to("same")
    monkeypatch.setattr(os, "fsync", turn)
    if again == "same":
        append(path, b"x")
    else:
        other.touch()
        with pytest.raises(durable.MovedAway):
            append(path, b"x")
    assert same.read_bytes() == b"before x"


def test_a_file_that_is_moved_away_whenever_it_is_opened(path: Path) -> None:
    """A file that is never there when its lock is taken is tried until the deadline, not for ever."""

    class Mover(FailingOs):
        def __getattr__(self, name: str) -> object:
            attribute = super().__getattr__(name)
            if name != "flock":
                return attribute

            def flock(*args: object) -> None:
                path.unlink()
                attribute(*args)

            return flock

    with failing(Mover()), pytest.raises(TimeoutError, match="was moved away") as failure:
        append(path, b"x", seconds=0.1)
    assert failure.value.filename == str(path)


# What is no regular file


def test_a_directory(tmp_path: Path) -> None:
    """A directory cannot be appended to."""
    with pytest.raises(IsADirectoryError):
        append(tmp_path, b"x")


def test_a_missing_directory(tmp_path: Path) -> None:
    """Nothing makes the directory of an mbox: it is more likely misspelt than missing."""
    with pytest.raises(FileNotFoundError):
        append(tmp_path / "missing" / "box", b"x")


def test_devices() -> None:
    """A device is written to, and its errors are reported."""
    append("/dev/null", b"x" * 1_000_000)
    with pytest.raises(OSError, match="No space left"):
        append("/dev/full", b"x")


def test_a_device_that_everybody_may_open_is_not_locked() -> None:
    """A device such as /dev/null is written to whoever has it locked: anybody can."""
    with Path("/dev/null").open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        append("/dev/null", b"x", seconds=0.1)


def test_another_device_is_locked() -> None:
    """A device that not everybody may open, such as a terminal, takes the octets of one session at a time."""
    ours, terminal = os.openpty()
    try:
        os.fchmod(terminal, 0o620)
        append(os.ttyname(terminal), b"x")
        assert os.read(ours, 10) == b"x"
        fcntl.flock(terminal, fcntl.LOCK_EX)
        with pytest.raises(TimeoutError, match="locked by another process"):
            append(os.ttyname(terminal), b"x", seconds=0.1)
    finally:
        os.close(terminal)
        os.close(ours)


@pytest.mark.parametrize("lock", [fcntl.flock, fcntl.lockf])
def test_a_fifo_is_locked(path: Path, lock: Callable[[int, int], None]) -> None:
    """A FIFO takes the octets of one session at a time, so that two of them cannot get mixed."""
    os.mkfifo(path)
    with open_fifo(path) as reader:
        with path.open("wb") as other:
            lock(other.fileno(), fcntl.LOCK_EX)
            with pytest.raises(TimeoutError, match="locked by another process"):
                append(path, b"x", seconds=0.1)
        append(path, b"y")
        assert reader.read() == b"y"


@pytest.mark.needs_root
def test_no_lock_stays_on_what_was_open_already() -> None:
    """A terminal or a pipe of root's, which this user may not open anew, is not left locked for those who go on."""
    reader, writer = os.pipe()

    def append_as_nobody() -> None:
        os.setresuid(NOBODY, NOBODY, NOBODY)
        append(f"/proc/self/fd/{writer}", b"x")

    try:
        in_child(append_as_nobody)
        assert os.read(reader, 9) == b"x"
        append(f"/proc/self/fd/{writer}", b"y", seconds=0)
        assert os.read(reader, 9) == b"y"
    finally:
        os.close(reader)
        os.close(writer)


def test_a_fifo_that_is_replaced_while_its_lock_is_waited_for(path: Path) -> None:
    """What waited for the lock of a FIFO that is gone by then goes to the one that is there now, and its reader."""
    new_path = path.with_name("new")
    for name in (path, new_path):
        os.mkfifo(name)
    with open_fifo(path) as reader, open_fifo(new_path) as new_reader, path.open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)

        def replace() -> None:
            new_path.rename(path)
            fcntl.flock(other, fcntl.LOCK_UN)

        threading.Timer(0.1, replace).start()
        append(path, b"x")
        assert new_reader.read() == b"x"
        assert reader.read() is None  # nothing is there, and it has a writer


def open_fifo(path: Path) -> FileIO:
    """Return the reading end of a FIFO, which waits for nothing."""
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0)


def test_a_fifo_without_reader(path: Path) -> None:
    """A FIFO that nobody reads is an error at once, and no reader of it is waited for."""
    os.mkfifo(path)
    with pytest.raises(OSError, match="No such device or address"):
        append(path, b"x")


def start_reading(path: Path, octets: int) -> tuple[threading.Thread, list[bytes]]:
    """Return a thread that reads so many octets from a FIFO, and the list that has them once it has ended."""
    found: list[bytes] = []
    fifo = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0)
    os.set_blocking(fifo.fileno(), True)
    writer = path.open("wb")  # without any writer a FIFO looks as if it were at its end

    def read() -> None:
        with writer, fifo:
            while (left := octets - sum(map(len, found))) and (block := fifo.read(min(left, 10_000))):
                found.append(block)

    return threading.Thread(target=read), found


def test_a_fifo_with_a_reader(path: Path) -> None:
    """A reader of a FIFO gets everything, also when that is more than the FIFO holds."""
    os.mkfifo(path)
    text = b"0123456789" * 20_000
    reader, found = start_reading(path, len(text))
    threading.Timer(0.1, reader.start).start()
    append(path, text[:70_000], text[70_000:])
    reader.join()
    assert b"".join(found) == text


def test_a_fifo_whose_reader_goes_away(path: Path) -> None:
    """A reader that leaves before the end is an error."""
    os.mkfifo(path)
    reader, _ = start_reading(path, 100_000)
    reader.start()
    with pytest.raises(BrokenPipeError):
        append(path, b"x" * 1_000_000)
    reader.join()


def test_a_fifo_whose_reader_takes_nothing(path: Path) -> None:
    """A reader that takes nothing is waited for until the deadline."""
    os.mkfifo(path)
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with pytest.raises(TimeoutError, match="takes nothing"):
            append(path, b"x" * 1_000_000, seconds=0.1)
    finally:
        os.close(fd)


# New files and their names


def test_store_and_rename(tmp_path: Path) -> None:
    """Data is safe before its file gets its final name, and that name is safe before success."""
    (tmp_path / "to").mkdir()
    written, final = tmp_path / "written", tmp_path / "to" / "final"
    system = FailingOs()
    with failing(system):
        durable.store(str(written), [b"one ", b"two"])
        durable.rename(str(written), str(final))
    assert final.read_bytes() == b"one two"
    assert mode_of(final) == 0o600
    assert not written.exists()
    assert [call for call in system.calls if call[0] in ("fsync", "link", "unlink", "rename")] == [
        ("fsync", str(written)),
        ("link", str(written)),
        ("unlink", str(written)),
        ("fsync", str(final.parent)),
    ]


class WithoutLinks(FailingOs):
    """A file system such as vfat: it has no second names."""

    def __init__(self, error: int) -> None:
        super().__init__()
        self._link_error = error

    def link(self, path: str, new_path: str) -> None:
        """Fail as link(2) does there."""
        raise OSError(self._link_error, os.strerror(self._link_error), path)


@pytest.mark.parametrize("error", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS], ids=os.strerror)
def test_rename_without_links(tmp_path: Path, error: int) -> None:
    """Where there are no links, a file is renamed, and its new name is made safe."""
    written, final = tmp_path / "written", tmp_path / "final"
    written.write_bytes(b"x")
    system = WithoutLinks(error)
    with failing(system):
        durable.rename(str(written), str(final))
    assert [path.name for path in tmp_path.iterdir()] == ["final"]
    assert final.read_bytes() == b"x"
    assert ("fsync", str(tmp_path)) in system.calls


@pytest.mark.parametrize("system", [FailingOs(), WithoutLinks(errno.EPERM)], ids=["links", "no links"])
def test_rename_replaces_nothing(tmp_path: Path, system: FailingOs) -> None:
    """A file that has the name already is not touched, not even for the failure."""
    written, final = tmp_path / "written", tmp_path / "final"
    written.write_bytes(b"x")
    final.write_bytes(b"before")
    with failing(system), pytest.raises(FileExistsError):
        durable.rename(str(written), str(final))
    assert [path.name for path in tmp_path.iterdir()] == ["final"]
    assert final.read_bytes() == b"before"


def test_store_replaces_nothing(path: Path) -> None:
    """A file that is there already is not touched, nor removed for the failure."""
    path.write_bytes(b"before")
    with pytest.raises(FileExistsError):
        durable.store(str(path), [b"x"])
    assert path.read_bytes() == b"before"


def test_rename_into_nothing(tmp_path: Path) -> None:
    """When the new name is impossible, the file does not stay under the old one."""
    path = tmp_path / "written"
    path.touch()
    with pytest.raises(FileNotFoundError):
        durable.rename(str(path), str(tmp_path / "missing" / "final"))
    assert not path.exists()


# Directories


@pytest.mark.parametrize("end", ["", "/"])
def test_make_directories(tmp_path: Path, end: str) -> None:
    """Directories are made for their owner alone, those above them too, and every new name is made safe."""
    system = FailingOs()
    with failing(system):
        durable.make_directories(f"{tmp_path}/a/b{end}", f"{tmp_path}/a/c{end}")
    assert {mode_of(tmp_path / name) for name in ("a", "a/b", "a/c")} == {0o700}
    synced = [Path(path) for name, path in system.calls if name == "fsync"]
    assert synced == [tmp_path.parent, tmp_path, tmp_path / "a", tmp_path, tmp_path / "a"]


def test_directories_that_are_there_cost_nothing(tmp_path: Path) -> None:
    """Where all of them exist, nothing is made and nothing synced."""
    system = FailingOs()
    with failing(system):
        durable.make_directories(str(tmp_path), str(tmp_path))
    assert system.count == 0


def test_a_name_that_another_process_made_is_synced(tmp_path: Path) -> None:
    """While one directory is missing the others may be brand-new: the one who made them may have died before a sync."""
    (tmp_path / "a").mkdir()
    system = FailingOs()
    with failing(system):
        durable.make_directories(str(tmp_path / "a"), str(tmp_path / "a" / "b"))
    assert ("fsync", str(tmp_path)) in system.calls


def test_a_parent_that_another_process_made_is_synced(tmp_path: Path) -> None:
    """So may the one above those that are missing be."""
    (tmp_path / "a").mkdir()
    system = FailingOs()
    with failing(system):
        durable.make_directories(str(tmp_path / "a" / "b"))
    assert ("fsync", str(tmp_path)) in system.calls


def test_another_process_makes_the_same_directory(tmp_path: Path) -> None:
    """That another process is faster at any point of the making is no error."""

    class Faster(FailingOs):
        def __getattr__(self, name: str) -> object:
            if name != "mkdir":
                return super().__getattr__(name)

            def mkdir(path: str, mode: int) -> None:
                if Path(path).parent.exists():
                    Path(path).mkdir(mode)
                os.mkdir(path, mode)  # noqa: PTH102 - what is asked for

            return mkdir

    with failing(Faster()):
        durable.make_directories(str(tmp_path / "a" / "b"))
    assert (tmp_path / "a" / "b").is_dir()


def test_directories_that_cannot_be_made(tmp_path: Path) -> None:
    """A file, or a link to nothing, where a directory should be above is an error."""
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("missing/missing")
    with pytest.raises(NotADirectoryError):
        durable.make_directories(str(tmp_path / "file" / "a"))
    with pytest.raises(FileNotFoundError):
        durable.make_directories(str(tmp_path / "link" / "a"))


@pytest.mark.needs_root
def test_a_directory_that_may_not_be_read(public_directory: Path) -> None:
    """Names in a directory that may not be opened are made safe by a sync of everything."""
    public_directory.chmod(0o733)

    def append_unprivileged() -> int:
        os.setuid(NOBODY)
        with mock.patch.object(os, "sync") as sync:
            append(public_directory / "box", b"x")
        return sync.call_count

    assert in_child(append_unprivileged) == 1
    assert (public_directory / "box").read_bytes() == b"x"


def test_a_file_system_that_cannot_sync_directories(tmp_path: Path) -> None:
    """Where the sync of a directory is not supported, everything is synced."""
    system = FailingOs(errno.EINVAL, first=2, last=2)
    with failing(system), mock.patch.object(os, "sync") as sync:
        durable.sync_directory(str(tmp_path))
    sync.assert_called_once_with()


def test_sync_of_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The directory of a bare file name is the working directory."""
    monkeypatch.chdir(tmp_path)
    append("box", b"x")
    system = FailingOs()
    with failing(system):
        durable.sync_directory("")
    assert ("fsync", str(tmp_path)) in system.calls


# What a group shares


@pytest.fixture
def group_shares(tmp_path: Path) -> Path:
    """A directory that is setgid, for a group that is not our own where that can be had."""
    if os.geteuid() == 0:
        os.chown(tmp_path, -1, NOBODY)
    tmp_path.chmod(0o2770)
    return tmp_path


@pytest.mark.parametrize(
    "umask, file, directory", [(0o007, 0o660, 0o770), (0o027, 0o640, 0o750), (0o077, 0o600, 0o700)]
)
def test_what_a_group_shares(group_shares: Path, umask: int, file: int, directory: int) -> None:
    """In a directory that is setgid, new files and directories are for its group too, as far as the umask lets them."""
    before = os.umask(umask)
    try:
        append(group_shares / "box", b"x")
        durable.make_directories(str(group_shares / "above" / "Maildir"))
        durable.store(str(group_shares / "above" / "Maildir" / "message"), [b"x"])
    finally:
        os.umask(before)
    made = sorted(group_shares.rglob("*"))
    assert [(path.name, mode_of(path) & 0o777) for path in made] == [
        ("above", directory),
        ("Maildir", directory),
        ("message", file),
        ("box", file),
    ]
    assert {path.stat().st_gid for path in made} == {group_shares.stat().st_gid}


def test_what_no_group_shares(tmp_path: Path) -> None:
    """Elsewhere they are for their owner alone, even where the group may write and the umask is open."""
    tmp_path.chmod(0o770)
    before = os.umask(0)
    try:
        append(tmp_path / "box", b"x")
        durable.make_directories(str(tmp_path / "above" / "Maildir"))
        durable.store(str(tmp_path / "message"), [b"x"])
    finally:
        os.umask(before)
    assert {mode_of(path) for path in tmp_path.rglob("*")} == {0o600, 0o700}


# Rights


@pytest.mark.needs_root
def test_an_mbox_that_may_not_be_written(public_directory: Path) -> None:
    """A file of someone else's is an error that names the file."""
    box = public_directory / "box"
    box.touch(0o644)

    def append_unprivileged() -> None:
        os.setuid(NOBODY)
        append(box, b"x")

    with pytest.raises(PermissionError) as failure:
        in_child(append_unprivileged)
    assert failure.value.filename == str(box)
    assert box.read_bytes() == b""


@pytest.mark.parametrize(
    "path, kept", [("/dev/null", False), ("/dev/full", False), ("/", True), ("/missing/box", True), (__file__, True)]
)
def test_keeps(path: str, kept: bool) -> None:
    """A character device keeps nothing; whatever is wrong elsewhere is found out when it is used."""
    assert durable.keeps(path) is kept
