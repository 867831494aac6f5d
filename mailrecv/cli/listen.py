"""`mailrecv listen`: serves everybody who connects to a port."""

from __future__ import annotations

import argparse
import errno
import os
import socket
import sys

from mailrecv.cli.action import Actions, Parents
from mailrecv.server.activation import open_closed_streams
from mailrecv.server.start import serve

DEFAULT_ADDRESS = "127.0.0.1"
_BACKLOG = 4096  # connections that may wait to be accepted: as many as at a socket of systemd's


def add(actions: Actions, parents: Parents) -> None:
    """Add the action to the command line.  parents: the options for the configuration and the log."""
    parser = actions.add_parser("listen", parents=parents, help="serve everybody who connects to a port")
    parser.add_argument("address", metavar="[ADDRESS:]PORT", type=_address, help=f"default ADDRESS: {DEFAULT_ADDRESS}")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Listen at `options.address`, serve until a stop is asked for, and return the exit status."""
    open_closed_streams()
    try:
        listener = _listener(*options.address)
    except OSError as error:
        address, port = options.address
        shown = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        print(f"mailrecv: cannot listen on {shown}: {error.strerror or error}{_remedy(error, port)}", file=sys.stderr)
        return os.EX_UNAVAILABLE
    return serve(listener, options.config, options.debug, options.logfile, own_listener=True)


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


def _address(text: str) -> tuple[str, int]:
    try:
        return parse_address(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _listener(address: str, port: int) -> socket.socket:
    family, kind, protocol, _, target = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(target)
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def _remedy(error: OSError, port: int) -> str:
    """Return what to do about an address that cannot be listened at."""
    match error.errno:
        case errno.EADDRINUSE:
            return f"; another program has this port, and ss -ltnp 'sport = {port}' shows which"
        case errno.EACCES:
            return "; ports below 1024 are root's: let systemd listen there (mailrecv.socket), or take one such as 2525"
        case errno.EADDRNOTAVAIL:
            return "; this machine has no such address, but those that `ip address` shows, and 0.0.0.0 or [::] for all"
        case _ if isinstance(error, socket.gaierror):
            return "; write the address in digits, as in 192.0.2.7:2525 or [2001:db8::7]:2525"
    return ""
