"""Configurations written in a test, or compiled by one, and clients that need no DNS."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailrecv.client import Client, Lookup
from mailrecv.config.compiled import name_in
from mailrecv.config.compiler import compiled_form
from mailrecv.config.faults import ConfigError, Fault
from mailrecv.config.model import Config
from mailrecv.config.reader import parse_config, read_config
from mailrecv.server.head_start import early_greeting

PATH = "mailrecv.conf"


def config(*lines: str) -> Config:
    """Return the configuration that these lines make."""
    return parse_config("\n".join(lines).encode(), PATH)


def faults(octets: bytes | str) -> tuple[Fault, ...]:
    """Return the faults of a file; a file without any fails the test."""
    with pytest.raises(ConfigError) as caught:
        parse_config(octets if isinstance(octets, bytes) else octets.encode(), PATH)
    return caught.value.faults


def the_fault(line: str) -> Fault:
    """Return the only fault of a file of one line."""
    (fault,) = faults(line)
    assert (fault.path, fault.line, fault.source) == (PATH, 1, line)
    return fault


def compile_config(path: Path, cache: Path) -> None:
    """Compile a configuration, at once, for sessions whose cache directory is this one."""
    read = read_config(str(path))
    cache.mkdir(exist_ok=True)
    compiled = Path(name_in(str(cache), str(path)))
    compiled.write_bytes(compiled_form(read, early_greeting(read)))
    compiled.chmod(0o600)


def client(address: str = "192.0.2.7", name: str | None = None, *, temporary: bool = False) -> Client:
    """Return a client for which DNS confirms this name, or none.  temporary: because DNS fails just now."""
    return Client(address, resolve=lambda _: Lookup(name, temporary, ()))


def unasked_client(address: str = "192.0.2.7") -> Client:
    """Return a client that fails the test when its name is asked for."""

    def ask(address: str) -> Lookup:
        raise AssertionError(f"DNS was asked for {address}, and the answer cannot matter")

    return Client(address, resolve=ask)
