"""Sessions that are killed: what was acknowledged is there, once, and what was not harms nothing that comes after it.

A session is killed right before each of its system calls in turn, which is every moment that can be told apart from
outside; only a write(2) can also be cut short in its middle, and the tests of the mbox do that at each octet.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from pathlib import Path

import pytest

from tests.faults.ledger import Ledger
from tests.faults.places import NEXT, PLACES, Found, Place
from tests.faults.traced import Injection, hold_session, numbers
from tests.support.figures import Figures

pytestmark = pytest.mark.needs_tool("strace")

DELIVERING = {"write", "fsync", "link", "unlink", "mkdir", "vfork", "wait4", "sendto"}


@dataclass
class Tally:
    """What came of many sessions.  torn: copies that were cut off."""

    kills: int = 0
    acknowledged: int = 0
    torn: int = 0

    def __str__(self) -> str:
        return f"{self.kills} kills survived, {self.acknowledged} acknowledged messages kept, {self.torn} torn copies"


@pytest.mark.parametrize("place", ["new mbox", "new Maildir", "command"])
def test_killed_at_a_delivering_call(tmp_path: Path, place: str, figure: Figures) -> None:
    """Before whichever of the calls it is killed that a delivery consists of."""
    total = die_everywhere(PLACES[place], tmp_path, sorted(DELIVERING))
    figure(f"{place}: {total}")
    figure.add(total.kills, "kills survived")


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("place", PLACES)
def test_killed_at_any_call(tmp_path: Path, place: str, figure: Figures) -> None:
    """Before whichever call it is killed, once the session has greeted its client."""
    names = names_of_calls(PLACES[place], tmp_path / "undisturbed")
    total = die_everywhere(PLACES[place], tmp_path, names)
    assert total.kills >= len(names)
    figure(f"{place}: {total}")
    figure.add(total.kills, "kills survived")


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_killed_at_any_call_from_the_start(tmp_path: Path, figure: Figures) -> None:
    """Before whichever call it is killed, those included that start the program."""
    place = "mbox, compiled configuration"
    names = names_of_calls(PLACES[place], tmp_path / "undisturbed", from_start=True)
    total = die_everywhere(PLACES[place], tmp_path, names, from_start=True)
    assert total.kills >= len(names)
    figure(f"{place}, the whole process: {total}")
    figure.add(total.kills, "kills survived")


def names_of_calls(place: Place, folder: Path, *, from_start: bool = False) -> list[str]:
    """Return the names of all system calls of a session that is not killed."""
    folder.mkdir()
    place.prepare(folder)
    told = hold_session(folder, place.recipients, place.messages, trace="all", from_start=from_start)
    return sorted({call.name for call in told.calls})


def die_everywhere(place: Place, folder: Path, names: Iterable[str], *, from_start: bool = False) -> Tally:
    """Kill sessions before every call with these names."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        tallies = pool.map(lambda name: die_until_survived(place, folder, name, from_start=from_start), names)
        return Tally(*(sum(column) for column in zip(*map(astuple, tallies), strict=True)))


def die_until_survived(place: Place, folder: Path, name: str, *, from_start: bool) -> Tally:
    """Kill a session before its first call of this name, another before its second, and so on; check what is left."""
    tally = Tally()
    for number in numbers(from_start=from_start):
        run = folder / f"{name}-{number}"
        run.mkdir()
        place.prepare(run)
        ledger = Ledger(run)
        told = hold_session(
            run, place.recipients, place.messages, Injection(name, number, "signal=KILL"), from_start=from_start
        )
        assert not any(ledger.follow(told.own_calls))
        found = place.find_what_was_acknowledged(run, told)
        tally.acknowledged += sum(sent.acknowledged for sent in told.messages)
        if not told.killed:
            assert all(sent.acknowledged for sent in told.messages)
            return tally
        tally.kills += 1
        tally.torn += len(found.torn)
        if told.greeted:
            next_told = hold_session(run, place.recipients, [NEXT])
            assert ledger.follow(next_told.own_calls) == [set()]
            found_next = place.find_what_was_acknowledged(run, next_told)
            assert found_next.whole == found.whole + Counter((recipient, NEXT) for recipient in place.recipients)
            assert len(found_next.torn) == len(found.torn)
        else:
            assert found == Found()
        shutil.rmtree(run)  # only those of failed checks are kept
    raise AssertionError
