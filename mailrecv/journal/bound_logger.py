"""structlog's bound logger, without the rest of structlog.

`import structlog` imports all of its parts, asyncio and logging with them, which takes a process several times as long
as a session's work. A session needs one part, `structlog._base`, so that alone is imported, while a bare package stands
in for the whole one. Should structlog be rearranged some day, all of it is imported, as anybody would.
"""

from __future__ import annotations

import sys
from types import ModuleType

__all__ = ["BoundLoggerBase", "DropEvent"]


def _stand_in() -> ModuleType:
    """Return a package of the name and the place of structlog, with nothing imported yet."""
    package = ModuleType("structlog")
    specs = (finder.find_spec("structlog", None) for finder in sys.meta_path)  # as any import finds it
    package.__path__ = next((list(spec.submodule_search_locations or ()) for spec in specs if spec), [])
    return package


TYPE_CHECKING = False
if TYPE_CHECKING or "structlog" in sys.modules:
    from structlog import BoundLoggerBase, DropEvent
else:
    sys.modules["structlog"] = _stand_in()
    try:
        from structlog._base import BoundLoggerBase
        from structlog.exceptions import DropEvent
    except ImportError:
        del sys.modules["structlog"]
        from structlog import BoundLoggerBase, DropEvent
    else:
        del sys.modules["structlog"]  # for whoever wants all of it later
