"""fail2ban, with the filter and the jail that come with mailrecv: it bans who was refused, and nobody else."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.clients.forger import ASKED, CLIENT, REFUSAL, Forged, from_client
from tests.clients.servers import Site, Starter, wait_until
from tests.support import forgeries
from tests.support.machine import typed

EXAMPLES = Path(__file__).parents[2] / "docs/examples/fail2ban"
FILTER = EXAMPLES / "filter.d/mailrecv.conf"
SEED_FILTER = r"^.* \[<HOST>\] ERROR: 550 No one here"
OTHER_CLIENT = "127.0.0.8"

pytestmark = pytest.mark.needs_tool("fail2ban-client", "fail2ban-regex", "fail2ban-server")

# Addresses are written to a file, and nobody is kept from anything.
RECORDER = """\
[Definition]
actionban = echo <ip> >>{folder}/banned
"""
SETTINGS = """\
[Definition]
socket = {folder}/socket
pidfile = {folder}/pid
dbfile = {folder}/database
logtarget = {folder}/fail2ban.log
"""
JAIL = """\
[mailrecv]
logpath = {log}
banaction = recorder
"""


def found(log: Path, failregex: str) -> list[str]:
    """Return the addresses that fail2ban finds in a log.  failregex: or the path of a filter."""
    command = ["fail2ban-regex", "--out", "ip", str(log), failregex]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


class Fail2ban:
    """A running fail2ban, with nothing but the example for log files.  folder: of all it writes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._client = ["fail2ban-client", "-c", f"{folder}/etc", "-s", f"{folder}/socket", "-p", f"{folder}/pid"]

    def ask(self, *command: str) -> str:
        """Return what it answers to a command."""
        return subprocess.run([*self._client, *command], capture_output=True, text=True, check=True).stdout

    @property
    def banned(self) -> list[str]:
        """The addresses that it has banned, and not let in again."""
        (addresses,) = re.findall(r"Banned IP list:\s*(.*)", self.ask("status", "mailrecv"))
        return str(addresses).split()

    @property
    def failures(self) -> int:
        """How many failures it has counted."""
        return int(re.findall(r"Total failed:\s*(\d+)", self.ask("status", "mailrecv"))[0])

    @property
    def acted_on(self) -> list[str]:
        """The addresses for which the action for a ban was run."""
        path = self._folder / "banned"
        return path.read_text().split() if path.exists() else []


@contextmanager
def fail2ban(site: Site) -> Generator[Fail2ban, None, None]:
    """Run fail2ban on the log of a site, as installed on this machine but without what its administrator added."""
    folder = site.folder / "fail2ban"
    shutil.copytree("/etc/fail2ban", folder / "etc", ignore=shutil.ignore_patterns("jail.d", "*.local"))
    shutil.copytree(EXAMPLES, folder / "etc", dirs_exist_ok=True, ignore=shutil.ignore_patterns("*-journal.conf"))
    (folder / "etc/action.d/recorder.conf").write_text(RECORDER.format(folder=folder))
    (folder / "etc/fail2ban.local").write_text(SETTINGS.format(folder=folder))
    (folder / "etc/jail.local").write_text(JAIL.format(log=site.folder / "log"))
    running = Fail2ban(folder)
    with subprocess.Popen(["fail2ban-server", "-f", "-c", folder / "etc", "start"]) as server:
        try:
            wait_until((folder / "socket").exists, "fail2ban's socket")
            wait_until(lambda: "mailrecv" in running.ask("status"), "the jail")
            yield running
        finally:
            server.terminate()


@pytest.mark.parametrize("failregex", [SEED_FILTER, str(FILTER)], ids=["seed", "example"])
def test_filter(forged: Forged, failregex: str) -> None:
    """The filter finds the client as often as it was refused, and nobody else, whatever the client said."""
    assert forged.refusals > 3
    assert found(forged.site.folder / "log", failregex) == [CLIENT] * forged.refusals


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7"])
def test_lines_that_the_filter_shows(address: str, tmp_path: Path) -> None:
    """The lines that stand in the filter as examples are found by it, as is mailrecv's own refusal."""
    shown = re.findall(r"(?m)^#   (.*)$", FILTER.read_text(encoding="utf-8"))
    (tmp_path / "log").write_text("".join(f"{line}\n" for line in shown).replace("192.0.2.7", address))
    assert found(tmp_path / "log", str(FILTER)) == [address] * 2
    own = shown[0].replace("one here by that name.", "such recipient").replace("192.0.2.7", address)
    (tmp_path / "log").write_text(f"{own}\n")
    assert found(tmp_path / "log", str(FILTER)) == [address]


def test_ban(start: Starter) -> None:
    """A host that asked for three addresses which do not exist is banned; one that asked for two is not."""
    server = start.server("listen", "debug F")
    with fail2ban(server.site) as running:
        for address, times in ((OTHER_CLIENT, 2), (CLIENT, 3)):
            with from_client(server.port, address) as client:
                client.send(typed(*ASKED * times, "QUIT"))
                assert client.rest().count(REFUSAL) == times
        wait_until(lambda: running.failures >= 5 and running.acted_on, "a ban")
        assert running.acted_on == running.banned == [CLIENT]


def test_no_ban_can_be_forged(forged: Forged) -> None:
    """Whatever a client says, nobody else is banned."""
    with fail2ban(forged.site) as running:
        wait_until(lambda: running.failures >= forged.refusals and running.acted_on, "all refusals to be found")
        assert running.failures == forged.refusals
        assert running.acted_on == running.banned == [CLIENT]
        assert forgeries.VICTIM in forged.site.log
