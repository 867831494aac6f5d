"""An append while system calls fail: never a lost copy that was reported delivered, never a damaged mbox."""

from __future__ import annotations

import errno
import itertools
import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from mailrecv.delivery import mbox
from mailrecv.delivery.message import Message
from mailrecv.delivery.spool import Spool
from tests.support.delivery import RECIPIENT, a_message, copy_of, entry_of, messages_in, open_descriptors
from tests.support.failing_os import FailingOs, MeddledOs, failing, succeeds
from tests.support.figures import Figures

EARLIER = a_message(b"Subject: earlier\n\nIt was there before.\n")
MESSAGE = a_message()
LATER = a_message(b"Subject: later\n\nIt comes after.\n")

MAILBOXES = {
    "missing": None,
    "empty": b"",
    "whole": entry_of(EARLIER),
    "torn": entry_of(EARLIER) + b"From a@b Tue Nov 14 22:13:20 2023\nSubject: to",
}
CLOSED_OFF = {name: (before or b"") + (b"\n\n" if name == "torn" else b"") for name, before in MAILBOXES.items()}


def append(message: Message, path: Path) -> None:
    mbox.append(message, [RECIPIENT], str(path), time.monotonic() + 5)


def prepare(path: Path, before: bytes | None) -> None:
    if before is None:
        path.unlink(missing_ok=True)
    else:
        path.write_bytes(before)


@pytest.mark.parametrize("most_octets", [None, 50])
@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC, errno.EDQUOT], ids=os.strerror)
@pytest.mark.parametrize("mailbox_before", MAILBOXES)
def test_one_call_fails(
    tmp_path: Path, mailbox_before: str, error: int, most_octets: int | None, figure: Figures
) -> None:
    """Whichever call fails: delivered means that the whole copy is there, failed means that nothing has changed."""
    path, before = tmp_path / "mbox", MAILBOXES[mailbox_before]
    outcomes = []
    for number in itertools.count(1):
        prepare(path, before)
        descriptors = open_descriptors()
        system = FailingOs(error, number, number, most_octets)
        with failing(system):
            outcomes.append(succeeds(lambda: append(MESSAGE, path)))
        assert open_descriptors() == descriptors, number
        content = path.read_bytes() if path.exists() else b""
        assert content == (CLOSED_OFF[mailbox_before] + entry_of(MESSAGE) if outcomes[-1] else before or b""), number
        if system.count < number:
            break
    figure.add(number - 1, "failed system calls survived")
    assert outcomes[-1]
    assert outcomes.count(False) >= 5  # open, look, lock, write and sync at least


@pytest.mark.parametrize("most_octets", [None, 50])
@pytest.mark.parametrize("mailbox_before", MAILBOXES)
def test_the_disk_dies(tmp_path: Path, mailbox_before: str, most_octets: int | None, figure: Figures) -> None:
    """When every call fails from some point on, as when the machine does, earlier messages stay as they were, and what
    the next append finds is closed off.
    """
    path, before = tmp_path / "mbox", MAILBOXES[mailbox_before]
    torn = 0
    for number in itertools.count(1):
        prepare(path, before)
        descriptors = open_descriptors()
        system = FailingOs(errno.EIO, number, sys.maxsize, most_octets)
        with failing(system):
            delivered = succeeds(lambda: append(MESSAGE, path))
        assert open_descriptors() == descriptors, number
        content = path.read_bytes() if path.exists() else b""
        if delivered:
            assert content == CLOSED_OFF[mailbox_before] + entry_of(MESSAGE), number
        else:
            assert (CLOSED_OFF[mailbox_before] + entry_of(MESSAGE)).startswith(content), number
            assert content.startswith(before or b""), number
            torn += content != (before or b"")
            append(LATER, path)
            found = messages_in(path)
            assert found[-1] == copy_of(LATER), number
            assert copy_of(EARLIER) in found or not before, number
        if system.count < number:
            break
    figure.add(number - 1, "dying disks survived")
    assert delivered
    assert torn > 0


@pytest.mark.parametrize("mailbox_before", MAILBOXES)
def test_moved_away_at_any_moment(tmp_path: Path, mailbox_before: str, figure: Figures) -> None:
    """`mv mbox w; cat w; rm w` gets every message, whenever these happen: what it did not see is in the mbox again."""
    path, aside = tmp_path / "mbox", tmp_path / "w"

    def deliver(*meddle: tuple[int, Callable[[], object]]) -> int:
        prepare(path, MAILBOXES[mailbox_before])
        work: dict[int, Callable[[], object]] = {}
        for number, what in meddle:
            work[number] = partial(in_turn, work.get(number), what)
        system = MeddledOs(work)
        with failing(system):
            append(MESSAGE, path)
        return system.count

    def move_and_read() -> None:
        if path.exists():
            path.rename(aside)
            read.append(aside.read_bytes())

    calls = deliver()
    pairs = list(itertools.combinations_with_replacement(range(1, calls + 1), 2))
    for moved, removed in pairs:
        read: list[bytes] = []
        deliver((moved, move_and_read), (removed, lambda: aside.unlink(missing_ok=True)))
        found = read + ([path.read_bytes()] if path.exists() else [])
        assert any(entry_of(MESSAGE) in octets for octets in found), (moved, removed)
    figure.add(len(pairs), "moved mailboxes survived")


def in_turn(*works: Callable[[], object] | None) -> None:
    for work in filter(None, works):
        work()


class BrokenSpool(Spool):
    """Mail data that cannot be read to its end."""

    def blocks(self) -> Iterator[bytes]:
        """Yield some mail data, then fail."""
        yield b"Subject: broken\n\nHalf of "
        raise OSError(errno.EIO, "injected into the spool")


@pytest.mark.parametrize("mailbox_before", MAILBOXES)
def test_the_mail_data_cannot_be_read(tmp_path: Path, mailbox_before: str) -> None:
    """When the copy cannot be read to its end, the mbox is as it was."""
    path, before = tmp_path / "mbox", MAILBOXES[mailbox_before]
    prepare(path, before)
    message = a_message()
    object.__setattr__(message, "data", BrokenSpool())
    assert not succeeds(lambda: append(message, path))
    assert path.read_bytes() == (before or b"")
