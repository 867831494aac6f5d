"""The one reply to the end of the mail data."""

from __future__ import annotations

import pytest

from mailrecv.delivery.outcome import Outcome, Status, verdict
from mailrecv.reply import Reply

DELIVERED, TEMPORARY, PERMANENT = (Outcome(status) for status in Status)
TIMED_OUT = Outcome(Status.TEMPORARY, timed_out=True)
TOO_SLOW = Reply(450, "Too slow")


@pytest.mark.parametrize(
    "copies, rescued, code",
    [
        ([DELIVERED], 0, 250),
        ([TEMPORARY], 0, 451),
        ([PERMANENT], 0, 554),
        ([PERMANENT, TEMPORARY], 0, 451),
        ([DELIVERED, PERMANENT], 0, 451),
        ([DELIVERED, PERMANENT], 1, 250),
        ([DELIVERED, PERMANENT, TEMPORARY], 1, 451),
        ([DELIVERED, PERMANENT, TEMPORARY], 2, 250),
        ([TIMED_OUT], 0, 450),
        ([PERMANENT, TIMED_OUT], 0, 450),
        ([DELIVERED, TIMED_OUT], 0, 451),
        ([DELIVERED, TIMED_OUT], 1, 250),
    ],
)
def test_verdict(copies: list[Outcome], rescued: int, code: int) -> None:
    """250 only if every copy is safe; else the sender hears whether to come again; nothing delivered in time has a word
    of its own.
    """
    assert verdict("60a1b2", copies, rescued, TOO_SLOW).code == code


@pytest.mark.parametrize("copies", [[DELIVERED], [TEMPORARY], [PERMANENT], [DELIVERED, PERMANENT]])
def test_the_reply_names_the_message(copies: list[Outcome]) -> None:
    """The id stands in the reply, so that the sender's log and this one can be put together."""
    assert "60a1b2" in verdict("60a1b2", copies, 0, TOO_SLOW).text


@pytest.mark.parametrize("outcome, delivered", [(DELIVERED, True), (TEMPORARY, False), (PERMANENT, False)])
def test_delivered(outcome: Outcome, delivered: bool) -> None:
    """Only a delivered copy is safe."""
    assert outcome.delivered is delivered
