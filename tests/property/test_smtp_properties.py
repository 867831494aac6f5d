"""What holds of the protocol machine whatever a client sends."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailrecv.limits import Limits
from mailrecv.smtp import Path
from mailrecv.smtp.framing import Framing, MailDataReader
from mailrecv.smtp.grammar import Malformed, parse_command, parse_path
from tests.support.machine import ENVELOPE, LIMITS, Answer, agree, contrary, pieces, run, typed
from tests.support.oracle import LINE_ENDS, assert_each_command_is_answered, decode_line_by_line, valid_events

thorough = settings(max_examples=500, deadline=None)

# What a client may send: mostly sensible commands, so that every state is reached, and everything else in between.

COMMANDS = [
    *ENVELOPE * 3,
    "EHLO x",
    "HELO",
    "MAIL FROM:<>",
    "MAIL FROM:<a@b> SIZE=1",
    "MAIL FROM:A <root@(none)>",
    "MAIL FROM:<-a@b>",
    "STARTTLS",
    "GET / HTTP/1.0",
    "Subject: x",
    "RCPT TO:<postmaster>",
    'RCPT TO:<@a,@b:"c d"@e>',
    "RSET",
    "NOOP",
    "HELP",
    "VRFY x",
    "TURN",
    "QUIT",
    "WHAT",
    "",
    ".",
    "..",
    "x" * 511,
    "x" * 2000,
]
ODDITIES = [b"\x16\x03", b".", b"\r", b"\n", b"\r\n", b"\n.\n", b"\r\n.\r\n", b"\0", b"\xff", b" "]

commands = st.sampled_from(COMMANDS).map(str.encode)
oddities = st.sampled_from(ODDITIES) | st.binary(max_size=20)


@st.composite
def sessions(draw: st.DrawFn) -> bytes:
    """Return the octets of a session: lines with one line end, most of them whole and some with oddities in them."""
    end = draw(st.sampled_from([b"\r\n", b"\n"]))
    usual = draw(st.booleans())
    start = typed(*ENVELOPE, end=end) if usual else b""
    lines = st.one_of(commands.map(lambda line: line + end), commands.map(lambda line: line + end), oddities)
    return start + b"".join(draw(st.lists(lines, max_size=30)))


limits = st.sampled_from(LIMITS)
answers = st.sampled_from([agree, contrary])


@st.composite
def cut(draw: st.DrawFn, octets: bytes) -> list[bytes]:
    """Return the octets in pieces: single ones, or cut at random places."""
    if draw(st.booleans()):
        return list(pieces(octets, draw(st.integers(1, 5))))
    cuts = draw(st.lists(st.integers(0, len(octets)), max_size=20))
    return [octets[a:b] for a, b in pairwise([0, *sorted(cuts), len(octets)]) if a < b]


anything = sessions() | st.binary(max_size=1000)


@thorough
@given(st.data(), anything, limits, answers)
def test_any_pieces_give_the_same(data: st.DataObject, octets: bytes, limits: Limits, answer: Answer) -> None:
    """However the octets are cut, the same events and the same replies come of them."""
    whole = run(octets, limits, answer)
    cut_up = run(data.draw(cut(octets)), limits, answer)
    assert valid_events(cut_up) == valid_events(whole)
    assert cut_up.sent == whole.sent


@thorough
@given(anything, limits, answers)
def test_one_reply_for_each_command(octets: bytes, limits: Limits, answer: Answer) -> None:
    """No octets raise, each command line and each message is answered once, until the session ends, and arrives."""
    assert_each_command_is_answered(octets, run(octets, limits, answer))


# Mail data


framings = st.sampled_from(sorted(LINE_ENDS, key=str))
mail_data = st.lists(oddities | st.sampled_from([b"x", b"..", b".\r", b"\r."]), max_size=30).map(b"".join)


def decode(framing: Framing, blocks: Iterable[bytes]) -> tuple[bytes, bytes | None]:
    """Return the same, by the reader under test."""
    reader = MailDataReader(framing)
    decoded = b""
    blocks = iter(blocks)
    for block in blocks:
        text, rest = reader.feed(block)
        decoded += text
        if rest is not None:
            return decoded, rest + b"".join(blocks)
    return decoded, None


@thorough
@given(st.data(), framings, mail_data)
def test_mail_data_is_read_as_line_by_line(data: st.DataObject, framing: Framing, octets: bytes) -> None:
    """Reading whole blocks comes to the same as reading lines."""
    octets += b"\r\n.\r\n"
    assert decode(framing, data.draw(cut(octets))) == decode_line_by_line(octets, LINE_ENDS[framing])


@pytest.mark.parametrize("framing", LINE_ENDS)
def test_all_short_mail_data(framing: Framing) -> None:
    """The same for every arrangement of six CRs, LFs, dots and other octets, in one piece and octet by octet."""
    for arrangement in product((b"\r", b"\n", b".", b"x"), repeat=6):
        octets = b"".join(arrangement) + b"\r\n.\r\n"
        expected = decode_line_by_line(octets, LINE_ENDS[framing])
        assert decode(framing, [octets]) == expected
        assert decode(framing, pieces(octets, 1)) == expected


@thorough
@given(st.data(), framings, mail_data | st.binary())
def test_what_a_client_stuffs_arrives(data: st.DataObject, framing: Framing, message: bytes) -> None:
    """A message whose lines a client sends with their leading dots doubled arrives octet for octet, line ends aside.
    After a bare LF it may double them or not, but where there are two of them.
    """
    lines = LINE_ENDS[framing].split(message)
    if framing is Framing.LF:
        lines = [line.rstrip(b"\r") for line in lines]  # that CR would belong to the line end
    end = b"\r\n" if framing is Framing.CRLF else b"\n"
    doubled = data.draw(st.sampled_from([rb"\n(?=\.)", rb"\n(?=\.\.)"]))
    stuffed = [re.sub(doubled, b"\n.", b"." + line if line.startswith(b".") else line) for line in lines]
    sent = typed(*stuffed, b".", end=end)
    assert decode(framing, data.draw(cut(sent + b"QUIT"))) == (typed(*lines, end=b"\n"), b"QUIT")


# The grammar


@thorough
@given(st.binary(max_size=600) | st.text(alphabet='<>@",:\\[]#.- =()ab\t\0é\x85', max_size=30).map(str.encode))
def test_a_path_reads_back(octets: bytes) -> None:
    """No octets raise anything but Malformed, no path holds a control character or is an option, and as it is shown it
    reads back.
    """
    parse_command(octets)
    try:
        path = parse_path(b"FROM:" + octets, b"FROM", "", reverse=True)
    except Malformed as fault:
        assert fault.code in (501, 555)  # noqa: PT017 - both outcomes are right
        return
    assert not re.search(r"[\0-\x1f\x7f]", path.local_part + path.domain)
    assert not path.as_written or not re.search("[<>\x80-\x9f\u2028\u2029]", path.local_part)
    assert not str(path).startswith("-")
    shown = str(path).encode("utf-8", "surrogateescape")
    assert parse_path(b"FROM:<" + shown + b">", b"FROM", "", reverse=True) == path


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1))
def test_any_local_part_can_be_shown(local_part: str) -> None:
    """Any local part without control characters, and without a hyphen first, is shown so that it reads back."""
    local_part = local_part.replace("-", "x", 1) if local_part.startswith("-") else local_part
    path = Path(local_part, "mydomain.com")
    assert parse_path(f"TO:<{path}>".encode(), b"TO", "", reverse=False) == path


@thorough
@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters="<>"), min_size=1))
def test_any_sender_can_be_shown(text: str) -> None:
    """Any text without control characters and angle brackets is a sender, and what is shown of it is one, and the same.

    As it is written, unless the grammar knows another form of it; blanks around it aside, and a hyphen first.
    """
    text = text.strip(" ").removeprefix("-").strip(" ") or "x"
    try:
        path = parse_path(f"FROM:Somebody <{text}>".encode(), b"FROM", "", reverse=True)
    except Malformed:
        assert re.search(r'^-|["\\:]-', text)  # a hyphen behind quotes, a backslash, a route, or another one
        return
    assert str(path) == text or not path.as_written
    assert parse_path(f"FROM:<{path}>".encode(), b"FROM", "", reverse=True) == path
