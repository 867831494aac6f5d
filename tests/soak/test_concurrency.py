"""Many messages at the same time into the same mailboxes, while others rename, lock and rewrite these: every message
that was acknowledged is there, octet for octet; and only there twice where its mbox was renamed in that moment.
"""

from __future__ import annotations

import random
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest

from tests.clients.servers import Site, Starter, Wire, without_trace
from tests.soak import meddler
from tests.support.delivery import messages_in
from tests.support.figures import Figures

WRITERS = 8
MESSAGES_PER_SESSION = 100
SLOW_ONE_IN = 25  # as many messages go to the slow command too
LARGEST_OCTETS = 1_000_000
PATIENCE_SECONDS = 120.0
CONFIG = """\
domain mydomain.com
logfile {folder}/log
deliver rcpt_to me@mydomain.com append {folder}/mbox
deliver rcpt_to list@mydomain.com maildir {folder}/maildir
deliver rcpt_to slow@mydomain.com pipe sleep 0.2; cat >{folder}/slow.$MAILRECV_ID"""

SMALL = re.compile(rb"(?m)^(Subject: \d+ \d+\n\nx\n)\n")  # in an mbox, where some may be torn
ENVELOPE = ("MAIL FROM:<me@client>", "RCPT TO:<me@mydomain.com>", "DATA")

Connect = Callable[[], Wire]


def one_server(start: Starter, site: Site) -> Connect:
    """All writers talk to one resident server, which has a thread for each."""
    return start.server("listen", site=site).connect


def many_processes(start: Starter, site: Site) -> Connect:
    """Each writer talks to a session of its own, which is a process."""
    return lambda: start.session(site=site).wire


@pytest.mark.parametrize("messages", [15, pytest.param(2000, marks=[pytest.mark.long, pytest.mark.timeout(3600)])])
@pytest.mark.parametrize("way", [one_server, many_processes])
def test_many_at_the_same_time(
    start: Starter, way: Callable[[Starter, Site], Connect], messages: int, figure: Figures
) -> None:
    """What is acknowledged, 8 writers at a time, is in the mbox, in the Maildir and with the command."""
    began = time.monotonic()
    site = start.site(config=CONFIG)
    connect = way(start, site)
    with meddling(site) as meddled, ThreadPoolExecutor(WRITERS) as pool:
        sent = list(pool.map(lambda writer: write(connect, writer, messages), range(WRITERS)))
    every, slow = (sum(counters, Counter[bytes]()) for counters in zip(*sent, strict=True))
    assert every.total() == WRITERS * messages
    appended = digests(copies_in_mboxes(site.folder))
    assert appended >= every
    assert set(appended) == set(every)
    assert digests(path.read_bytes() for path in site.folder.glob("maildir/*/*")) == every
    assert digests(path.read_bytes().partition(b"\n")[2] for path in site.folder.glob("slow.*")) == slow
    figure(
        f"{way.__name__.replace('_', ' ')}: {every.total()} messages acknowledged and found in mbox and Maildir,"
        f" {slow.total()} with the command, {(appended - every).total()} twice in the mbox; {', '.join(meddled)};"
        f" {time.monotonic() - began:.0f} seconds"
    )
    figure.add(2 * every.total() + slow.total(), "copies acknowledged, found once and compared")
    for path in site.folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != "log":
            path.unlink()


MOVING = """\
while [ -e go ]; do
    mv mbox w && cat w >>read && rm w
    n=$(((n + 3) % 10))
    sleep 0.0$n
done
"""


@pytest.mark.parametrize("way", [one_server, many_processes])
@pytest.mark.parametrize("messages", [40, pytest.param(1000, marks=[pytest.mark.long, pytest.mark.timeout(1800)])])
def test_an_mbox_that_is_moved_away_all_the_time(
    start: Starter, way: Callable[[Starter, Site], Connect], messages: int, figure: Figures
) -> None:
    """`mv mbox w; cat w; rm w`, without any lock, as long as mail comes in: it gets all that was acknowledged."""
    limits = "limit.delivery_secs 20\nlimit.connection_secs 1800\nlimit.smtp_commands 10000"
    site = start.site(config=f"{CONFIG}\n{limits}")
    connect = way(start, site)
    (site.folder / "go").touch()
    with subprocess.Popen(["sh", "-c", MOVING], cwd=site.folder, stderr=subprocess.DEVNULL) as moving:
        try:
            with ThreadPoolExecutor(WRITERS) as pool:
                sent = list(pool.map(lambda writer: write_small(connect, writer, messages), range(WRITERS)))
        finally:
            (site.folder / "go").unlink()
        assert moving.wait() <= 1
    acknowledged = set().union(*sent)
    octets = b"".join(path.read_bytes() for path in (site.folder / "read", site.folder / "mbox") if path.exists())
    assert acknowledged
    assert acknowledged <= set(re.findall(SMALL, octets))
    figure.add(len(acknowledged), "copies acknowledged and found though their mbox was moved away")


def write_small(connect: Connect, writer: int, messages: int) -> set[bytes]:
    """Send small messages, and return those that were acknowledged."""
    acknowledged = set()
    with connect() as wire:
        wire.socket.settimeout(PATIENCE_SECONDS)
        for number in range(messages):
            data = b"Subject: %d %d\n\nx\n" % (writer, number)
            assert SMALL.fullmatch(data + b"\n")
            if number == 0:
                wire.envelope("me")
            else:
                assert [wire.ask(line)[:3] for line in ENVELOPE] == ["250", "250", "354"]
            wire.send(data.replace(b"\n", b"\r\n") + b".\r\n")
            if wire.reply().startswith("250 "):
                acknowledged.add(data)
    return acknowledged


def mail_data(writer: int, number: int) -> bytes:
    """Return mail data of up to 1 MB, more of it small than large, and some empty. It has no header, but its end."""
    chance = random.Random(writer << 32 | number)  # noqa: S311 - the same in every run
    size = int(LARGEST_OCTETS ** chance.random()) if number % 10 else chance.choice((0, LARGEST_OCTETS))
    line = b"From writer %d, message %d\n" % (writer, number) + b"%d\n" % chance.getrandbits(2000)
    return (b"\n" + line * (size // len(line) + 1))[: size - 1] + b"\n" if size else b""


def write(connect: Connect, writer: int, messages: int) -> tuple[Counter[bytes], Counter[bytes]]:
    """Send messages, and return the digests of those acknowledged: of all, and of those that the slow command got."""
    every, slow = Counter[bytes](), Counter[bytes]()
    for first in range(0, messages, MESSAGES_PER_SESSION):
        with connect() as wire:
            wire.socket.settimeout(PATIENCE_SECONDS)
            assert wire.reply().startswith("220 ")
            assert wire.ask("HELO client").startswith("250 ")
            for number in range(first, min(first + MESSAGES_PER_SESSION, messages)):
                data = mail_data(writer, number)
                is_slow = number % SLOW_ONE_IN == writer
                recipients = ["me", "list", "slow"] if is_slow else ["me", "list"]
                for line in ["MAIL FROM:<me@client>", *(f"RCPT TO:<{name}@mydomain.com>" for name in recipients)]:
                    assert wire.ask(line).startswith("250 ")
                assert wire.ask("DATA").startswith("354 ")
                wire.send(data.replace(b"\n", b"\r\n") + b".\r\n")
                assert wire.reply().startswith("250 ")
                every[sha256(data).digest()] += 1
                slow[sha256(data).digest()] += is_slow
            assert wire.ask("QUIT").startswith("221 ")
    return every, +slow


@contextmanager
def meddling(site: Site) -> Iterator[list[str]]:
    """Let others meddle with the mailboxes. Yield a list that has a line about it afterwards."""
    lines: list[str] = []
    process = subprocess.Popen([sys.executable, meddler.__file__, site.folder], stdout=subprocess.PIPE, text=True)
    try:
        yield lines
    finally:
        process.terminate()
        lines.append(process.communicate()[0].strip())
    assert process.returncode == 0


def copies_in_mboxes(folder: Path) -> Iterator[bytes]:
    """Yield all copies in the mbox, and in those that were put aside."""
    for path in folder.glob("mbox*"):
        yield from messages_in(path)


def digests(copies: Iterator[bytes]) -> Counter[bytes]:
    """Count the mail data of copies."""
    return Counter(sha256(without_trace(copy)).digest() for copy in copies)
