"""Postfix as a peer: its queue, and delivery to a mailbox by virtual(8), as Debian ships them.

It runs from its unpacked package, so it neither has to be installed nor meets a Postfix that is. Whatever could slow
it down without need is off: the DNS, the wait that throttles a fast sender, a second lock on the mailbox. All else is
its default, the fsync of the queue file and of the mailbox too.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.bench.addresses import DOMAIN
from tests.bench.cgroup import PATIENCE_SECONDS
from tests.bench.server import DISK, Server
from tests.clients.servers import wait_until
from tests.senders.packages import in_place

_MAILBOX_OWNER = 65534  # nobody
_QUEUES = ("maildrop", "incoming", "active", "deferred")
_MAIN = """\
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
myhostname = {domain}
mydestination =
alias_maps =
alias_database =
inet_interfaces = loopback-only
inet_protocols = ipv4
smtpd_peername_lookup = no
in_flow_delay = 0
message_size_limit = 0
mailbox_size_limit = 0
virtual_mailbox_limit = 0
virtual_mailbox_lock = fcntl
virtual_mailbox_domains = {domain}
virtual_mailbox_base = {mail}
virtual_mailbox_maps = static:mbox
virtual_uid_maps = static:{owner}
virtual_gid_maps = static:{owner}
"""
_SERVICES = """\
127.0.0.1:{port} inet n - n - - smtpd
postlog  unix-dgram n - n - 1 postlogd
pickup   unix n - n 60 1 pickup
cleanup  unix n - n - 0 cleanup
qmgr     unix n - n 300 1 qmgr
rewrite  unix - - n - - trivial-rewrite
bounce   unix - - n - 0 bounce
defer    unix - - n - 0 bounce
trace    unix - - n - 0 bounce
verify   unix - - n - 1 verify
flush    unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
error    unix - - n - - error
retry    unix - - n - - error
anvil    unix - - n - 1 anvil
virtual  unix - n n - - virtual
"""


class Postfix(Server):
    """Postfix."""

    name = "Postfix"

    def __init__(self, place: Path = DISK) -> None:
        super().__init__(place)
        self._mail = self.folder / "mail"
        self.mailbox = self._mail / "mbox"

    def configure(self) -> None:
        self.folder.chmod(0o755)  # its processes are several users
        for name in ("queue", "data", "mail"):
            (self.folder / name).mkdir()
        shutil.chown(self._mail, _MAILBOX_OWNER, _MAILBOX_OWNER)
        facts = {"folder": self.folder, "domain": DOMAIN, "mail": self._mail, "owner": _MAILBOX_OWNER}
        (self.folder / "main.cf").write_text(_MAIN.format(**facts), encoding="utf-8")
        (self.folder / "master.cf").write_text(_SERVICES.format(port=self.port), encoding="utf-8")
        subprocess.run(in_place("postfix", "chown", "postfix", f"{self.folder}/data"), check=True)

    def command(self) -> Sequence[str | Path]:
        return in_place("postfix", "postfix", "-c", str(self.folder), "start-fg")

    def wait_until_idle(self) -> None:
        """Wait until its queue is empty: its processes stay, for the next message."""
        wait_until(self._has_empty_queue, "Postfix to deliver", PATIENCE_SECONDS)

    def _has_empty_queue(self) -> bool:
        return not any(any((self.folder / "queue" / name).iterdir()) for name in _QUEUES)


def version() -> str:
    """Return its version."""
    asked = subprocess.run(in_place("postfix", "postconf", "-hd", "mail_version"), capture_output=True, check=True)
    return asked.stdout.decode().strip()
