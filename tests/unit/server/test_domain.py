"""What the server calls itself."""

from __future__ import annotations

import os
import socket
import threading
from types import SimpleNamespace

import pytest

from mailrecv.server import domain


@pytest.mark.parametrize(
    "node, full, name",
    [
        ("host.example", "unasked.example", "host.example"),
        ("host", "host.example", "host.example"),
        ("host", "localhost", "host"),
    ],
)
def test_host_name(monkeypatch: pytest.MonkeyPatch, node: str, full: str, name: str) -> None:
    """The host's name is taken as it is if it has a dot; else the resolver completes it, if it can."""
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(nodename=node))
    monkeypatch.setattr(socket, "getfqdn", lambda _: full)
    assert domain.host_name(10) == name


def test_host_name_that_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver that does not answer in time is not waited for."""
    answer = threading.Event()
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(nodename="host"))
    monkeypatch.setattr(socket, "getfqdn", lambda _: str(answer.wait(10)))
    assert domain.host_name(0.01) == "host"
    answer.set()
