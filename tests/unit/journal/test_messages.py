"""docs/mailrecv.catalog, for `journalctl -x`: it explains each entry of the catalogue, and is safe to copy from."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from mailrecv.journal.catalogue import CATALOGUE, FAILED, SESSION_FACTS, Entry
from tests.support.guides import GUIDES
from tests.support.manual import LOG, PAGES, text, words

ROOT = Path(__file__).parents[3]
FILE = ROOT / "docs" / "mailrecv.catalog"
MESSAGES = dict(re.findall(r"(?ms)^-- ([0-9a-f]{32})\n(.*?)(?=^-- |^# |\Z)", FILE.read_text(encoding="utf-8")))
SAFE_FACTS = {"cause", "client_address", "id", "limit", "line"}  # no client can choose what these say
ENTRIES = pytest.mark.parametrize("entry", CATALOGUE.values(), ids=CATALOGUE)


def subject(message: str) -> str:
    """Return the subject of a message."""
    (found,) = re.findall(r"(?m)^Subject: (.*)$", message)
    return str(found)


def test_every_entry_is_explained() -> None:
    """There is a message for each entry, in the order of the catalogue, and no other."""
    assert list(MESSAGES) == [entry.message_id for entry in CATALOGUE.values()]


@ENTRIES
def test_form(entry: Entry) -> None:
    """A message has its headers, a blank line, and an explanation that fits on a terminal beside journalctl's marks."""
    headers, _, explanation = MESSAGES[entry.message_id].partition("\n\n")
    assert re.sub(r"(?<=: ).*", "", headers) == "Subject: \nDefined-By: \nDocumentation: "
    assert set(re.findall(r"man:(\S+)", headers)) <= {f"{page[:-2]}({page[-1]})" for page in PAGES}
    assert explanation.strip()
    assert [line for line in explanation.splitlines() if len(line) > 76] == []


def test_subjects_are_those_of_the_manual() -> None:
    """The subject of a message is the first sentence about its event in mailrecv.log(5)."""
    sentences = {words(item.term, "Cm")[0]: text(item.body).partition(".")[0] for item in LOG.items("EVENTS")}
    assert {entry.name: subject(MESSAGES[entry.message_id]) for entry in CATALOGUE.values()} == sentences


def test_a_guide_shows_a_message_as_it_is() -> None:
    """What docs/operating.md shows of `journalctl -x` is what the file has."""
    shown = "".join(re.findall(r"(?m)^\N{LIGHT SHADE}{2} (.*\n)", GUIDES["docs/operating.md"]))
    (message_id,) = re.findall(r"mailrecv trace (\w+)$", shown)
    assert shown == MESSAGES[FAILED.message_id].rstrip("\n").replace("@MAILRECV_ID@", message_id) + "\n"


@ENTRIES
def test_facts(entry: Entry) -> None:
    """A message shows only facts that its entry has, and none that a client can choose: people copy its commands."""
    shown = {name.lower() for name in re.findall(r"@MAILRECV_([A-Z_]+)@", MESSAGES[entry.message_id])}
    assert shown <= {*entry.facts, *SESSION_FACTS} & SAFE_FACTS


@ENTRIES
def test_flag(entry: Entry) -> None:
    """A message says which debug flag its entry is recorded for, if it is recorded for one."""
    flags = re.findall(r"`debug` directive has the flag\s(\S)", MESSAGES[entry.message_id])
    assert flags == [*entry.flag]


@pytest.mark.needs_tool("journalctl")
def test_systemd_understands_the_file(tmp_path: Path) -> None:
    """journalctl takes the file into its database without a complaint, and finds every message there."""
    (tmp_path / "usr/lib/systemd/catalog").mkdir(parents=True)
    shutil.copy(FILE, tmp_path / "usr/lib/systemd/catalog")
    journalctl = ["journalctl", f"--root={tmp_path}"]
    updated = subprocess.run([*journalctl, "--update-catalog"], capture_output=True, text=True, check=True)
    assert (updated.stdout, updated.stderr) == ("", "")
    listed = subprocess.run([*journalctl, "--list-catalog"], capture_output=True, text=True, check=True).stdout
    assert sorted(listed.splitlines()) == sorted(
        f"{message_id} mailrecv: {subject(message)}" for message_id, message in MESSAGES.items()
    )
