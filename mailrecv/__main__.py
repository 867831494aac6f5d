"""`python -m mailrecv`, and the `mailrecv` command.

A session is the one thing that has to start fast, so nothing is imported here that it does not need at once.
"""

import gc
import os
import sys

from mailrecv.config import ALL_DEBUG, DEBUG_FLAGS, DEFAULT_PATH


def main() -> None:
    """Run the program with the arguments of the command line, and exit."""
    arguments = sys.argv[1:]
    options = session_options(arguments)
    if options is None:
        from mailrecv.cli import run

        sys.exit(run(arguments))
    gc.disable()  # all that is made while the program starts is there to stay
    from mailrecv.server.head_start import take_head_start

    head_start = take_head_start(options["config"] or DEFAULT_PATH)
    from mailrecv.cli import run

    status = run(arguments, options, head_start)
    # Nothing is left to do but to free memory, object by object. Standard output and error hold nothing back: a session
    # writes its replies to descriptors, and what the other two could not take is nobody's loss.
    os._exit(status)


def session_options(arguments: list[str]) -> dict[str, str | None] | None:
    """Return the options of a command line that starts a session, by name; or None for any other command line.

    argparse, which knows all command lines, costs more than a session's work.
    """
    names = {"-c": "config", "-d": "debug", "-l": "logfile"}
    options: dict[str, str | None] = {"config": DEFAULT_PATH, "debug": None, "logfile": None}
    words = iter(arguments)
    for word in words:
        value = word[2:] or next(words, ALL_DEBUG if word == "-d" else None)
        if word[:2] not in names or value is None or (value != "-" and value[:1] in ("-", "=")):
            return None
        options[names[word[:2]]] = value
    flags = options["debug"]
    if flags == "-":
        options["debug"] = ""
    elif flags is not None and not set(flags) <= set(DEBUG_FLAGS):
        return None
    return options


if __name__ == "__main__":
    main()
