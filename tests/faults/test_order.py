"""The order of the system calls of a delivery, as strace sees it: the data is written, then synced, then every new name
is, and only then does the client hear 250.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest

from tests.faults.ledger import Ledger
from tests.faults.places import FIRST, PLACES
from tests.faults.traced import Told, hold_session

pytestmark = pytest.mark.needs_tool("strace")

TRACE = "write,fsync,link,rename,unlink,mkdir,execve,wait4,sendto"
MAILDIR = ["write tmp/MAIL", "fsync tmp/MAIL", "link tmp/MAIL new/MAIL", "unlink tmp/MAIL", "fsync new"]
ORDERS = {
    "mbox": ["write mbox", "fsync mbox", "250"],
    "new mbox": ["fsync .", "write mbox", "fsync mbox", "250"],
    "Maildir": [*MAILDIR, "250"],
    "new Maildir": [
        "mkdir home",
        "fsync ..",  # in case that whoever made the folder of this test was killed before its name was safe
        "fsync .",
        "mkdir box",
        "fsync home",
        *("mkdir new", "fsync home", "fsync box"),
        *("mkdir cur", "fsync home", "fsync box"),
        *("mkdir tmp", "fsync home", "fsync box"),
        *(*MAILDIR, "250"),
    ],
    "command": ["write message", "execve sh", "wait4", "250"],
    "dead letters": ["write mbox", "fsync mbox", "fsync .", "write dead", "fsync dead", "250"],
}


@pytest.mark.parametrize("place", ORDERS)
def test_order(tmp_path: Path, place: str) -> None:
    """All that is promised is done before the message is acknowledged, and in an order that a power cut may end."""
    PLACES[place].prepare(tmp_path)
    ledger = Ledger(tmp_path)
    told = hold_session(tmp_path, PLACES[place].recipients, [FIRST], trace=TRACE)
    assert told.messages[0].acknowledged
    assert [step for step, _ in groupby(steps(told, tmp_path))] == ORDERS[place]
    assert ledger.follow(told.own_calls) == [set()]


def steps(told: Told, folder: Path) -> Iterator[str]:
    """Yield what the session and the shell that it starts do for the delivery, in short."""
    for call in told.calls:
        if call.name == "sendto":
            yield from re.findall(r"(?<!\d)(250) OK [0-9a-f]{12,}", call.arguments)
        elif call.name == "execve" and call.paths[0] == "/bin/sh":
            yield "execve sh"
        elif call in told.own_calls and not call.failed:
            names = [shown(Path(path), folder) for path in call.paths]
            if names != ["log"]:
                yield " ".join([call.name, *names])


def shown(path: Path, folder: Path) -> str:
    """Return the last part of a path, and of a file in a Maildir that of its folder too."""
    if re.match(r"\d{10}\.", path.name):
        return f"{path.parent.name}/MAIL"
    return {folder: ".", folder.parent: ".."}.get(path, path.name.removeprefix("memfd:"))
