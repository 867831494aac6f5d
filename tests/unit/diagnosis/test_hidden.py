"""Lines that never decide."""

from __future__ import annotations

import pytest

from mailrecv.diagnosis.hidden import advise
from tests.support.advice import advice

GROUPS = (r"allowgroup +g ^mail\.x$", r"allowgroup +h ^mail\.x$", r"allowgroup +h ^mx\.x$")


def places(*lines: str) -> list[tuple[int, int]]:
    return [(line, column) for line, column, _, _ in advice(advise, *lines)]


@pytest.mark.parametrize("first", [".*", ".", "^.*$", ".+", "^", "@"])
def test_an_error_line_that_hides_another(first: str) -> None:
    """What an earlier error line takes, a later one never sees; it is told which one that is."""
    found = advice(advise, f"error rcpt_to {first} 550 No", "error rcpt_to ^sales@ 550 Please use the form")
    text = "this line never decides: line 1 takes all that it matches"
    assert found == [(2, 15, text, "move it before line 1, or remove it")]


@pytest.mark.parametrize(
    "first, second",
    [
        ("^sales@", "."),
        ("^sales@x$", "^sales@"),
        (r"\.com$", r"\.com\.$"),
        ("^a", "a"),
        ("[a-z]", "x"),
        ("sales", "(sales)"),
    ],
)
def test_error_lines_that_hide_nothing(first: str, second: str) -> None:
    """A line that takes less, or of which it cannot be told, is let pass."""
    assert places(f"error rcpt_to {first} 550 No", f"error rcpt_to {second} 550 No") == []


@pytest.mark.parametrize(
    "first, second",
    [
        ("sales", "^sales@x$"),
        (r"@x\.com$", r"^a@x\.com$"),
        ("^a@", "^a@b"),
        ("^a@b$", "^A@b$"),
        ("(odd){2}", "(odd){2}"),
    ],
)
def test_error_lines_that_hide_some(first: str, second: str) -> None:
    """Plain text is compared as the patterns mean it, other patterns only with the same."""
    assert places(f"error rcpt_to {first} 550 No", f"error rcpt_to {second} 550 No") == [(2, 15)]


def test_an_error_line_for_an_address_that_is_delivered() -> None:
    """An error line about an address with a deliver line never decides: deliver lines come first."""
    lines = ["deliver rcpt_to a@b append /x", r"error rcpt_to ^a@b$ 550 No", "error rcpt_to ^a@ 550 No"]
    assert places(*lines) == [(2, 15)]


def test_a_deliver_line_after_one_without_a_group() -> None:
    """What comes after a line that admits everybody is never reached."""
    lines = ["deliver rcpt_to A@b append /x", "deliver rcpt_to a@b append /y"]
    [(line, column, text, instead)] = advice(advise, *lines)
    assert (line, column) == (2, 1)
    assert text == "this line is never reached: line 1 takes a@b from everybody"
    assert instead == "move it before line 1, or remove it"


@pytest.mark.parametrize("first, second, reached", [("g", "g", False), ("h", "g", False), ("g", "h", True)])
def test_deliver_lines_with_groups(first: str, second: str, *, reached: bool) -> None:
    """A line is never reached if an earlier one's group admits all that its own does."""
    lines = [f"deliver allowgroup +{group} rcpt_to a@b append /{group}" for group in (first, second)]
    unused = [] if {first, second} == {"g", "h"} else [(2, 12)]
    assert places(*GROUPS, *lines) == ([] if reached else [(5, 1)]) + unused


def test_lines_that_are_all_reached() -> None:
    """A line with a group before one without, and lines for other addresses, are as they should be."""
    lines = [
        "deliver allowgroup +g rcpt_to a@b append /x",
        "deliver allowgroup +h rcpt_to a@b append /y",
        "deliver rcpt_to a@b append /z",
        "deliver rcpt_to b@b append /z",
    ]
    assert places(*GROUPS, *lines) == []


@pytest.mark.parametrize(
    "address, instead",
    [
        ("postmaster", "write: postmaster@mydomain.com"),
        ('"a"@b', "write: a@b"),
        ("a@b@c", "write an address as in name@mydomain.com"),
        ("jürgen@b", "write an address in ASCII, or limit.smtp_ascii off"),
    ],
)
def test_addresses_that_no_client_can_name(address: str, instead: str) -> None:
    """An address that RCPT TO never gives is told, with the form that it does."""
    lines = ["domain mydomain.com", f"deliver rcpt_to {address} append /x"]
    [(line, column, _, what)] = advice(advise, *lines)
    assert (line, column, what) == (2, 17, instead)


def test_an_unused_group() -> None:
    """A group that no deliver line uses decides nothing."""
    [(line, column, text, _)] = advice(advise, r"allowgroup +g ^a$", r"allowgroup +g ^b$")
    assert (line, column, text) == (1, 12, "no deliver line uses the group +g")
