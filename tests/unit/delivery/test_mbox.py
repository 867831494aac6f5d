"""Messages in an mbox: how they are written, and how others read them."""

from __future__ import annotations

import fcntl
import os
import re
import shlex
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mailrecv.delivery import mbox
from mailrecv.delivery.mbox import quoted
from mailrecv.delivery.message import Message
from tests.support.delivery import RECIPIENT, a_message, copy_of, entry_of, messages_in, unquoted

# What is hard to keep apart in an mbox; the first line of each is a header, for programs that read headers
BODIES = [
    b"",
    b"\n",
    b"Subject: blank lines\n\n\n\n\n",
    b"Subject: From\n\nFrom me\n>From you\n>>From them\n\nFrom a@b Tue Nov 14 22:13:20 2023\nSubject: x\n\ny\n",
    b"Subject: binary\n\n\0a\rb\r\n\xff\xfe\0From x\rFrom y\n\0\n",
    b"From: me\nSubject: gr\xc3\xbc\xc3\x9fe, gr\xfc\xdfe\n\n" + b"\xe4" * 2000 + b"\n",
    b"Subject: long\n\n" + b">" * 300_000 + b"From x\n",
    b"Content-Length: 99999999\nLines: 99999999\n\nall that follows is mine\n",
    b"Subject: folded\ncontent-length: \n 88888\n 888\nLINES:\t9\n\nContent-Length: 77777777\n",
    b"Content-Length: 1\nStatus: RO\nX-Status: D\nX-UID: 1\n\ndeleted and cut short\n",
    b"X-IMAPbase: 1 999\nX-IMAP: 1 999\nX-Keywords: Junk\nX-Mozilla-Status: 0008\n\nmine too\n",
    b"From root Mon Nov 14 00:00:00 2022\nContent-Length: 66666666\n\nseen\n",
    b"From me\n>From you\n",
    b"Content-Length: 99999999\n",
]
BLANKS_BEFORE_COLONS = [  # which formail takes out, and where the header ends for mutt
    b"Content-Length : 99999999\nLines \t:99999999\n\nHello\n",
    b"Subject: far\nContent-Length" + b" " * 5000 + b": 88888888\n\n",
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mbox"


def copy_in_mbox(message: Message) -> bytes:
    """Return the copy as an mbox has it, but for the quoting."""
    return b"".join(message.copy_for(RECIPIENT, in_mbox=True))


def append(path: Path, *messages: Message, seconds: float = 5) -> None:
    for message in messages:
        mbox.append(message, [RECIPIENT], str(path), time.monotonic() + seconds)


# What is written


def test_an_entry(path: Path) -> None:
    """An entry is a From line, the trace lines, the quoted mail data, and a blank line; the file is its owner's."""
    message = a_message(b"Subject: x\nLines: 2\n\nFrom me\n>From you\n From them\nFrom\n")
    append(path, message)
    assert path.read_bytes() == (
        b"From me@client.example Tue Nov 14 22:13:20 2023\n"
        + message.trace_for(RECIPIENT)
        + b"Subject: x\nX-Sent-Lines: 2\n\n>From me\n>>From you\n From them\nFrom\n\n"
    )
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_null_path(path: Path) -> None:
    """A bounce comes from MAILER-DAEMON."""
    append(path, a_message(sender=""))
    assert path.read_bytes().startswith(b"From MAILER-DAEMON Tue Nov 14 22:13:20 2023\nReturn-Path: <>\n")


@pytest.mark.parametrize(
    "line, written",
    [
        (b"From ", b">From "),
        (b"From x", b">From x"),
        (b">From x", b">>From x"),
        (b">>>From From x", b">>>>From From x"),
        (b"From", b"From"),
        (b"From:", b"From:"),
        (b"from x", b"from x"),
        (b" From x", b" From x"),
        (b"> From x", b"> From x"),
        (b"x>From x", b"x>From x"),
        (b"\rFrom x", b"\rFrom x"),
        (b"\0From x", b"\0From x"),
    ],
)
def test_quoting(line: bytes, written: bytes) -> None:
    """Quoted are lines of `>` and `From ` only, by one `>`, wherever in the message they are."""
    text = b"\n".join([line, line, b"", line, b"x", line])
    assert b"".join(quoted([text])) == text.replace(line, written)


@pytest.mark.parametrize(
    "tail, closed",
    [
        (b"", b""),
        (b"\n\n", b"\n\n"),
        (b"\n", b"\n\n"),
        (b"text\n", b"text\n\n"),
        (b"text\n\n", b"text\n\n"),
        (b"text\n\n\n", b"text\n\n\n"),
        (b"text", b"text\n\n"),
        (b"text\nFrom me@", b"text\nFrom me@\n\n"),
        (b"text\r\n", b"text\r\n\n"),
        (b"x", b"x\n\n"),
        (b"text\0\n", b"text\0\n\n"),
    ],
)
def test_a_torn_tail_is_closed_off(path: Path, tail: bytes, closed: bytes) -> None:
    """Whatever a file ends with, a blank line stands before the next message, and nothing that was there is changed."""
    path.write_bytes(tail)
    message = a_message()
    append(path, message)
    assert path.read_bytes() == closed + entry_of(message)


@pytest.mark.parametrize("before", [b"", entry_of(a_message())], ids=["alone", "after another"])
@pytest.mark.parametrize("torn", [b"F", b"Fr", b"Fro", b"From", b"From "])
def test_a_torn_from_is_completed(path: Path, before: bytes, torn: bytes) -> None:
    """What is left of a `From ` becomes that of the next message: anything else would add it to the one before."""
    path.write_bytes(before + torn)
    message = a_message(b"Subject: next\n")
    append(path, message)
    assert path.read_bytes() == before + entry_of(message)


def test_a_message_cut_off_anywhere_harms_no_other(path: Path) -> None:
    """After a crash at any octet of a message, those before and after it are as they came."""
    before, torn, after = (a_message(b"Subject: %b\n\nFrom x\n" % name) for name in (b"before", b"torn", b"after"))
    for octets in range(len(entry_of(torn))):
        path.write_bytes(entry_of(before) + entry_of(torn)[:octets])
        append(path, after)
        found = messages_in(path)
        assert found[0] == copy_of(before), octets
        assert found[-1] == copy_of(after), octets


# How others read it


def test_pythons_mailbox_reads_it(path: Path) -> None:
    """Python's mailbox module finds every message, and each is as it came once its quoting is undone."""
    messages = [a_message(body, id=str(number)) for number, body in enumerate(BODIES)]
    append(path, *messages)
    assert messages_in(path) == [copy_in_mbox(message) for message in messages]


@pytest.mark.needs_tool("formail")
def test_formail_reads_it(path: Path) -> None:
    """formail splits it into the same messages."""
    messages = [a_message(body, id=str(number)) for number, body in enumerate(BLANKS_BEFORE_COLONS + BODIES)]
    append(path, *messages)
    split = ["formail", "-n0", "-s", "sh", "-c", 'cat >"split.$FILENO"']
    with path.open("rb") as file:
        subprocess.run(split, stdin=file, cwd=path.parent, env={**os.environ, "FILENO": "000"}, check=True)
    found = [file.read_bytes() for file in sorted(path.parent.glob("split.*"))]
    expected = [re.sub(rb"(?m)^([!-9;-~]+)[ \t]+:", rb"\1:", entry_of(message)) for message in messages]
    assert found == expected


@pytest.mark.needs_tool("mutt", "script")
def test_mutt_reads_it(path: Path) -> None:
    """mutt finds the same messages."""
    messages = [a_message(body, id=str(number)) for number, body in enumerate(BODIES)]
    append(path, *messages)
    pipe_all = "push '<tag-pattern>~A<enter><tag-prefix><pipe-message>cat >>read<enter><exit>'"
    path.with_name("Mail").mkdir()  # or mutt asks whether to
    settings = "set pipe_split pipe_sep='' nowait_key"
    mutt = shlex.join(["mutt", "-n", "-F/dev/null", "-R", "-f", str(path), "-e", settings, "-e", pipe_all])
    with subprocess.Popen(
        ["timeout", "20", "script", "-qec", mutt, "/dev/null"],  # mutt wants a terminal
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        cwd=path.parent,
        env={**os.environ, "TERM": "xterm", "HOME": str(path.parent)},
    ) as process:
        assert process.wait() == 0
    read = path.with_name("read").read_bytes()
    assert unquoted(read) == b"".join(
        message.from_line() + copy_in_mbox(message) + (b"" if b"\n\n" in copy_in_mbox(message) else b"\n")
        for message in messages  # the end of the header is added where there is none
    )


def test_appends_at_the_same_time(path: Path) -> None:
    """Messages that come at the same time stand one after the other."""
    messages = [a_message(b"Subject: %d\n\n" % number + b"%d\n" % number * 100_000) for number in range(12)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda message: append(path, message), messages))
    assert sorted(messages_in(path)) == sorted(copy_of(message) for message in messages)


# When it fails


@pytest.mark.needs_root
def test_a_full_disk(small_disk: Path) -> None:
    """A message that finds no room leaves the mbox as it was, and a smaller one still fits."""
    path = small_disk / "mbox"
    first, large, last = (a_message(b"Subject: x\n\n" + b"x\n" * size) for size in (10_000, 30_000, 10_000))
    append(path, first)
    with pytest.raises(OSError, match="No space left"):
        append(path, large)
    assert path.read_bytes() == entry_of(first)
    append(path, last)
    assert path.read_bytes() == entry_of(first) + entry_of(last)


def test_a_locked_mbox(path: Path) -> None:
    """An mbox that stays locked is left alone."""
    with path.open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(TimeoutError):
            append(path, a_message(), seconds=0.05)
    assert path.read_bytes() == b""


def test_a_fifo(path: Path) -> None:
    """A FIFO gets the same entry as a file, after what ends one that was torn: what is in there nobody can look at."""
    os.mkfifo(path)
    message = a_message()
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as fifo:
        append(path, message)
        assert fifo.read() == b"\n\n" + entry_of(message)


LARGE = b"Subject: large\n\n" + b"0123456789\n" * 30_000  # more than a FIFO holds


def test_messages_for_a_fifo_at_the_same_time(path: Path) -> None:
    """Entries for a FIFO come one after the other, however slowly they are read.

    Each goes by another path, as if by another process: those of one path wait for one another before they open it.
    """
    os.mkfifo(path)
    messages = [a_message(LARGE + b"%d\n" % number) for number in range(4)]
    paths = [path.with_name(f"link{number}") for number in range(4)]
    for link in paths:
        link.symlink_to(path)
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as fifo, ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(append, link, message) for link, message in zip(paths, messages, strict=True)]
        received = b""
        while not all(writer.done() for writer in writers):
            received += fifo.read(50_000) or b""
        received += fifo.read() or b""
    assert [writer.exception() for writer in writers] == [None] * 4
    entries = [b"\n\n" + entry_of(message) for message in messages]
    assert sorted(re.split(rb"(?=\n\nFrom )", received)) == [b"", *sorted(entries)]


@pytest.mark.needs_tool("formail")
def test_a_torn_entry_in_a_fifo_swallows_nothing(path: Path) -> None:
    """What comes after an entry that was torn, wherever that was, is a message of its own, and whole."""
    os.mkfifo(path)
    message = a_message()
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as fifo:
        with pytest.raises(TimeoutError):
            append(path, a_message(LARGE), seconds=0.05)
        torn = fifo.read()
        append(path, message)
        received = fifo.read()
    for octets in range(len(torn) - 1000, len(torn)):
        path.with_name("received").write_bytes(torn[:octets] + received)
        assert messages_in(path.with_name("received"))[1:] == [copy_of(message)]
    split = ["formail", "-s", "sh", "-c", "cat; echo --"]
    found = subprocess.run(split, input=torn + received, check=True, capture_output=True).stdout.split(b"--\n")
    assert found[1:] == [entry_of(message), b""]
