"""Makes any text safe to stand in a log: no client can forge a line, a field or a terminal's commands with it."""

from __future__ import annotations

import re

MAX_CHARACTERS = 2000  # of one fact in a log line
_HEX_OCTETS = re.compile(rb"[^\x20-\x7e]")


def shown(text: str, *, loghex: bool) -> str:
    """Return `text` in one line of printable characters, cut off at MAX_CHARACTERS.

    text: octets that were no UTF-8 stand in it as surrogate escapes.
    loghex: show every octet outside 0x20 to 0x7e as `<0x##>`; else only what cannot be printed.
    """
    if len(text) > MAX_CHARACTERS:
        text = text[:MAX_CHARACTERS] + "..."
    if text.isascii() and text.isprintable():
        return text
    if loghex:
        return _HEX_OCTETS.sub(_octet, text.encode("utf-8", "surrogateescape")).decode("ascii")
    return "".join(c if c.isprintable() else _hex(c.encode("utf-8", "surrogateescape")) for c in text)


def without_brackets(text: str) -> str:
    """Return `text` with `[` shown like what is not printable, so that no address stands in brackets."""
    return text.replace("[", "<0x5b>")


def _octet(match: re.Match[bytes]) -> bytes:
    return _hex(match[0]).encode("ascii")


def _hex(octets: bytes) -> str:
    return "".join(f"<0x{octet:02x}>" for octet in octets)
