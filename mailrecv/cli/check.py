"""`mailrecv check`: reads the configuration and prints every fault; with --compile, compiles it for the sessions."""

from __future__ import annotations

import argparse
import os
import sys
import time

from mailrecv.cli.action import Actions, Parents, print_anything
from mailrecv.config import compiler
from mailrecv.config.compiled import identity, name_for
from mailrecv.config.faults import ConfigError
from mailrecv.config.model import Config
from mailrecv.config.reader import read_config
from mailrecv.server.head_start import early_greeting


def add(actions: Actions, parents: Parents) -> None:
    """Add the action to the command line.  parents: the options for the configuration."""
    parser = actions.add_parser("check", parents=parents, help="read the configuration and print every fault")
    parser.add_argument(
        "--compile", action="store_true", help="also compile it, so that the next session starts as fast as all others"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Read the configuration `options.config`, print its faults, compile it if asked to; return the exit status."""
    try:
        if options.compile:
            _let_settle(options.config)
        config = read_config(options.config)
    except ConfigError as error:
        print_anything()
        for fault in error.faults:
            print(fault.with_source())
        return os.EX_CONFIG
    return _compile(config) if options.compile else os.EX_OK


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
