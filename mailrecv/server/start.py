"""How the program starts to serve: reads the configuration, opens the journal, and serves what it was given.

Whatever goes wrong here, a client that is waiting is told 421: it keeps its mail and comes again.
"""

from __future__ import annotations

import os
import signal
import socket
import time

from mailrecv.config.faults import ConfigError
from mailrecv.config.model import SYSLOG, Config
from mailrecv.config.reader import read_config
from mailrecv.journal import catalogue
from mailrecv.journal.log import open_journal
from mailrecv.server.activation import is_listening
from mailrecv.server.channel import Stop
from mailrecv.server.chronicle import record_config
from mailrecv.server.domain import host_name
from mailrecv.server.refusal import turn_away
from mailrecv.server.service import Service

MAX_FAULTS_LOGGED = 100  # of a configuration; `mailrecv check` shows them all


def serve(given: socket.socket | None, config_path: str, debug: str | None, logfile: str | None) -> int:
    """Serve what the program was started with, and return the exit status.

    given: a connected socket, a listening one, or None for standard input and output.  config_path: of the
    configuration.  debug, logfile: what to use instead of its directives.
    """
    began = time.monotonic()
    try:
        config = _read(config_path, debug, logfile)
    except ConfigError as error:
        _log_faults(error, debug, logfile)
        turn_away(given)
        return os.EX_CONFIG
    journal = open_journal(config.logfile, config.debug, loghex=config.loghex)
    record_config(journal, config)
    stop = Stop()
    stop.on_signals()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # whoever started this may ignore it: no command's end would be known
    domain = config.domain or host_name(config.limits.connection_secs.value)
    service = Service(config, domain, journal, stop)
    if given is None:
        return 0 if service.serve_standard_streams(began) else 1
    if is_listening(given):
        service.serve_listener(given)
        return 0
    return 0 if service.serve_connection(given, began) else 1


def _read(config_path: str, debug: str | None, logfile: str | None) -> Config:
    config = read_config(config_path)
    if debug is not None:
        config = config.replace(debug=debug)
    if logfile is not None:
        config = config.replace(logfile=logfile)
    return config


def _log_faults(error: ConfigError, debug: str | None, logfile: str | None) -> None:
    journal = open_journal(logfile or SYSLOG, debug or "")
    for fault in error.faults[:MAX_FAULTS_LOGGED]:
        journal.record(catalogue.CONFIG_FAULT, text=str(fault))
    if len(error.faults) > MAX_FAULTS_LOGGED:
        more = f"{len(error.faults) - MAX_FAULTS_LOGGED} more faults, run mailrecv check to see them"
        journal.record(catalogue.CONFIG_FAULT, text=more)
