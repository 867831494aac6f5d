"""Delivery into a Maildir (https://cr.yp.to/proto/maildir.html): a file of its own for each copy, and no lock."""

from __future__ import annotations

import os
from itertools import count

from mailrecv import trusted_path
from mailrecv.delivery import durable
from mailrecv.delivery.message import Message

_MICROSECONDS = 1_000_000  # of a second

_deliveries = count(1)  # of this process


def deliver(message: Message, recipient: str, directory: str) -> None:
    """Put the copy for one recipient into the Maildir at `directory`, which is made if it is missing.

    Raises OSError when the copy is not safe; nothing of it is left then.
    """
    new, cur, tmp = (os.path.join(directory, folder) for folder in ("new", "cur", "tmp"))
    durable.make_directories(directory, new, cur, tmp)  # tmp last: once it is there, the other names are safe
    reached = trusted_path.follow(directory)  # now that it is there
    new, tmp = (trusted_path.follow(folder, reached) for folder in ("new", "tmp"))
    name = _unique_name(message)
    written = os.path.join(tmp, name)
    durable.store(written, message.copy_for(recipient))
    durable.rename(written, os.path.join(new, name))


def _unique_name(message: Message) -> str:
    """Return the time, the process, the number of its deliveries, something random, and the host.

    Sorted by the numbers in their names, as `git am` does it, messages are in the order in which they came.
    """
    seconds, microseconds = divmod(round(message.received * _MICROSECONDS), _MICROSECONDS)
    host = os.uname().nodename.replace("/", "\\057").replace(":", "\\072")
    unique = f"M{microseconds:06}P{os.getpid()}Q{next(_deliveries)}R{os.urandom(4).hex()}"
    return f"{seconds}.{unique}.{host}"
