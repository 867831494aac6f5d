"""A message's own header, as it follows the trace lines of this server.

Who reads a copy takes what stands above its first empty line for one header: the trace lines, then what the sender
wrote. So the sender must not be able to go on with the last trace line, to give one of those that only the server of
the recipient writes, or to tell the readers of an mbox what only they tell each other. Nothing is taken away: a word is
put before what would be misunderstood. The body passes as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

OF_THIS_SERVER = frozenset({b"return-path"})
# Readers of mbox keep their notes in these, and `Content-Length` and `Lines` tell some of them where the next message
# begins: they would take it, and all up to there, for a part of this one.
OF_MBOX_READERS = frozenset(
    {
        b"content-length",
        b"lines",
        b"status",
        b"x-imap",
        b"x-imapbase",
        b"x-keywords",
        b"x-mozilla-keys",
        b"x-mozilla-status",
        b"x-mozilla-status2",
        b"x-status",
        b"x-uid",
    }
)

_LOOKED_AT = 998  # octets of a line's beginning, RFC 5322 §2.1.1: a longer line is no field that any mail program wrote
_OTHER_LINE = re.compile(rb"\n(?!>{0,993}+From )")  # than those that begin a message in an mbox; after a line's end
_FIELD = re.compile(rb"[!-9;-~]++[ \t]*+:")
# What there is to find in the header after a line's end: its end, or the name of a field, with 5 to 17 octets as those
# above have, which blanks may follow. So many blanks that the colon is out of sight are as good as the colon.
_END_OR_NAME = re.compile(rb"\n(?:\n|([!-9;-~]{5,17}+)(?:[ \t]{980}|[ \t]*+:))")


def set_apart(blocks: Iterable[bytes], reserved: frozenset[bytes]) -> Iterator[bytes]:
    """Yield the LF that ends the last trace line, then the mail data, wherever its blocks end.

    Where its first line is no header field, an empty line comes before it; but lines `>*From ` before that, as programs
    leave them that pass on what they found in an mbox, become `X-Mailbox-Line:` fields. Fields with one of the
    `reserved` names (in lower case) get `X-Sent-` before it.
    """
    header = _Header(reserved)
    for block in blocks:
        yield block if header.is_over else header.feed(block)
    yield header.rest()


class _Header:
    """The header while it comes in.  is_over: what follows is the body.

    Between two blocks it holds the beginning of a line, up to _LOOKED_AT octets, and the LF before it: what it looks
    for begins with that LF. So a block that begins without one goes on with a line that was looked at before.
    """

    def __init__(self, reserved: frozenset[bytes]) -> None:
        self.is_over = False
        self._reserved = reserved
        self._has_begun = False  # a line that is no `>*From ` was seen
        self._held = b"\n"

    def feed(self, block: bytes) -> bytes:
        """Take a block, and return what is settled."""
        text = self._held + block
        last_line = text.rfind(b"\n")
        settled = last_line if last_line >= 0 and len(text) - last_line <= _LOOKED_AT else len(text)
        self._held = text[settled:]
        result = self._altered(text, settled)
        return result + self.rest() if self.is_over else result

    def rest(self) -> bytes:
        """Return what is left when the header is over, or the message."""
        held, self._held = self._held, b""
        return held if self.is_over or len(held) < 2 else self._altered(held, len(held))

    def _altered(self, text: bytes, end: int) -> bytes:
        """Return `text` up to `end`, with what has to come before the lines that begin in there."""
        result = bytearray()
        done = 0 if self._has_begun else self._begin(text, end, result)
        if not self.is_over:
            done = self._rename(text, done, end, result)
        result += text[done:end]
        return bytes(result)

    def _begin(self, text: bytes, end: int, result: bytearray) -> int:
        """Put into `result` what comes before the first line that is no `>*From `. Return where in `text` that ends."""
        start = text.find(b"\n", 0, end)
        if start < 0:
            result += text[:end]
            return end
        other = _OTHER_LINE.search(text, start, end)
        stop = other.start() if other else end
        result += text[:start]
        result += text[start:stop].replace(b"\n", b"\nX-Mailbox-Line: ")
        if other:
            self._has_begun = True
            line = stop + 1
            if not text.startswith(b"\n", line) and not _FIELD.match(text, line, line + _LOOKED_AT):
                self.is_over = True
                result += b"\n"
        return stop

    def _rename(self, text: bytes, start: int, end: int, result: bytearray) -> int:
        """Put into `result` what comes before the last reserved name, with those before it. Return where that is."""
        for found in _END_OR_NAME.finditer(text, start):
            if found.start() >= end:
                break
            name = found[1]
            if name is None:
                self.is_over = True
                break
            if name.lower() in self._reserved:
                result += text[start : found.start(1)]
                result += b"X-Sent-"
                start = found.start(1)
        return start
