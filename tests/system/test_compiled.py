"""The compiled configuration on a real system: who makes it, who trusts it, and under which units."""

from __future__ import annotations

import stat
import time
from collections.abc import Generator

import pytest

from mailrecv.config.compiled import CACHE_DIRECTORY
from mailrecv.config.compiler import SETTLING_SECONDS
from tests.system.mailhost import EXAMPLES, MailHost

COMPILED = f"{CACHE_DIRECTORY}/%2fetc%2fmailrecv.conf"
UNIT = "mailrecv@.service"
UNITS = {"as it comes": "", "hardened": "hardened.conf"}


@pytest.fixture(params=[*UNITS.values()], ids=[*UNITS])
def server(server: MailHost, request: pytest.FixtureRequest) -> Generator[MailHost, None, None]:
    """The machine with nothing compiled, and with one of the units."""
    server.run("rm", "-f", COMPILED)
    name: str = request.param
    text = server.path(f"{EXAMPLES}/systemd/{name}").read_text() if name else "[Service]\n"
    with server.drop_in(UNIT, text):
        yield server


def deliver(server: MailHost) -> None:
    """Deliver a message, in a session that has come to its end."""
    assert server.send("me")[:3] == "250"
    server.wait_for_sessions(0)


def test_the_first_session_compiles(server: MailHost) -> None:
    """The service's user puts the compiled configuration into the package's cache, where the next session finds it."""
    time.sleep(SETTLING_SECONDS + 0.1)
    deliver(server)
    made = server.path(COMPILED).stat()
    assert stat.S_IMODE(made.st_mode) == 0o600
    deliver(server)
    assert server.path(COMPILED).stat().st_ino == made.st_ino  # a session that cannot use it makes another


def test_the_administrator_compiles(server: MailHost) -> None:
    """What root compiles, the service uses."""
    server.run("mailrecv", "check", "--compile")
    made = server.path(COMPILED).stat()
    assert (made.st_uid, stat.S_IMODE(made.st_mode)) == (0, 0o644)
    deliver(server)
    assert server.path(COMPILED).stat().st_ino == made.st_ino


def test_a_change_holds_for_the_next_connection(server: MailHost) -> None:
    """What was compiled before a change is no longer used."""
    server.run("mailrecv", "check", "--compile")
    server.configure(config="domain mydomain.com\nerror rcpt_to ^me@ 550 No\n")
    with server.connect() as client:
        client.reply()
        client.ask("HELO client")
        client.ask("MAIL FROM:<me@client>")
        assert client.ask("RCPT TO:<me@mydomain.com>")[:3] == "550"


def test_no_cache(server: MailHost) -> None:
    """A cache that was deleted, as anybody may, holds up no mail."""
    server.run("rm", "-r", CACHE_DIRECTORY)
    try:
        assert server.send("me")[:3] == "250"
    finally:
        server.run("systemd-tmpfiles", "--create", "mailrecv.conf")
