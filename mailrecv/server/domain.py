"""What this server calls itself when the configuration does not say: the host's fully qualified name."""

from __future__ import annotations

import os
import socket

from mailrecv.client import within

_LOOKUP_SECONDS = 5.0  # longer than that, and the short name has to do


def host_name(seconds: float) -> str:
    """Return the host's name, completed by the system's resolver where it has no dot.

    seconds: how long that may take at most.
    """
    name = os.uname().nodename
    if "." in name:
        return name
    try:
        full = within(min(seconds, _LOOKUP_SECONDS), socket.getfqdn, name)
    except OSError:
        return name
    return full if "." in full else name
