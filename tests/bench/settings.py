"""What the settings of mailrecv@.service cost each connection: the same load in a booted Debian, with other settings.

The CPU time is that of the whole machine, so what systemd does before and after a session counts.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from docs.figures import Table
from tests.bench import rates, systemd_server
from tests.bench.measuring import Figures, Spread, in_rounds
from tests.bench.plan import Plan
from tests.bench.report import Chapter, cell, shown
from tests.system.mailhost import EXAMPLES, MailHost

UNIT = "mailrecv@.service"
AS_IT_COMES = "as it comes"
_BARE = "[Service]\nExecStart=/usr/bin/mailrecv\nSuccessExitStatus=1\nUser=mailrecv\nUMask=0077\n"
_NO_FILTERS = """\
[Service]
LockPersonality=no
PrivateDevices=no
ProtectClock=no
ProtectHostname=no
ProtectKernelLogs=no
ProtectKernelModules=no
RestrictAddressFamilies=
RestrictNamespaces=no
RestrictRealtime=no
RestrictSUIDSGID=no
SystemCallArchitectures=
SystemCallFilter=
"""
_NO_MOUNTS = """\
[Service]
PrivateDevices=no
PrivateMounts=no
ProtectHome=no
ProtectHostname=no
ProtectKernelLogs=no
ProtectKernelModules=no
ProtectProc=default
ProtectSystem=no
"""
_MESSAGES = 20  # in a round
Settings = dict[str, Spread]  # CPU ms by the name of the setting


def measure(plan: Plan) -> Settings:
    """Return what a connection costs with each setting."""
    with tempfile.TemporaryDirectory() as folder, systemd_server.booted(Path(folder)) as host:
        (unit,) = systemd_server.listening(host, "per connection")
        hardened = host.path(f"{EXAMPLES}/systemd/hardened.conf").read_text(encoding="utf-8")
        whole = {"nothing locked up": _BARE}
        added = {
            "without filters of system calls": _NO_FILTERS,
            "without mounts of its own": _NO_MOUNTS,
            AS_IT_COMES: "",
            "with CacheDirectory=": "[Service]\nCacheDirectory=mailrecv\n",
            "with MemoryDenyWriteExecute=": "[Service]\nMemoryDenyWriteExecute=yes\n",
            "with hardened.conf": hardened,
        }
        cases: dict[str, Callable[[], Figures]] = {}
        for name, text in whole.items():
            cases[name] = partial(_cost, host, unit, f"/etc/systemd/system/{UNIT}", text)
        for name, text in added.items():
            cases[name] = partial(_cost, host, unit, f"/etc/systemd/system/{UNIT}.d/bench.conf", text)
        for case in cases.values():
            case()  # so that all is in memory, and the configuration compiled
        found = in_rounds("settings", cases, plan.rounds)
    return {name: figures[rates.CPU] for name, figures in found.items()}


def _cost(host: MailHost, unit: systemd_server.Unit, path: str, text: str) -> Figures:
    host.write(path, text)
    host.run("systemctl", "daemon-reload")
    try:
        return rates.load(unit, 1, _MESSAGES)
    finally:
        host.path(path).unlink()


def chapter(settings: Settings) -> Chapter:
    """Return the table."""
    base = settings[AS_IT_COMES].median
    rows = [[name, cell(cost), shown(cost.median - base)] for name, cost in settings.items()]
    return Chapter("settings", Table(["mailrecv@.service", "CPU ms per connection", "more"], rows))
