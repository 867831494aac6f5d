"""`mailrecv report`: counts what the log tells, for a person, a browser, a script or a monitor."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from typing import TYPE_CHECKING

from mailrecv.cli.action import Actions, Parents, say_text
from mailrecv.cli.logs import add_options, number, read_log

if TYPE_CHECKING:
    from mailrecv.report.event import Source
    from mailrecv.report.period import Period

DEFAULT_TOP = 10
STANDARD_OUTPUT = "-"


def add(actions: Actions, parents: Parents) -> None:
    """Add the action to the command line.  parents: the options for the configuration."""
    parser = actions.add_parser(
        "report",
        parents=parents,
        help="count mail, failures and refusals in the log",
        description="Count what the log tells: mail for each recipient, client and hour, failures, refusals, slow "
        "deliveries. Exit status: 0 for a report, 66 without a log, 77 for one that you may not read.",
    )
    add_options(parser)
    parser.add_argument(
        "--top", metavar="N", type=number, default=DEFAULT_TOP, help=f"rows of each table, {DEFAULT_TOP} by default"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print all of it as JSON")
    form.add_argument("--html", metavar="FILE", help="write a page with charts; - for standard output")
    form.add_argument(
        "--prometheus",
        metavar="FILE",
        nargs="?",
        const=STANDARD_OUTPUT,
        help="print metrics for Prometheus; in FILE, go on with what it has counted so far",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Read the log, show what it tells in the form that `options` ask for, and return the exit status."""
    counts_on = options.prometheus not in (None, STANDARD_OUTPUT)
    if counts_on and (options.since is not None or options.until is not None):
        print(
            "mailrecv: --prometheus FILE goes on where it was; --since and --until do not go with it", file=sys.stderr
        )
        return os.EX_USAGE
    return read_log(options, lambda source, period: _show(options, source, period))


# What comes next imports as it goes: every action's module is imported to read a command line, also that of a server.


def _show(options: argparse.Namespace, source: Source, period: Period) -> int:
    if options.prometheus is not None:
        return _show_metrics(options.prometheus, source, period)
    from mailrecv.report.counts import count_all
    from mailrecv.report.progress import Progress, is_unicode

    with Progress(sys.stderr) as source.on_progress:
        counts = count_all(source.events(period))
    if options.json:
        import json

        from mailrecv.report.data import report_data

        return say_text(json.dumps(report_data(counts, source), indent=2) + "\n")
    if options.html is not None:
        from mailrecv.report.page import report_page

        return _write(options.html, report_page(counts, source, options.top))
    from mailrecv.report.text import report_text

    width = shutil.get_terminal_size().columns
    return say_text(report_text(counts, source, width=width, unicode=is_unicode(sys.stdout), top=options.top))


def _show_metrics(path: str, source: Source, period: Period) -> int:
    """Print metrics; in a file, those that it has so far with what is new in the log. Raises LogError."""
    from mailrecv.report.progress import Progress
    from mailrecv.report.prometheus import Metrics

    metrics = Metrics()
    if path != STANDARD_OUTPUT and os.path.exists(path):
        try:
            with open(path, encoding="utf-8") as file:
                metrics.go_on_from(file.read())
        except (OSError, ValueError) as error:
            told = "this was not written by --prometheus; name another file, or remove this one to count anew"
            if isinstance(error, OSError):
                told = f"cannot be read: {error.strerror}"
            print(f"mailrecv: {path}: {told}", file=sys.stderr)
            return os.EX_CANTCREAT
    with Progress(sys.stderr) as source.on_progress:
        for event in source.events(period, metrics.position):
            metrics.add(event)
    metrics.position = source.position()
    return _write(path, metrics.text())


def _write(path: str, text: str) -> int:
    if path == STANDARD_OUTPUT:
        return say_text(text)
    from mailrecv.cli.files import replace_file

    try:
        replace_file(path, text)
    except OSError as error:
        print(f"mailrecv: {path}: cannot be written: {error.strerror}", file=sys.stderr)
        return os.EX_CANTCREAT
    return os.EX_OK
