"""The command line: arguments in, one of the ways to run out.

The first thing that happens is that a client's socket is taken off the standard streams. Until then nothing of weight
is imported, since an import that fails prints.
"""

from __future__ import annotations

import io
import os
import socket
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from mailrecv import __version__
from mailrecv.server.activation import ActivationError, take_socket
from mailrecv.server.refusal import turn_away

if TYPE_CHECKING:
    import argparse

_ACTIONS = ("check", "listen")
_OPTIONS_WITH_VALUE = ("-c", "-d", "-l")
_QUESTIONS = ("-h", "--help", "--version")
DEFAULT_ADDRESS = "127.0.0.1"


def run(arguments: Sequence[str]) -> int:
    """Run the program and return its exit status, one of sysexits.h, or 1 for a session without QUIT.

    arguments: of the command line, without the program's name.
    """
    serves = not _is_for_a_person(arguments)
    given = None
    try:
        if serves:
            given = take_socket()
        return _run(_parse(arguments), given)
    except SystemExit as end:  # argparse: --help, or a usage error
        if end.code and given is not None:
            turn_away(given)
        return end.code if isinstance(end.code, int) else os.EX_USAGE
    except ActivationError as error:
        print(f"mailrecv: {error}", file=sys.stderr)
        return os.EX_USAGE
    except Exception as error:  # noqa: BLE001 - a client may be waiting, and must get nothing but a reply
        _report(error)
        if serves:
            turn_away(given)
        return os.EX_SOFTWARE


def _is_for_a_person(arguments: Sequence[str]) -> bool:
    """Say whether the command line asks for what a person reads, and not for a session with a client.

    Then the standard streams stay as they are, even where they are sockets, as they are under ssh without a terminal.
    """
    words = iter(arguments)
    for word in words:
        if word in _OPTIONS_WITH_VALUE:
            next(words, None)
        elif not word.startswith("-"):
            return word in _ACTIONS
        elif word in _QUESTIONS:
            return True
    return False


def _run(options: argparse.Namespace, given: socket.socket | None) -> int:
    if options.action == "check":
        return _check(options.config)
    from mailrecv.server.start import serve

    if options.action == "listen":
        try:
            given = _listener(*options.address)
        except OSError as error:
            print(f"mailrecv: cannot listen on {_shown(*options.address)}: {error.strerror or error}", file=sys.stderr)
            return os.EX_UNAVAILABLE
    return serve(given, options.config, options.debug, options.logfile)


def _check(path: str) -> int:
    """Read a configuration and print every fault."""
    from mailrecv.config.faults import ConfigError
    from mailrecv.config.reader import read_config

    try:
        read_config(path)
    except ConfigError as error:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")  # the line or the path may hold what it cannot encode
        for fault in error.faults:
            print(fault.with_source())
        return os.EX_CONFIG
    return os.EX_OK


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    import argparse

    from mailrecv.config.directives import parse_debug_flags
    from mailrecv.config.model import DEBUG_FLAGS, DEFAULT_PATH

    class Parser(argparse.ArgumentParser):
        def error(self, message: str) -> NoReturn:
            self.print_usage(sys.stderr)
            self.exit(os.EX_USAGE, f"{self.prog}: {message}\n")

    def flags(text: str) -> str:
        try:
            return parse_debug_flags(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    def address(text: str) -> tuple[str, int]:
        try:
            return parse_address(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    config = Parser(add_help=False)
    config.add_argument("-c", dest="config", metavar="FILE", default=argparse.SUPPRESS, help="the configuration")
    log = Parser(add_help=False)
    log.add_argument(
        "-d",
        dest="debug",
        metavar="FLAGS",
        type=flags,
        default=argparse.SUPPRESS,
        help=f"what to log besides, any of {DEBUG_FLAGS}, or - for nothing",
    )
    log.add_argument("-l", dest="logfile", metavar="syslog|FILE", default=argparse.SUPPRESS, help="where to log")
    parser = Parser(
        prog="mailrecv",
        parents=[config, log],
        description="Receive mail for a few addresses into files, Maildirs and commands. Without an action: one SMTP "
        "session on the socket that systemd or inetd gives, or else on standard input and output.",
    )
    parser.add_argument("--version", action="version", version=f"mailrecv {__version__}")
    actions = parser.add_subparsers(metavar="ACTION")
    listen = actions.add_parser("listen", parents=[config, log], help="serve everybody who connects to a port")
    listen.add_argument("address", metavar="[ADDRESS:]PORT", type=address, help=f"default ADDRESS: {DEFAULT_ADDRESS}")
    listen.set_defaults(action="listen")
    check = actions.add_parser("check", parents=[config], help="read the configuration and print every fault")
    check.set_defaults(action="check")
    defaults = argparse.Namespace(action="session", config=DEFAULT_PATH, debug=None, logfile=None)
    return parser.parse_args(arguments, defaults)


def parse_address(text: str) -> tuple[str, int]:
    """Return the address and the port of `[ADDRESS:]PORT`; an IPv6 address stands in brackets. Raises ValueError."""
    address, colon, port = text.rpartition(":")
    if address.startswith("[") and address.endswith("]"):
        address = address[1:-1]
    elif ":" in address:
        raise ValueError(f"{text}: an IPv6 address needs brackets, as in [::1]:2525")
    if not (port.isascii() and port.isdigit() and int(port) <= 65535):
        raise ValueError(f"{text}: a port from 0 to 65535 expected")
    return (address if colon else "") or DEFAULT_ADDRESS, int(port)


def _listener(address: str, port: int) -> socket.socket:
    family, kind, protocol, _, target = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(target)
        listener.listen(128)
    except BaseException:
        listener.close()
        raise
    return listener


def _shown(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _report(error: Exception) -> None:
    """Put an exception that nobody else dealt with into the log."""
    try:
        from mailrecv.journal.log import open_journal
        from mailrecv.server.chronicle import record_exception

        record_exception(open_journal(), error)
    except Exception:  # noqa: BLE001 - the log may be what does not work; standard error is not the client any more
        import traceback

        traceback.print_exception(error)
