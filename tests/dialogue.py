r"""Dialogues: what a client says, what it is answered, and what is delivered, as text files.

A file in tests/dialogues begins with a comment that says what it shows. Then come its sections, in this order:

    [config]                the configuration of the server; {dir} stands for the folder that it delivers into
    domain mydomain.com
    deliver rcpt_to me@mydomain.com append {dir}/me

    [session]               or [session, bare LF] for a person at a plain socket
    S: 220 mydomain.com     a reply with this code, whose text begins like this
    C: HELP                 C: lines in a row are sent in one write
    S: 214-Help:            lines of a reply of several lines; a single line stands for all of it
    S: 214
    C: QUIT
    S: 221
    S: closes               the server closes; without this line it is the client who leaves

    [file me]               what is in {dir}/me afterwards; one section per file, and there are no other files; a name
    | From you@... {date}   may be a pattern, such as Maildir/new/*, that matches one file

In the session and in files `#` begins a comment line, blank lines are ignored, and these stand for what cannot be
typed: \r \n \t \0 \xff \\, \{1000*x} for a thousand x, and \ at the end of a line for no line end. In what is expected,
{date}, {id}, {client}, {received} (a whole Received line) and {any} match any such thing; {client} is a name and an
address, as in `localhost [127.0.0.1]`.

`play` takes the client's part against anything that behaves like a socket, then `check_files` compares what was
delivered, so the same files serve for the machine in memory and for a real server.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Protocol

FOLDER = Path(__file__).parent / "dialogues"

_HEADING = re.compile(r"\[(config|session|session, bare LF|file (\S+))\]")
_REPLY = re.compile(r"([2-5][0-9]{2})(?:([ -])(.*))?")
_ESCAPE = re.compile(rb"\\x([0-9a-f]{2})|\\\{([0-9]+)\*([^}]+)\}|(\\[rnt0\\\n]|\n)")
_ESCAPED = {rb"\r": b"\r", rb"\n": b"\n", rb"\t": b"\t", rb"\0": b"\0", rb"\\": b"\\", b"\\\n": b""}
_DATE = rb"[A-Z][a-z]{2},? [\w :+-]+"
_CLIENT = rb"\S+ \[[0-9A-Fa-f.:]+\]"
_PLACEHOLDERS = {
    b"{any}": rb".*",
    b"{date}": _DATE,
    b"{id}": rb"\S+",
    b"{client}": _CLIENT,
    b"{received}": rb"Received: from \S+ \(" + _CLIENT + rb"\) by \S+ with SMTP id \S+ for <.+>; " + _DATE,
}


class Stream(Protocol):
    """What `play` needs of a socket."""

    def sendall(self, octets: bytes, /) -> None: ...
    def recv(self, size: int, /) -> bytes: ...
    def close(self) -> None: ...


@dataclass(frozen=True)
class Sent:
    """The client writes these octets at once."""

    at: str
    octets: bytes


@dataclass(frozen=True)
class Expected:
    """The client reads a reply.  lines: code, blank or hyphen, and the beginning of the text."""

    at: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Closes:
    """The client reads that the server has closed."""

    at: str


@dataclass(frozen=True)
class Dialogue:
    """A dialogue file.  config: with {dir} in it.  files: by name, the octets expected, with placeholders in them."""

    name: str
    config: str
    steps: tuple[Sent | Expected | Closes, ...]
    files: dict[str, bytes]

    def __str__(self) -> str:
        return self.name

    def config_for(self, directory: Path) -> str:
        """Return the configuration for a server that delivers into this folder."""
        return self.config.replace("{dir}", str(directory))


def all_dialogues() -> list[Dialogue]:
    """Return every dialogue in tests/dialogues."""
    return [parse(path.read_text(encoding="utf-8"), path.name) for path in sorted(FOLDER.glob("*.dialogue"))]


def parse(text: str, name: str) -> Dialogue:
    """Read a dialogue. Raises ValueError, with file name and line number, for what is none."""
    config = ""
    steps: list[Sent | Expected | Closes] = []
    files: dict[str, bytes] = {}
    section, file, end = "", "", b"\r\n"
    for number, line in enumerate(text.split("\n"), 1):
        at = f"{name}:{number}"
        if match := _HEADING.fullmatch(line):
            section, file = match[1], match[2]
            if file:
                files[file] = b""
            elif section.endswith("bare LF"):
                end = b"\n"
        elif section == "config":
            config += line + "\n"
        elif not line or line.startswith("#"):
            pass
        elif file and re.match(r"\|( |$)", line):
            files[file] += _octets(line[2:], b"\n")
        elif section.startswith("session") and re.match(r"[CS]:( |$)", line):
            _add_step(steps, at, line[0], line[3:], end)
        else:
            raise ValueError(f"{at}: not understood: {line}")
    return Dialogue(name.removesuffix(".dialogue"), config, tuple(steps), files)


def _add_step(steps: list[Sent | Expected | Closes], at: str, who: str, text: str, end: bytes) -> None:
    """Add a line of the session; one that carries on the step before is joined to it."""
    before = steps[-1] if steps else None
    if who == "C":
        octets = _octets(text, end)
        if isinstance(before, Sent):
            steps[-1] = Sent(before.at, before.octets + octets)
        else:
            steps.append(Sent(at, octets))
    elif text == "closes":
        steps.append(Closes(at))
    elif not _REPLY.fullmatch(text):
        raise ValueError(f"{at}: not a reply: {text}")
    elif isinstance(before, Expected) and before.lines[-1][3:4] == "-":
        steps[-1] = Expected(before.at, (*before.lines, text))
    else:
        steps.append(Expected(at, (text,)))


def _octets(text: str, end: bytes) -> bytes:
    """Return the octets that a line of a file stands for.  end: its line end, unless a backslash takes that away."""

    def octets_of(match: re.Match[bytes]) -> bytes:
        if match[1]:
            return bytes.fromhex(match[1].decode())
        return match[3] * int(match[2]) if match[2] else _ESCAPED.get(match[4], end)

    return _ESCAPE.sub(octets_of, text.encode() + b"\n")


def _pattern(expected: bytes) -> re.Pattern[bytes]:
    parts = re.split(rb"(" + rb"|".join(map(re.escape, _PLACEHOLDERS)) + rb")", expected)
    return re.compile(b"".join(_PLACEHOLDERS.get(part) or re.escape(part) for part in parts))


def play(dialogue: Dialogue, connect: Callable[[], Stream]) -> None:
    """Take the client's part; fail where the server does not answer as it should.

    connect: returns a connection to a server that runs the dialogue's configuration. Of a real socket it should set the
    time limit, so that a server that says nothing fails the test.
    """
    stream = connect()
    try:
        lines = _reply_lines(stream)
        for step in dialogue.steps:
            match step:
                case Sent():
                    stream.sendall(step.octets)
                case Expected():
                    _hear(step, lines)
                case Closes():
                    if (more := next(lines, None)) is not None:
                        _fail(step.at, "the server closes", more)
    except TimeoutError:
        _fail(step.at, "an answer in time", b"nothing")
    finally:
        stream.close()


def _reply_lines(stream: Stream) -> Iterator[bytes]:
    """Yield the lines that come over the stream, without their CRLF, until it is closed."""
    buffer = b""
    while True:
        try:
            octets = stream.recv(65536)
        except ConnectionResetError:  # the server closed without having read everything
            octets = b""
        if not octets:
            if buffer:
                yield buffer + b" (and no CRLF)"
            return
        *lines, buffer = (buffer + octets).split(b"\r\n")
        yield from lines


def _hear(step: Expected, lines: Iterator[bytes]) -> None:
    reply: list[bytes] = []
    while not reply or reply[-1][3:4] == b"-":
        line = next(lines, None)
        if line is None:
            _fail(step.at, "\n".join(step.lines), b"\n".join([*reply, b"(closed)"]))
        reply.append(line)
    heard = reply[:1] if len(step.lines) == 1 else reply  # a single line stands for all of the reply
    if len(heard) != len(step.lines) or not all(map(_fits, step.lines, heard)):
        _fail(step.at, "\n".join(step.lines), b"\n".join(reply))


def _fits(expected: str, line: bytes) -> bool:
    return line[:3] == expected[:3].encode() and bool(_pattern(expected[4:].encode()).match(line, 4))


def check_files(dialogue: Dialogue, directory: Path) -> None:
    """Fail unless the folder holds just the files that the dialogue expects; an empty one may as well be missing."""
    unexpected = {path for path in directory.rglob("*") if path.is_file() and path.stat().st_size}
    for name, expected in dialogue.files.items():
        paths = sorted(directory.glob(name))
        got = b"\n(another file)\n".join(path.read_bytes() for path in paths)
        if not _pattern(expected).fullmatch(got):
            _fail(f"{dialogue}, file {name}", expected.decode("utf-8", "backslashreplace"), got)
        unexpected.difference_update(paths)
    if unexpected:
        _fail(f"{dialogue}", "no other files", repr(sorted(map(str, unexpected))).encode())


def _fail(at: str, expected: str, got: bytes) -> NoReturn:
    raise AssertionError(f"{at}\nexpected:\n{expected}\ngot:\n{got.decode('utf-8', 'backslashreplace')}")
