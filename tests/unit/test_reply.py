"""Replies as values and on the wire."""

from __future__ import annotations

import pytest

from mailrecv.reply import MAX_REPLY_OCTETS, Reply


@pytest.mark.parametrize("code, positive", [(220, True), (354, True), (399, True), (400, False), (550, False)])
def test_positive(code: int, positive: bool) -> None:
    """2xx and 3xx are positive, 4xx and 5xx are not."""
    assert Reply(code, "x").positive is positive


@pytest.mark.parametrize("code, closes", [(421, True), (221, False), (420, False), (422, False), (521, False)])
def test_closes(code: int, closes: bool) -> None:
    """Only 421 closes the session."""
    assert Reply(code, "x").closes is closes


@pytest.mark.parametrize(
    "text, octets",
    [
        ("OK", b"250 OK\r\n"),
        ("", b"250 \r\n"),
        ("one\ntwo\n\nfour", b"250-one\r\n250-two\r\n250-\r\n250 four\r\n"),
        ("Grüße \udcff", b"250 Gr??e ?\r\n"),
    ],
)
def test_octets(text: str, octets: bytes) -> None:
    """A reply has its code on every line, a hyphen after it on all but the last, and question marks for non-ASCII."""
    assert Reply(250, text).octets() == octets


@pytest.mark.parametrize("size, lines", [(505, 1), (506, 1), (507, 2), (1012, 2), (1013, 3)])
def test_long_texts_are_folded(size: int, lines: int) -> None:
    """No line of a reply is over 512 octets with its CRLF, and no character is lost."""
    sent = Reply(250, "x" * size).octets().split(b"\r\n")[:-1]
    assert len(sent) == lines
    assert max(len(line) + 2 for line in sent) <= MAX_REPLY_OCTETS
    assert b"".join(line[4:] for line in sent) == b"x" * size


def test_str_is_one_line() -> None:
    """In a log a reply is one line."""
    assert str(Reply(214, "Help:\nHELO")) == "214-Help: / 214 HELO"
