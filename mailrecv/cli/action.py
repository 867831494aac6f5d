"""What the modules of the actions have in common: the types of `add`, and how they print."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

Actions: TypeAlias = "argparse._SubParsersAction[Any]"  # what add_subparsers returns
Parents: TypeAlias = Sequence[argparse.ArgumentParser]  # of the options that actions share


def print_anything() -> None:
    """Let standard output take any text: what it cannot encode, such as odd octets in a path, is shown by number."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def say(lines: Iterable[str]) -> None:
    """Print lines, now. Whoever reads them may be gone, as `head` soon is; any other failure ends the program."""
    try:
        for line in lines:
            print(line)
        sys.stdout.flush()
    except BrokenPipeError:
        _print_nowhere()
    except OSError as error:
        _print_nowhere()
        print(f"mailrecv: standard output cannot be written: {error.strerror}", file=sys.stderr)
        sys.exit(os.EX_IOERR)


def say_text(text: str) -> int:
    """Print a text that ends a program well, and return the exit status of that.  text: with its last line end."""
    print_anything()
    say([text.removesuffix("\n")])
    return os.EX_OK


def _print_nowhere() -> None:
    """Let standard output lead nowhere, or what it still holds would fail once more at the end of the program."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
