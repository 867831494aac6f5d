"""The command line: arguments in, one of the ways to run out.

The first thing that happens to a session is that the client's socket is taken off the standard streams. Until then
nothing of weight is imported, since an import that fails prints.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

from mailrecv.cli.arguments import is_for_a_person
from mailrecv.server.activation import ActivationError, take_socket
from mailrecv.server.refusal import turn_away

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any

    from mailrecv.server.head_start import HeadStart

_EX_INTERRUPTED = 130  # as shells say it: 128 and the number of SIGINT


def run(
    arguments: Sequence[str], session_options: Mapping[str, Any] | None = None, head_start: HeadStart | None = None
) -> int:
    """Run the program and return its exit status, one of sysexits.h, or 1 for a session without QUIT.

    arguments: of the command line, without the program's name.  session_options: the same by name, if they are nothing
    but options of a session.  head_start: what was done for it already.
    """
    serves = session_options is not None or not is_for_a_person(arguments)
    given = None
    try:
        if serves:
            given = take_socket()
            options = session_options if session_options is not None else vars(_parsed(arguments))
            from mailrecv.server.start import serve

            as_root = options.get("as_root", False)
            return serve(given, options["config"], options["debug"], options["logfile"], head_start, as_root=as_root)
        wanted = _parsed(arguments)
        status: int = wanted.run(wanted)
        return status
    except SystemExit as end:  # argparse: --help, or a usage error
        if end.code and given is not None:
            turn_away(given)
        return end.code if isinstance(end.code, int) else os.EX_USAGE
    except ActivationError as error:
        print(f"mailrecv: {error}", file=sys.stderr)
        return os.EX_USAGE
    except KeyboardInterrupt:
        if serves:
            raise
        return _EX_INTERRUPTED
    except Exception as error:  # noqa: BLE001 - a client may be waiting, and must get nothing but a reply
        record_failure(error)
        if serves:
            turn_away(given)
        return os.EX_SOFTWARE


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    from mailrecv.cli.parser import parse

    return parse(arguments)


def record_failure(error: Exception) -> None:
    """Put an exception that nobody else dealt with into the log."""
    try:
        from mailrecv.journal.log import open_journal
        from mailrecv.server.chronicle import record_exception

        record_exception(open_journal(), error)
    except Exception:  # noqa: BLE001 - the log may be what does not work; standard error is not the client any more
        import traceback

        traceback.print_exception(error)
