"""Postfix and Exim as senders: each in the network's world, with a configuration, a queue and a log of its own.

What they know is where the server is; how they talk to it is up to them and their defaults.
"""

from __future__ import annotations

import re
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.clients.servers import wait_until
from tests.senders.packages import in_place
from tests.support.network import SERVER, Network, running

QUEUE_SECONDS = 30  # for a message to be sent, however often that is tried

POSTFIX = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
shlib_directory = /usr/lib/postfix
meta_directory = /etc/postfix
mail_owner = postfix
setgid_group = postdrop
myhostname = {name}
myorigin = {name}
mydestination =
local_recipient_maps =
alias_maps =
alias_database =
inet_interfaces = loopback-only
smtp_bind_address = {address}
disable_dns_lookups = yes
relayhost = [{server}]
smtp_destination_concurrency_limit = 1
message_size_limit = 100000000
queue_run_delay = 1s
minimal_backoff_time = 1s
maximal_backoff_time = 2s
"""
POSTFIX_SERVICES = """\
postlog   unix-dgram n  -       n       -       1       postlogd
pickup    unix       n  -       n       1       1       pickup
cleanup   unix       n  -       n       -       0       cleanup
qmgr      unix       n  -       n       1       1       qmgr
rewrite   unix       -  -       n       -       -       trivial-rewrite
bounce    unix       -  -       n       -       0       bounce
defer     unix       -  -       n       -       0       bounce
smtp      unix       -  -       n       -       -       smtp
error     unix       -  -       n       -       -       error
retry     unix       -  -       n       -       -       error
scache    unix       -  -       n       -       1       scache
"""

EXIM = """\
primary_hostname = {name}
spool_directory = {folder}/spool
log_file_path = {folder}/%slog
daemon_smtp_ports = 2525
local_interfaces = 127.0.0.1
message_size_limit = 100M
keep_environment =
tls_advertise_hosts =
begin routers
all:
  driver = manualroute
  route_list = * {server}
  transport = smtp
begin transports
smtp:
  driver = smtp
  interface = {address}
  message_linelength_limit = 1M
begin retry
*  *  F,1h,1s
"""


class MailServer(ABC):
    """A mail server that sends everything to the server of the network.

    folder: all of its files.  name, address: its own.
    """

    package: str
    log_name: str  # of a file in its folder

    def __init__(self, network: Network, folder: Path, name: str, address: str) -> None:
        self.folder = folder
        self.name = name
        self.address = address
        self._network = network

    @property
    def log(self) -> str:
        """All that it has logged."""
        path = self.folder / self.log_name
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    @abstractmethod
    def configure(self) -> None:
        """Write its configuration."""

    @abstractmethod
    def submit(self, message: bytes, sender: str, *recipients: str) -> None:
        """Put a message into its queue.  message: with LF line ends.  sender: `<>` for that of bounces."""

    @abstractmethod
    def fates(self, recipient: str = "") -> list[str]:
        """Return what it has logged of a recipient, or of all: sent, deferred or bounced, and what it was told."""

    @abstractmethod
    def queue(self) -> list[str]:
        """Return the names of the files of the messages that are in its queue."""

    @abstractmethod
    def sent_again(self, recipient: str = "") -> int:
        """Return how many copies, to a recipient or to all, it sent over a connection that it had used before."""

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run it."""
        self.configure()
        with running(self._in_place(*self._daemon()), log=self.folder / "output"):
            wait_until(lambda: "daemon started" in self.log, self.package)
            yield

    def wait_for(self, recipient: str, fate: str) -> str:
        """Wait until the last that it has logged of a recipient is of this kind; return that."""

        def last() -> str:
            return ["", *self.fates(recipient)][-1]

        wait_until(lambda: last().startswith(fate), f"{fate} for {recipient}", QUEUE_SECONDS)
        return last()

    @abstractmethod
    def _daemon(self) -> Sequence[str]:
        """Return the command that runs it in the foreground."""

    def _in_place(self, *command: str) -> tuple[str, ...]:
        return self._network.in_world(*in_place(self.package, *command))

    def _run(self, *command: str, octets: bytes = b"") -> None:
        ended = subprocess.run(self._in_place(*command), input=octets, capture_output=True, check=False)
        assert ended.returncode == 0, ended.stderr.decode()

    def _filled_in(self, text: str) -> str:
        return text.format(folder=self.folder, name=self.name, address=self.address, server=SERVER)


class Postfix(MailServer):
    """Postfix, as another instance than the machine's own, if that has one."""

    package = "postfix"
    log_name = "log"

    def configure(self) -> None:
        (self.folder / "main.cf").write_text(self._filled_in(POSTFIX), encoding="utf-8")
        (self.folder / "master.cf").write_text(POSTFIX_SERVICES, encoding="utf-8")
        (self.folder / "queue").mkdir()
        (self.folder / "data").mkdir()
        self._run("chown", "postfix", f"{self.folder}/data")

    def _daemon(self) -> Sequence[str]:
        return ["postfix", "-c", str(self.folder), "start-fg"]

    def submit(self, message: bytes, sender: str, *recipients: str) -> None:
        self._run("sendmail", "-C", str(self.folder), "-i", "-f", sender, *recipients, octets=message)

    def fates(self, recipient: str = "") -> list[str]:
        found = re.findall(rf"to=<{re.escape(recipient) or '[^>]*'}>,.* status=(\w+) \((.*)\)", self.log)
        return [f"{status}: {told}" for status, told in found]

    def queue(self) -> list[str]:
        folders = ("maildrop", "incoming", "active", "deferred")
        return [path.name for name in folders for path in (self.folder / "queue" / name).rglob("*") if path.is_file()]

    def sent_again(self, recipient: str = "") -> int:
        return len(re.findall(rf"to=<{re.escape(recipient) or '[^>]*'}>,.* conn_use=\d+,.* status=sent", self.log))


class Exim(MailServer):
    """Exim."""

    package = "exim4-daemon-light"
    log_name = "mainlog"

    def configure(self) -> None:
        (self.folder / "exim.conf").write_text(self._filled_in(EXIM), encoding="utf-8")
        self._run("chown", "Debian-exim", str(self.folder))

    def _daemon(self) -> Sequence[str]:
        return ["exim4", "-C", f"{self.folder}/exim.conf", "-bdf", "-qq1s"]

    def submit(self, message: bytes, sender: str, *recipients: str) -> None:
        options = ["-C", f"{self.folder}/exim.conf", "-odq", "-oi", "-f", sender]
        self._run("exim4", *options, *recipients, octets=message)

    def fates(self, recipient: str = "") -> list[str]:
        found = re.findall(rf" (=>|->|==|\*\*) {re.escape(recipient) or '[^ ]+'} (.*)", self.log)
        marks = {"=>": "sent", "->": "sent", "==": "deferred", "**": "bounced"}
        return [f"{marks[mark]}: {told}" for mark, told in found]

    def queue(self) -> list[str]:
        return [path.name for path in (self.folder / "spool" / "input").rglob("*-H")]

    def sent_again(self, recipient: str = "") -> int:
        return len(re.findall(rf" (?:=>|->) {re.escape(recipient) or '[^ ]+'} .* H=\S+ \[[^]]+\]\*", self.log))
