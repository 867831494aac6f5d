"""The part of structlog that a session needs, with the rest left out; and what happens where that does not work."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
CHECKED = """
import structlog
assert structlog.BoundLoggerBase is BoundLoggerBase and structlog.DropEvent is DropEvent
import structlog.dev, structlog.stdlib
assert sys.modules["structlog"] is structlog
"""


def modules(script: str, *options: str) -> set[str]:
    """Run a script in a Python of its own, and return the modules that it has imported when it says `tell()`.

    options: of that Python.
    """
    start = f"import sys\nsys.path.insert(0, {str(ROOT)!r})\ndef tell(): print(*sys.modules)\n"
    ended = subprocess.run([sys.executable, *options, "-c", start + script], capture_output=True, text=True, check=True)
    return set(ended.stdout.split())


def test_a_part_of_structlog() -> None:
    """What is imported is structlog's own, without the parts that take long; all of it can be imported later."""
    found = modules("from mailrecv.journal.bound_logger import BoundLoggerBase, DropEvent; tell()" + CHECKED)
    assert {name for name in found if name.startswith("structlog")} <= {
        "structlog._base",
        "structlog.exceptions",
        "structlog.typing",
    }
    assert not found & {"asyncio", "logging", "dataclasses", "inspect"}


def test_after_structlog() -> None:
    """Whoever has imported all of structlog before goes on with that."""
    modules("import structlog\nfrom mailrecv.journal.bound_logger import BoundLoggerBase, DropEvent" + CHECKED)


def test_another_structlog(tmp_path: Path) -> None:
    """A structlog that has its parts in other places is imported as a whole."""
    (tmp_path / "structlog").mkdir()
    (tmp_path / "structlog/__init__.py").write_text("from .new import *\n")
    (tmp_path / "structlog/new.py").write_text("class BoundLoggerBase: pass\nclass DropEvent(BaseException): pass\n")
    found = modules(
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        "from mailrecv.journal.bound_logger import BoundLoggerBase, DropEvent; tell()\n"
        "import structlog\nassert structlog.BoundLoggerBase is BoundLoggerBase"
    )
    assert {"structlog", "structlog.new"} <= found


def test_no_structlog() -> None:
    """Without structlog the error says so."""
    script = "try:\n    import mailrecv.journal.bound_logger\nexcept ImportError as error:\n    print(error.name)\n"
    assert modules(script, "-S") == {"structlog"}
