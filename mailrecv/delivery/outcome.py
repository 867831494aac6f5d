"""What became of a copy, and the one reply that follows from what became of all."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from mailrecv.reply import Reply
from mailrecv.values import Value


class Status(Enum):
    """How a delivery ended."""

    DELIVERED = "delivered"
    TEMPORARY = "temporary"  # the same may succeed later
    PERMANENT = "permanent"


class Outcome(Value):
    """The end of one delivery.

    detail: why it failed, or empty.  output: the lines that a command wrote.  timed_out: it took longer than allowed.
    left_behind: the processes of a command that live on after its end, by name and number.
    """

    status: Status
    detail: str = ""
    output: tuple[str, ...] = ()
    timed_out: bool = False
    left_behind: tuple[str, ...] = ()

    @property
    def delivered(self) -> bool:
        """True when the copy is safe."""
        return self.status is Status.DELIVERED


class Attempt(Value):
    """One delivery that was tried.

    recipient: the address.  method, target: where the copy went or should have gone.  seconds: how long it took.
    dead_letter: it went to the dead letter file because the recipient's own delivery had failed.
    """

    recipient: str
    method: str
    target: str
    outcome: Outcome
    seconds: float
    dead_letter: bool = False


def verdict(message_id: str, copies: Sequence[Outcome], rescued: int, too_slow: Reply) -> Reply:
    """Return the reply to the end of the mail data.

    copies: the outcome for each recipient.  rescued: how many of the failed ones are safe with the dead letters.
    too_slow: the reply when nothing was delivered because of the time limit.

    250 only if every copy is safe. With some delivered and one lost it is 451: twice is better than never.
    """
    failed = [copy for copy in copies if not copy.delivered]
    if len(failed) == rescued:
        return Reply(250, f"OK {message_id}")
    if len(failed) < len(copies):
        return Reply(451, f"Not delivered to every recipient, try again later ({message_id})")
    if any(copy.timed_out for copy in failed):
        return too_slow
    if any(copy.status is Status.TEMPORARY for copy in failed):
        return Reply(451, f"Not delivered, try again later ({message_id})")
    return Reply(554, f"Delivery failed ({message_id})")
