"""The drop-ins that come with the package: hardened.conf, which allows less, and loosened.conf, which allows more."""

from __future__ import annotations

import re
from collections.abc import Generator

import pytest

from tests.system.mailhost import EXAMPLES, MailHost

UNIT = "mailrecv@.service"
NAME, CLIENT = "mail.example.org", "192.0.2.9"
DNS = f"--host-record={NAME},{CLIENT}"

# What the default does not give, and loosened.conf does.
GIVEN = {
    "mailbox in a home directory": "append /home/archive/mbox",
    "command in a home directory": "pipe /home/archive/command",
    "mailbox in /var/mail": "append /var/mail/archive",
    "network interfaces": "pipe ip address show dev lo >/dev/null",
    "setgid helper": "pipe /usr/local/bin/drop /srv/maildrop/message >/dev/null",
}
# What the default gives, and hardened.conf takes away.
TAKEN_AWAY = {
    "mailbox elsewhere": "append /srv/mail/mbox",
    "other users": "pipe stat -c %U /srv/of_bin | grep -x bin",
    "settings of the kernel": "pipe cat /proc/sys/kernel/osrelease",
    "hardware": "pipe cat /proc/cpuinfo >/dev/null",
    "machine code made on the way": "pipe python3 -c 'import mmap; mmap.mmap(-1, 4096, prot=7)'",
    "owner of a file": "pipe touch {folder}/mine && chown mailrecv {folder}/mine",
    "priority": "pipe test $(nice -n 5 nice) = 5",
}
ELSEWHERE = """
install --directory --owner=mailrecv /home/archive /srv/mail
install --mode=755 /usr/bin/true /home/archive/command
groupadd --force maildrop
install --directory --group=maildrop --mode=770 /srv/maildrop
install --group=maildrop --mode=2755 /usr/bin/tee /usr/local/bin/drop
install --owner=bin /dev/null /srv/of_bin
"""


@pytest.fixture
def server(server: MailHost) -> MailHost:
    """The machine with places and programs that only some of the units let a session use."""
    server.shell(ELSEWHERE)
    return server


def example(server: MailHost, name: str) -> str:
    """Return an example that comes with the package."""
    return server.path(f"{EXAMPLES}/systemd/{name}").read_text()


@pytest.fixture
def hardened(server: MailHost) -> Generator[MailHost, None, None]:
    """The machine with hardened.conf as it comes."""
    with server.drop_in(UNIT, example(server, "hardened.conf")):
        yield server


def test_hardened_delivers(hardened: MailHost) -> None:
    """With hardened.conf mail gets into the mbox, into the Maildir and to the command; a large message, too."""
    assert hardened.send("me", "list", "pipe")[:3] == "250"
    assert hardened.mail.appended == hardened.mail.in_maildir == [b"Hello\n"]
    assert hardened.mail.piped == b"Hello\n"
    assert hardened.send("list", body="Hello\r\n" * 500_000)[:3] == "250"


def test_hardened_knows_names(hardened: MailHost) -> None:
    """With hardened.conf DNS is asked as ever."""
    hardened.configure(rf"allow remotehost ^{NAME}$")
    with hardened.addresses(CLIENT), hardened.dns(DNS):
        assert hardened.send("me", source=CLIENT)[:3] == "250"


def test_hardened_with_all_of_its_lines(server: MailHost) -> None:
    """Without the network mail is delivered to whom a pattern admits by address; who must have a name gets a 421."""
    everything = re.sub(r"(?m)^#(?=[A-Z]\w+=)", "", example(server, "hardened.conf"))
    with server.drop_in(UNIT, everything), server.addresses(CLIENT), server.dns(DNS):
        with server.connect(source=CLIENT) as client:
            assert client.reply()[:3] == "421"
        server.configure("limit.fcrdns_check off", r"allow remotehost ^192\.0\.2\.")
        assert server.send("me", "list", "pipe", source=CLIENT)[:3] == "250"


@pytest.mark.parametrize("need", TAKEN_AWAY)
def test_hardened_takes_away(server: MailHost, need: str) -> None:
    """What the comments in hardened.conf say is gone is there without it."""
    server.configure(f"deliver rcpt_to needy@mydomain.com {TAKEN_AWAY[need]}")
    assert server.send("needy")[:3] == "250"
    with server.drop_in(UNIT, example(server, "hardened.conf")):
        assert server.send("needy")[:3] in ("451", "554")


@pytest.mark.parametrize("need", GIVEN)
def test_loosened_gives(server: MailHost, need: str) -> None:
    """What the comments in loosened.conf say is allowed is not allowed without it."""
    server.configure(f"deliver rcpt_to needy@mydomain.com {GIVEN[need]}")
    assert server.send("needy")[:3] in ("451", "554")
    with server.drop_in(UNIT, example(server, "loosened.conf")):
        assert server.send("needy")[:3] == "250"


def test_commands_have_the_network(server: MailHost) -> None:
    """A command may open connections, without any drop-in."""
    server.configure("deliver rcpt_to needy@mydomain.com pipe nc -z 127.0.0.1 25")
    assert server.send("needy")[:3] == "250"
