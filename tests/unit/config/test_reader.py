"""The reader: whole files, good and bad."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from mailrecv.config.faults import ConfigError
from mailrecv.config.model import Config, Deliver
from mailrecv.config.reader import parse_config, read_config
from mailrecv.limits import Limit, Switch
from mailrecv.policy.clients import admit
from mailrecv.policy.decision import Route
from mailrecv.policy.recipients import route
from mailrecv.reply import Reply
from tests.support.configs import PATH, client, config, faults

ORIGINAL = Path(__file__).with_name("original.conf")
NOBODY = 65534
MANY = 100_000
NOISE = Random(1).randbytes(200_000)  # noqa: S311 - any octets will do, but the same in every run


@contextmanager
def unprivileged() -> Iterator[None]:
    """Do without root's right to read everything."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)


def reason(path: str) -> str:
    """Return why a file cannot be read."""
    with pytest.raises(ConfigError) as caught:
        read_config(path)
    (fault,) = caught.value.faults
    assert (fault.path, fault.line, fault.column) == (path, 0, 0)
    return fault.text


def test_a_file_in_the_originals_dialect_works_unchanged() -> None:
    """Every directive of the original means here what it meant there."""
    read = parse_config(ORIGINAL.read_bytes(), str(ORIGINAL))
    assert (read.domain, read.logfile, read.debug) == ("mydomain.com", "/var/log/mailrecv.log", "srw+F")
    assert (read.deadletter_file, read.loghex) == ("/dev/null", True)
    assert read.limits.smtp_commands == Limit(25, Reply(500, "Too many SMTP commands received in session."))
    assert read.limits.smtp_data_size == Limit(24_000_000, Reply(500, "Too much data received for DATA command."))
    assert read.limits.fcrdns_check == Switch(True, Reply(500, "Reverse DNS does not match."))

    google, stranger = client(name="mail-x1.google.com"), client("198.51.100.1", "mail.google.com.example")
    status = Route("append", "/var/tmp/somestatus.txt")  # noqa: S108 - a path that is compared, not opened
    archive = Route("pipe", "/usr/local/sbin/somecommand -arg")
    assert admit(read, google).reply is None
    assert admit(read, stranger).reply is not None
    assert route(read, google, "myarchive@mydomain.com").route == archive
    assert route(read, stranger, "myarchive@mydomain.com").route is None
    assert route(read, stranger, "status@mydomain.com").route == status
    assert route(read, google, "me@mydomain.com").reply == Reply(550, "No one here by that name.")


@pytest.mark.parametrize("octets", [b"", b"\n", b"\r\n", b"\xef\xbb\xbf", b" \t\n\n# nothing\n"])
def test_a_file_without_directives_is_all_defaults(octets: bytes) -> None:
    """An empty file is a configuration in which everything has its default."""
    assert parse_config(octets, PATH) == Config(path=PATH)


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"], ids=["plain", "BOM"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("last", [b"", b"\n"], ids=["unended", "ended"])
def test_files_of_other_systems(start: bytes, end: bytes, last: bytes) -> None:
    """A byte order mark, CRLF line ends and a last line without an end make no difference."""
    lines = [b"domain mydomain.com", b"# comment", b"deliver rcpt_to a@b.example pipe cat -x", b"deadletter_file /d"]
    assert parse_config(start + end.join(lines) + last.replace(b"\n", end), PATH) == Config(
        path=PATH,
        domain="mydomain.com",
        deadletter_file="/d",
        deadletter_line=4,
        deliver={"a@b.example": (Deliver(3, "a@b.example", None, "pipe", "cat -x"),)},
        directives=(
            (1, "domain mydomain.com"),
            (3, "deliver rcpt_to a@b.example pipe cat -x"),
            (4, "deadletter_file /d"),
        ),
    )


def test_places_in_files_of_other_systems() -> None:
    """Columns are counted without the byte order mark, and the lines of faults are shown without CR."""
    found = faults(b"\xef\xbb\xbfdomian x\r\ndeliver allowgroup +g rcpt_to a@b append /x\r\nloghex\r\n")
    assert [(fault.line, fault.column, fault.source) for fault in found] == [
        (1, 1, "domian x"),
        (2, 20, "deliver allowgroup +g rcpt_to a@b append /x"),
        (3, 7, "loghex"),
    ]


def test_files_are_utf_8() -> None:
    """Words may hold any character, and columns are counted in characters."""
    read = config("deadletter_file /var/mail/Jürgen-日本-😀")
    assert read.deadletter_file == "/var/mail/Jürgen-日本-😀"
    (fault,) = faults("deadletter_file /Jürgen-日本-😀 x")
    assert fault.column == len("deadletter_file /Jürgen-日本-😀 x")


@pytest.mark.parametrize("octets", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\xaf"])
def test_octets_that_are_not_utf_8_are_faults(octets: bytes) -> None:
    """The first octet that is not UTF-8 is pointed at, wherever in the directive it is."""
    (fault,) = faults("domain Jürgen-".encode() + octets + b"\nloghex on\n")
    assert (fault.line, fault.column, fault.text) == (1, 15, f"octet 0x{octets[0]:02x} is not UTF-8")


def test_comments_may_hold_any_octets() -> None:
    """A comment in an older encoding does not make a file faulty."""
    assert parse_config(b"# J\xfcrgen\x00\ndomain x # J\xfcrgen\n", PATH).domain == "x"


def test_lines_may_have_any_length() -> None:
    """A line of a million characters is read like any other."""
    assert config("domain " + "x" * 1_000_000).domain == "x" * 1_000_000


@pytest.mark.parametrize(
    "name, hint",
    [
        ("domian", ", did you mean domain?"),
        ("Deliver", ", did you mean deliver?"),
        ("DEADLETTER", ", did you mean deadletter_file?"),
        ("limit.smtp_comands", ", did you mean limit.smtp_commands?"),
        ("limit.idle_seconds", ", did you mean limit.idle_secs?"),
        ("allow_group", ", did you mean allowgroup?"),
        ("asciismtp", ", did you mean limit.smtp_ascii?"),
        ("Ascii_smtp", ", did you mean limit.smtp_ascii?"),
        ("replaces", ""),
        ("xyzzy", ""),
    ],
)
def test_an_unknown_directive_and_the_nearest_known_one(name: str, hint: str) -> None:
    """An unknown directive is a fault that names the known one it looks like, if there is one."""
    (fault,) = faults(f"{name} x")
    assert (fault.column, fault.width, fault.text) == (1, len(name), f"unknown directive {name}{hint}")


def test_a_long_word_is_not_repeated_whole() -> None:
    """A fault repeats the beginning of a long word, and does not guess what it was meant to be."""
    (fault,) = faults("domain" * 100)
    assert (fault.width, fault.text) == (600, f"unknown directive {('domain' * 7)[:40]}...")


def test_every_fault_is_reported_in_file_order() -> None:
    """One run shows the faults of all lines, and good lines between them show none."""
    found = faults(
        """domian mydomain.com
        domain mydomain.com
        deliver allowgroup +later rcpt_to a@b.example append /x
        deliver allowgroup +never rcpt_to a@b.example append
        limit.smtp_commands many 421 Too many
        error rcpt_to (a 550 No
        error rcpt_to a 250 Yes
        allowgroup +later [z-a]"""
    )
    assert [
        (fault.line, fault.column - 8 * (fault.line > 1), fault.text.split("; the form")[0]) for fault in found
    ] == [
        (1, 1, "unknown directive domian, did you mean domain?"),
        (4, 20, "group +never has no allowgroup line"),
        (4, 53, "a path expected here"),
        (5, 21, "limit.smtp_commands: a whole number from 0 to 1000000000000000 expected, found many"),
        (6, 17, "bad pattern: missing closing parenthesis, at offset 2"),
        (7, 17, "250 is no refusal: a reply code from 400 to 599 expected"),
        (8, 23, "bad pattern: range out of order in character class, at offset 4"),
    ]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing file, a directory, and a path that cannot be one are each a single fault, with the reason."""
    needed = "(a file is needed, -c names one)"
    assert reason(str(tmp_path / "missing")) == f"cannot be read: No such file or directory {needed}"
    assert reason(str(tmp_path)) == f"cannot be read: Is a directory {needed}"
    assert reason("mail\0recv.conf") == "cannot be read: embedded null byte"


def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    """A file without the permission to read it is a single fault, with the reason."""
    path = tmp_path / "mailrecv.conf"
    path.touch(mode=0)
    with unprivileged():
        assert re.fullmatch(r"cannot be read: Permission denied for the user \w+ \(namei -l .*\)", reason(str(path)))


@pytest.mark.parametrize(
    "octets",
    [NOISE, "domain x\n".encode("utf-16"), b"\0" * 100_000, bytes(range(256)) * 400],
    ids=["random", "UTF-16", "zeros", "every octet"],
)
def test_a_binary_file_is_full_of_faults(octets: bytes) -> None:
    """Whatever a file holds, its faults lie within it and can be shown."""
    for fault in faults(octets):
        assert 1 <= fault.line <= octets.count(b"\n") + 1
        assert 1 <= fault.column <= len(fault.source) + 1
        assert "^" in fault.with_source().split("\n")[2]


def test_a_hundred_thousand_lines_are_read_in_seconds() -> None:
    """A very large configuration is read, whole, in a few seconds, also by a processor that others keep busy."""
    kinds = (
        "deliver allowgroup +group rcpt_to user{}@mydomain.com append /var/mail/{}",
        "error rcpt_to ^user{}@ 550 No one here by that name.",
        "allowgroup +group ^mail{}\\.example\\.com$",
        "limit.smtp_rcpt_to {} 452 Too many  # a comment",
    )
    octets = "\n".join(kinds[number % 4].format(number, number) for number in range(MANY)).encode()
    start = time.process_time()
    read = parse_config(octets, PATH)
    assert time.process_time() - start < 6
    assert len(read.directives) == MANY
    assert len(read.deliver) == len(read.errors) == len(read.groups["+group"]) == MANY // 4


def test_a_hundred_thousand_faults_are_all_reported() -> None:
    """A very large configuration in which every line is wrong has a fault for each."""
    assert [fault.line for fault in faults("loghex perhaps\n" * MANY)] == list(range(1, MANY + 1))
