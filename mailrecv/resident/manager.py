"""What systemd is told about a service that stays (sd_notify(3)): ready, reloading, stopping, alive, and how it does.

Without systemd nobody listens, and nothing happens. Nor does it when somebody should listen but does not: that is no
reason to serve nobody.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress

from systemd.daemon import notify


def ready() -> None:
    """Say that clients are served, with the configuration that there is now."""
    _tell("READY=1")


def reloading() -> None:
    """Say that the configuration is read again; `ready` ends that."""
    _tell(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")


def stopping() -> None:
    """Say that no new clients are served, and that the end will come."""
    _tell("STOPPING=1")


def alive() -> None:
    """Say that all is well. When this stays away for the unit's WatchdogSec=, systemd starts the service anew."""
    _tell("WATCHDOG=1")


def status(text: str) -> None:
    """Say in a line of words how things are; `systemctl status` shows it."""
    _tell(f"STATUS={text}")


def longest_silence() -> float | None:
    """Return how many seconds `alive` may stay away, or None when systemd does not watch."""
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    watched = os.environ.get("WATCHDOG_PID") in (None, str(os.getpid()))
    return int(microseconds) / 1e6 if watched and microseconds.isdigit() else None


def _tell(text: str) -> None:
    with suppress(OSError):  # a name that was inherited from a service which has ended; systemd is just starting anew
        notify(text)
