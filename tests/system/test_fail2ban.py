"""fail2ban on the journal, set up as docs/operating.md says: who was refused cannot connect, and nobody else."""

from __future__ import annotations

import ipaddress
import re
from itertools import dropwhile, takewhile
from pathlib import Path

import pytest

from tests.support import forgeries
from tests.support.guides import Step, section, steps
from tests.support.machine import typed
from tests.system.machine import wait_until
from tests.system.mailhost import MailHost
from tests.system.person import Person

HERE, CLIENT, OTHER_CLIENT = "192.0.2.1", "192.0.2.9", "192.0.2.10"
ASKED = ("HELO x", "MAIL FROM:<a@b>", "RCPT TO:<nobody@mydomain.com>", "RSET")
REFUSAL = "550 No one here by that name."
# What the owner of an address may have DNS call it.
NAMES = {
    "192.0.2.20": forgeries.BAN,
    "192.0.2.21": f"[{forgeries.VICTIM}]",
    "192.0.2.22": f"x [{forgeries.VICTIM}] ERROR: 550 No one here.example",
}
# The network of the clients: fail2ban bans no address that the machine itself has.
CABLE = f"""
ip netns add outside
ip link add inner type veth peer name outer netns outside
ip address add {HERE}/24 dev inner
ip link set inner up
for address in {CLIENT} {OTHER_CLIENT} {" ".join(NAMES)}; do ip -n outside address add $address/24 dev outer; done
ip -n outside link set outer up
"""


class Guarded:
    """A machine with fail2ban, and clients in a network of their own that connect to it."""

    def __init__(self, machine: MailHost) -> None:
        self.machine = machine
        self.person = Person(machine)

    def says(self, address: str, *lines: str | bytes, status: int = 0) -> list[str]:
        """Connect from an address, say these lines and QUIT, and return the replies.  status: of the client."""
        client = ("ip", "netns", "exec", "outside", "nc", "-N", "-w", "30", "-s", address, HERE, "25")
        return self.machine.run(*client, octets=typed(*lines, "QUIT"), status=status).splitlines()

    def shows(self, name: str) -> str:
        """Return a value that fail2ban shows for the jail."""
        (value,) = re.findall(rf"{name}:\s*(.*)", self.machine.run("fail2ban-client", "status", "mailrecv"))
        return str(value)


def is_set_up(step: Step) -> bool:
    """Say whether a command of the guide comes before anybody was banned."""
    return not step.shown


@pytest.fixture
def guarded(debian: MailHost, package: Path) -> Guarded:
    """A machine that listens, with fail2ban as the guide sets it up."""
    debian.install(package)
    debian.configure("debug F", "limit.fcrdns_check off")
    debian.enable()
    debian.shell(CABLE)
    debian.run("systemctl", "unmask", "fail2ban")
    guarded = Guarded(debian)
    guarded.person.follows(takewhile(is_set_up, steps(section("docs/operating.md", "## fail2ban"))))
    wait_until(debian.path("/run/fail2ban/fail2ban.sock").exists, "fail2ban")
    wait_until(lambda: "mailrecv" in debian.run("fail2ban-client", "status"), "the jail")
    return guarded


def test_ban(guarded: Guarded) -> None:
    """A host that asked for three addresses which do not exist cannot connect, until it is let in again."""
    for _ in range(3):
        assert guarded.says(CLIENT, *ASKED).count(REFUSAL) == 1
    wait_until(lambda: CLIENT in guarded.machine.run("nft", "list", "ruleset"), "the ban")
    guarded.says(CLIENT, status=1)
    assert guarded.says(OTHER_CLIENT)[0].startswith("220 ")
    guarded.person.follows(dropwhile(is_set_up, steps(section("docs/operating.md", "## fail2ban"))))
    assert guarded.says(CLIENT)[0].startswith("220 ")


@pytest.mark.parametrize("loghex", ["on", "off"])
def test_no_client_can_ban_another(guarded: Guarded, loghex: str) -> None:
    """Whatever a client says, and whatever DNS calls it, it is counted as often as it was refused, and nobody else."""
    machine = guarded.machine
    directives = (*forgeries.DIRECTIVES, forgeries.DELIVER, f"loghex {loghex}", "deadletter_file {folder}/dead")
    machine.configure("limit.fcrdns_check off", "allow remotehost .", *directives)
    refusals = 0
    reverse = {ipaddress.ip_address(address).reverse_pointer: name for address, name in NAMES.items()}
    with machine.dns(*(f"--ptr-record={pointer},{name}" for pointer, name in reverse.items())):
        for address in NAMES:
            refusals += guarded.says(address, *forgeries.FORGERIES, *ASKED * 3).count(REFUSAL)
    wait_until(lambda: int(guarded.shows("Total failed")) >= refusals, "all refusals to be found")
    wait_until(lambda: len(guarded.shows("Banned IP list").split()) >= len(NAMES), "the bans")
    assert int(guarded.shows("Total failed")) == refusals
    assert set(guarded.shows("Banned IP list").split()) == set(NAMES)


def test_no_other_program_can_ban_anybody(guarded: Guarded) -> None:
    """What another user puts into the journal in the name of mailrecv is not believed."""
    entry = f"MESSAGE={forgeries.BAN}\nSYSLOG_IDENTIFIER=mailrecv\nMAILRECV_EVENT=refusal\n"
    for _ in range(5):
        guarded.machine.run("runuser", "--user", "nobody", "--", "logger", "--journald", octets=entry.encode())
    for _ in range(3):
        guarded.says(CLIENT, *ASKED)
    assert len(guarded.machine.journal("MAILRECV_EVENT=refusal")) == 8
    wait_until(lambda: guarded.shows("Total failed") == "3", "the refusals to be found")
    wait_until(lambda: guarded.shows("Banned IP list"), "the ban")
    assert guarded.shows("Banned IP list") == CLIENT
