"""A message, its trace lines, and the line that begins it in an mbox."""

from __future__ import annotations

import email
import string
import time
from collections.abc import Iterator
from contextlib import closing
from email.utils import getaddresses

import pytest

from mailrecv.delivery.message import new_id
from tests.support.delivery import BODY, RECIPIENT, a_message, copy_of


@pytest.fixture(autouse=True)
def _somewhere_east(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "EAST-5:30")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_a_copy() -> None:
    """A copy is the Return-Path, the Received line with the local time and its zone, then the mail data."""
    assert copy_of(a_message()) == (
        b"Return-Path: <me@client.example>\n"
        b"Received: from client.example (mail.client.example [192.0.2.7]) by mydomain.com with SMTP"
        b" id 60a1b2c3d4e5f for <status@mydomain.com>; Wed, 15 Nov 2023 03:43:20 +0530\n" + BODY
    )


def test_the_null_path() -> None:
    """A bounce has an empty Return-Path."""
    assert copy_of(a_message(sender="")).startswith(b"Return-Path: <>\n")


BODIES = [b"", b"\n", b"\0\r\xff\n", b"x" * 3_000_000 + b"\n", b"From x\n>From y\n", b"Status: \n\nReturn-Path: \n"]


@pytest.mark.parametrize("data", [b"", b"\n", b"a:", *(b"Subject: x\n\n" + body for body in BODIES)])
def test_the_mail_data_is_not_altered(data: bytes) -> None:
    """Whatever the mail data is, a copy ends with exactly that, unless its header could be taken for what it is not."""
    message = a_message(data)
    with closing(message.data):
        assert copy_of(message) == message.trace_for(RECIPIENT) + data


def test_each_recipient_has_a_copy() -> None:
    """The copies of a message differ in the recipient that the Received line names, and in nothing else."""
    message = a_message()
    assert copy_of(message, "you@x") == copy_of(message, "me@x").replace(b"for <me@x>;", b"for <you@x>;")


def test_a_copy_that_several_share() -> None:
    """It names them all above `Received:`, where no sender can write, one on a line, and the email package reads them.

    A message may have a hundred recipients, and an address 256 octets.
    """
    recipients = ['"a, b"@x', "postmaster", *(f"{number}{'x' * 240}@mydomain.com" for number in range(100))]
    copy = copy_of(a_message(b"X-Envelope-To: <forged@x>\n\nHello\n"), *recipients)
    fields = email.message_from_bytes(copy).items()
    assert [name for name, _ in fields] == ["Return-Path", "X-Envelope-To", "Received", "X-Envelope-To"]
    assert [address for _, address in getaddresses([fields[1][1]])] == recipients
    assert " for <" not in fields[2][1]
    assert max(map(len, copy.split(b"\n"))) < 998


@pytest.mark.parametrize(
    "helo, shown",
    [
        ("[192.0.2.7]", b"[192.0.2.7]"),
        ("[IPv6:2001:db8::1]", b"[IPv6:2001:db8::1]"),
        ("my_host-1.example", b"my_host-1.example"),
        ("", b"unknown"),
        ("?v", b"?v"),
        ("x (y [1.2.3.4]) by z; <a>", b"x??y?[1.2.3.4]??by?z???a?"),
        ("b\u00fccher\udcff", b"b?cher?"),
    ],
)
def test_what_the_client_calls_itself(helo: str, shown: bytes) -> None:
    """In the trace a HELO name cannot be taken for any other part of the line."""
    assert b"Received: from " + shown + b" (mail.client.example [192.0.2.7]) by " in copy_of(a_message(helo=helo))


def test_octets_outside_ascii() -> None:
    """Addresses come out in the octets in which they came, be they UTF-8 or not."""
    message = a_message(sender="m\u00fcller\udcff@x")
    assert b"Return-Path: <m\xc3\xbcller\xff@x>\n" in copy_of(message)
    assert message.from_line().startswith(b"From m\xc3\xbcller\xff@x ")


@pytest.mark.parametrize(
    "sender, shown",
    [("me@client.example", b"me@client.example"), ("", b"MAILER-DAEMON"), ('"a b  c"@x', b'"a_b__c"@x')],
)
def test_from_line(sender: str, shown: bytes) -> None:
    """The From line holds the sender as one word, and the time in UTC."""
    assert a_message(sender=sender).from_line() == b"From " + shown + b" Tue Nov 14 22:13:20 2023\n"


def test_from_line_on_a_day_of_one_digit() -> None:
    """The day takes two columns: readers of mbox rely on that."""
    assert a_message(received=0).from_line() == b"From me@client.example Thu Jan  1 00:00:00 1970\n"


def test_new_id(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even the ids of one moment differ, and an id is a word that needs no quoting anywhere."""
    monkeypatch.setattr(time, "time_ns", lambda: 1_700_000_000_123_456_789)
    ids = {new_id() for _ in range(100)}
    assert len(ids) == 100
    assert {text[:13] for text in ids} == {f"{1_700_000_000_123_456:x}"}
    assert set("".join(ids)) <= set(string.hexdigits.lower())
