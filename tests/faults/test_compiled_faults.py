"""A configuration is compiled while system calls fail: the sessions that come after are not misled."""

from __future__ import annotations

import errno
import itertools
import os
import resource
import sys
from pathlib import Path
from unittest import mock

import pytest

from mailrecv.config import compiled, compiler
from mailrecv.config.model import Config
from mailrecv.config.reader import read_config
from tests.support.delivery import in_child, open_descriptors
from tests.support.failing_os import FailingOs, succeeds
from tests.support.figures import Figures
from tests.support.oracle import assert_equal


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """A configuration, which is to be compiled into the folder `cache`."""
    monkeypatch.setenv("CACHE_DIRECTORY", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    path = tmp_path / "mailrecv.conf"
    path.write_text("domain mydomain.com\ndeliver rcpt_to me@mydomain.com append /srv/mbox\n")
    return read_config(str(path))


def store(config: Config) -> bool:
    return succeeds(lambda: compiler.store(config, None))


def is_compiled(config: Config) -> bool:
    """Say whether the next session will find it compiled; if so, check that it says the same."""
    found = compiled.open_compiled(config.path)
    if found is not None:
        assert_equal(compiler.load(found).replace(directives=config.directives), config)
        found.close()
    return found is not None


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC, errno.EDQUOT], ids=os.strerror)
def test_one_call_fails(config: Config, tmp_path: Path, error: int, figure: Figures) -> None:
    """Whichever call fails: what is there is whole, and nothing else is left."""
    for number in itertools.count(1):
        descriptors = open_descriptors()
        system = FailingOs(error, number, number)
        with mock.patch.object(compiler, "os", system):
            stored = store(config)
        assert open_descriptors() == descriptors, number
        left = list((tmp_path / "cache").glob("*"))
        assert len(left) == is_compiled(config) == stored, number
        if system.count < number:
            break
        for file in left:
            file.unlink()
    figure.add(number - 1, "failed system calls survived")
    assert number > 5  # look, open, sync, close and rename at least


def test_the_disk_dies(config: Config, tmp_path: Path, figure: Figures) -> None:
    """When every call fails from some point on, what is there is whole."""
    for number in itertools.count(1):
        system = FailingOs(errno.EIO, number, sys.maxsize)
        with mock.patch.object(compiler, "os", system):
            store(config)
        is_compiled(config)
        for file in (tmp_path / "cache").glob("*"):
            file.unlink()
        if system.count < number:
            break
    figure.add(number - 1, "dying disks survived")


def test_no_room(config: Config, tmp_path: Path, figure: Figures) -> None:
    """What cannot be written as a whole leaves nothing."""

    def store_without_room() -> bool:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        return store(config)

    assert not in_child(store_without_room)
    assert not is_compiled(config)
    assert list((tmp_path / "cache").iterdir()) == []
    figure.add(1, "troubles of the machine survived")
