"""Real trouble: a disk that is full, read-only or over its quota, a session short of descriptors or memory.

It comes in the middle of a session and goes away again. The message that met it is refused, nothing of it stays, the
log has the reason, and the messages before and after are delivered.
"""

from __future__ import annotations

import os
import re
import resource
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import pytest

from mailrecv.delivery.handover import DeliveryLimits, Destination, hand_over
from mailrecv.reply import Reply
from tests.clients.servers import PROGRAM, Session, Starter, wait_until, without_trace
from tests.faults.places import FIRST, LARGE, NEXT, PLACES
from tests.support.delivery import NOBODY, a_message, in_child, messages_in
from tests.support.figures import Figures

pytestmark = pytest.mark.needs_root

UNLUCKY = b"Subject: unlucky\n\n" + b"0123456789abcde\n" * 2_000

Trouble = Callable[[Path, int], AbstractContextManager[None]]  # from the disk and the process of the session
# With standard error elsewhere, as systemd has it: where no descriptor is left for the log file, that is the log
WITH_STDERR = ("sh", "-c", 'exec "$@" 2>>stderr', "sh", *PROGRAM)


@contextmanager
def tmpfs(path: Path) -> Iterator[Path]:
    """Mount a small file system."""
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", path], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)


@contextmanager
def btrfs(path: Path) -> Iterator[Path]:
    """Mount a file system that has quotas."""
    path.mkdir()
    image = path.with_name("image")
    image.touch()
    os.truncate(image, 120 << 20)
    subprocess.run(["mkfs.btrfs", "-q", image], check=True, capture_output=True)
    subprocess.run(["mount", "-o", "loop", image, path], check=True)
    try:
        subprocess.run(["btrfs", "quota", "enable", path], check=True)
        yield path
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)


@contextmanager
def full(disk: Path, pid: int) -> Iterator[None]:
    """Fill the disk."""
    filler = disk / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    yield
    filler.unlink()


@contextmanager
def read_only(disk: Path, pid: int) -> Iterator[None]:
    """Let nobody write to the disk."""
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    yield
    subprocess.run(["mount", "-o", "remount,rw", disk], check=True)


@contextmanager
def over_quota(disk: Path, pid: int) -> Iterator[None]:
    """Let nobody use more of the disk than is used already."""
    subprocess.run(["sync", "-f", disk], check=True)
    subprocess.run(["btrfs", "qgroup", "limit", "40k", disk], check=True)
    yield
    subprocess.run(["btrfs", "qgroup", "limit", "none", disk], check=True)


def limited(what: int, limit: Callable[[int], int]) -> Trouble:
    """Return the trouble that is a resource limit of the process, worked out when it begins."""

    @contextmanager
    def trouble(disk: Path, pid: int) -> Iterator[None]:
        before = resource.prlimit(pid, what)
        resource.prlimit(pid, what, (limit(pid), before[1]))
        yield
        resource.prlimit(pid, what, before)

    return trouble


def descriptors_of(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def memory_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()


@contextmanager
def after_trouble(
    start: Starter, disk: AbstractContextManager[Path], trouble: Trouble, method: str, reason: str
) -> Iterator[Path]:
    """Have a message delivered, one refused while there is trouble, and one delivered by another session afterwards."""
    with disk as path:
        rules = PLACES[method].rules.format(folder=path)
        site = start.site(config=f"domain mydomain.com\nlogfile {{folder}}/log\n{rules}")
        session = start.session(site=site, program=WITH_STDERR)
        assert session.wire.reply().startswith("220 ")
        assert deliver(session, FIRST).startswith("250 ")
        with trouble(path, session.process.pid):
            assert deliver(session, UNLUCKY)[0] in "45"
        # Without memory, an error may be too much to record at once; then it is recorded after the reply.
        wait_until(lambda: re.search(reason, site.log + site.errors) is not None, f"{reason} to be logged")
        following = start.session(site=site)
        assert following.wire.reply().startswith("220 ")
        assert deliver(following, NEXT).startswith("250 ")
        yield path


@pytest.mark.parametrize("method", ["new mbox", "Maildir", "command"])
@pytest.mark.parametrize(
    "trouble, reason",
    [
        pytest.param(full, "No space left on device", id="full"),
        pytest.param(read_only, "Read-only file system", id="read-only"),
        pytest.param(limited(resource.RLIMIT_NOFILE, descriptors_of), "Too many open files", id="descriptors"),
        pytest.param(limited(resource.RLIMIT_FSIZE, lambda _: 8_192), "File too large", id="file size"),
        pytest.param(limited(resource.RLIMIT_AS, memory_of), "MemoryError|Cannot allocate", id="memory"),
    ],
)
def test_trouble(
    start: Starter, tmp_path: Path, method: str, trouble: Trouble, reason: str, *, figure: Figures
) -> None:
    """A message that meets trouble is refused, nothing of it is left, and all others are delivered."""
    with after_trouble(start, tmpfs(tmp_path / "disk"), trouble, method, reason) as path:
        assert_only_the_unlucky_is_missing(path, method)
    figure.add(1, "troubles of the machine survived")


@pytest.mark.needs_tool("btrfs", "mkfs.btrfs")
@pytest.mark.parametrize("method", ["Maildir", "command"])
def test_quota(start: Starter, tmp_path: Path, method: str, figure: Figures) -> None:
    """It is the same when the disk quota is used up."""
    with after_trouble(start, btrfs(tmp_path / "disk"), over_quota, method, "Disk quota exceeded") as path:
        assert_only_the_unlucky_is_missing(path, method)
    figure.add(1, "troubles of the machine survived")


@pytest.mark.needs_tool("btrfs", "mkfs.btrfs")
def test_quota_of_an_mbox(start: Starter, tmp_path: Path, figure: Figures) -> None:
    """Where the quota does not even let a file be cut back, as that of btrfs, the mbox has a torn message; but no octet
    of the one before has changed, and the one after is whole.
    """
    with after_trouble(start, btrfs(tmp_path / "disk"), over_quota, "new mbox", "Disk quota exceeded") as path:
        first, *_, last = map(without_trace, messages_in(path / "mbox"))
        assert first.startswith(FIRST)
        assert last == NEXT
    figure.add(1, "troubles of the machine survived")


def assert_only_the_unlucky_is_missing(path: Path, method: str) -> None:
    """Check that all is there that was acknowledged, and nothing else."""
    found = PLACES[method].find(path, {FIRST, UNLUCKY, NEXT})
    assert found.whole == Counter([("me", FIRST), ("me", NEXT)])
    assert not found.torn or method == "command"
    assert not list(path.glob("home/box/tmp/*"))


def deliver(session: Session, data: bytes) -> str:
    """Send a message, and return the first reply that is none of those a message needs."""
    for line in ("HELO client", "MAIL FROM:<me@client>", "RCPT TO:<me@mydomain.com>", "DATA"):
        if (reply := session.wire.ask(line))[0] in "45":
            return reply
    session.wire.send(data.replace(b"\n", b"\r\n") + b".\r\n")
    return session.wire.reply()


def test_no_place_for_large_mail(start: Starter, tmp_path: Path, figure: Figures) -> None:
    """Mail too large for memory that finds no room in TMPDIR is refused at its end; smaller mail is not."""
    with tmpfs(tmp_path / "disk") as path:
        site = start.site()
        program = ("env", f"TMPDIR={path}", *PROGRAM)
        session = start.session(site=site, program=program)
        assert session.wire.reply().startswith("220 ")
        assert deliver(session, LARGE).startswith("452 ")
        assert deliver(session, FIRST).startswith("250 ")
        assert site.appended == [FIRST]
        assert "No space left on device" in site.log
        assert session.exit_status() == 1
    figure.add(1, "troubles of the machine survived")


def test_no_more_processes(figure: Figures) -> None:
    """When the user may start no more processes, a message for a command is refused for now."""

    def hand_over_alone() -> tuple[int, str]:
        resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
        os.setuid(NOBODY)
        destination = Destination("me@mydomain.com", "pipe", "cat")
        reply, [attempt] = hand_over(a_message(), [destination], None, DeliveryLimits(5, Reply(451, "Too slow")))
        return reply.code, attempt.outcome.detail

    assert in_child(hand_over_alone) == (451, "Resource temporarily unavailable")
    figure.add(1, "troubles of the machine survived")
