"""The grammar of the command line, by argparse: the options that actions share, and the actions."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from mailrecv import __version__
from mailrecv.cli import check, listen
from mailrecv.config import DEBUG_FLAGS, DEFAULT_PATH
from mailrecv.config.directives import parse_debug_flags


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(os.EX_USAGE, f"{self.prog}: {message}\n")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return what a command line says; for an action, `run` is what does it. Raises SystemExit, as argparse does."""
    # Not by set_defaults, which reaches the options that an action shares, and would undo what stands before it.
    return parser().parse_args(arguments, argparse.Namespace(config=DEFAULT_PATH, debug=None, logfile=None))


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    config = _Parser(add_help=False)
    config.add_argument("-c", dest="config", metavar="FILE", default=argparse.SUPPRESS, help="the configuration")
    log = _Parser(add_help=False)
    log.add_argument(
        "-d",
        dest="debug",
        metavar="FLAGS",
        type=_flags,
        default=argparse.SUPPRESS,
        help=f"what to log besides, any of {DEBUG_FLAGS}, or - for nothing",
    )
    log.add_argument("-l", dest="logfile", metavar="syslog|FILE", default=argparse.SUPPRESS, help="where to log")
    whole = _Parser(
        prog="mailrecv",
        parents=[config, log],
        description="Receive mail for a few addresses into files, Maildirs and commands. Without an action: one SMTP "
        "session on the socket that systemd or inetd gives, or else on standard input and output.",
        epilog="The manual pages mailrecv(8), mailrecv.conf(5) and mailrecv.log(5) say more.",
    )
    whole.add_argument("--version", action="version", version=f"mailrecv {__version__}")
    actions = whole.add_subparsers(metavar="ACTION")
    listen.add(actions, parents=[config, log])
    check.add(actions, parents=[config])
    return whole


def _flags(text: str) -> str:
    try:
        return parse_debug_flags(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
