"""`mailrecv explain`: what would become of a message, and which line of the configuration decides that."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time

from mailrecv.address import usual_address
from mailrecv.cli.action import Actions, Parents, print_anything, say
from mailrecv.client import Client, Lookup, is_host_name, look_up
from mailrecv.config.faults import ConfigError
from mailrecv.config.reader import read_config_and_lines
from mailrecv.server.domain import host_name

NO_NAME = "unknown"  # as the log shows a client without a confirmed name
EX_NOT_TAKEN = 1  # the mail is refused or deferred


def add(actions: Actions, parents: Parents) -> None:
    """Add the action to the command line.  parents: the options for the configuration and for the service's user."""
    parser = actions.add_parser(
        "explain",
        parents=parents,
        help="show what would become of a message, and which lines decide",
        description="Walk the way of a message as the server would, and show each reply, the line of the configuration "
        "that decided it, and whether the mail could be written where it goes. Nothing is delivered. Exit status: 0 if "
        "the mail would be taken, 1 if not, 78 if the configuration has faults.",
    )
    parser.add_argument("--client", metavar="IP", type=_address, required=True, help="the address it comes from")
    name_help = "its confirmed name, or unknown; without this DNS is asked"
    parser.add_argument("--client-name", metavar="NAME", type=_name, help=name_help)
    parser.add_argument("--sender", metavar="PATH", type=_path, default="<>", help="MAIL FROM; default: <>")
    parser.add_argument("--json", action="store_true", help="print a record for scripts")
    parser.add_argument("recipient", metavar="RECIPIENT", type=_path, help="RCPT TO, with or without angle brackets")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Walk, print what came of it, and return the exit status."""
    from mailrecv.diagnosis.advice import Source  # a server that a person starts needs none of this
    from mailrecv.diagnosis.record import record
    from mailrecv.diagnosis.service import UnknownUser, find_service
    from mailrecv.diagnosis.told import in_colour, plainly, told
    from mailrecv.diagnosis.walk import walk

    print_anything()
    try:
        config, lines = read_config_and_lines(options.config)
        service = find_service(options.user)
    except ConfigError as error:
        say(fault.with_source() for fault in error.faults)
        if any(fault.line for fault in error.faults):  # the file as a whole may look otherwise to the service
            print("mailrecv: until this is mended, every client is told 421 and keeps its mail", file=sys.stderr)
        return os.EX_CONFIG
    except UnknownUser as error:
        print(f"mailrecv: {error}", file=sys.stderr)
        return os.EX_NOUSER
    source = Source(config.path, lines)
    domain = config.domain or host_name(config.limits.connection_secs.value)
    name = options.client_name
    given = Lookup(None if name == NO_NAME else name, temporary=False, steps=())
    resolve = look_up if name is None else lambda _: given
    client = Client(options.client, resolve=resolve)
    limit = config.limits.before_recipient(exempt=client.loopback)
    client.deadline = time.monotonic() + getattr(config.limits, limit).value
    message = {"sender": options.sender, "recipient": options.recipient}
    walked = walk(config, source, domain, client, service, **message, name_given=name is not None)
    if options.json:
        say([json.dumps(record(walked, source), indent=2)])
    else:
        say(told(walked, config, source, in_colour if _has_colours() else plainly))
    return EX_NOT_TAKEN if walked.fate in ("refused", "deferred") else os.EX_OK


def _has_colours() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _address(text: str) -> str:
    try:
        return usual_address(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _name(text: str) -> str:
    if not is_host_name(text):
        raise argparse.ArgumentTypeError(f"{text} is no host name, such as mail.example.org")
    return text.rstrip(".").lower()


def _path(text: str) -> str:
    if "\r" in text or "\n" in text:
        raise argparse.ArgumentTypeError("an address is one line")
    return text
