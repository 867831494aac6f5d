"""Text that is safe to stand in a log."""

from __future__ import annotations

import pytest

from mailrecv.journal.escape import MAX_CHARACTERS, shown, without_brackets

EVERY_OCTET = bytes(range(256)).decode("utf-8", "surrogateescape")
UNUSUAL = "\u0085\u00ad\u200b\u202e\u2028\u2029\ufeff\ue000\U000e0001\ud800\udfff\u009b"


@pytest.mark.parametrize(
    "text, hexadecimal, plain",
    [
        ("plain text", "plain text", "plain text"),
        ("", "", ""),
        ("a\nb\r\0\x1b[0m\x7f", "a<0x0a>b<0x0d><0x00><0x1b>[0m<0x7f>", "a<0x0a>b<0x0d><0x00><0x1b>[0m<0x7f>"),
        ("Grüße", "Gr<0xc3><0xbc><0xc3><0x9f>e", "Grüße"),
        ("\udcff\udc80", "<0xff><0x80>", "<0xff><0x80>"),
        ("a\u2028b", "a<0xe2><0x80><0xa8>b", "a<0xe2><0x80><0xa8>b"),
    ],
)
def test_shown(text: str, hexadecimal: str, plain: str) -> None:
    """What is not printable ASCII, or with loghex off what is not printable at all, is shown octet by octet."""
    assert shown(text, loghex=True) == hexadecimal
    assert shown(text, loghex=False) == plain


@pytest.mark.parametrize("loghex", [True, False])
@pytest.mark.parametrize("text", [EVERY_OCTET, UNUSUAL.replace("\ud800", "").replace("\udfff", "")])
def test_shown_is_one_printable_line(text: str, loghex: bool) -> None:
    """Whatever the text, what is shown is one printable line, which UTF-8 can encode, and pure ASCII with loghex."""
    line = shown(text, loghex=loghex)
    assert line.isprintable()
    assert line.splitlines() == [line]
    assert line.isascii() or not loghex
    assert line.encode()


def test_brackets() -> None:
    """An opening bracket is shown in hexadecimal where an address in brackets has a meaning."""
    assert without_brackets("[9.9.9.9] [x") == "<0x5b>9.9.9.9] <0x5b>x"


def test_long_text() -> None:
    """Text is cut off after MAX_CHARACTERS."""
    assert shown("x" * MAX_CHARACTERS, loghex=True) == "x" * MAX_CHARACTERS
    assert shown("x" * (MAX_CHARACTERS + 1), loghex=True) == "x" * MAX_CHARACTERS + "..."
