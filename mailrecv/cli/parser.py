"""The grammar of the command line, by argparse: the options that actions share, and the actions."""

from __future__ import annotations

import argparse
import difflib
import os
import re
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from mailrecv import __version__
from mailrecv.cli import check, explain, listen, report, trace
from mailrecv.cli.arguments import ACTIONS
from mailrecv.cli.logs import joined_times
from mailrecv.config import ALL_DEBUG, DEBUG_FLAGS, DEFAULT_PATH
from mailrecv.config.directives import parse_debug_flags


class _Parser(argparse.ArgumentParser):
    def __init__(
        self, *, parents: Sequence[argparse.ArgumentParser] = (), add_help: bool = True, **options: Any
    ) -> None:
        super().__init__(parents=[*([_help()] if add_help else []), *parents], add_help=False, **options)

    def error(self, message: str) -> NoReturn:
        """Print a usage error, with what may have been meant, and exit."""
        unknown = re.match(r"argument ACTION: invalid choice: '([^']*)'|unrecognized arguments: (-[\w-]+)", message)
        if unknown:
            known = ACTIONS if unknown[1] else re.findall(r"(?<![\w-])--?[a-z-]+", self.format_help())
            message = f"unknown action {unknown[1]}, the actions are {', '.join(ACTIONS)}" if unknown[1] else message
            near = difflib.get_close_matches(unknown[1] or unknown[2], known, 1)
            message += f"; did you mean {near[0]}?" if near else ""
        self.print_usage(sys.stderr)
        self.exit(os.EX_USAGE, f"{self.prog}: {message}\n")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return what a command line says; for an action, `run` is what does it. Raises SystemExit, as argparse does."""
    # Not by set_defaults, which reaches the options that an action shares, and would undo what stands before it.
    defaults = argparse.Namespace(config=DEFAULT_PATH, debug=None, logfile=None)
    whole = parser()
    if arguments[-1:] == ["-d"] and "--" not in arguments:
        arguments = [*arguments, ALL_DEBUG]
    options, unknown = whole.parse_known_args(joined_times(arguments), defaults)
    if unknown:
        getattr(options, "parser", whole).error(f"unrecognized arguments: {' '.join(unknown)}")
    return options


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    config = _Parser(add_help=False)
    config.add_argument("-c", dest="config", metavar="FILE", default=argparse.SUPPRESS, help="the configuration")
    service = _Parser(add_help=False)
    service.add_argument("--user", metavar="NAME", help="who runs the service; default: what the systemd unit says")
    log = _Parser(add_help=False)
    log.add_argument(
        "-d",
        dest="debug",
        metavar="FLAGS",
        type=_flags,
        default=argparse.SUPPRESS,
        help=f"what to log besides, any of {DEBUG_FLAGS}, or - for nothing; all of it where -d is the last word",
    )
    log.add_argument("-l", dest="logfile", metavar="syslog|FILE", default=argparse.SUPPRESS, help="where to log")
    whole = _Parser(
        prog="mailrecv",
        parents=[config, log],
        description="Receive mail for a few addresses into files, Maildirs and commands. Without an action: one SMTP "
        "session on the socket that systemd or inetd gives, or else on standard input and output.",
        epilog="The manual pages mailrecv(8), mailrecv.conf(5) and mailrecv.log(5) say more.",
    )
    whole.add_argument(
        "--as-root",
        action="store_true",
        default=argparse.SUPPRESS,
        help="as root on standard input, deliver as root, too",
    )
    whole.add_argument("--version", action="version", version=f"mailrecv {__version__}")
    actions = whole.add_subparsers(metavar="ACTION")
    listen.add(actions, parents=[config, log])
    check.add(actions, parents=[config, service])
    explain.add(actions, parents=[config, service])
    report.add(actions, parents=[config])
    trace.add(actions, parents=[config])
    for action in actions.choices.values():
        action.set_defaults(parser=action)  # who complains of options that it does not know
    return whole


def _help() -> argparse.ArgumentParser:
    """Return the option that every command line has; `-help` is how the original has it."""
    option = argparse.ArgumentParser(add_help=False)
    option.add_argument("-h", "-help", "--help", action="help", help="show this help message and exit")
    return option


def _flags(text: str) -> str:
    try:
        return parse_debug_flags(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
