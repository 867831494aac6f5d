"""How the program starts to serve: reads the configuration, opens the journal, and serves what it was given.

Whatever goes wrong here, a client that is waiting is told 421: it keeps its mail and comes again.
"""

from __future__ import annotations

import os
import signal
import socket
import time

from mailrecv.config.faults import ConfigError
from mailrecv.journal.log import open_journal
from mailrecv.server import configuration
from mailrecv.server.activation import is_listening
from mailrecv.server.channel import Stop
from mailrecv.server.chronicle import record_config
from mailrecv.server.domain import host_name
from mailrecv.server.head_start import HeadStart, early_greeting
from mailrecv.server.refusal import turn_away
from mailrecv.server.service import Service


def serve(
    given: socket.socket | None,
    config_path: str,
    debug: str | None,
    logfile: str | None,
    head_start: HeadStart | None = None,
    *,
    own_listener: bool = False,
    as_root: bool = False,
) -> int:
    """Serve what the program was started with, and return the exit status.

    given: a connected socket, a listening one, or None for standard input and output.  config_path: of the
    configuration.  debug, logfile: what to use instead of its directives.  head_start: what was done for a session
    already.  own_listener: the program has opened the listening socket itself.  as_root: root, at standard input, wants
    to deliver as root.
    """
    head_start = head_start or HeadStart()
    began = time.monotonic()
    try:
        as_read = configuration.read(config_path, debug, head_start.compiled)
    except ConfigError as error:
        configuration.log_faults(error, debug, logfile)
        turn_away(given)
        return os.EX_CONFIG
    compiles = configuration.may_be_compiled(as_read)
    config = configuration.with_options(as_read, debug, logfile)
    root = None
    if given is None and os.geteuid() == 0 and not as_root:
        from mailrecv.server.root import Root  # a service needs none of this

        root = Root(config.logfile)
    journal = open_journal(config.logfile, config.debug, loghex=config.loghex)
    record_config(journal, config)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # whoever started this may ignore it: no command's end would be known
    if given is not None and is_listening(given):
        from mailrecv.resident.config_file import ConfigFile  # with all that only a resident server needs
        from mailrecv.resident.supervisor import Supervisor

        file = ConfigFile(as_read, debug, logfile)
        Supervisor(given, own_listener=own_listener, file=file, config=config, journal=journal).run()
        return 0
    stop = Stop()
    stop.on_signals()
    domain = config.domain or host_name(config.limits.connection_secs.value)
    service = Service(config, domain, journal, stop)
    if given is None:
        quit_came = service.serve_standard_streams(began, root)
    else:
        quit_came = service.serve_connection(given, began, head_start.sent)
    journal.tell_counts(at_once=True)
    if compiles and given is not None:  # now that nobody is waiting
        configuration.compile_for_others(as_read, early_greeting(as_read))
    return 0 if quit_came else 1
