"""Where a command line ends, and where the mail data ends.

Knows octets only. Two framings: CRLF, as the RFC has it, and LF for a person who types at a plain socket. Which one
holds is decided once, by the first line end of the session, and not by anything inside a message: in a session of a
mail server a bare LF or CR is data, so no message can contain the end of another (CVE-2023-51764, CVE-2023-51765,
CVE-2023-51766). It only begins a line on which a client may have doubled a dot.

Both readers hold back at most a few octets between calls and touch each octet a fixed number of times.
"""

from __future__ import annotations

import re
from enum import Enum

from mailrecv.search import Search

MAX_COMMAND_OCTETS = 512  # RFC 821 §4.5.3: a command line with its line end


class Framing(Enum):
    """What ends a line."""

    UNDECIDED = "undecided"
    CRLF = "CRLF"
    LF = "LF"  # a CR before the LF belongs to the line end


class LineReader:
    """Splits octets into command lines.

    `framing` starts as UNDECIDED and is settled by the first line end. A line over MAX_COMMAND_OCTETS is thrown away as
    it comes in, but for its beginning, so the reader never holds more than that and what one `feed` brought.
    """

    def __init__(self) -> None:
        self.framing = Framing.UNDECIDED
        self._octets = b""
        self._start = 0  # of the line that is read next
        self._overlong: bytes | None = None  # the beginning of a line that is being thrown away

    def feed(self, octets: bytes) -> None:
        """Add octets from the client."""
        self._octets = self._octets[self._start :] + octets
        self._start = 0

    def starts_with(self, octets: bytes) -> bool:
        """Say whether what follows the last line returned starts with these octets; it need not be a line yet."""
        return self._octets.startswith(octets, self._start)

    def take_rest(self) -> bytes:
        """Hand over what follows the last line returned, and forget it."""
        rest = self._octets[self._start :]
        self._octets = b""
        self._start = 0
        return rest

    def next_line(self) -> tuple[bytes, bool] | None:
        """Return the next line without its line end and whether it was too long, or None when none is complete.

        Of a line that was too long only the first MAX_COMMAND_OCTETS are returned.
        """
        octets, start = self._octets, self._start
        end = octets.find(b"\r\n" if self.framing is Framing.CRLF else b"\n", start)
        if end < 0:
            if len(octets) - start >= MAX_COMMAND_OCTETS:
                if self._overlong is None:
                    self._overlong = octets[start : start + MAX_COMMAND_OCTETS]
                self._start = len(octets) - octets.endswith(b"\r")  # that CR may be half of the line end
            return None
        if self.framing is Framing.UNDECIDED:
            self.framing = Framing.CRLF if octets[start:end].endswith(b"\r") else Framing.LF
        self._start = octets.index(b"\n", end) + 1
        line = octets[start : min(self._start, start + MAX_COMMAND_OCTETS)]
        overlong = self._overlong is not None or self._start - start > MAX_COMMAND_OCTETS
        if self._overlong is not None:
            line, self._overlong = self._overlong, None
        elif not overlong:
            line = line.removesuffix(b"\n").removesuffix(b"\r")
        return line, overlong


class MailDataReader:
    """Decodes mail data: finds its end, undoes the leading dots, turns line ends into LF (RFC 821 §4.5.2).

    The data is read as if a line end stood before it, so that a dot on its first line is a leading dot too; the LF that
    comes of it is dropped again.

    Nearly every block is plain: each CR in it belongs to a line end, and no line begins with a dot that has to go. That
    is quickly told, and then it is enough to drop the CRs, which takes a seventh of the time of replacing CRLF by LF.

    octets: the mail data read so far, as it came over the wire, without what may still turn out to be its end.
    missed_end: it held what a client may take for its end where only CRLF ends a line, a dot on a line of its own with
    a bare LF before or behind it. Such a client waits for a reply for ever.
    """

    def __init__(self, framing: Framing) -> None:
        self._decoder = _CRLF if framing is Framing.CRLF else _LF
        self._held = b"\r\n"
        self.octets = -len(self._held)
        self.missed_end = False
        self._at_start = True

    def feed(self, octets: bytes) -> tuple[bytes, bytes | None]:
        """Return the mail data decoded so far, and what follows its end, or None while the end has not come."""
        octets = self._held + octets
        plain = self._decoder.is_plain(octets)
        end = None if plain else self._decoder.END.search(octets)
        if end is None:
            held = self._decoder.UNSETTLED.search(octets, max(0, len(octets) - _MOST_UNSETTLED))
            keep = held.start() if held else len(octets)
            self._held = octets[keep:]
            raw, rest = octets[:keep], None
            self.missed_end |= not plain and _LIKE_AN_END.search(octets) is not None
        else:
            self._held = b""
            raw, rest = octets[: end.end(1)], octets[end.end() :]
            plain = self._decoder.is_plain(raw)  # but for the end: for a small message the difference is large
        self.octets += len(raw)
        text = raw.replace(b"\r", b"") if plain else self._decoder.decode(raw)
        if self._at_start and text:
            self._at_start = False
            text = text[1:]
        return text, rest


_MOST_UNSETTLED = len(b"\r\n.\r")  # octets that may be the beginning of the end
_LIKE_AN_END = re.compile(rb"\n\.\r?\n")  # as the end itself is, too


class _CRLF:
    """Mail data of a mail server.

    Here a bare LF ends no line, so that the end of data cannot stand behind one. But Python's smtplib doubles a dot
    there if it is given octets with bare LFs, and curl does not: of two dots there one goes, and a single one stays.

    END: of the data; its last line end is the first group.  UNSETTLED: what waits for the octets that follow. No CR is
    ever the last of raw data, so none that a CR of _UNUSUAL is followed by is missed, and none before a bare LF either.
    """

    END = re.compile(rb"(\r\n)\.\r\n")
    UNSETTLED = re.compile(rb"(?:\r(?:\n(?:\.\r?)?)?|\n(?:\.\r?)?)\Z")
    _UNUSUAL = Search(rb"\r(?:[^\n]|\n\.)")  # a CR that belongs to no line end, or a leading dot, as the end has one
    # Two dots after an LF, or what is like an end. Not in one with the other, for which `re` takes five times as long.
    _HOLDS_DOTS = Search(rb"\n\.(?:\.|\r?\n)")
    _TWO_DOTS = re.compile(rb"\n\.\.(?<!\r\n\.\.)")
    _LONE_CR = re.compile(rb"\r(?!\n)")

    @classmethod
    def is_plain(cls, octets: bytes) -> bool:
        """Say whether nothing but the CRs has to go."""
        return not cls._UNUSUAL(octets) and not cls._HOLDS_DOTS(octets)

    @classmethod
    def decode(cls, octets: bytes) -> bytes:
        """Decode a block that need not be plain."""
        # The order matters: with the CRLFs and their dots replaced first, the others could no longer be told apart.
        octets = cls._without_second_dots(octets).replace(b"\r\n.", b"\r\n")
        return octets.replace(b"\r\n", b"\n") if cls._LONE_CR.search(octets) else octets.replace(b"\r", b"")

    @classmethod
    def _without_second_dots(cls, octets: bytes) -> bytes:
        """Return a block in which two dots after a bare LF are one.

        Not by re.sub, which keeps all pieces until it joins them: of a block of such lines, many times the block.
        """
        result = bytearray()
        end = 0
        for match in cls._TWO_DOTS.finditer(octets):
            result += octets[end : match.end() - 1]
            end = match.end()
        return bytes(result + octets[end:]) if end else octets


class _LF:
    """Mail data typed by a person: the same, with LF or CRLF as the line end."""

    END = re.compile(rb"(\r?\n)\.\r?\n")
    UNSETTLED = re.compile(rb"(?:\r?\n(?:\.\r?)?|\r)\Z")
    _UNUSUAL = Search(rb"\r[^\n]|\n\.")
    _LINE_START = re.compile(rb"\r?\n\.?")

    @classmethod
    def is_plain(cls, octets: bytes) -> bool:
        """Say whether nothing but the CRs has to go."""
        return not cls._UNUSUAL(octets)

    @classmethod
    def decode(cls, octets: bytes) -> bytes:
        """Decode a block that need not be plain."""
        return cls._LINE_START.sub(b"\n", octets)
