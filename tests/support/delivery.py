"""Messages to deliver, what is expected of their copies, and a process of one's own to deliver them in."""

from __future__ import annotations

import mailbox
import os
import pickle
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from mailrecv.delivery.header import OF_MBOX_READERS, OF_THIS_SERVER
from mailrecv.delivery.message import Message
from mailrecv.delivery.spool import Spool

RECIPIENT = "status@mydomain.com"
BODY = b"Subject: test\n\nLine 1.\n\nFrom here on\n>From quoted\n x From me\nLine 2.\n"
NOBODY = 65534  # the user id that owns nothing

T = TypeVar("T")


def a_message(data: bytes = BODY, **facts: Any) -> Message:
    """Return a message with this mail data, and with these facts in place of the usual ones."""
    spool = Spool()
    spool.write(data)
    usual = {
        "id": "60a1b2c3d4e5f",
        "sender": "me@client.example",
        "helo": "client.example",
        "client_name": "mail.client.example",
        "client_address": "192.0.2.7",
        "domain": "mydomain.com",
        "received": 1_700_000_000.5,
    }
    return Message(**{**usual, **facts}, data=spool)


def copy_of(message: Message, *recipients: str) -> bytes:
    """Return the copy for one recipient, or for several that share it, in one piece."""
    return b"".join(message.copy_for(*(recipients or [RECIPIENT])))


def entry_of(message: Message, *recipients: str) -> bytes:
    """Return what an mbox is to hold for this message: its From line, its copy quoted line by line, a blank line."""
    data = set_apart_line_by_line(b"".join(message.data.blocks()), OF_THIS_SERVER | OF_MBOX_READERS)
    copy = message.trace_for(*(recipients or [RECIPIENT])) + data
    return message.from_line() + quoted_line_by_line(copy) + b"\n"


def set_apart_line_by_line(data: bytes, reserved: frozenset[bytes]) -> bytes:
    """Set the header of mail data apart from the trace lines, in the plainest way."""
    lines = re.findall(rb"[^\n]*\n|[^\n]+\Z", data)
    result = b""
    while lines and lines[0].lstrip(b">").startswith(b"From "):
        result += b"X-Mailbox-Line: " + lines.pop(0)
    if lines and lines[0] != b"\n" and not re.match(rb"[^\0-\x20\x7f-\xff:]+[ \t]*:", lines[0]):
        return result + b"\n" + b"".join(lines)
    while lines and lines[0] != b"\n":
        name, colon, _ = lines[0].partition(b":")
        is_reserved = colon and name.rstrip(b" \t").lower() in reserved
        result += (b"X-Sent-" if is_reserved else b"") + lines.pop(0)
    return result + b"".join(lines)


def quoted_line_by_line(octets: bytes) -> bytes:
    """Quote as mboxrd has it, in the plainest way."""
    return b"\n".join(b">" + line if line.lstrip(b">").startswith(b"From ") else line for line in octets.split(b"\n"))


def unquoted(octets: bytes) -> bytes:
    """Undo the quoting, as a reader of mboxrd does."""
    return re.sub(rb"(?m)^>(>*From )", rb"\1", octets)


def messages_in(path: Path) -> list[bytes]:
    """Return the copies that Python's mailbox module finds in an mbox, with their quoting undone."""
    box = mailbox.mbox(path, create=False)
    try:
        return [unquoted(octets) for octets in map(box.get_bytes, box.iterkeys())]
    finally:
        box.close()


def open_descriptors() -> set[str]:
    """Return the descriptors of this process and what they are open on."""
    found = set()
    for link in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the one that lists the others
            found.add(f"{link.name} {link.readlink()}")
    return found


def in_child(work: Callable[[], T]) -> T:
    """Return what `work` returns, or raise what it raises, in a process that may lower its rights and limits."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            result: tuple[T | None, BaseException | None] = (work(), None)
        except BaseException as error:  # noqa: BLE001 - it is raised again in the parent
            result = (None, error)
        os.write(writer, pickle.dumps(result))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        pickled = pipe.read()
    os.waitpid(pid, 0)
    value, raised = pickle.loads(pickled)  # noqa: S301 - our own child wrote it
    if raised is not None:
        raise raised
    return value  # type: ignore[no-any-return]
