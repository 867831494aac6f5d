"""Hands a message to all its recipients, saves what fails with the dead letters, and answers for the whole."""

from __future__ import annotations

import errno
import math
import os
import time
from collections.abc import Sequence

from mailrecv.delivery import command, durable, maildir, mbox
from mailrecv.delivery.message import Message
from mailrecv.delivery.outcome import Attempt, Outcome, Status, verdict
from mailrecv.reply import Reply
from mailrecv.values import Value

_LONGEST_SECONDS = 1_000_000  # a time limit beyond this is none; poll(2) cannot wait for longer than 24 days


class Destination(Value):
    """Where one recipient's copy is to go.

    recipient: the address.  method: append, maildir or pipe.  target: a path or a command.
    unspoken_of: no line speaks of the recipient, so the target is the dead letter file.
    """

    recipient: str
    method: str
    target: str
    unspoken_of: bool = False


class DeliveryLimits(Value):
    """seconds: how long one delivery may take.  too_slow: the reply when nothing was delivered because of that.

    deadline: on the monotonic clock; past it no further delivery begins.
    """

    seconds: float
    too_slow: Reply
    deadline: float = math.inf


def hand_over(
    message: Message, destinations: Sequence[Destination], deadletter_file: str | None, limits: DeliveryLimits
) -> tuple[Reply, list[Attempt]]:
    """Deliver a message and return the reply to the end of the mail data, with every attempt that was made.

    One copy goes to `deadletter_file`, after all others: for the recipients that no line speaks of, and for those whose
    own copies failed. For these alone it goes there only if another copy was delivered: when none was, the sender still
    has the message, and is told so.
    """
    attempts = [_attempt(message, to, limits) for to in destinations if not to.unspoken_of]
    failed = [attempt.recipient for attempt in attempts if not attempt.outcome.delivered]
    some_delivered = len(failed) < len(attempts)
    if deadletter_file is not None:
        unspoken_of = [to.recipient for to in destinations if to.unspoken_of]
        rescuable = failed and (some_delivered or unspoken_of) and durable.keeps(deadletter_file)
        if some_delivered:  # past the deadline too: the sender has to send all of it again if this copy is lost
            limits = limits.replace(deadline=math.inf)
        attempts += _dead_letters(message, deadletter_file, unspoken_of, failed if rescuable else [], limits)
    outcomes = [attempt.outcome for attempt in attempts if not attempt.dead_letter]
    rescued = sum(attempt.outcome.delivered for attempt in attempts if attempt.dead_letter)
    return verdict(message.id, outcomes, rescued, limits.too_slow), attempts


def _attempt(message: Message, to: Destination, limits: DeliveryLimits) -> Attempt:
    outcome, seconds = _timed(message, [to.recipient], to.method, to.target, limits)
    return Attempt(to.recipient, to.method, to.target, outcome, seconds)


def _dead_letters(
    message: Message, path: str, unspoken_of: Sequence[str], failed: Sequence[str], limits: DeliveryLimits
) -> list[Attempt]:
    """Put the copy that these recipients share into the dead letter file. Return the attempt of each."""
    recipients = [*unspoken_of, *failed]
    if not recipients:
        return []
    outcome, seconds = _timed(message, recipients, "append", path, limits)
    return [Attempt(one, "append", path, outcome, seconds, dead_letter=one in failed) for one in recipients]


def _timed(
    message: Message, recipients: Sequence[str], method: str, target: str, limits: DeliveryLimits
) -> tuple[Outcome, float]:
    """Deliver one copy, if there is time left to begin. Return what became of it, and the seconds that it took."""
    began = time.monotonic()
    if began < limits.deadline:
        outcome = _deliver(message, recipients, method, target, began + min(limits.seconds, _LONGEST_SECONDS))
    else:
        outcome = Outcome(Status.TEMPORARY, "no time was left for it", timed_out=True)
    return outcome, time.monotonic() - began


def _deliver(message: Message, recipients: Sequence[str], method: str, target: str, deadline: float) -> Outcome:
    """Deliver one copy. An error of the system is a temporary failure: it is this machine's, not the message's.

    recipients: those whom it is for; the dead letter file takes a copy for several.
    """
    try:
        match method:
            case "append":
                mbox.append(message, recipients, target, deadline)
            case "maildir":
                maildir.deliver(message, recipients[0], target)
            case "pipe":
                return command.run(message, recipients[0], target, deadline)
            case _:
                raise ValueError(f"no such method: {method}")
    except OSError as error:
        where = "" if method == "pipe" else target
        return Outcome(Status.TEMPORARY, reason(error, where), timed_out=isinstance(error, TimeoutError))
    return Outcome(Status.DELIVERED)


def reason(error: OSError, where: str = "") -> str:
    """Return why a delivery failed, and what it failed at.  where: the path, if the error itself has none."""
    path = error.filename or where
    whom = f" for the user {_user()}" if error.errno == errno.EACCES else ""
    return (f"{path}: " if path else "") + f"{error.strerror or error}{whom}"


def _user() -> str:
    import pwd  # only a failure needs it

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
