"""The catalogue of entries: everything the program can put into its log, each under a fixed name.

An entry with a flag is recorded only when the `debug` directive has that flag (or `a`, all). `message` is filled in
with the facts of the entry and of its session; in journald each fact is a field too, MAILRECV_ and its name in
capitals. The MESSAGE_ID of an entry never changes once it was released.

The priority says who has to know. LOG_WARNING and above: a person; of what a client can cause alone, only a message
that is too large is there. LOG_NOTICE: what was refused. LOG_INFO: one line for each copy that was delivered.
LOG_DEBUG: all that is around it, recorded but out of the way.
"""

from __future__ import annotations

from syslog import LOG_CRIT, LOG_DEBUG, LOG_ERR, LOG_INFO, LOG_NOTICE, LOG_WARNING

from mailrecv.values import Value

# Bound once, then part of every entry. `session` tells sessions apart that one process has with one client.
SESSION_FACTS = ("session", "client_address", "client_name", "helo", "id", "sender")
# Replies, and words of the configuration: no client can choose them.
OWN_FACTS = ("reply", "pattern", "route", "path", "directive", "what")
# Of what clients cause that no line of the configuration admits, entries of each kind beyond this are only counted.
MAX_OF_A_KIND = 10
KIND_SECONDS = 10.0
# Refusals that begin so are those of which fail2ban's filter in docs/examples bans a host. Each of them is logged.
WATCHED_REPLIES = ("550 No one here", "550 No such recipient")
# The fact that tells such entries of a kind apart.
TOLD_APART_BY = {"refusal": "reply", "limit_exceeded": "limit", "disconnection": "cause"}


class Entry(Value):
    """One kind of entry.

    name: fixed.  priority: as in syslog(3).  message_id: 128 bits in hexadecimal, for journald.
    message: a format string over the facts.  facts: the names of those that it comes with, besides SESSION_FACTS.
    flag: the debug flag that it needs, or empty.
    """

    name: str
    priority: int
    message_id: str
    message: str
    facts: tuple[str, ...] = ()
    flag: str = ""


# The session

CONNECTION = Entry(
    "connection",
    LOG_DEBUG,
    "61e4412f3ff84a1087dbd323bc00046a",
    "SMTP connection from remote host {client_name} [{client_address}]",
)
DISCONNECTION = Entry(
    "disconnection",
    LOG_DEBUG,
    "b56bc07aecb34760ba0061fb3208d837",
    "connection closed ({cause}): {commands} commands, {messages} "
    "messages, {recipients} recipients, {refusals} refusals, {seconds} seconds",
    ("cause", "commands", "messages", "recipients", "refusals", "seconds"),
)
COMMAND = Entry(
    "command",
    LOG_DEBUG,
    "312a757b9e0c4440a5c802dc36de3a41",
    "DEBUG: SMTP cmd: {command}",
    ("command",),
    flag="s",
)
REPLY = Entry(
    "reply",
    LOG_DEBUG,
    "522f7097abaf4d87ae7c75e68f0c6c4d",
    "DEBUG: SMTP reply: {reply}",
    ("reply",),
    flag="s",
)
REFUSAL = Entry(
    "refusal",
    LOG_NOTICE,
    "6b9d5b4583a34256bcb2a9a25e628357",
    "ERROR: {reply}",
    ("reply", "command", "recipient", "line"),
)
LIMIT_EXCEEDED = Entry(
    "limit_exceeded",
    LOG_NOTICE,
    "a8d0ca2f95ed4f76bea3f00512a86025",
    "limit.{limit} exceeded",
    ("limit",),
)
FAMILY_NOT_SERVED = Entry(
    "family_not_served",
    LOG_NOTICE,
    "0678c4b74982452ab2ba14077fbde28a",
    "ERROR: a client on a socket of another kind, {family}, was told: {reply}",
    ("family", "reply"),
)
REPEATED = Entry(
    "repeated",
    LOG_NOTICE,
    "18e4a2732f7f4246b7ccfa664ae958f9",
    "repeated {times} times, not logged one by one: {what}",
    ("what", "times", "line"),
)
DATA_LINE = Entry(
    "data_line",
    LOG_DEBUG,
    "997a9b69d34148c2b2988cac60d4cca7",
    "DEBUG: data: {text}",
    ("text",),
    flag="l",
)
LEFT_WITHOUT_QUIT = Entry(
    "left_without_quit",
    LOG_DEBUG,
    "b0f3b8b4d80b4bbd9d53c87bf3f2587d",
    "WARNING: the client left without QUIT",
    flag="w",
)
END_MISSED = Entry(
    "end_missed",
    LOG_NOTICE,
    "c2d4e53d5325448bbfdba1d6791243fc",
    "WARNING: the message was not complete: the dot at its end came with a bare LF, where only CRLF ends a line",
)
REPEATED_RECIPIENT = Entry(
    "repeated_recipient",
    LOG_DEBUG,
    "87cbc72fc0cc4d97a5ce1e310bcebdfe",
    "WARNING: <{recipient}> was given twice, and gets one copy",
    ("recipient",),
    flag="w",
)
INTERNAL_ERROR = Entry(
    "internal_error",
    LOG_CRIT,
    "c70ab34a1a7e44fe9e8fee4727332788",
    "ERROR: internal error: {error}",
    ("error",),
)
TRACEBACK = Entry(
    "traceback",
    LOG_CRIT,
    "94722ab684bd4038a7c5963a87797e7f",
    "TRACEBACK: {text}",
    ("text",),
)

# Policy

ROUTED = Entry(
    "routed",
    LOG_DEBUG,
    "611b2e2c2fee46d3a6eb6f12aafa7933",
    "mail from <{sender}> to <{recipient}>: {route} (line {line})",
    ("recipient", "route", "line"),
    flag="+",
)
PATTERN_TEST = Entry(
    "pattern_test",
    LOG_DEBUG,
    "574d5f310c404d03a7caaeb274bb8032",
    "DEBUG: regex {pattern} (line {line}) on {subject}: {verdict}",
    ("pattern", "line", "subject", "verdict"),
    flag="r",
)
PATTERN_LIMIT = Entry(
    "pattern_limit",
    LOG_WARNING,
    "ce54b157115f43a6b583f3318d876cde",
    "WARNING: regex {pattern} (line {line}) on {subject}: too much work, given up",
    ("pattern", "line", "subject"),
)
DNS = Entry(
    "dns",
    LOG_DEBUG,
    "caa4d1ce0ab1430ea71e0ba7c8d98e19",
    "DEBUG: DNS: {text}",
    ("text",),
    flag="h",
)

# Delivery

DELIVERED = Entry(
    "delivered",
    LOG_INFO,
    "b366a8c886124dceb872f617c6e578d0",
    "{id}: from=<{sender}> to=<{recipient}> route={route} size={size} seconds={seconds} delivered",
    ("recipient", "route", "size", "seconds"),
)
DEFERRED = Entry(
    "deferred",
    LOG_WARNING,
    "cf3d028a4f4340809887500c86feb334",
    "{id}: from=<{sender}> to=<{recipient}> route={route} size={size} "
    "seconds={seconds} not delivered for now: {reason}",
    ("recipient", "route", "size", "seconds", "reason"),
)
FAILED = Entry(
    "failed",
    LOG_WARNING,
    "7a73070ed280443a902d438f256d6556",
    "{id}: from=<{sender}> to=<{recipient}> route={route} size={size} seconds={seconds} not delivered: {reason}",
    ("recipient", "route", "size", "seconds", "reason"),
)
DEAD_LETTER = Entry(
    "dead_letter",
    LOG_WARNING,
    "cdb6196cd8554b169b072f959466faec",
    "{id}: from=<{sender}> to=<{recipient}> route={route} size={size} seconds={seconds} kept with the dead letters",
    ("recipient", "route", "size", "seconds"),
)
COMMAND_OUTPUT = Entry(
    "command_output",
    LOG_INFO,
    "5886863c48fe4c5f8105e8d66edacdf9",
    "{id}: to=<{recipient}> output: {text}",
    ("recipient", "text"),
)
PROCESSES_LEFT = Entry(
    "processes_left",
    LOG_WARNING,
    "ef5f1e82f27c4bfc9a86b14aea3d0671",
    "{id}: to=<{recipient}> WARNING: the command has left processes behind: {processes}",
    ("recipient", "processes"),
)
DELIVERY_STARTED = Entry(
    "delivery_started",
    LOG_DEBUG,
    "262f3c98c8574f9e903234a7c863a1f7",
    "{id}: from=<{sender}> to=<{recipient}> route={route} size={size} begins",
    ("recipient", "route", "size"),
    flag="+",
)
FILE_OPENED = Entry(
    "file_opened",
    LOG_DEBUG,
    "8bcba276d9694cd6b756886ce6b16e5c",
    "DEBUG: open {path}",
    ("path",),
    flag="f",
)
FILE_CLOSED = Entry(
    "file_closed",
    LOG_DEBUG,
    "f5f07709737f4cdb9025ee38c6ec93bf",
    "DEBUG: close {path}",
    ("path",),
    flag="f",
)
SPOOL_FAILED = Entry(
    "spool_failed",
    LOG_ERR,
    "7bcf5cb3c3a845e49744bd165f847f83",
    "ERROR: the mail data cannot be kept: {reason}",
    ("reason",),
)

# The program

CONFIG_LINE = Entry(
    "config_line",
    LOG_DEBUG,
    "71a54267b1104915aa03bebffb05d95e",
    "DEBUG: {path}:{line}: {directive}",
    ("path", "line", "directive"),
    flag="c",
)
CONFIG_FAULT = Entry(
    "config_fault",
    LOG_ERR,
    "df8d988f9a1045c0be5fbb5a00f4a434",
    "ERROR: {text}",
    ("text",),
)
LOGFILE_FAILED = Entry(
    "logfile_failed",
    LOG_ERR,
    "019f31548c424eeb8f489c20554010e4",
    "ERROR: the log file cannot be written: {reason}; it should have said: {text}",
    ("reason", "text"),
)
LISTENING = Entry(
    "listening",
    LOG_INFO,
    "ee2da88eb7da4df29213a59550bdae65",
    "listening on {address}",
    ("address",),
)
STOPPING = Entry(
    "stopping",
    LOG_INFO,
    "ba88dae1cb4a4b539545a1aff02d3736",
    "stopping: {reason}",
    ("reason",),
)
CONFIG_RELOADED = Entry(
    "config_reloaded",
    LOG_NOTICE,
    "3843131e0d0140bdbe2ceac556e930ce",
    "{path} was read again, and holds for new connections",
    ("path",),
)
CONFIG_REFUSED = Entry(
    "config_refused",
    LOG_ERR,
    "0698f17731414caeb9d2dce2c9e6f1a6",
    "ERROR: {path} has faults, so the configuration stays as it was",
    ("path",),
)
WORKER_LOST = Entry(
    "worker_lost",
    LOG_ERR,
    "598a357fce8740a284da19b31169a298",
    "ERROR: worker {worker} was lost, and {connections} connections with it: it {end}",
    ("worker", "end", "connections"),
)
WORKER_HANGS = Entry(
    "worker_hangs",
    LOG_ERR,
    "9cf8ceea4b7941ea8a0d0e18543a7713",
    "ERROR: worker {worker} has not answered for {seconds} seconds, it is killed",
    ("worker", "seconds"),
)
WORKER_MISSING = Entry(
    "worker_missing",
    LOG_ERR,
    "e92123de783c464d89ced2caf80903db",
    "ERROR: a worker cannot be started now: {reason}",
    ("reason",),
)
CLIENTS_WAIT = Entry(
    "clients_wait",
    LOG_ERR,
    "d4a69c84c0cf40049e569ff7ded4ee7b",
    "ERROR: no client can be taken in now: {reason}",
    ("reason",),
)

CATALOGUE = {entry.name: entry for entry in list(globals().values()) if isinstance(entry, Entry)}
