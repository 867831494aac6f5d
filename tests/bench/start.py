"""What it costs to start: a session that is a process of its own, beside a bare Python and beside its imports."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from docs.figures import Table
from tests.bench import one_process
from tests.bench.conversation import SHORT_MAIL, Conversation
from tests.bench.mailrecv_server import let_configurations_settle, write_config
from tests.bench.measuring import Figures, Spread, in_rounds
from tests.bench.plan import Plan
from tests.bench.report import Chapter, Chart, cell, shown
from tests.bench.server import DISK

BARE = "`python3 -I -S -c pass`"  # its CPU time is P
IMPORTS = '`python3 -I -c "import structlog, pcre2, systemd.journal"`'
QUIT = "a session: greeting, HELO, QUIT"
MESSAGE = "a session that delivers one message"
CPU = "CPU ms"
GREETING = "ms to the greeting"
_REPEATS = 4  # of everything in a round: it is short
Starts = dict[str, dict[str, Spread]]


def measure(plan: Plan) -> Starts:
    """Return the figures of each program and of each kind of session."""
    python = sys.executable
    with tempfile.TemporaryDirectory(dir=DISK, prefix="mailrecv-bench-") as folder:
        config = Path(folder, "mailrecv.conf")
        write_config(config)
        cases: dict[str, Callable[[], Figures]] = {
            BARE: partial(_program, python, "-I", "-S", "-c", "pass"),
            IMPORTS: partial(_program, python, "-I", "-c", "import structlog, pcre2, systemd.journal"),
            QUIT: partial(_session, config, lambda talk: None),
            MESSAGE: partial(_session, config, _deliver),
        }
        let_configurations_settle()
        for case in cases.values():
            case()  # so that all is in memory
        return in_rounds("start", cases, plan.rounds * _REPEATS)


def _program(*command: str) -> Figures:
    return {CPU: one_process.cpu_seconds(*command) * 1000}


def _session(config: Path, talk: Callable[[Conversation], None]) -> Figures:
    session = one_process.session(config, talk)
    return {CPU: session.cpu * 1000, GREETING: session.greeting * 1000}


def _deliver(talk: Conversation) -> None:
    talk.send(SHORT_MAIL)


def chapter(starts: Starts) -> Chapter:
    """Return the table and the chart."""
    bare = starts[BARE][CPU].median
    rows = []
    for name, figures in starts.items():
        greeting = figures.get(GREETING)
        until = [cell(greeting), shown(greeting.median / bare)] if greeting else ["", ""]
        rows.append([name, cell(figures[CPU]), shown(figures[CPU].median / bare), *until])
    labels = ["bare Python (P)", "its imports", "session", "session, one message"]
    series: dict[str, list[float | None]] = {
        CPU: [figures[CPU].median for figures in starts.values()],
        GREETING: [figures[GREETING].median if GREETING in figures else None for figures in starts.values()],
    }
    title = "What a process for one connection costs, in milliseconds (less is better)"
    return Chapter(
        "start",
        Table(["", "CPU ms", "in P", "exec to greeting, ms", "in P"], rows),
        [Chart("start", title, "", labels, series)],
    )
