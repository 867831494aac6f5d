"""A session under strace: its system calls are seen, and one of them may fail or be its last."""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import NamedTuple

from tests.clients.servers import ENVIRONMENT, PROGRAM, Wire
from tests.support.machine import typed

# The calls that make something durable, or undo it, and those that answer the client
DURABILITY = "openat,write,ftruncate,fsync,fdatasync,sync,link,rename,mkdir,unlink,sendto"
PATIENCE_SECONDS = 20.0

CACHE = "cache"  # the folder for compiled configurations

_ALWAYS_THE_SAME = {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
_STRACE = ("strace", "-f", "-y", "-s400")
_ATTACHED = b" attached\n"
_CALL = re.compile(r"(?P<pid>\d+) +(?P<name>\w+)\((?P<arguments>.*)\) += (?P<result>.*)")
_BEGUN = re.compile(r"(?P<pid>\d+) +(?P<name>\w+)\((?P<arguments>.*?) <unfinished \.\.\.>")
_ENDED = re.compile(r"(?P<pid>\d+) +<\.\.\. (?P<name>\w+) resumed>(?P<arguments>.*)\) += (?P<result>.*)")
_PATH = re.compile(r'"(/[^"]*)"|\d<([^>]*)>')  # as an argument, or what -y shows for a descriptor


class Call(NamedTuple):
    """A system call that has ended, as strace shows it."""

    pid: int
    name: str
    arguments: str
    result: str

    @property
    def failed(self) -> bool:
        return self.result.startswith("-1")

    @property
    def injected(self) -> bool:
        return self.result.endswith("(INJECTED)")

    @property
    def paths(self) -> list[str]:
        """What the call worked on: the paths among its arguments, and those of descriptors."""
        return [path or of_descriptor for path, of_descriptor in _PATH.findall(self.arguments)]


class Injection(NamedTuple):
    """What happens instead of a call, the `number`th of this name.  what: as strace has it, as in `error=EIO`."""

    name: str
    number: int
    what: str


class Sent(NamedTuple):
    """A message that was sent.  replies: to its commands, and to the end of its data.  expected: how many of them."""

    data: bytes
    replies: list[str]
    expected: int

    @property
    def data_was_taken(self) -> bool:
        return any(reply.startswith("354 ") for reply in self.replies)

    @property
    def acknowledged(self) -> bool:
        return len(self.replies) == self.expected and self.replies[-1].startswith("250 ")


@dataclass(frozen=True)
class Told:
    """What is known of a session once it has ended.

    greeted: it got so far.  messages: that were sent, in order.  calls: of the session and of the commands it started,
    in the order in which they ended.  killed: a signal ended one of these processes.  words: all that the session
    wrote to its log and standard error.
    """

    greeted: bool
    messages: list[Sent]
    calls: list[Call]
    killed: bool
    words: str

    @property
    def own_calls(self) -> list[Call]:
        """The calls of the session itself."""
        return [call for call in self.calls if call.pid == self.calls[0].pid]


def numbers(*, from_start: bool) -> Iterator[int]:
    """Yield which of the calls of one name are disturbed, each in a session of its own: the first, the second, ...

    from_start: of the whole program. That makes hundreds alike, so every tenth is enough after the first ten.
    """
    yield from range(1, 11)
    yield from count(11, 10 if from_start else 1)


def hold_session(
    folder: Path,
    recipients: Sequence[str],
    messages: Sequence[bytes],
    injection: Injection | None = None,
    *,
    trace: str = DURABILITY,
    from_start: bool = False,
) -> Told:
    """Send messages to a session of its own on a socket, and return what came of it.

    folder: with the configuration; the log is in it.  messages: the data of each, with LF line ends.  trace: the calls
    to see, besides that of the injection.  from_start: trace and count the calls from the start of the program, instead
    of from when it has greeted its client.
    """
    options = [*_STRACE, "-o", str(folder / "trace"), f"-etrace={trace}{f',{injection.name}' if injection else ''}"]
    if from_start and not (injection and injection.what.startswith("signal=")):
        options.append("--seccomp-bpf")  # much faster, but where it stops a process no signal can be injected
    if injection is not None:
        options.append(f"-einject={injection.name}:{injection.what}:when={injection.number}")
    program = [*PROGRAM, "-c", str(folder / "mailrecv.conf")]
    with ExitStack() as ended_later:
        here, there = socket.socketpair()
        here.settimeout(PATIENCE_SECONDS)
        wire = ended_later.enter_context(Wire(here))
        errors = ended_later.enter_context(folder.joinpath("stderr").open("wb"))
        with there:
            session = subprocess.Popen(
                [*options, "-q", *program] if from_start else program,
                stdin=there.fileno(),
                stdout=there.fileno(),
                stderr=errors,
                cwd=folder,
                env={**ENVIRONMENT, "CACHE_DIRECTORY": str(folder / CACHE), **_ALWAYS_THE_SAME},
            )
        ended_later.enter_context(session)
        ended_later.callback(session.kill)
        greeted = _reply(wire).startswith("220 ")
        if not from_start:
            strace = ended_later.enter_context(_strace(session.pid, options))
            ended_later.callback(strace.wait)  # before its standard error is closed, where it tells of new processes
            ended_later.callback(session.kill)  # or it would wait for ever when something fails here
        sent = list(_converse(wire, recipients, messages)) if greeted else [Sent(data, [], 1) for data in messages]
        wire.__exit__()
        session.wait(PATIENCE_SECONDS)
    traced = (folder / "trace").read_text(errors="replace")
    words = "".join(path.read_text(errors="replace") for path in (folder / "log", folder / "stderr") if path.exists())
    return Told(greeted, sent, list(calls_in(traced)), "+++ killed by " in traced, words)


def _strace(pid: int, options: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start strace on a process, and wait until it has a hold of it."""
    strace = subprocess.Popen([*options, "-p", str(pid)], stderr=subprocess.PIPE)
    assert strace.stderr is not None
    line = strace.stderr.readline()
    assert line.endswith(_ATTACHED), line
    return strace


def _converse(wire: Wire, recipients: Sequence[str], messages: Sequence[bytes]) -> Iterator[Sent]:
    for data in messages:
        envelope = ["HELO client", "MAIL FROM:<me@client>", *(f"RCPT TO:<{name}@mydomain.com>" for name in recipients)]
        _say(wire, typed(*envelope, "DATA") + data.replace(b"\n", b"\r\n") + b".\r\n")
        expected = len(envelope) + 2
        replies = [reply for _ in range(expected) if (reply := _reply(wire))]
        yield Sent(data, replies, expected)
    _say(wire, b"QUIT\r\n")
    while _reply(wire):
        pass


def _say(wire: Wire, octets: bytes) -> None:
    with suppress(ConnectionError):
        wire.send(octets)


def _reply(wire: Wire) -> str:
    try:
        return wire.reply()
    except ConnectionError:
        return ""


def calls_in(trace: str) -> Iterator[Call]:
    """Yield the calls in what strace wrote, in the order in which they ended; those that never did are left out."""
    begun: dict[str, str] = {}
    for line in trace.splitlines():
        if match := _BEGUN.fullmatch(line):
            begun[match["pid"]] = match["arguments"]
            continue
        match = _ENDED.fullmatch(line)
        before = begun.pop(match["pid"], "") if match else ""
        match = match or _CALL.fullmatch(line)
        if match and not match["result"].startswith("?"):
            yield Call(int(match["pid"]), match["name"], before + match["arguments"], match["result"])
