"""What the program starts with: the compiled configuration or the file, and the command line's options."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from mailrecv.config import compiler
from mailrecv.config.compiled import name_for, open_compiled
from mailrecv.config.faults import ConfigError
from mailrecv.config.reader import read_config
from mailrecv.server import configuration
from mailrecv.server.configuration import (
    MAX_FAULTS_LOGGED,
    compile_for_others,
    log_faults,
    may_be_compiled,
    read,
    with_options,
)
from tests.support.compiled import compile_file, loaded
from tests.support.oracle import assert_equal


def aged(file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a file that was not changed just now."""
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + compiler.SETTLING_SECONDS + 1)
    return file


@pytest.mark.parametrize("debug", [None, "", "s", "srw+F"])
def test_the_compiled_one(file: Path, debug: str | None) -> None:
    """Where there is a compiled form, that is it, unless the command line wants flags that need the file."""
    compile_file(file)
    config = read(str(file), debug, open_compiled(str(file)))
    assert_equal(config, read_config(str(file)).replace(directives=()))


@pytest.mark.parametrize("debug", ["a", "c", "sc"])
def test_flags_that_need_the_file(file: Path, debug: str) -> None:
    """With the flags a or c on the command line the file is read, to be logged."""
    compile_file(file)
    assert read(str(file), debug, open_compiled(str(file))).directives != ()


def test_a_broken_one(file: Path) -> None:
    """Of a compiled form that turns out to be spoilt, nothing is taken: the file is read."""
    made = compile_file(file)
    compiled = open_compiled(str(file))
    made.write_bytes(made.read_bytes()[:10])
    config = read(str(file), None, compiled)
    assert config.directives != ()
    assert_equal(config, read_config(str(file)))


def test_faults_of_the_file(file: Path) -> None:
    """Without a compiled form, faults are raised."""
    file.write_text("domian x")
    with pytest.raises(ConfigError):
        read(str(file), None, None)


def test_with_options(file: Path) -> None:
    """The command line's flags and log file take the place of the configuration's; no flags is a wish, too."""
    config = read_config(str(file))
    assert with_options(config, None, None) is config
    changed = with_options(config, "", "/x")
    assert (changed.debug, changed.logfile, changed.domain) == ("", "/x", config.domain)


def test_the_next_session_has_it(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What had to be read is compiled for the next session, with the greeting."""
    config = read_config(str(aged(file, monkeypatch)))
    assert may_be_compiled(config)
    compile_for_others(config, b"220 x")
    compiled = open_compiled(str(file))
    assert compiled is not None
    assert compiled.summary["greeting"] == b"220 x"


def test_what_was_compiled_is_not_compiled_again(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A configuration that came from the cache is there already."""
    compile_file(aged(file, monkeypatch))
    with loaded(file) as config:
        assert config is not None
        assert not may_be_compiled(config)


def test_a_file_that_was_changed_just_now(file: Path) -> None:
    """A file that may change again within the same tick of the clock is not compiled yet."""
    assert not may_be_compiled(read_config(str(file)))


@pytest.mark.parametrize("flags", ["a", "c"])
def test_a_file_that_is_logged(file: Path, flags: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that wants each of its lines logged by each session is not compiled."""
    file.write_text(f"domain mydomain.com\ndebug {flags}\n")
    assert not may_be_compiled(read_config(str(aged(file, monkeypatch))))


def test_no_place_to_compile_to(file: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing can be put, or there is no file any more, nobody minds."""
    config = read_config(str(aged(file, monkeypatch)))
    cache.rmdir()
    compile_for_others(config, None)
    file.unlink()
    compile_for_others(config, None)
    assert not Path(name_for(str(file))).exists()


@pytest.mark.parametrize(
    "faults, lines", [(1, 1), (MAX_FAULTS_LOGGED, MAX_FAULTS_LOGGED), (150, MAX_FAULTS_LOGGED + 1)]
)
def test_log_faults(file: Path, faults: int, lines: int) -> None:
    """Each fault is in the log that the command line names, up to a number; then, how many more there are."""
    file.write_text("domian x\n" * faults)
    with pytest.raises(ConfigError) as caught:
        configuration.read(str(file), None)
    log_faults(caught.value, "", str(file.with_name("log")))
    logged = file.with_name("log").read_text().splitlines()
    assert len(logged) == lines
    assert f"{file}:1:1: unknown directive domian" in logged[0]
    assert ("50 more faults" in logged[-1]) == (faults == 150)
