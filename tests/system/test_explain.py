"""`mailrecv explain` and the warnings of `check` on a machine: they know the unit, and say what the service does."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import nullcontext
from typing import Any

import pytest

from tests.system.mailhost import EXAMPLES, MailHost

UNIT = "mailrecv@.service"
PLACES = {  # where mail can go, and what keeps it from there: nothing, the permissions, or the unit
    "append /home/archive/mbox": "hidden by the unit, as all home directories are (ProtectHome=)",
    "pipe /home/archive/command": "hidden by the unit, as all home directories are (ProtectHome=)",
    "append /var/mail/archive": "Permission denied",
    "append /srv/mail/mbox": None,
    "append /etc/mbox": "read-only in the unit (ProtectSystem=)",
    "append mbox": "Permission denied",
    "maildir /srv/mail/a/b": None,
    "pipe cat >/dev/null": None,
}
STILL_CLOSED = ("append /etc/mbox", "append mbox")  # with loosened.conf
READ_ONLY = ("append /srv", "append /var", "append /etc", "append mbox", "maildir")  # with hardened.conf


@pytest.fixture
def server(server: MailHost) -> Generator[MailHost, None, None]:
    """The machine with places that only some units let a session use."""
    server.shell(
        "install --directory --owner=mailrecv /home/archive /srv/mail;"
        "install --mode=755 /usr/bin/true /home/archive/command"
    )
    yield server
    server.shell("rm -rf /home/archive /srv/mail")


def explained(server: MailHost, status: int) -> dict[str, Any]:
    """Return what explain says about needy@mydomain.com; fail unless it exits so."""
    asked = ("mailrecv", "explain", "--json", "--client", "127.0.0.1", "needy@mydomain.com")
    record: dict[str, Any] = json.loads(server.run(*asked, status=status))
    return record


@pytest.mark.parametrize("drop_in", [None, "loosened.conf", "hardened.conf"])
@pytest.mark.parametrize("place", PLACES)
def test_explain_says_what_the_service_does(server: MailHost, place: str, drop_in: str | None) -> None:
    """Whatever the unit and its drop-ins allow, a place is told writable just if mail can go there."""
    why = PLACES[place]
    if drop_in == "loosened.conf" and place not in STILL_CLOSED:
        why = None
    elif drop_in == "hardened.conf" and place.startswith(READ_ONLY):
        why = "read-only in the unit (ProtectSystem=)"
    server.configure(f"deliver rcpt_to needy@mydomain.com {place}")
    text = drop_in and server.path(f"{EXAMPLES}/systemd/{drop_in}").read_text()
    with server.drop_in(UNIT, text) if text else nullcontext():
        record = explained(server, status=1 if why else 0)
        assert server.send("needy")[:3] == ("451" if why else "250")
    assert record["place"]["user"] == "mailrecv"
    assert record["place"]["user_from"] == "as the unit mailrecv@.service says"
    assert record["end"]["code"] == (451 if why else 250)
    assert why is None or why in record["place"]["reason"]


def test_the_configuration_is_the_service_s_to_read(server: MailHost) -> None:
    """A configuration that root alone can read turns everybody away, and both explain and check say so."""
    server.configure()
    server.shell("chown root:root /etc/mailrecv.conf; chmod 600 /etc/mailrecv.conf")
    assert explained(server, status=1)["config_problem"].startswith(
        "cannot be read: Permission denied for the user mai"
    )
    assert "the user mailrecv cannot use this file" in server.run("mailrecv", "check")
    with server.connect() as client:
        assert client.reply()[:3] == "421"
    server.shell("chmod 644 /etc/mailrecv.conf")
    assert "cannot use this file" not in server.run("mailrecv", "check")


def test_a_unit_that_runs_as_root(server: MailHost) -> None:
    """A drop-in that makes mailrecv run as root is a warning."""
    with server.drop_in(UNIT, "[Service]\nUser=root\n"):
        said = server.run("mailrecv", "check")
    assert "warning: mailrecv runs as root, as the unit mailrecv@.service says" in said
