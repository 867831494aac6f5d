"""A Maildir delivery while system calls fail: never a lost copy that was reported delivered, never half a message."""

from __future__ import annotations

import errno
import itertools
import os
import sys
from pathlib import Path

import pytest

from mailrecv.delivery import maildir
from tests.support.delivery import RECIPIENT, a_message, copy_of, open_descriptors
from tests.support.failing_os import FailingOs, failing, succeeds
from tests.support.figures import Figures

MESSAGE = a_message()


def deliver(directory: Path) -> bool:
    return succeeds(lambda: maildir.deliver(MESSAGE, RECIPIENT, str(directory)))


def files_in(directory: Path, folder: str) -> list[bytes]:
    return [file.read_bytes() for file in directory.joinpath(folder).glob("*")]


def make_maildir(directory: Path) -> None:
    for folder in ("new", "cur", "tmp"):
        directory.joinpath(folder).mkdir(parents=True)


@pytest.mark.parametrize("most_octets", [None, 50])
@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC, errno.EDQUOT], ids=os.strerror)
@pytest.mark.parametrize("exists", [True, False], ids=["existing", "missing"])
def test_one_call_fails(tmp_path: Path, exists: bool, error: int, most_octets: int | None, figure: Figures) -> None:
    """Whichever call fails: delivered means that the whole copy is in new/, failed means that nothing is anywhere."""
    outcomes = []
    for number in itertools.count(1):
        directory = tmp_path / str(number) / "Maildir"
        if exists:
            make_maildir(directory)
        descriptors = open_descriptors()
        system = FailingOs(error, number, number, most_octets)
        with failing(system):
            outcomes.append(deliver(directory))
        assert open_descriptors() == descriptors, number
        assert files_in(directory, "new") == ([copy_of(MESSAGE)] if outcomes[-1] else []), number
        assert files_in(directory, "tmp") == [], number
        if system.count < number:
            break
    figure.add(number - 1, "failed system calls survived")
    assert outcomes[-1]
    assert outcomes.count(False) >= 5  # open, write, sync, rename and the sync of the directory at least


@pytest.mark.parametrize("most_octets", [None, 50])
@pytest.mark.parametrize("exists", [True, False], ids=["existing", "missing"])
def test_the_disk_dies(tmp_path: Path, exists: bool, most_octets: int | None, figure: Figures) -> None:
    """When every call fails from some point on, what is in new/ is whole, and the next delivery works."""
    for number in itertools.count(1):
        directory = tmp_path / str(number) / "Maildir"
        if exists:
            make_maildir(directory)
        descriptors = open_descriptors()
        system = FailingOs(errno.EIO, number, sys.maxsize, most_octets)
        with failing(system):
            delivered = deliver(directory)
        assert open_descriptors() == descriptors, number
        found = files_in(directory, "new")
        assert set(found) <= {copy_of(MESSAGE)}, number
        assert found or not delivered, number
        assert deliver(directory), number
        assert files_in(directory, "new") == [*found, copy_of(MESSAGE)], number
        if system.count < number:
            break
    figure.add(number - 1, "dying disks survived")
    assert delivered
