"""A configuration file that is compiled as a session does it, and what the next session has of that."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from mailrecv.config import compiler
from mailrecv.config.compiled import name_for, open_compiled
from mailrecv.config.model import Config
from mailrecv.config.reader import read_config
from mailrecv.server.head_start import early_greeting
from tests.support.oracle import assert_equal


def compile_file(path: Path) -> Path:
    """Compile a configuration, and return where the compiled form is."""
    config = read_config(str(path))
    compiler.store(config, early_greeting(config))
    return Path(name_for(str(path)))


@contextmanager
def loaded(path: Path) -> Generator[Config | None, None, None]:
    """Provide the configuration that the compiled form of a file stands for, or None when there is none."""
    compiled = open_compiled(str(path))
    try:
        yield compiler.load(compiled) if compiled else None
    finally:
        if compiled:
            compiled.close()


def assert_says_the_same(path: Path) -> None:
    """Check that a file is compiled, and that this says what the file says."""
    with loaded(path) as config:
        assert config is not None
        assert config.directives == ()
        assert_equal(config, read_config(str(path)).replace(directives=()))
