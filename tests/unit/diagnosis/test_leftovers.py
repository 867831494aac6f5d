"""Mail that no line speaks of, and copies that could not be delivered."""

from __future__ import annotations

import pytest

from mailrecv.diagnosis.leftovers import advise
from mailrecv.diagnosis.ranges import advise as advise_on_ranges
from tests.support.advice import advice

DELIVER = "deliver rcpt_to status@mydomain.com append /srv/status"
EVERYBODY = "error rcpt_to . 550 No"


def test_dead_letters_that_are_thrown_away() -> None:
    """A dead letter file that keeps nothing is a loss, and a greater one where it takes mail for all others."""
    [(line, column, text, instead)] = advice(advise, DELIVER, "deadletter_file /dev/null")
    assert (line, column) == (2, 17)
    assert text == "/dev/null keeps nothing: mail for other recipients is accepted and lost"
    assert instead.startswith("name a file, or remove this line and write: error rcpt_to")
    [(_, _, text, instead)] = advice(advise, DELIVER, EVERYBODY, "deadletter_file /dev/null")
    assert text == "/dev/null keeps nothing: no copy is saved there"
    assert instead == "name a file, or remove this line"


def test_nothing_for_other_recipients() -> None:
    """Without a line for all other recipients, it is told what becomes of their mail, at the last line."""
    [(line, column, text, instead)] = advice(advise, DELIVER, "error rcpt_to ^sales@ 550 No")
    assert (line, column) == (2, 1)
    assert text.endswith("nobody@mydomain.com is refused with 550 No such recipient")
    assert "error rcpt_to . 550" in instead
    assert "deadletter_file PATH" in instead


@pytest.mark.parametrize(
    "lines", [[EVERYBODY], [DELIVER, EVERYBODY], [DELIVER, "error rcpt_to @ 550 No"], [DELIVER, "deadletter_file /x"]]
)
def test_nothing_left_over(lines: list[str]) -> None:
    """Where the configuration speaks of all recipients there is nothing to say."""
    assert advice(advise, *lines) == []


def test_nothing_at_all() -> None:
    """A configuration that takes no mail, and does not say so, is told as a whole."""
    [(line, _, text, _)] = advice(advise, "domain mydomain.com")
    assert line == 0
    assert text.startswith("there is no deliver line")


@pytest.mark.parametrize(
    "line, column",
    [
        ("allow remotehost ^mail[a-zA-z0-9-]*$", 18),
        ("allowgroup +g [A-z]", 15),
        ("error rcpt_to ^[^.A-z]+@ 550 No", 15),
    ],
)
def test_ranges_that_hold_more_than_letters(line: str, column: int) -> None:
    """`A-z` in a class is told, whoever the pattern is for."""
    [(number, at, text, instead)] = advice(advise_on_ranges, line)
    assert (number, at) == (1, column)
    assert text.startswith("the range A-z also holds ")
    assert instead.startswith("write: a-z")


@pytest.mark.parametrize("pattern", ["[a-z]", "[A-Z]", "A-z", r"[\]]A-z", "[a]A-z"])
def test_other_ranges(pattern: str) -> None:
    """Ranges of letters, and the same characters outside of a class, are let pass."""
    assert advice(advise_on_ranges, f"error rcpt_to {pattern} 550 No") == []
