"""The configuration that the program starts with: compiled or read, and with the command line's options."""

from __future__ import annotations

from contextlib import suppress

from mailrecv.config.compiled import BROKEN, Compiled
from mailrecv.config.model import SYSLOG, Config

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mailrecv.config.faults import ConfigError
    from mailrecv.journal.log import Journal

MAX_FAULTS_LOGGED = 100  # of a configuration; `mailrecv check` shows them all


def read(path: str, debug: str | None, compiled: Compiled | None = None) -> Config:
    """Return what a configuration says.

    path: of the file.  debug: the debug flags of the command line, or None.  compiled: its compiled form, if there is
    one; some flags ask for more than that knows. Raises ConfigError.
    """
    if compiled is not None:
        from mailrecv.config import compiler

        with suppress(*BROKEN):
            if compiler.suffices(debug or ""):
                return compiler.load(compiled)
        compiled.close()
    from mailrecv.config.reader import read_config  # with all that it takes to understand the file

    return read_config(path)


def with_options(config: Config, debug: str | None, logfile: str | None) -> Config:
    """Return a configuration with what the command line wants instead, where that is not None."""
    if debug is not None:
        config = config.replace(debug=debug)
    if logfile is not None:
        config = config.replace(logfile=logfile)
    return config


def may_be_compiled(config: Config) -> bool:
    """Say whether a configuration that was read a moment ago may be compiled, now or later.

    Not when the file might have changed once more since, with the times that it had then: later nobody could tell.
    """
    if not config.directives or not config.identity:  # it was compiled already; it was no file
        return False
    from mailrecv.config import compiler

    return compiler.suffices(config.debug) and not compiler.unsettled_seconds(config.identity)


def compile_for_others(config: Config, greeting: bytes | None) -> None:
    """Compile a configuration that had to be read, if there is a place for it: the next session starts sooner.

    config: as `read` returned it, when `may_be_compiled` said so.  greeting: what clients may be told at once, or None.
    """
    from mailrecv.config import compiler

    with suppress(OSError):  # there may be no cache directory, or no right to write there
        compiler.store(config, greeting)


def log_faults(error: ConfigError, debug: str | None, logfile: str | None) -> None:
    """Put the faults of a configuration into the log that the command line names, or else the system's."""
    from mailrecv.journal.log import open_journal

    record_faults(open_journal(logfile or SYSLOG, debug or ""), error)


def record_faults(journal: Journal, error: ConfigError) -> None:
    """Put the faults of a configuration into a log."""
    from mailrecv.journal import catalogue

    for fault in error.faults[:MAX_FAULTS_LOGGED]:
        journal.record(catalogue.CONFIG_FAULT, text=str(fault))
    if len(error.faults) > MAX_FAULTS_LOGGED:
        more = f"{len(error.faults) - MAX_FAULTS_LOGGED} more faults, run mailrecv check to see them"
        journal.record(catalogue.CONFIG_FAULT, text=more)
