"""Sessions in which one system call fails: no 250 for a copy that is not whole and on the disk, no harm to anything
else, and the cause in the log.

The calls fail in the running program, by strace, so that no call can be forgotten: whatever a session does is tried,
the first time, the second time, and so on until a session no longer does it so often.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.faults.ledger import Ledger
from tests.faults.places import FROM_START, PLACES, Place
from tests.faults.traced import Injection, Told, hold_session, numbers
from tests.support.figures import Figures

pytestmark = pytest.mark.needs_tool("strace")

ERRORS = {
    **dict.fromkeys(("openat", "mkdir", "link"), ("EIO", "ENOSPC", "EDQUOT", "EMFILE", "EROFS")),
    **dict.fromkeys(("write", "fsync"), ("EIO", "ENOSPC", "EDQUOT", "EFBIG")),
    **dict.fromkeys(("memfd_create", "pipe2", "pidfd_open"), ("EMFILE", "ENOMEM")),
    **dict.fromkeys(("vfork", "clone", "clone3", "execve"), ("EAGAIN", "ENOMEM")),
    **dict.fromkeys(("mmap", "mremap", "brk", "mprotect"), ("ENOMEM",)),
    **dict.fromkeys(("flock", "fcntl"), ("ENOLCK", "EIO")),
}
DELIVERING = {"write", "fsync", "flock", "link", "unlink", "memfd_create", "vfork", "waitid", "wait4", "sendto"}
NOT_TRIED = {
    "brk",  # says otherwise than by an error that it has failed, and strace knows only errors
    "close",  # closes even when it fails, and strace cannot: see the tests of each method
    "exit_group",
    "restart_syscall",
    "rt_sigreturn",
}


@pytest.mark.parametrize("place", ["new mbox", "new Maildir", "command", "dead letters"])
def test_a_delivering_call_fails(tmp_path: Path, place: str, figure: Figures) -> None:
    """Whichever of the calls fails that a delivery consists of."""
    count = suffer_all(PLACES[place], tmp_path, [(name, "EIO") for name in sorted(DELIVERING)])
    figure(f"{place}: {count} faults of delivering calls survived")
    figure.add(count, "failed system calls survived")


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("place", PLACES)
def test_any_call_fails(tmp_path: Path, place: str, figure: Figures) -> None:
    """Whichever call fails, once the session has greeted its client."""
    names = names_of_calls(PLACES[place], tmp_path / "undisturbed")
    faults = [(name, error) for name in names for error in ERRORS.get(name, ("EIO",))]
    count = suffer_all(PLACES[place], tmp_path, faults)
    assert count >= len(faults)
    figure(f"{place}: {count} faults survived, in {len(names)} kinds of system calls")
    figure.add(count, "failed system calls survived")


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("where", FROM_START)
def test_any_call_fails_from_the_start(tmp_path: Path, where: str, figure: Figures) -> None:
    """Whichever call fails, those included that start the program."""
    place = PLACES[where]
    names = names_of_calls(place, tmp_path / "undisturbed", from_start=True)
    faults = [(name, ERRORS.get(name, ("EIO",))[0]) for name in names]
    count = suffer_all(place, tmp_path, faults, from_start=True)
    assert count >= len(faults)
    figure(f"{where}, the whole process: {count} faults survived, in {len(names)} kinds of system calls")
    figure.add(count, "failed system calls survived")


def names_of_calls(place: Place, folder: Path, *, from_start: bool = False) -> list[str]:
    """Return the names of all system calls of a session in which nothing fails."""
    folder.mkdir()
    place.prepare(folder)
    told = hold_session(folder, place.recipients, place.messages, trace="all", from_start=from_start)
    return sorted({call.name for call in told.calls} - NOT_TRIED)


def suffer_all(place: Place, folder: Path, faults: Iterable[tuple[str, str]], *, from_start: bool = False) -> int:
    """Let every call with these names fail with these errors, each in a session of its own. Return how many did."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return sum(pool.map(lambda fault: suffer_until_survived(place, folder, *fault, from_start=from_start), faults))


def suffer_until_survived(place: Place, folder: Path, name: str, error: str, *, from_start: bool) -> int:
    """Let the first call of this name fail, then the second, and so on. Return how many did."""
    for survived, number in enumerate(numbers(from_start=from_start)):
        run = folder / f"{name}-{error}-{number}"
        told = suffer(place, run, Injection(name, number, f"error={error}"), from_start=from_start)
        shutil.rmtree(run)  # only those of failed checks are kept
        if not any(call.injected for call in told.calls):
            assert all(sent.acknowledged for sent in told.messages)
            return survived
    raise AssertionError


def suffer(place: Place, folder: Path, injection: Injection, *, from_start: bool) -> Told:
    """Hold a session in which a call fails, and check all that is promised."""
    folder.mkdir()
    place.prepare(folder)
    ledger = Ledger(folder)
    told = hold_session(folder, place.recipients, place.messages, injection, from_start=from_start)
    found = place.find_what_was_acknowledged(folder, told)
    assert not found.torn or "pipe" in place.rules, found.torn
    assert not list(folder.glob("home/box/tmp/*"))
    assert not any(ledger.follow(told.own_calls))
    for sent in told.messages:
        assert all(re.match(r"[2345]\d\d ", reply) for reply in sent.replies), sent.replies
        if sent.data_was_taken and not all(found.whole[recipient, sent.data] for recipient in place.recipients):
            assert re.search(cause(told, injection), told.words), told.words
    return told


def cause(told: Told, injection: Injection) -> str:
    """Return a pattern for what the log has to say of a call that failed."""
    if injection.name in ("recvfrom", "sendto"):
        return re.escape("connection closed (left)")
    patterns = [os.strerror(getattr(errno, injection.what.removeprefix("error="))), "internal error: .*Error"]
    if any(call.injected for call in told.calls if call not in told.own_calls):  # it was a call of the command
        patterns += ["exit status", "killed by signal"]
    return "|".join(patterns)
