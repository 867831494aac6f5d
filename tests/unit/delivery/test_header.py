"""The header of a message under the trace lines: what a sender could do to them, and to the readers of a mailbox."""

from __future__ import annotations

import email
import mailbox
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import product
from pathlib import Path

import pytest

from mailrecv.delivery import mbox
from mailrecv.delivery.header import OF_MBOX_READERS, OF_THIS_SERVER, set_apart
from tests.support.delivery import RECIPIENT, a_message, copy_of, set_apart_line_by_line
from tests.support.machine import pieces

BOTH = OF_THIS_SERVER | OF_MBOX_READERS
LONGEST = 998


def result_of(data: bytes, reserved: frozenset[bytes] = BOTH, *, size: int = 1 << 18) -> bytes:
    """Return what becomes of mail data that comes in blocks of this size."""
    whole = b"".join(set_apart(pieces(data, size), reserved))
    assert whole.startswith(b"\n")  # the end of the last trace line
    return whole[1:]


# The first line

FREE = b"""\
               total        used        free
Mem:        16378580     2271848    11930112
Swap:              0           0           0
"""


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize(
    "first_line",
    [
        b"\tby x; Mon, 01 Jan 2001 00:00:00 +0000",
        b" for <x@y>; Mon, 01 Jan 2001 00:00:00 +0000",
        b" \t",
        b"Hello",
        b"Hello world: this is no name",
        b": no name",
        b"Gr\xc3\xbc\xc3\x9fe: x",
        b"\0Subject: x",
        b"\rSubject: x",
        b"\r",
        b"From",
        b" From x",
        b"> From x",
        b"x" * LONGEST + b":",
        b"x" * 100 + b" " * LONGEST + b":",
        b">" * LONGEST + b"From x",
    ],
)
def test_a_first_line_that_is_no_field(first_line: bytes, size: int) -> None:
    """An empty line comes before it, and all that follows is the body: nothing else is looked at."""
    data = first_line + b"\nStatus: x\nReturn-Path: <x>\n>From x\n"
    assert result_of(data, size=size) == b"\n" + data
    assert result_of(first_line, size=size) == b"\n" + first_line


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"\nHello\n",
        b"\n Hello\nStatus: x\n",
        b"Subject: x\n",
        b"!~:\n",
        b"From: x\n",
        b"subject \t : x\n y\n\n z\n",
        b"a:",
        b"x" * (LONGEST - 1) + b":\n",
        b"Subject: x\nno field\n\nHello\n",
        b"Subject: x\r\n\n",
    ],
)
def test_a_header_to_leave_alone(data: bytes, size: int) -> None:
    """A header, an empty one, and none at all are as they came."""
    assert result_of(data, size=size) == data


@pytest.fixture
def _in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_in_utc")
@pytest.mark.parametrize(
    "data, body",
    [
        (FREE, FREE),
        (b"\tby x; Mon, 01 Jan 2001 00:00:00 +0000\nSubject: forged\n\nHello\n", None),
        (b"\rby x\n", None),
        (b"From root Mon Nov 14 00:00:00 2022\n" + FREE, FREE),
        (b"From root Mon Nov 14 00:00:00 2022\n by x; Mon, 01 Jan 2001 00:00:00 +0000\n", None),
    ],
)
@pytest.mark.parametrize("in_mbox", [True, False])
def test_the_email_package_reads_it(data: bytes, body: bytes | None, in_mbox: bool) -> None:
    """A message without a header keeps its text, such as the output of `free`, and `Received:` the end that it had."""
    message = email.message_from_bytes(b"".join(a_message(data).copy_for("status@mydomain.com", in_mbox=in_mbox)))
    assert message["Received"].endswith("for <status@mydomain.com>; Tue, 14 Nov 2023 22:13:20 +0000")
    assert message["Return-Path"] == "<me@client.example>"
    assert message.keys() in (["Return-Path", "Received"], ["Return-Path", "Received", "X-Mailbox-Line"])
    if body is not None:
        assert message.get_payload() == body.decode()
    assert message.defects == []


# What programs leave that pass on what they found in an mbox


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize(
    "data, result",
    [
        (
            b"From root Mon Nov 14\nSubject: x\n\nHello\n",
            b"X-Mailbox-Line: From root Mon Nov 14\nSubject: x\n\nHello\n",
        ),
        (b">From root\n", b"X-Mailbox-Line: >From root\n"),
        (b"From \n>>From x\nTo: y\nFrom z\n", b"X-Mailbox-Line: From \nX-Mailbox-Line: >>From x\nTo: y\nFrom z\n"),
        (b"From x\r\n\nFrom y\n", b"X-Mailbox-Line: From x\r\n\nFrom y\n"),
        (b"From x\nHello\n", b"X-Mailbox-Line: From x\n\nHello\n"),
        (b"From x\n\tby y\n", b"X-Mailbox-Line: From x\n\n\tby y\n"),
        (b"From x\nStatus: x\n", b"X-Mailbox-Line: From x\nX-Sent-Status: x\n"),
        (b"From x", b"X-Mailbox-Line: From x"),
        (b"\nFrom x\n", b"\nFrom x\n"),
        (b"From: x\nFrom y\n", b"From: x\nFrom y\n"),
    ],
)
def test_mailbox_lines(data: bytes, result: bytes, size: int) -> None:
    """A `From ` line above the header becomes a field of it, quoted or not, and as often as it comes."""
    assert result_of(data, size=size) == result


def test_a_mailbox_line_hides_nothing(tmp_path: Path) -> None:
    """What cron or nullmailer pass on has its fields, in an mbox too."""
    data = b"From root Mon Nov 14 00:00:00 2022\n>From root Mon Nov 14 00:00:00 2022\nSubject: seen\n\nHello\n"
    path = tmp_path / "mbox"
    for _ in range(2):
        mbox.append(a_message(data), [RECIPIENT], str(path), time.monotonic() + 5)
    with closing(mailbox.mbox(path, create=False)) as box:
        found = list(box)
    assert [(message["Subject"], message.get_payload()) for message in found] == [("seen", "Hello\n")] * 2
    assert found[0].get_all("X-Mailbox-Line") == [
        "From root Mon Nov 14 00:00:00 2022",
        ">From root Mon Nov 14 00:00:00 2022",
    ]


# Names that are not the sender's to use


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize("name", sorted(BOTH))
def test_reserved_names(name: bytes, size: int) -> None:
    """A field with such a name gets `X-Sent-` before it, in any letter case, with its folded lines; no other does."""
    for written in (name, name.upper(), name.title()):
        for colon in (b":", b" :", b"\t \t:"):
            field = written + colon + b" 1\n 2\n\t3: x\n"
            kept = b"a%b: 1\n%bb: 1\nX:\n %b: 1\n%b 1\n" % (written, written, written, written)
            body = b"\n" + field + kept
            data = b"Subject: x\n" + field + kept + field + body
            expected = b"Subject: x\nX-Sent-" + field + kept + b"X-Sent-" + field + body
            assert result_of(data, size=size) == expected
            assert result_of(field + field, size=size) == b"X-Sent-" + field + b"X-Sent-" + field


def test_names_that_only_readers_of_mbox_reserve() -> None:
    """In a Maildir and for a command only `Return-Path:` is ours: what a sender has signed stays as it was signed."""
    data = b"".join(name + b": 1\n" for name in sorted(BOTH))
    copy = copy_of(a_message(data))
    assert copy.endswith(data.replace(b"return-path", b"X-Sent-return-path"))
    in_mbox = b"".join(a_message(data).copy_for(RECIPIENT, in_mbox=True))
    assert in_mbox.endswith(b"".join(b"X-Sent-" + name + b": 1\n" for name in sorted(BOTH)))


@pytest.mark.parametrize("blanks", [0, 1, 978, 979, 980, 981, 998, 5000])
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_a_colon_far_away(blanks: int, size: int) -> None:
    """However many blanks come before the colon, the name is found; so many that no program writes them will do."""
    data = b"Subject: x\nx-mozilla-status2" + b" " * blanks + b":\n"
    assert result_of(data, size=size) == data.replace(b"x-moz", b"X-Sent-x-moz")


def test_a_line_of_only_a_cr_is_not_empty() -> None:
    """Some readers take it for the end of the header and some do not: for these, what follows is still renamed."""
    assert result_of(b"Subject: x\r\n\r\nLines: 5\r\n") == b"Subject: x\r\n\r\nX-Sent-Lines: 5\r\n"


# All together


def test_all_short_headers() -> None:
    """Every arrangement of a few lines, whole and octet by octet, comes to the same as line by line."""
    lines = [
        b"From x\n",
        b">From y\n",
        b"Subject: z\n",
        b"Lines : 3\n",
        b"RETURN-PATH:\n",
        b" folded\n",
        b"none\n",
        b"\n",
    ]
    for count in range(5):
        for arrangement in product(lines, repeat=count):
            data = b"".join(arrangement)
            expected = set_apart_line_by_line(data, BOTH)
            assert result_of(data) == expected
            if count < 4:
                assert result_of(data, size=1) == expected
