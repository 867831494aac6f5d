"""Where a session delivers to in these tests, and what is found there afterwards."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.traced import CACHE, Told
from tests.support.configs import compile_config
from tests.support.delivery import a_message, copy_of, entry_of, messages_in

EARLIER = a_message(b"Subject: earlier\n\nIt was there before.\n")
FIRST = b"Subject: first\n\nFrom here\n>From there\n\nto the end.\n"
SECOND = b"Subject: second\n\nAnother.\n"
NEXT = b"Subject: next\n\nIt comes after whatever happened.\n"
LARGE = b"Subject: large\n\n" + b"0123456789abcde\n" * 70_000  # too large to be kept in memory
MAIL = {FIRST, SECOND, NEXT, LARGE}

_LIMITS = """\
limit.connection_secs 10 421 Too long
limit.delivery_secs 5 451 Too slow
"""
_COPY = re.compile(
    rb"Return-Path: <me@client>\n"
    rb"Received: from client \((?:localhost|unknown) \[127\.0\.0\.1\]\) by mydomain\.com with SMTP"
    rb" id [0-9a-f]+ for <(?P<recipient>\w+)@mydomain\.com>; .*\n"
    rb"(?P<data>(?s:.*))"
)


@dataclass(frozen=True)
class Found:
    """What was delivered.  whole: how many whole copies there are of each recipient and data.  torn: the others."""

    whole: Counter[tuple[str, bytes]] = field(default_factory=Counter)
    torn: list[bytes] = field(default_factory=list)


@dataclass(frozen=True)
class Place:
    """A configuration and what is there before.

    rules: directives.  recipients: of each message.  messages: what is sent.  made: folders that are there.  earlier:
    there is an mbox with a message in it.  compiled: an earlier session has compiled the configuration.
    """

    rules: str
    recipients: tuple[str, ...] = ("me",)
    messages: tuple[bytes, ...] = (FIRST, SECOND)
    made: tuple[str, ...] = ()
    earlier: bool = False
    compiled: bool = False

    def prepare(self, folder: Path) -> None:
        """Put into an empty folder what is to be there."""
        rules = self.rules.format(folder=folder)
        config = folder / "mailrecv.conf"
        config.write_text(f"domain mydomain.com\nlogfile {folder}/log\n{_LIMITS}{rules}\n")
        if self.compiled:
            compile_config(config, folder / CACHE)
        for path in self.made:
            folder.joinpath(path).mkdir(parents=True)
        if self.earlier:
            folder.joinpath("mbox").write_bytes(entry_of(EARLIER))

    def find(self, folder: Path, mail: Container[bytes] = MAIL, *, padded: bool = False) -> Found:
        """Return all that was delivered; fail when the message that was there before is not as it was.

        mail: the data of the messages that were sent.  padded: NULs may follow the last message of an mbox.
        """
        mboxes = [path for path in (folder / "mbox", folder / "dead") if path.exists()]
        assert not any(re.search(rb"[^\n]\nFrom ", path.read_bytes()) for path in mboxes)
        copies = []
        for found_in in map(messages_in, mboxes):
            copies += found_in
            if padded and found_in and copies[-1].endswith(b"\0"):
                copies[-1] = copies[-1].rstrip(b"\0").removesuffix(b"\n")  # which ends the entry, not the copy
        if self.earlier:
            assert copies.pop(0) == copy_of(EARLIER)
        copies += [path.read_bytes() for path in folder.glob("home/box/new/*")]
        copies += [path.read_bytes().partition(b"\n")[2] for path in folder.glob("piped.*")]
        found = Found()
        for copy in copies:
            if (match := _COPY.fullmatch(copy)) and match["data"] in mail:
                found.whole[match["recipient"].decode(), match["data"]] += 1
            else:
                found.torn.append(copy)
        return found

    def find_what_was_acknowledged(self, folder: Path, told: Told) -> Found:
        """Return all that was delivered; fail unless each message is there once for each of its recipients, or, when
        it was not acknowledged, at most once.
        """
        found = self.find(folder)
        for sent in told.messages:
            counts = {found.whole[recipient, sent.data] for recipient in self.recipients}
            assert counts <= ({1} if sent.acknowledged else {0, 1}), (sent, counts)
        return found


_APPEND = "deliver rcpt_to me@mydomain.com append {folder}/mbox"
_MAILDIR = "deliver rcpt_to me@mydomain.com maildir {folder}/home/box"
_PIPE = "deliver rcpt_to me@mydomain.com pipe cat >{folder}/piped.$MAILRECV_ID"
_LOST = "deliver rcpt_to lost@mydomain.com append {folder}/missing/mbox\ndeadletter_file {folder}/dead"

PLACES = {
    "mbox": Place(_APPEND, earlier=True),
    "new mbox": Place(_APPEND),
    "mbox, compiled configuration": Place(_APPEND, earlier=True, compiled=True),
    "Maildir": Place(_MAILDIR, made=("home/box/new", "home/box/cur", "home/box/tmp")),
    "new Maildir": Place(_MAILDIR),
    "command": Place(_PIPE),
    "dead letters": Place(f"{_APPEND}\n{_LOST}", recipients=("me", "lost"), earlier=True),
    "large mail for an mbox": Place(_APPEND, messages=(LARGE,), earlier=True),
    "large mail for a command": Place(_PIPE, messages=(LARGE,)),
}
FROM_START = ("mbox", "mbox, compiled configuration")  # where also the start of the program is tried
