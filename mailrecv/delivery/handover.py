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
    """

    recipient: str
    method: str
    target: str


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

    When some copies were delivered and others failed, the failed ones go to `deadletter_file`, if there is one, and all
    of these together may take as long as one delivery. When none was delivered, the sender still has the message, and
    is told so.
    """
    attempts = [_attempt(message, destination, limits) for destination in destinations]
    outcomes = [attempt.outcome for attempt in attempts]
    rescues: list[Attempt] = []
    if (
        deadletter_file is not None
        and any(outcome.delivered for outcome in outcomes)
        and durable.keeps(deadletter_file)
    ):
        rescue_deadline = time.monotonic() + min(limits.seconds, _LONGEST_SECONDS)
        rescues = [
            _rescue(message, Destination(attempt.recipient, "append", deadletter_file), rescue_deadline)
            for attempt in attempts
            if not attempt.outcome.delivered
        ]
    rescued = sum(rescue.outcome.delivered for rescue in rescues)
    return verdict(message.id, outcomes, rescued, limits.too_slow), attempts + rescues


def _attempt(message: Message, to: Destination, limits: DeliveryLimits) -> Attempt:
    began = time.monotonic()
    if began < limits.deadline:
        outcome = _deliver(message, to, began + min(limits.seconds, _LONGEST_SECONDS))
    else:
        outcome = Outcome(Status.TEMPORARY, "no time was left for it", timed_out=True)
    return Attempt(to.recipient, to.method, to.target, outcome, time.monotonic() - began)


def _rescue(message: Message, to: Destination, deadline: float) -> Attempt:
    began = time.monotonic()
    outcome = _deliver(message, to, deadline)
    return Attempt(to.recipient, to.method, to.target, outcome, time.monotonic() - began, dead_letter=True)


def _deliver(message: Message, destination: Destination, deadline: float) -> Outcome:
    """Deliver one copy. An error of the system is a temporary failure: it is this machine's, not the message's."""
    recipient, target = destination.recipient, destination.target
    try:
        match destination.method:
            case "append":
                mbox.append(message, recipient, target, deadline)
            case "maildir":
                maildir.deliver(message, recipient, target)
            case "pipe":
                return command.run(message, recipient, target, deadline)
            case method:
                raise ValueError(f"no such method: {method}")
    except OSError as error:
        where = "" if destination.method == "pipe" else target
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
