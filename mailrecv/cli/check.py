"""`mailrecv check`: reads the configuration, prints every fault, or else what is legal but surely not meant.

With --compile it also compiles it for the sessions.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence

from mailrecv.cli.action import Actions, Parents, print_anything, say
from mailrecv.config import compiler
from mailrecv.config.compiled import identity, name_for
from mailrecv.config.faults import ConfigError
from mailrecv.config.model import Config
from mailrecv.config.reader import read_config_and_lines
from mailrecv.server.head_start import early_greeting

EX_WARNINGS = 1  # with --strict


def add(actions: Actions, parents: Parents) -> None:
    """Add the action to the command line.  parents: the options for the configuration and for the service's user."""
    parser = actions.add_parser(
        "check",
        parents=parents,
        help="read the configuration and print every fault, and what is surely not meant",
        description="Read the configuration and print every fault; where there is none, warn of what is legal but "
        "surely not meant. Exit status: 0 without faults, 1 for warnings with --strict, 78 for faults.",
    )
    parser.add_argument("-q", dest="quiet", action="store_true", help="print nothing: the exit status tells")
    parser.add_argument("--strict", action="store_true", help="fail for warnings, too")
    parser.add_argument(
        "--compile", action="store_true", help="also compile it, so that the next session starts as fast as all others"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Read the configuration `options.config`, print what is wrong with it, compile it if asked to.

    Return the exit status.
    """
    print_anything()
    try:
        if options.compile:
            _let_settle(options.config)
        config, lines = read_config_and_lines(options.config)
    except ConfigError as error:
        if not options.quiet:
            say(fault.with_source() for fault in error.faults)
        return os.EX_CONFIG
    compiled = _compile(config) if options.compile else os.EX_OK
    if options.quiet and not options.strict:
        return compiled  # warnings could not change that
    return compiled or _warn(config, lines, options)


def _warn(config: Config, lines: Sequence[str], options: argparse.Namespace) -> int:
    """Print what is surely not meant, and return the exit status.  lines: of the configuration, all of them."""
    from mailrecv.diagnosis.advice import Source  # a server that a person starts needs none of this
    from mailrecv.diagnosis.review import review
    from mailrecv.diagnosis.service import UnknownUser, find_service

    try:
        service = find_service(options.user)
    except UnknownUser as error:
        print(f"mailrecv: {error}", file=sys.stderr)
        return os.EX_NOUSER
    found = review(config, Source(config.path, lines), service)
    if not options.quiet:
        say(advice.with_source() for advice in found.advice)
        if found.untried is not None:
            print(f"mailrecv: mailboxes and commands were not tried: {found.untried}", file=sys.stderr)
    return EX_WARNINGS if found.advice and options.strict else os.EX_OK


def _let_settle(path: str) -> None:
    """Wait until no other change to a file could be taken for its last one."""
    try:
        seconds = compiler.unsettled_seconds(identity(os.stat(path)))
    except (OSError, ValueError):
        return  # reading it will tell
    time.sleep(min(seconds, compiler.SETTLING_SECONDS))


def _compile(config: Config) -> int:
    try:
        if not compiler.suffices(config.debug):
            raise OSError(None, "the debug flags a and c have every session read the file itself", config.path)
        if not config.identity or compiler.unsettled_seconds(config.identity):
            raise OSError(None, "was changed a moment ago, or by a clock that is ahead", config.path)
        compiler.store(config, early_greeting(config))
    except OSError as error:
        print(
            f"mailrecv: cannot compile into {name_for(config.path)}: {error.strerror}",
            file=sys.stderr,
        )
        return os.EX_CANTCREAT
    return os.EX_OK
