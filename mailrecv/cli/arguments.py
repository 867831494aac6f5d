"""What a command line asks for, told without argparse, which costs a session more than its work."""

from __future__ import annotations

from collections.abc import Sequence

ACTIONS = ("check", "explain", "listen", "report", "trace")
_OPTIONS_WITH_VALUE = ("-c", "-d", "-l")
_QUESTIONS = ("-h", "-help", "--help", "--version")


def is_for_a_person(arguments: Sequence[str]) -> bool:
    """Say whether the command line asks for what a person reads, and not for a session with a client.

    Then the standard streams stay as they are, even where they are sockets, as they are under ssh without a terminal.
    """
    words = iter(arguments)
    for word in words:
        if word in _OPTIONS_WITH_VALUE:
            next(words, None)
        elif not word.startswith("-"):
            return word in ACTIONS
        elif word in _QUESTIONS:
            return True
    return False
