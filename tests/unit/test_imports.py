"""The import directions: which room of the program may know which other, read from the code without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = "mailrecv"
ROOT = Path(__file__).parents[2] / PACKAGE
ALL = ("",)

ROOMS: dict[str, tuple[str, ...]] = {  # a room, and what it may import of ours besides itself and the version
    "__init__": (),
    "values": (),
    "reply": ("values",),
    "limits": ("values", "reply"),
    "search": (),
    "address": (),
    "trusted_path": (),
    "client": ("values", "address"),
    "smtp": ("values", "reply", "limits", "search"),
    "config": ("values", "reply", "limits", "policy.client_patterns", "policy.patterns"),
    "policy": ("values", "reply", "limits", "address", "config.model"),
    "delivery": ("values", "reply", "limits", "search", "trusted_path"),
    "journal": ("values", "reply", "trusted_path"),
    "diagnosis": (
        "values",
        "reply",
        "limits",
        "address",
        "client",
        "smtp",
        "config",
        "policy",
        "trusted_path",
        "delivery.durable",
        "delivery.outcome",
        "delivery.trial",
        "server.refusal.not_available",
        "server.session.OK",
        "server.session.START_MAIL_INPUT",
        "server.session.greeting",
        "server.session.hello",
    ),
    "report": ("values", "journal.catalogue", "journal.escape"),
    "server": ALL,
    "resident": (
        "values",
        "reply",
        "limits",
        "address",
        "client",
        "config",
        "delivery.command.keep_to",
        "delivery.processes.bury_orphans",
        "journal",
        "server",
    ),
    "cli": ALL,
    "__main__": ALL,
}
WITHOUT_IO = {  # rooms that may import nothing from elsewhere but what only computes
    room: {
        "__future__",
        "abc",
        "collections",
        "enum",
        "functools",
        "itertools",
        "re",
        "string",
        "typing",
    }
    for room in ("values", "reply", "limits", "smtp")
}
IO_BUILTINS = {"__import__", "breakpoint", "eval", "exec", "input", "open", "print"}


def imported(module: str, tree: ast.AST) -> Iterator[str]:
    """Name what a module imports, anywhere in it.  module: its dotted name, a package's with `.__init__`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = module.split(".")[: -node.level] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{source}.{alias.name}" for alias in node.names)


def within(name: str, place: str) -> bool:
    return not place or name == place or name.startswith(place + ".")


def violations(module: str, source: str) -> list[str]:
    """Return what a module has no right to know.  module: its dotted name in the package, as `policy.patterns`."""
    room = module.partition(".")[0]
    if room not in ROOMS:
        return [f"{module}: no room of this name is known here"]
    tree = ast.parse(source)
    names = set(imported(f"{PACKAGE}.{module}", tree))
    ours = {name[len(PACKAGE) + 1 :] for name in names if within(name, PACKAGE)}
    allowed = (room, "__version__", *ROOMS[room])
    wrong = {f"{PACKAGE}.{name}" for name in ours if not any(within(name, place) for place in allowed)}
    if room in WITHOUT_IO:
        wrong |= {name for name in names if not within(name, PACKAGE) and name.split(".")[0] not in WITHOUT_IO[room]}
        wrong |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id in IO_BUILTINS}
    return [f"{module}: {name}" for name in sorted(wrong)]


def modules() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_keeps_to_the_directions(path: Path) -> None:
    """No module imports what its room must not know."""
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    assert violations(module, path.read_text()) == []


def test_every_room_with_a_rule_is_there() -> None:
    """The rules are about rooms that exist, so that a renamed room does not slip out of them."""
    found = {path.relative_to(ROOT).with_suffix("").parts[0] for path in modules()}
    assert {room for room, allowed in ROOMS.items() if allowed != ALL} <= found


@pytest.mark.parametrize(
    "module, source, wrong",
    [
        ("smtp.x", "import mailrecv.config.model", "mailrecv.config.model"),
        ("smtp.x", "from mailrecv import client", "mailrecv.client"),
        (
            "smtp.x",
            "def f():\n    if True:\n        from mailrecv.journal.log import Journal",
            "mailrecv.journal.log.Journal",
        ),
        ("smtp.x", "import re, socket", "socket"),
        ("smtp.x", "from os.path import exists", "os.path.exists"),
        ("smtp.x", "import structlog", "structlog"),
        ("smtp.x", "def f():\n    return open('/etc/passwd')", "open"),
        ("reply", "from mailrecv.limits import Limits", "mailrecv.limits.Limits"),
        ("limits", "import time", "time"),
        ("client", "from mailrecv.reply import Reply", "mailrecv.reply.Reply"),
        ("config.x", "from mailrecv.policy import clients", "mailrecv.policy.clients"),
        ("config.x", "from ..policy.clients import admit", "mailrecv.policy.clients.admit"),
        ("config.__init__", "from ..policy import clients", "mailrecv.policy.clients"),
        ("policy.x", "from mailrecv.config.reader import read_config", "mailrecv.config.reader.read_config"),
        ("policy.x", "from mailrecv.config import models", "mailrecv.config.models"),
        ("policy.x", "from .. import client", "mailrecv.client"),
        ("policy.x", "import mailrecv", "mailrecv."),
        ("delivery.x", "from mailrecv.smtp import Path", "mailrecv.smtp.Path"),
        ("delivery.x", "from mailrecv.server.session import Session", "mailrecv.server.session.Session"),
        ("journal.x", "from mailrecv.config.model import Config", "mailrecv.config.model.Config"),
        ("journal.x", "import mailrecv.delivery.mbox as m", "mailrecv.delivery.mbox"),
        ("diagnosis.x", "from mailrecv.server.session import Session", "mailrecv.server.session.Session"),
        ("diagnosis.x", "from mailrecv.delivery import mbox", "mailrecv.delivery.mbox"),
        ("diagnosis.x", "from mailrecv.journal import catalogue", "mailrecv.journal.catalogue"),
        ("report.x", "from mailrecv.journal.log import open_journal", "mailrecv.journal.log.open_journal"),
        ("report.x", "from mailrecv.config.reader import read_config", "mailrecv.config.reader.read_config"),
        ("report.x", "import mailrecv.cli.logs", "mailrecv.cli.logs"),
        ("queue.x", "import re", "no room of this name is known here"),
    ],
)
def test_a_wrong_import_is_found(module: str, source: str, wrong: str) -> None:
    """Each kind of import that a room must not make is found, at the top of a module or inside a function."""
    assert violations(module, source) == [f"{module}: {wrong}"]


@pytest.mark.parametrize(
    "module, source",
    [
        (
            "smtp.x",
            "from __future__ import annotations\nfrom collections.abc import Iterator\nimport re, enum",
        ),
        (
            "smtp.x",
            "from mailrecv.limits import Limits\nfrom mailrecv.smtp.grammar import Path\nfrom .states import State",
        ),
        ("smtp.__init__", "from .receiver import Receiver"),
        ("config.x", "from mailrecv.policy import patterns\nfrom mailrecv.policy.patterns import Pattern\nimport os"),
        ("policy.x", "from mailrecv.config.model import Config\nfrom mailrecv.config import model\nimport pcre2"),
        ("delivery.x", "import os, mailrecv.reply\nfrom mailrecv import __version__, delivery"),
        ("report.x", "from mailrecv.journal.catalogue import CATALOGUE\nfrom mailrecv import __version__, values"),
        ("server.x", "import mailrecv.smtp\nfrom mailrecv import config, policy, delivery, journal, client"),
    ],
)
def test_a_right_import_is_let_through(module: str, source: str) -> None:
    """What a room may know, it may import in any form."""
    assert violations(module, source) == []
