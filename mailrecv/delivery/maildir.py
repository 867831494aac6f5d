"""Delivery into a Maildir (https://cr.yp.to/proto/maildir.html): a file of its own for each copy, and no lock."""

from __future__ import annotations

import os

from mailrecv import trusted_path
from mailrecv.delivery import durable
from mailrecv.delivery.message import Message


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
    """Return seconds, message id with some random octets (one message may come here twice) and host name."""
    host = os.uname().nodename.replace("/", "\\057").replace(":", "\\072")
    return f"{int(message.received)}.{message.id}R{os.urandom(4).hex()}.{host}"
