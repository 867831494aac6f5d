"""Power cuts: whatever a disk had not been told to flush is gone, and every message that was acknowledged is there."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import pytest

from mailrecv.delivery import mbox
from tests.clients.servers import Server, Starter
from tests.faults.places import NEXT, Place
from tests.faults.recorded_disk import RecordedDisk
from tests.support.delivery import RECIPIENT, a_message, copy_of, messages_in
from tests.support.figures import Figures

WRITERS = 3
PLACE = Place(
    "deliver rcpt_to me@mydomain.com append {folder}/mbox\n"
    "deliver rcpt_to list@mydomain.com maildir {folder}/home/box\n"
    "deliver rcpt_to lost@mydomain.com append {folder}/missing/mbox\n"
    "deadletter_file {folder}/dead",
    recipients=("me", "list", "lost"),
)


SIZES = (0, 100, 5_000, 40_000)  # octets of mail data


@dataclass(frozen=True)
class Acknowledged:
    """A message, and the moment at which its client had read the 250."""

    data: bytes
    moment: int


@pytest.mark.needs_root
@pytest.mark.needs_tool("mkfs.ext4")
@pytest.mark.parametrize(
    "messages, cuts_between", [(4, 10), pytest.param(40, 100, marks=[pytest.mark.long, pytest.mark.timeout(1200)])]
)
def test_power_cuts(start: Starter, tmp_path: Path, messages: int, cuts_between: int, figure: Figures) -> None:
    """At the moment of each 250, and at many moments between, with none and with a part of what was not flushed."""
    disk = RecordedDisk(tmp_path)
    with disk.in_use():
        rules = PLACE.rules.format(folder=disk.mounted)
        server = start.server("listen", site=start.site(config=f"domain mydomain.com\nlogfile {{folder}}/log\n{rules}"))
        try:
            with ThreadPoolExecutor(WRITERS) as pool:
                sent = pool.map(lambda writer: send(server, disk, writer, messages), range(WRITERS))
                acknowledged = list(chain.from_iterable(sent))
        finally:
            start.end()  # the server, or the disk would stay in use
        last = disk.moment()
    chance = random.Random(messages)  # noqa: S311 - the same in every run
    moments = [message.moment for message in acknowledged]
    moments += [chance.randrange(min(moments), last) for _ in range(cuts_between)]
    kept = 0
    for moment in moments:
        for source in (None, chance):
            with disk.after_power_cut(moment, source):
                kept += check(disk.mounted, acknowledged, moment)
    figure(f"{2 * len(moments)} power cuts survived, with {kept} acknowledged messages in three places each")
    figure.add(2 * len(moments), "power cuts survived")


def send(server: Server, disk: RecordedDisk, writer: int, messages: int) -> list[Acknowledged]:
    """Send messages to all recipients, and return them."""
    sent = []
    for number in range(messages):
        data = b"Subject: %d %d\n\n" % (writer, number) + b"%07d\n" % number * (SIZES[number % len(SIZES)] // 8)
        with server.connect() as client:
            client.envelope(*PLACE.recipients)
            client.send(data.replace(b"\n", b"\r\n") + b".\r\n")
            assert client.reply().startswith("250 ")
            sent.append(Acknowledged(data, disk.moment()))
            client.ask("QUIT")
    return sent


def check(folder: Path, sent: list[Acknowledged], moment: int) -> int:
    """Check what a power cut has left. Return how many messages had been acknowledged by then.

    Where an append fits into the last block of a file, ext4 may commit the new size before the data is on the disk:
    NULs stand in its place then, until the next append cuts them off.
    """
    mail = {message.data for message in sent}
    found = PLACE.find(folder, mail, padded=True)
    for message in sent:
        counts = {found.whole[recipient, message.data] for recipient in PLACE.recipients}
        assert counts <= ({1} if message.moment <= moment else {0, 1}), message
    assert not [path for path in folder.glob("home/box/new/*") if path.read_bytes() in found.torn]

    following = a_message(NEXT)
    for name in ("mbox", "dead"):
        mbox.append(following, [RECIPIENT], str(folder / name), time.monotonic() + 5)
        assert messages_in(folder / name)[-1] == copy_of(following)
    assert PLACE.find(folder, mail).whole == found.whole
    return sum(message.moment <= moment for message in sent)
