"""Where command lines end, and where mail data ends."""

from __future__ import annotations

import pytest

from mailrecv.smtp.framing import MAX_COMMAND_OCTETS, Framing, LineReader, MailDataReader
from tests.support.false_ends import FALSE_ENDS
from tests.support.machine import pieces

TAIL = b"RSET\r\n"


def read_lines(*blocks: bytes) -> list[tuple[bytes, bool]]:
    """Return the lines that a fresh reader finds in these blocks."""
    reader = LineReader()
    lines = []
    for block in blocks:
        reader.feed(block)
        while line := reader.next_line():
            lines.append(line)
    return lines


def read_mail_data(framing: Framing, octets: bytes, size: int = 0) -> tuple[bytes, bytes | None]:
    """Return mail data as decoded, fed in pieces of this size (0: whole), and what follows its end, if it ends."""
    reader = MailDataReader(framing)
    decoded = b""
    blocks = pieces(octets, size or len(octets))
    for block in blocks:
        text, rest = reader.feed(block)
        decoded += text
        if rest is not None:
            return decoded, rest + b"".join(blocks)
    return decoded, None


# Command lines


@pytest.mark.parametrize("size", [1, 2, 3, 100])
@pytest.mark.parametrize(
    "octets, lines",
    [
        (b"a\r\nb\r\n\r\nc", [b"a", b"b", b""]),
        (b"a\r\nb\nc\rd\r\r\n", [b"a", b"b\nc\rd\r"]),
        (b"a\r\n\n\r\n", [b"a", b"\n"]),
        (b"a\nb\nc\r\n\nd", [b"a", b"b", b"c", b""]),
        (b"a\nb\rc\r\r\n", [b"a", b"b\rc\r"]),
        (b"\rx\r\na\nb\r\n", [b"\rx", b"a\nb"]),
        (b"\nx\r\n", [b"", b"x"]),
    ],
)
def test_the_first_line_end_decides(octets: bytes, lines: list[bytes], size: int) -> None:
    """After a first CRLF only CRLF ends a line; after a first bare LF any LF does, with or without a CR."""
    assert read_lines(*pieces(octets, size)) == [(line, False) for line in lines]


def test_framing_is_undecided_until_the_first_line_end() -> None:
    """A CR alone decides nothing."""
    reader = LineReader()
    framings = []
    for octet in (b"x", b"\r", b"\n", b"y", b"\n"):
        reader.feed(octet)
        reader.next_line()
        framings.append(reader.framing)
    assert framings == [Framing.UNDECIDED, Framing.UNDECIDED, Framing.CRLF, Framing.CRLF, Framing.CRLF]


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
@pytest.mark.parametrize("size", [1, 7, 511, 512, 513, 20_000])
def test_the_longest_line(end: bytes, size: int) -> None:
    """A line of 512 octets with its line end is a line; of a longer one only the first 512 octets are left."""
    longest = b"x" * (MAX_COMMAND_OCTETS - len(end))
    too_long = [longest + b"x", b"y" * MAX_COMMAND_OCTETS, b"z" * 10_000]
    octets = b"".join(line + end for line in [longest, *too_long, b"NOOP"])
    assert read_lines(*pieces(octets, size)) == [
        (longest, False),
        *(((line + end)[:MAX_COMMAND_OCTETS], True) for line in too_long),
        (b"NOOP", False),
    ]


def test_take_rest() -> None:
    """What follows the last line can be taken away, so that it is not read as commands."""
    reader = LineReader()
    reader.feed(b"DATA\r\nnot\r\na command\r\n")
    assert reader.next_line() == (b"DATA", False)
    assert reader.take_rest() == b"not\r\na command\r\n"
    assert reader.next_line() is None
    reader.feed(b"RSET\r\n")
    assert reader.next_line() == (b"RSET", False)


@pytest.mark.parametrize("octet", [b"x", b"\r", b"\0"])
def test_a_line_without_end_is_not_kept(octet: bytes) -> None:
    """Of a line that never ends the reader keeps a few hundred octets."""
    reader = LineReader()
    for _ in range(10_000):
        reader.feed(octet * 100)
        assert reader.next_line() is None
    assert len(reader.take_rest()) <= MAX_COMMAND_OCTETS


# Mail data


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize(
    "octets, decoded",
    [
        (b".\r\n", b""),
        (b"\r\n.\r\n", b"\n"),
        (b"one\r\ntwo\r\n.\r\n", b"one\ntwo\n"),
        (b"..\r\n...\r\n.x\r\n..x.\r\nx.\r\n.\r\n", b".\n..\nx\n.x.\nx.\n"),
        (b"\xff\0\x1a\x7f\r\n.\r\n", b"\xff\0\x1a\x7f\n"),
        (b"\n\r\r\r\n\n.\r\r\n.\r\n", b"\n\r\r\n\n.\r\n"),
        (b".\rx\r\n.\nx\r\n.\r\n", b"\rx\n\nx\n"),
        (b"\r\r\n.\r\n", b"\r\n"),
    ],
)
def test_mail_data(octets: bytes, decoded: bytes, size: int) -> None:
    """CRLF becomes LF, a leading dot goes, a line of one dot ends the data, every other octet stays."""
    assert read_mail_data(Framing.CRLF, octets + TAIL, size) == (decoded, TAIL)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize(
    "octets, decoded",
    [
        (b".\n", b""),
        (b"\n.\n", b"\n"),
        (b"one\ntwo\r\nthree\n.\r\n", b"one\ntwo\nthree\n"),
        (b"one\r\n.\n", b"one\n"),
        (b"..\n...\r\n.x\nx.\n.\n", b".\n..\nx\nx.\n"),
        (b"a\rb\r\r\n.\rc\n\r.\r\n\0.\n.\0\n.\n", b"a\rb\r\n\rc\n\r.\n\0.\n\0\n"),
    ],
)
def test_mail_data_typed_by_a_person(octets: bytes, decoded: bytes, size: int) -> None:
    """In a session of bare LFs a line ends in LF or CRLF, also the line of one dot."""
    assert read_mail_data(Framing.LF, octets + TAIL, size) == (decoded, TAIL)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize(
    "octets, decoded",
    [
        (b"one\n..two\r\n", b"one\n.two\n"),
        (b"one\n.two\r\n", b"one\n.two\n"),
        (b"one\n...\n..\n.\n....x\r\n", b"one\n..\n.\n.\n...x\n"),
        (b"..one\n..two\r\n..three\r\n", b".one\n.two\n.three\n"),
        (b".\n..one\r\n.\n..two\r\n", b"\n.one\n\n.two\n"),
        (b"\n..\r\n\n..\r\n", b"\n.\n\n.\n"),
        (b"one\r..two\n\r..three\r\r\n..four\r\n", b"one\r..two\n\r..three\r\n.four\n"),
        (b"one\n\0..two\n ..three\r\n", b"one\n\0..two\n ..three\n"),
    ],
)
def test_dots_after_a_bare_lf(octets: bytes, decoded: bytes, size: int) -> None:
    """A client that doubles dots there too, as Python's smtplib does, and one that does not, as curl, both get through
    what they have: of two dots after a bare LF one goes, a single one stays.
    """
    assert read_mail_data(Framing.CRLF, octets + b".\r\n" + TAIL, size) == (decoded, TAIL)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("false_end, kept", FALSE_ENDS.items())
def test_false_ends(false_end: bytes, kept: bytes, size: int) -> None:
    """What only resembles the end of data is data, and so is what follows it, octet for octet."""
    octets = b"one" + false_end + b"two\r\n.\r\n" + TAIL
    assert read_mail_data(Framing.CRLF, octets, size) == (b"one" + kept + b"two\n", TAIL)


@pytest.mark.parametrize("false_end", FALSE_ENDS)
def test_false_ends_survive_a_careful_client(false_end: bytes) -> None:
    """A client that doubles leading dots gets every octet of a false end through."""
    octets = b"one" + false_end.replace(b"\r\n.", b"\r\n..") + b"two\r\n.\r\n"
    kept = b"one" + false_end.replace(b"\r\n", b"\n") + b"two\n"
    assert read_mail_data(Framing.CRLF, octets, 1) == (kept, b"")


@pytest.mark.parametrize("start", [b".\n", b".\r", b".\0\r\n", b"\0.\r\n", b"\n.\r\n", b"\r.\r\n"])
def test_false_ends_at_the_very_beginning(start: bytes) -> None:
    """The first line of the data can be the end of it too, and so a false one."""
    kept = start.removeprefix(b".").replace(b"\r\n", b"\n")
    assert read_mail_data(Framing.CRLF, start + b"two\r\n.\r\n", 1) == (kept + b"two\n", b"")


@pytest.mark.parametrize("framing", [Framing.CRLF, Framing.LF])
@pytest.mark.parametrize("octets", [b"x" * 1000, b"\r" * 1000, b"\r\n.x" * 250, b"\r\n.\r" * 200, b"..\r\n" * 250])
def test_little_is_held_back(framing: Framing, octets: bytes) -> None:
    """No more is held back than what can be the beginning of the end, and `octets` counts all the rest."""
    reader = MailDataReader(framing)
    for count, octet in enumerate(pieces(octets, 1), 1):
        reader.feed(octet)
        assert count - 4 <= reader.octets <= count


@pytest.mark.parametrize("size", [0, 1, 3])
@pytest.mark.parametrize("framing, end", [(Framing.CRLF, b"\r\n"), (Framing.LF, b"\n")])
def test_octets_counts_what_came_over_the_wire(framing: Framing, end: bytes, size: int) -> None:
    """The size of mail data counts line ends and doubled dots as they came, but not the line of one dot."""
    reader = MailDataReader(framing)
    data = b"..one" + end + b"two" + end
    for block in pieces(data + b"." + end, size or 100):
        reader.feed(block)
    assert reader.octets == len(data)
