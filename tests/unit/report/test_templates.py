"""Messages read back by the templates that they were made from."""

from __future__ import annotations

from string import Formatter

import pytest

from mailrecv.journal.catalogue import CATALOGUE, Entry
from mailrecv.report.templates import TEMPLATES, Unreadable, read_message

EXAMPLES = {
    "id": "660f202bb02027bc37657",
    "client_address": "2001:db8::7",
    "reply": "550-No one here / 550 by that name.",
    "cause": "quit",
    "limit": "smtp_commands",
    "seconds": "0.001",
    **dict.fromkeys(("commands", "line", "messages", "recipients", "refusals", "size", "times"), "12"),
}


@pytest.mark.parametrize("entry", CATALOGUE.values(), ids=CATALOGUE)
def test_every_entry_is_read_back(entry: Entry) -> None:
    """The message of each kind of entry gives back its name and the facts that stand in it."""
    names = [name for _, name, _, _ in Formatter().parse(entry.message) if name]
    facts = {name: EXAMPLES.get(name, f"some {name} here") for name in names}
    assert read_message(entry.message.format_map(facts)) == (entry.name, facts)


def test_there_is_a_template_for_every_entry() -> None:
    """No entry of the catalogue is left out."""
    assert {template.name for template in TEMPLATES} == set(CATALOGUE)


def test_a_message_of_two_readings() -> None:
    """A message that can be cut in two ways is read in neither."""
    assert read_message("f1: to=<a> output: > output: x") is Unreadable.AMBIGUOUS


def test_output_of_a_command_is_no_delivery() -> None:
    """What a command prints, which may be any text of a stranger's mail, stays its output."""
    text = "f1: from=<a> to=<b> route=x size=1 seconds=0.001 delivered"
    assert read_message(f"f1: to=<a> output: {text}") == (
        "command_output",
        {"id": "f1", "recipient": "a", "text": text},
    )


@pytest.mark.parametrize(
    "text", ["", "hello", "ERROR", "connection closed", "delivered", " delivered", "f1: from=<a> delivered"]
)
def test_what_fits_no_template(text: str) -> None:
    """Any other text is not read."""
    assert read_message(text) is Unreadable.UNKNOWN
