"""Whoever follows the README and docs/installing.md, as an ordinary user with sudo, gets what they promise."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.guides import README, section, steps
from tests.system.machine import wait_until
from tests.system.mailhost import EXAMPLES, FOLDER, MailHost
from tests.system.person import CHECKOUT, Person

INSTALLING = "docs/installing.md"


@pytest.fixture
def person(debian: MailHost) -> Person:
    """Somebody who has never seen mailrecv, on a fresh machine."""
    return Person(debian)


def test_installation(debian: MailHost, person: Person, package: Path) -> None:
    """From nothing to mail in a script: from this machine and from the trusted host, and from nobody else."""
    commands = steps(section(README, "## Installing on Debian"))
    built = [step.command for step in commands].index("make deb")  # for which the machine would need a network
    shutil.copy(package, debian.path(f"{CHECKOUT}/dist"))
    printed = person.follows(commands[built + 1 :])
    assert printed["sudo mailrecv check"] == ""
    assert " delivered\n" in printed["sudo journalctl MAILRECV_RECIPIENT=status@mydomain.com"]
    with debian.addresses("192.0.2.9", "192.0.2.10"), debian.dns("--host-record=x.example,192.0.2.10"):
        assert debian.send("status", body="Subject: From afar", source="192.0.2.9")[:3] == "250"
        with debian.connect(source="192.0.2.10") as stranger:
            assert stranger.reply()[:3] == "554"
    notes = debian.path(f"{FOLDER}/notes.txt").read_text()
    assert notes.splitlines() == ["me@mydomain.com: Subject: Hello", "me@client: Subject: From afar"]


def test_other_places(debian: MailHost, person: Person, package: Path) -> None:
    """The folder, the log file and the drop-in that the guide makes are good for mail and a log."""
    debian.install(package)
    person.follows(steps(section(INSTALLING, "### Other places")))
    debian.configure("logfile /var/log/mailrecv.log", "deliver rcpt_to other@mydomain.com append /srv/mail/other")
    debian.enable()
    assert debian.send("other")[:3] == "250"
    assert " delivered\n" in debian.path("/var/log/mailrecv.log").read_text()
    assert b"Hello" in debian.path("/srv/mail/other").read_bytes()
    with debian.connect() as client:
        client.reply()
        (session,) = debian.sessions()
        assert debian.show(session, "ProtectHome") == "no"


def test_move_from_xinetd(debian: MailHost, person: Person, package: Path) -> None:
    """xinetd gives the port to systemd."""
    debian.install(package)
    debian.configure()
    debian.run("cp", f"{EXAMPLES}/xinetd.d/mailrecv", "/etc/xinetd.d/smtp")
    debian.run("systemctl", "unmask", "xinetd")
    debian.run("systemctl", "start", "xinetd")
    wait_until(lambda: debian.shell("ss --no-header --listening --tcp 'sport = 25'"), "xinetd to listen")
    assert debian.send("me", body="Before")[:3] == "250"
    person.follows(steps(section(INSTALLING, "### From xinetd to systemd")))
    assert debian.listens()
    assert debian.send("me", body="After")[:3] == "250"
    assert debian.mail.appended == [b"Before\n", b"After\n"]
