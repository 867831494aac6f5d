"""`mailrecv trace`: everything that the log has about one message, or the last ones of an address, in order."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from mailrecv.address import usual_address
from mailrecv.cli.action import Actions, Parents, say_text
from mailrecv.cli.logs import add_options, number, read_log

if TYPE_CHECKING:
    from mailrecv.report.event import Source
    from mailrecv.report.period import Period

DEFAULT_NUMBER = 5
NOTHING_FOUND = 1  # as grep(1) has it


def add(actions: Actions, parents: Parents) -> None:
    """Add the action to the command line.  parents: the options for the configuration."""
    parser = actions.add_parser(
        "trace",
        parents=parents,
        help="show all that became of a message",
        description="Show everything that the log has about a message, or about the last ones of an address, in order. "
        "Exit status: 0 if there is something, 1 if not, 66 without a log, 77 for one that you may not read.",
    )
    parser.add_argument(
        "term", metavar="ID|ADDRESS", type=_term, help="of a message, of its sender or recipient, or of a client"
    )
    add_options(parser)
    parser.add_argument(
        "-n",
        dest="number",
        metavar="N",
        type=number,
        default=DEFAULT_NUMBER,
        help=f"the last N; {DEFAULT_NUMBER} by default",
    )
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Find what is asked for in the log, print it, and return the exit status."""
    return read_log(options, lambda source, period: _show(options, source, period))


def _term(text: str) -> str:
    """Return what to look for, for argparse: without angle brackets, and the address of a client as the log has it."""
    term = text.strip("<> ").encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if not term:  # would stand for all that has no sender
        raise argparse.ArgumentTypeError("an id, or the address of a sender, a recipient or a client expected")
    try:
        return usual_address(term)
    except ValueError:
        return term


def _show(options: argparse.Namespace, source: Source, period: Period) -> int:
    # Imported only here: every action's module is imported to read a command line, also that of a server.
    from mailrecv.report.progress import Progress

    term = options.term
    with Progress(sys.stderr) as source.on_progress:
        traces = source.traces(term, period, options.number)
    if not traces:
        print(f"mailrecv: nothing about {term} in {source.name}{source.gaps and f' ({source.gaps})'}", file=sys.stderr)
        return NOTHING_FOUND
    if options.json:
        import json

        from mailrecv.report.data import trace_data

        return say_text(json.dumps(trace_data(traces), indent=2) + "\n")
    from mailrecv.report.trace import traces_text

    return say_text(traces_text(traces))
