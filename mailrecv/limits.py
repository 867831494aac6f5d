"""The limits of a session: their values and the replies given when they are exceeded.

Plain values, shared by the configuration (which reads them), the protocol machine (which counts) and the server (which
watches the clock). A limit is the highest number that is still allowed.

The defaults follow what honest mail servers do: Postfix reuses a connection for many messages and puts 50 recipients
into one, and every sender bounces a message on a 5xx but keeps it on a 4xx. So limits that close the session answer
421.
"""

from __future__ import annotations

from mailrecv.reply import Reply
from mailrecv.values import Value


class Limit(Value):
    """A number and the reply for going over it.  value: a count, octets or seconds, as the limit's name says."""

    value: int
    reply: Reply


class Switch(Value):
    """A check that is on or off, and the reply for failing it."""

    on: bool
    reply: Reply


class Limits(Value):
    """All the limits, of one session and of all together; the names are those of the directives, behind `limit.`."""

    smtp_commands: Limit = Limit(1000, Reply(421, "Too many commands, try again later"))
    smtp_unknowncmd: Limit = Limit(4, Reply(421, "Too many unknown commands"))
    smtp_failcmds: Limit = Limit(20, Reply(421, "Too many refused commands"))
    smtp_rcpt_to: Limit = Limit(100, Reply(452, "Too many recipients"))  # RFC 821 §4.5.3 asks for at least 100
    smtp_data_size: Limit = Limit(24_000_000, Reply(552, "Message too large"))
    connection_secs: Limit = Limit(600, Reply(421, "Connection has lasted too long, closing"))
    start_secs: Limit = Limit(60, Reply(421, "No recipient was taken in time, closing"))
    idle_secs: Limit = Limit(300, Reply(421, "Idle for too long, closing"))  # RFC 5321 §4.5.3.2.7: 5 minutes
    delivery_secs: Limit = Limit(300, Reply(451, "Delivery took too long, try again later"))
    smtp_ascii: Switch = Switch(True, Reply(500, "Only printable ASCII is allowed in commands"))
    fcrdns_check: Switch = Switch(True, Reply(421, "Your address has no confirmed host name, try again later"))
    # In resident mode only: otherwise it is systemd or xinetd that counts processes.
    connections: Limit = Limit(1000, Reply(421, "Too many connections, try again later"))
    client_connections: Limit = Limit(50, Reply(421, "Too many connections from your host, try again later"))

    def before_recipient(self, *, exempt: bool) -> str:
        """Return the name of the limit that ends a session in which no recipient is taken.

        exempt: the client is on this machine, perhaps a person, who types slowly.
        """
        start_counts = not exempt and self.start_secs.value < self.connection_secs.value
        return "start_secs" if start_counts else "connection_secs"
