"""Delivery into an mbox, in the mboxrd form: no body line can be taken for the beginning of a message, and none is
altered for good, since reading takes one `>` off again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from mailrecv.delivery import group_commit
from mailrecv.delivery.durable import AppendedFile
from mailrecv.delivery.group_commit import Part
from mailrecv.delivery.message import Message
from mailrecv.search import Search

_FROM = b"From "
_BLANK_LINE = b"\n\n"  # after a line's end
_QUOTABLE = re.compile(rb"\n(?=>*+From )")
_HOLDS_QUOTABLE = Search(rb"\n>*+From ")
_QUOTABLE_AT_START = re.compile(rb">*+From ")


def append(message: Message, recipients: Sequence[str], path: str, deadline: float) -> None:
    """Append the copy for one recipient, or the one that several share, to the mbox at `path`.

    deadline: on the monotonic clock. Raises OSError when the copy is not safe; the mbox is then as it was.
    """

    def write(mbox: AppendedFile) -> None:
        tail = mbox.tail(len(_BLANK_LINE + _FROM))
        torn = _torn_from(tail)
        # What is in a FIFO nobody can look at: its reader may have got a part of an entry and no more.
        closing = _closing(tail, torn) if mbox.regular else [_BLANK_LINE]
        mbox.write(chain(closing, _entry(message, recipients, torn)))

    group_commit.append(path, Part(write, message.data.size, deadline))


def quoted(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the blocks with a `>` more on each line of the form `>*From `, wherever blocks end.

    The new `>` goes right before `From `, which comes to the same, so that at most four octets are ever held back.
    """
    at_line_start = True  # all that was yielded of the current line is `>`, or nothing
    held = b""
    for block in blocks:
        text = held + block
        if _HOLDS_QUOTABLE(text):
            text = _quoted_after_line_ends(text)
        if at_line_start and (match := _QUOTABLE_AT_START.match(text)):
            text = text[: match.end() - len(_FROM)] + b">" + text[match.end() - len(_FROM) :]
        held = b""
        for size in range(len(_FROM) - 1, 0, -1):
            if text.endswith(_FROM[:size]) and _is_line_start(text[:-size], at_line_start):
                held, text = text[-size:], text[:-size]
                break
        at_line_start = _is_line_start(text, at_line_start)
        yield text
    yield held


def _quoted_after_line_ends(text: bytes) -> bytes:
    """Return a block with a `>` more on each line of the form `>*From `, but for the first line.

    Not by re.sub, which keeps all pieces until it joins them: for a block of such lines, 37 times as much as the block.
    """
    if b">From " not in text:
        return text.replace(b"\nFrom ", b"\n>From ")
    result = bytearray()
    end = 0
    for match in _QUOTABLE.finditer(text):
        result += text[end : match.end()]
        result += b">"
        end = match.end()
    result += text[end:]
    return bytes(result)


def _is_line_start(text: bytes, before: bool) -> bool:
    """Say whether nothing but `>` follows the last LF.  before: the answer for what came before `text`."""
    if text[-1:] not in (b"\n", b">", b""):
        return False
    rest = text.rstrip(b">")
    return rest.endswith(b"\n") if rest else before


def _entry(message: Message, recipients: Sequence[str], torn: int) -> Iterator[bytes]:
    yield message.from_line()[torn:]
    yield from quoted(message.copy_for(*recipients, in_mbox=True))
    yield b"\n"


def _torn_from(tail: bytes) -> int:
    """Return how many octets of a `From ` the file ends with: all that a crash has left of a message.

    They become the beginning of the next message, since closed off they would be a part of the one before.
    """
    last_line = tail.rpartition(_BLANK_LINE)[2]
    return len(last_line) if _FROM.startswith(last_line) else 0


def _closing(tail: bytes, torn: int) -> list[bytes]:
    """Return what has to be written so that a blank line ends whatever the file ends with, be it torn."""
    if torn or tail == b"" or tail.endswith(_BLANK_LINE):
        return []
    return [b"\n" if tail.endswith(b"\n") else _BLANK_LINE]
