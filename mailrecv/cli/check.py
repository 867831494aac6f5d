"""`mailrecv check`: reads the configuration and prints every fault."""

from __future__ import annotations

import argparse
import os

from mailrecv.cli.action import Actions, Parents, print_anything
from mailrecv.config.faults import ConfigError
from mailrecv.config.reader import read_config


def add(actions: Actions, parents: Parents) -> None:
    """Add the action to the command line.  parents: the options for the configuration."""
    parser = actions.add_parser("check", parents=parents, help="read the configuration and print every fault")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Read the configuration `options.config`, print its faults, and return the exit status."""
    try:
        read_config(options.config)
    except ConfigError as error:
        print_anything()
        for fault in error.faults:
            print(fault.with_source())
        return os.EX_CONFIG
    return os.EX_OK
