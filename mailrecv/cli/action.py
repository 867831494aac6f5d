"""What the modules of the actions have in common: the types of `add`, and how they print."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from typing import Any, TypeAlias

Actions: TypeAlias = "argparse._SubParsersAction[Any]"  # what add_subparsers returns
Parents: TypeAlias = Sequence[argparse.ArgumentParser]  # of the options that actions share


def print_anything() -> None:
    """Let standard output take any text: what it cannot encode, such as odd octets in a path, is shown by number."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
