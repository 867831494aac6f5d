"""What must come of any octets, from a client or in a configuration: the plainest reading there is, to compare with."""

from __future__ import annotations

import os
import re
import tempfile
from itertools import pairwise
from pathlib import Path
from unittest import mock

from mailrecv.config import compiler
from mailrecv.config.compiled import open_compiled
from mailrecv.config.faults import ConfigError
from mailrecv.config.model import Config
from mailrecv.config.reader import parse_config, read_config
from mailrecv.smtp import Closed, Data, EndOfMail, Event, Reset, Text
from mailrecv.smtp.framing import Framing
from tests.support.configs import PATH
from tests.support.machine import Run

_MEMORY = "/dev/shm"  # noqa: S108 - a folder of its own there
TLS_HELLO = b"\x16\x03"  # the one thing that is answered without being a line
LINE_ENDS = {Framing.CRLF: re.compile(rb"\r\n"), Framing.LF: re.compile(rb"\r?\n")}


def decode_line_by_line(octets: bytes, line_end: re.Pattern[bytes]) -> tuple[bytes, bytes | None]:
    """Return the mail data and what follows its end, or None if it does not end: as slow and plain as can be."""
    decoded = b""
    while match := line_end.search(octets):
        line, octets = octets[: match.start()], octets[match.end() :]
        if line == b".":
            return decoded, octets
        first, *others = line.split(b"\n")  # others: after bare LFs, where these are no line ends
        undone = [other[1:] if other.startswith(b"..") else other for other in others]
        decoded += b"\n".join([first.removeprefix(b"."), *undone]) + b"\n"
    return decoded, None


def assert_each_command_is_answered(octets: bytes, result: Run) -> None:
    """Check that each command line and each message was answered once, until the end, and that each message arrived.

    octets: all that the client sent before it left.  result: what came of it.
    """
    replies = iter(result.codes)
    greeted = next(replies) == 220
    if greeted and octets.startswith(TLS_HELLO):
        assert list(replies) == [421]
        return
    line_end = LINE_ENDS[Framing.CRLF if octets.partition(b"\n")[0].endswith(b"\r") else Framing.LF]
    messages: list[bytes] = []
    unanswered: bytes | None = octets
    while greeted and unanswered is not None and (match := line_end.search(unanswered)):
        if (code := next(replies, None)) is None:
            break
        unanswered = unanswered[match.end() :]
        if code == 354:
            message, unanswered = decode_line_by_line(unanswered, line_end)
            if unanswered is not None and next(replies) != 552:
                messages.append(message)
    else:
        unanswered = None
    assert list(replies) == []
    assert messages == messages_of(result)
    assert isinstance(result.events[-1], Closed)
    assert unanswered is None or result.events[-1].cause != "left"


def messages_of(result: Run) -> list[bytes]:
    """Return the mail data of each message that came to its end."""
    messages: list[bytes] = []
    message = b""
    for event in result.events:
        match event:
            case Data():
                message = b""
            case Text(octets):
                message += octets
            case EndOfMail():
                messages.append(message)
    return messages


def valid_events(result: Run) -> list[Event]:
    """Return the events without the mail data that a Reset voids: how much of it comes before depends on the pieces."""
    void = [event for event, after in pairwise(result.events) if isinstance(event, Text) and after == Reset(b"", None)]
    return [event for event in result.events if not any(event is one for one in void)]


def assert_read_or_faulty(octets: bytes) -> Config | None:
    """Check that octets are a configuration, or have faults that each have a place in them. Return what was read."""
    try:
        return parse_config(octets, PATH)
    except ConfigError as error:
        lines = octets.removeprefix(b"\xef\xbb\xbf").split(b"\n")
        places = [(fault.line, fault.column) for fault in error.faults]
        assert places == sorted(places) != []
        for fault in error.faults:
            assert 1 <= fault.line <= len(lines)
            assert fault.source == lines[fault.line - 1].removesuffix(b"\r").decode("utf-8", "replace")
            assert 1 <= fault.column <= len(fault.source) + 1
            place, _, carets = fault.with_source().encode().decode().split("\n")
            assert place == str(fault)
            assert set(carets.strip()) <= set("^~")
        return None


def assert_same_when_compiled(octets: bytes) -> None:
    """Check that a session that finds a configuration compiled knows all that it would have read in the file."""
    with tempfile.TemporaryDirectory(dir=_MEMORY) as folder, mock.patch.dict(os.environ, CACHE_DIRECTORY=folder):
        file = Path(folder, PATH)
        file.write_bytes(octets)
        known = read_config(str(file))
        compiler.store(known, b"220 Hello\r\n")
        compiled = open_compiled(known.path)
        assert compiled is not None
        try:
            assert compiled.summary["greeting"] == b"220 Hello\r\n"
            assert_equal(compiler.load(compiled), known.replace(directives=()))
        finally:
            compiled.close()


def assert_equal(one: Config, other: Config) -> None:
    """Check that two configurations say the same."""
    assert len(one.deliver) == len(other.deliver)
    for address, lines in other.deliver.items():
        assert one.deliver[address] == lines
    assert "\n" not in one.deliver
    ones, others = (
        repr(config.replace(deliver={}, groups=dict(config.groups), errors=tuple(config.errors)))
        for config in (one, other)
    )
    assert ones == others
