"""Threads that append to the same file at the same time share its lock and its sync, and nothing else."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TypeVar

import pytest

from mailrecv.delivery import group_commit
from mailrecv.delivery.durable import AppendedFile
from mailrecv.delivery.group_commit import GROUP_OCTETS, Part
from tests.clients.servers import wait_until

T = TypeVar("T")
THREADS = 8


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "box"
    path.write_bytes(b"before\n")
    return path


@pytest.fixture
def syncs(path: Path, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What is in the file at each sync of it."""
    contents: list[bytes] = []
    fsync = os.fsync

    def recorded(fd: int) -> None:
        if os.path.samestat(os.fstat(fd), path.stat()):
            contents.append(path.read_bytes())
        fsync(fd)

    monkeypatch.setattr(os, "fsync", recorded)
    return contents


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(THREADS) as pool:
        yield pool


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Lock a file as another program does."""
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def line(text: bytes) -> Callable[[AppendedFile], None]:
    return lambda file: file.write([text, b"\n"])


def append(path: Path, write: Callable[[AppendedFile], None], octets: int = 10, seconds: float = 5) -> None:
    group_commit.append(str(path), Part(write, octets, time.monotonic() + seconds))


def those_in_line(path: Path) -> int:
    """Return how many threads append to a file: one that leads, and those that wait."""
    waiting = group_commit._waiting.get(str(path))
    return 0 if waiting is None else 1 + len(waiting)


def queue_up(pool: ThreadPoolExecutor, path: Path, *calls: Callable[[], T]) -> list[Future[T]]:
    """Start calls that append to a locked file, one behind the other."""
    futures = []
    for call in calls:
        futures.append(pool.submit(call))
        wait_until(lambda: those_in_line(path) == len(futures))
    return futures


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    """Whatever happened, nobody is remembered as waiting or leading."""
    yield
    assert group_commit._waiting == {}


def test_one_alone(path: Path, syncs: list[bytes]) -> None:
    """A thread that is alone writes and syncs by itself."""
    append(path, line(b"one"))
    assert path.read_bytes() == b"before\none\n"
    assert syncs == [b"before\none\n"]


def test_those_who_waited_share_a_sync(path: Path, syncs: list[bytes], pool: ThreadPoolExecutor) -> None:
    """All who wait for the lock of a file are written in their order, and synced once."""
    texts = [b"%d" % number for number in range(THREADS)]
    with locked(path):
        calls = [partial(append, path, line(text)) for text in texts]
        futures = queue_up(pool, path, *calls)
    for future in futures:
        future.result()
    content = b"before\n" + b"".join(text + b"\n" for text in texts)
    assert path.read_bytes() == content
    assert syncs == [content]


def test_no_success_before_the_sync(path: Path, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the sync lasts, nobody of the group is told of a success."""
    synced = threading.Event()
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (synced.wait(5), fsync(fd)))
    with locked(path):
        futures = queue_up(pool, path, *[partial(append, path, line(b"x"))] * 3)
    wait_until(lambda: path.read_bytes().count(b"x") == 3)
    time.sleep(0.05)
    assert not any(future.done() for future in futures)
    synced.set()
    for future in futures:
        future.result()


def test_a_sync_that_fails_fails_for_all(path: Path, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the sync fails, everybody of the group hears so, and the file is as it was."""

    def fail(fd: int) -> None:
        raise OSError(5, "the disk is gone")

    monkeypatch.setattr(os, "fsync", fail)
    with locked(path):
        futures = queue_up(pool, path, *[partial(append, path, line(b"x"))] * 3)
    for future in futures:
        assert "the disk is gone" in str(future.exception())
    assert path.read_bytes() == b"before\n"


@pytest.mark.parametrize("unlucky", range(3))
def test_a_part_that_fails_fails_alone(path: Path, pool: ThreadPoolExecutor, unlucky: int) -> None:
    """A part that cannot be written is missing, and the others are there, whoever leads."""

    def broken(file: AppendedFile) -> None:
        file.write([b"half of it"])
        raise OSError(28, "no space")

    writes = [broken if number == unlucky else line(b"%d" % number) for number in range(3)]
    with locked(path):
        calls = [partial(append, path, write) for write in writes]
        futures = queue_up(pool, path, *calls)
    for number, future in enumerate(futures):
        error = future.exception()
        assert "no space" in str(error) if number == unlucky else error is None
    assert path.read_bytes() == b"before\n" + b"".join(b"%d\n" % number for number in range(3) if number != unlucky)


def test_a_leader_that_gives_up_is_followed(path: Path, pool: ThreadPoolExecutor) -> None:
    """Who leads gives up at its own deadline, and so does who waits; those with more time go on."""
    with locked(path):
        calls = [partial(append, path, line(b"x"), seconds=seconds) for seconds in (0.3, 0.1, 5, 5)]
        leader, impatient, *patient = queue_up(pool, path, *calls)
        assert isinstance(impatient.exception(), TimeoutError)
        assert isinstance(leader.exception(), TimeoutError)
        assert not any(future.done() for future in patient)
    for future in patient:
        future.result()
    assert path.read_bytes() == b"before\nx\nx\n"


def test_a_part_that_is_being_written_does_not_give_up(path: Path, pool: ThreadPoolExecutor) -> None:
    """A deadline that passes while a part is written is too late for giving up: it is delivered, once."""
    writing = threading.Event()

    def slow(file: AppendedFile) -> None:
        writing.set()
        time.sleep(0.5)
        file.write([b"slow\n"])

    with locked(path):
        futures = queue_up(pool, path, lambda: append(path, line(b"first")), lambda: append(path, slow, seconds=0.4))
    assert writing.wait(0.4)
    for future in futures:
        future.result()
    assert path.read_bytes() == b"before\nfirst\nslow\n"


# A file that is moved away


@pytest.fixture
def moves(path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Where the file goes that is about to be synced, in turn; once the list is empty, it stays."""
    left: list[Path] = []
    fsync = os.fsync

    def move(fd: int) -> None:
        if left and os.path.samestat(os.fstat(fd), path.stat()):
            path.rename(left.pop(0))
        fsync(fd)

    monkeypatch.setattr(os, "fsync", move)
    return left


@pytest.mark.parametrize("times", [1, 3])
def test_a_file_that_is_moved_away(path: Path, pool: ThreadPoolExecutor, moves: list[Path], times: int) -> None:
    """All parts of a group are written again, in their order, to what is there once the file stays."""
    asides = [path.with_name(f"aside.{number}") for number in range(times)]
    moves += asides
    with locked(path):
        futures = queue_up(pool, path, *(partial(append, path, line(b"%d" % number)) for number in range(4)))
    for future in futures:
        future.result()
    assert path.read_bytes() == b"0\n1\n2\n3\n"
    for aside in asides:
        assert aside.read_bytes().endswith(b"0\n1\n2\n3\n")


@pytest.mark.parametrize("unlucky", range(3))
def test_a_part_that_had_failed_is_not_written_again(
    path: Path, pool: ThreadPoolExecutor, moves: list[Path], unlucky: int
) -> None:
    """Whoever was told nothing yet of a part that failed is told so, whoever leads; the others are written again."""
    tries: list[int] = []

    def broken(file: AppendedFile) -> None:
        tries.append(1)
        raise OSError(28, "no space")

    moves.append(path.with_name("aside"))
    writes = [broken if number == unlucky else line(b"%d" % number) for number in range(3)]
    with locked(path):
        futures = queue_up(pool, path, *(partial(append, path, write) for write in writes))
    for number, future in enumerate(futures):
        error = future.exception()
        assert "no space" in str(error) if number == unlucky else error is None
    assert path.read_bytes() == b"".join(b"%d\n" % number for number in range(3) if number != unlucky)
    assert len(tries) == 1


def test_a_file_that_is_moved_away_for_ever(path: Path, moves: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """At the deadline it is given up, after so few tries that the disk is not filled with them."""
    moves += [path.with_name(f"aside.{number}") for number in range(1000)]
    pauses: list[float] = []
    clock = SimpleNamespace(monotonic=lambda: sum(pauses), sleep=pauses.append)  # on which nothing else takes time
    monkeypatch.setattr(group_commit, "time", clock)
    with pytest.raises(TimeoutError, match="was moved away"):
        group_commit.append(str(path), Part(line(b"x"), 10, deadline=20))
    assert sum(pauses) == pytest.approx(20)
    assert 2 <= len(list(path.parent.glob("aside.*"))) <= 18


def test_impatient_parts_of_a_file_that_is_moved_away(path: Path, pool: ThreadPoolExecutor, moves: list[Path]) -> None:
    """Each part is given up at its own deadline; the others go on."""
    moves += [path.with_name(f"aside.{number}") for number in range(1000)]
    with locked(path):
        calls = [partial(append, path, line(text), seconds=seconds) for text, seconds in ((b"0", 9), (b"1", 0.5))]
        patient, impatient = queue_up(pool, path, *calls)
    assert isinstance(impatient.exception(), TimeoutError)
    assert not patient.done()
    moves.clear()
    patient.result()
    assert path.read_bytes() == b"0\n"


def test_a_file_that_is_moved_away_and_cannot_be_made(
    path: Path, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When it cannot be written again, everybody of the group hears why."""
    fsync = os.fsync

    def replace(fd: int) -> None:
        path.rename(path.with_name("aside"))
        path.mkdir()
        fsync(fd)

    monkeypatch.setattr(os, "fsync", replace)
    with locked(path):
        futures = queue_up(pool, path, *[partial(append, path, line(b"x"))] * 3)
    for future in futures:
        assert isinstance(future.exception(), IsADirectoryError)


def test_large_parts_go_alone(path: Path, syncs: list[bytes], pool: ThreadPoolExecutor) -> None:
    """A part that is too large for a group waits for the next, so that nobody has to wait for it."""
    sizes = [10, 10, GROUP_OCTETS, 10]
    with locked(path):
        calls = [partial(append, path, line(b"x"), size) for size in sizes]
        futures = queue_up(pool, path, *calls)
    for future in futures:
        future.result()
    assert [content.count(b"x") for content in syncs] == [2, 3, 4]


def test_devices_are_shared_with_nobody(pool: ThreadPoolExecutor) -> None:
    """What has no end to lock takes one part at a time, and each thread writes its own."""
    path = Path("/dev/null")
    all_wait = threading.Event()

    def deliver() -> bool:
        writers = []

        def write(file: AppendedFile) -> None:
            all_wait.wait(5)
            writers.append(threading.get_ident())

        append(path, write)
        return writers == [threading.get_ident()]

    futures = queue_up(pool, path, *[deliver] * 3)
    all_wait.set()
    assert [future.result() for future in futures] == [True] * 3


def test_a_missing_folder_fails_for_each(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    """A file that cannot be opened is tried by each who waits, and all hear why it failed."""
    path = tmp_path / "missing" / "box"
    for future in [pool.submit(append, path, line(b"x")) for _ in range(THREADS)]:
        assert isinstance(future.exception(), FileNotFoundError)


def test_many_at_once(path: Path, syncs: list[bytes], pool: ThreadPoolExecutor) -> None:
    """Nothing is lost or doubled, each success is synced, and there are fewer syncs than parts."""
    texts = [b"%05d" % number for number in range(1000)]

    def deliver(text: bytes) -> bool:
        append(path, line(text))
        return any(text in content for content in syncs[-3:])

    assert all(pool.map(deliver, texts))
    assert sorted(path.read_bytes().split()[1:]) == texts
    assert len(syncs) < len(texts)
