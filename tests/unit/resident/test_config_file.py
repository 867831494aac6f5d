"""The configuration's file while a server works with it: when it counts as changed, and what reading it again gives."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mailrecv.config.faults import ConfigError
from mailrecv.config.reader import read_config
from mailrecv.resident.config_file import ConfigFile

OLD, NEW = "domain old.example\n", "domain new.example\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A configuration that a server was started with."""
    path = tmp_path / "mailrecv.conf"
    path.write_text(OLD)
    return path


@pytest.fixture
def file(path: Path) -> ConfigFile:
    """The file as that server knows it."""
    return ConfigFile(read_config(str(path)), None, None)


def replace(path: Path, text: str) -> None:
    """Put another file in its place, as most editors do."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.rename(path)


def test_a_file_that_nobody_touches(file: ConfigFile) -> None:
    """Then there is nothing to read."""
    assert not any(file.has_changed() for _ in range(5))


def test_a_change_counts_when_it_was_seen_twice(file: ConfigFile, path: Path) -> None:
    """A new file counts at the second look, and once it was read it is the one that is known."""
    replace(path, NEW)
    assert [file.has_changed(), file.has_changed()] == [False, True]
    assert file.read().domain == "new.example"
    assert not any(file.has_changed() for _ in range(5))


def test_a_file_that_is_being_written(file: ConfigFile, path: Path) -> None:
    """While it grows from look to look it is left alone."""
    for number in range(5):
        with path.open("a") as growing:
            growing.write(f"# {number}\n" * (number + 1))
        assert not file.has_changed()
    assert file.has_changed()


def test_a_file_that_is_away_for_a_moment(file: ConfigFile, path: Path) -> None:
    """An editor that moves the file away before it writes the new one is given the time to do so."""
    path.rename(path.with_suffix(".old"))
    assert not file.has_changed()
    path.with_suffix(".old").rename(path)
    assert not file.has_changed()


def test_a_file_with_faults_is_read_once(file: ConfigFile, path: Path) -> None:
    """Its faults are told once, not at every look; mended, it counts as changed again."""
    replace(path, "domian new.example\n")
    assert [file.has_changed(), file.has_changed()] == [False, True]
    with pytest.raises(ConfigError):
        file.read()
    assert not any(file.has_changed() for _ in range(5))
    replace(path, NEW)
    assert [file.has_changed(), file.has_changed()] == [False, True]


def test_a_file_that_is_gone(file: ConfigFile, path: Path) -> None:
    """A file that stays away is a fault."""
    path.unlink()
    assert [file.has_changed(), file.has_changed()] == [False, True]
    with pytest.raises(ConfigError):
        file.read()
    assert not any(file.has_changed() for _ in range(5))


def test_a_change_of_permissions(file: ConfigFile, path: Path) -> None:
    """A file that somebody else may change from now on is no longer to be trusted, and that is noticed."""
    path.chmod(0o666)
    assert [file.has_changed(), file.has_changed()] == [False, True]
    with pytest.raises(ConfigError):
        file.read()


def test_a_pipe_is_not_read_again() -> None:
    """What came out of a pipe at the start cannot be read again: that would be an empty configuration."""
    reading, writing = os.pipe()
    os.write(writing, OLD.encode())
    os.close(writing)
    file = ConfigFile(read_config(f"/dev/fd/{reading}"), None, None)
    assert not any(file.has_changed() for _ in range(5))
    with pytest.raises(ConfigError):
        file.read()
    os.close(reading)


def test_the_command_line_goes_on_to_hold(path: Path) -> None:
    """What was given with -d and -l replaces the directives of the new file, too."""
    file = ConfigFile(read_config(str(path)), "s", "/tmp/other.log")  # noqa: S108 - nothing is written
    replace(path, NEW + "debug a\nlogfile /tmp/log\n")
    config = file.read()
    assert (config.domain, config.debug, config.logfile) == ("new.example", "s", "/tmp/other.log")  # noqa: S108
