"""The descriptors that systemd passes to what it starts: sd_listen_fds(3).

Two variables of the environment tell. libsystemd would read the same, but to load it takes longer than there is time
before the greeting.
"""

from __future__ import annotations

import os

FIRST_FD = 3  # SD_LISTEN_FDS_START


def passed_fds() -> range:
    """Return the descriptors that were passed to this process. Raises ValueError when that is told in a strange way."""
    environment = os.environ
    if environment.get("LISTEN_PID") != str(os.getpid()):  # they were another's, which has passed on its environment
        return range(0)
    return range(FIRST_FD, FIRST_FD + int(environment.get("LISTEN_FDS", "0")))
