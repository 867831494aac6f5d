"""A machine for the package: what an administrator does there, and what a mail server that connects to it sees."""

from __future__ import annotations

import shutil
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.clients.servers import Mail, Wire
from tests.system.machine import Machine, wait_until

CONFIG = "/etc/mailrecv.conf"
FOLDER = "/var/lib/mailrecv"  # where the service user may write
EXAMPLES = "/usr/share/doc/mailrecv/examples"
STANDARD_CONFIG = """\
domain mydomain.com
deliver rcpt_to me@mydomain.com append {folder}/mbox
deliver rcpt_to list@mydomain.com maildir {folder}/maildir
deliver rcpt_to pipe@mydomain.com pipe cat >{folder}/piped || exit 75
error rcpt_to ^nobody@ 550 No one here by that name.
"""


class MailHost(Machine):
    """A machine with the package on it, or about to get it."""

    def install(self, package: Path) -> str:
        """Install or upgrade the package as the README says, and return what apt prints."""
        shutil.copy(package, self.path("/root"))
        return self.apt("install", f"/root/{package.name}")

    def apt(self, *arguments: str) -> str:
        """Run apt-get without questions."""
        return self.run("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet=2", "--assume-yes", *arguments)

    def configure(self, *directives: str, config: str = STANDARD_CONFIG) -> None:
        """Write the configuration.  directives: what to add to the standard one, or to another."""
        lines = "".join(f"{directive}\n" for directive in directives)
        self.write(CONFIG, (config + lines).replace("{folder}", FOLDER))

    def enable(self, socket: str = "mailrecv.socket") -> None:
        """Begin to listen."""
        self.run("systemctl", "--quiet", "enable", "--now", socket)

    def start_over(self) -> None:
        """Forget the mail and the log of tests before, and go back to the standard configuration."""
        self.wait_for_sessions(0)
        for path in self.path(FOLDER).iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        self.configure()
        self.run("journalctl", "--sync")
        self._began = time.time()

    def log(self, *matches: str) -> list[dict[str, Any]]:
        """Return the journal's entries since the test began.  matches: as for journalctl."""
        return self.journal(f"--since=@{self._began:.6f}", *matches)

    def messages(self, *matches: str) -> list[str]:
        """Return the text of the journal's entries since the test began.  matches: as for journalctl."""
        return [entry["MESSAGE"] for entry in self.log(*matches)]

    @contextmanager
    def drop_in(self, unit: str, text: str) -> Generator[None, None, None]:
        """Add to a unit, as `systemctl edit` does, for some time."""
        path = f"/etc/systemd/system/{unit}.d/test.conf"
        self.write(path, text)
        self.run("systemctl", "daemon-reload")
        try:
            yield
        finally:
            self.path(path).unlink()
            self.run("systemctl", "daemon-reload")

    def show(self, unit: str, name: str) -> str:
        """Return a property of a unit."""
        return self.run("systemctl", "show", f"--property={name}", "--value", unit).rstrip("\n")

    def listens(self, socket: str = "mailrecv.socket") -> bool:
        """Say whether systemd listens for mail, or has handed that on to a service that runs."""
        return self.show(socket, "SubState") in ("listening", "running")

    def sessions(self) -> list[str]:
        """Return the units of the sessions that systemd has in its list, failed ones too."""
        units = self.run("systemctl", "list-units", "--all", "--plain", "--no-legend", "mailrecv@*")
        return [line.split()[0] for line in units.splitlines()]

    def wait_for_sessions(self, number: int) -> None:
        """Wait until there are so many sessions."""
        wait_until(lambda: len(self.sessions()) == number, f"{number} sessions")

    @property
    def mail(self) -> Mail:
        """What was delivered."""
        return Mail(self.path(FOLDER))

    def connect(self, host: str = "127.0.0.1", *, source: str = "") -> Wire:
        """Return a new client.  source: its address."""
        return Wire(self.dial(host, source=source))

    def send(self, *recipients: str, body: str = "Hello", source: str = "") -> str:
        """Send a message and return the reply to it.  recipients: names at mydomain.com."""
        with self.connect(source=source) as client:
            client.envelope(*recipients)
            reply = client.ask(f"{body}\r\n.")
            assert client.ask("QUIT")[:3] == "221"
        return reply
