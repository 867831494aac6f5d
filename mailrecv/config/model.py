"""A configuration that has been read and checked: plain values.

Every rule remembers the line it stands on, so that a decision can name the line that made it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

from mailrecv.limits import Limits
from mailrecv.policy.patterns import Pattern
from mailrecv.reply import Reply
from mailrecv.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mailrecv.policy.client_patterns import ClientTest

SYSLOG = "syslog"  # the word for the system's log in `logfile`
METHODS = ("append", "maildir", "pipe")


class ClientPattern(Value):
    """`allow remotehost` or `allowgroup`: a pattern for the names and addresses of clients."""

    line: int
    pattern: ClientTest


class Deliver(Value):
    """`deliver`: where mail for one address goes.

    address: in lower case.  group: its name, or None when everyone may send.  method: one of METHODS.
    target: a path, or the command for `/bin/sh -c`.
    """

    line: int
    address: str
    group: str | None
    method: str
    target: str


class ErrorRule(Value):
    """`error rcpt_to`: a reply for the recipients that match."""

    line: int
    pattern: Pattern
    reply: Reply


class Config(Value):
    """What the configuration file says; lists are in file order.

    path: of the file.  domain: None stands for the host's own name.  debug: characters of `config.DEBUG_FLAGS`.
    logfile: SYSLOG or a path.  deliver: by address in lower case.  directives: every directive as read, for the
    log; none when the configuration was compiled.  identity: of the file that was read, as `compiled.identity` has it.
    """

    path: str
    domain: str | None = None
    debug: str = ""
    logfile: str = SYSLOG
    loghex: bool = True
    deadletter_file: str | None = None
    deadletter_line: int = 0
    allow: tuple[ClientPattern, ...] = ()
    groups: Mapping[str, tuple[ClientPattern, ...]] = MappingProxyType({})
    deliver: Mapping[str, tuple[Deliver, ...]] = MappingProxyType({})
    errors: Collection[ErrorRule] = ()
    limits: Limits = Limits()
    directives: tuple[tuple[int, str], ...] = ()
    identity: tuple[int, ...] = ()
