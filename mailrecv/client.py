"""Who is at the other end: the address, and the name that DNS confirms for it.

A reverse name counts only if it resolves back to the address (forward-confirmed reverse DNS): whoever owns an address
block can publish any name for it. The system's resolver is asked (so /etc/hosts and nsswitch.conf hold), once, and only
when somebody wants the name. It cannot be interrupted, so it runs in a thread that is left behind at the deadline.

Names are looked up as absolute ones, with a final dot. Without it the resolver would go on to complete them with the
domains of its search list, and confirm names that do not exist.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from mailrecv.address import ZONE, full_address, plain_address, usual_address, without_zone
from mailrecv.values import Value

T = TypeVar("T")
MAX_NAMES = 10  # of one address that are looked up again; an address with more is nobody's mail server
# Not compiled before DNS was asked: most sessions never do.
_HOST_NAME = r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,252}[A-Za-z0-9_])?\.?"
_NUMERIC = r"(?:.*\.)?(?:[0-9]+|0[xX][0-9a-fA-F]*)\.?"
HOSTS = "/etc/hosts"
_SCOPE = 3  # where a socket's name has the number of the zone, RFC 3493 §3.3
_TEMPORARY_HOST_ERRORS = (2, 3)  # netdb.h: TRY_AGAIN, NO_RECOVERY (a server's failure)
_TEMPORARY_ADDRESS_ERRORS = (socket.EAI_AGAIN, socket.EAI_FAIL, socket.EAI_MEMORY)


class Lookup(Value):
    """What DNS says of an address.

    name: the confirmed name in lower case, without the final dot, or None.  temporary: DNS failed in a way that may
    pass, so that None may be wrong.  steps: what was asked and answered, for the log.
    """

    name: str | None
    temporary: bool
    steps: tuple[str, ...]


def look_up(address: str) -> Lookup:
    """Ask DNS for the confirmed name of an address; blocks as long as the system's resolver does."""
    steps: list[str] = []
    temporary = False
    try:
        first, others, _ = socket.gethostbyaddr(without_zone(address))
    except UnicodeError as error:
        steps.append(f"{address} has a name that is no host name: {error}")
        return Lookup(None, temporary, tuple(steps))
    except OSError as error:
        steps.append(f"{address} has no name: {error.strerror or error}")
        return Lookup(None, error.errno in _TEMPORARY_HOST_ERRORS, tuple(steps))
    for name in (first, *others)[:MAX_NAMES]:
        if not is_host_name(name):
            steps.append(f"{address} has a name that is no host name: {name}")
            continue
        try:
            found = _addresses(name)
        except (OSError, UnicodeError) as error:
            temporary |= _may_pass(error)
            steps.append(f"{name} has no address: {getattr(error, 'strerror', None) or error}")
            continue
        confirmed = any(without_zone(plain_address(other)) == without_zone(address) for other in found)
        steps.append(
            f"{address} is named {name}, which {'confirms it' if confirmed else 'is ' + ' '.join(sorted(found))}"
        )
        if confirmed:
            return Lookup(name.rstrip(".").lower(), temporary=False, steps=tuple(steps))
    return Lookup(None, temporary, tuple(steps))


def _addresses(name: str) -> set[str]:
    """Return the addresses of a name, and not of another that begins with it. Raises OSError or UnicodeError.

    glibc finds no name with a final dot in the file of hosts, so that is read here. It comes first, and what stands
    there is not asked about elsewhere: so it is on every system (nsswitch.conf(5)).
    """
    absolute = name.rstrip(".") + "."
    found = _addresses_in_hosts(name.rstrip("."))
    return found or {str(entry[4][0]) for entry in socket.getaddrinfo(absolute, None, type=socket.SOCK_STREAM)}


def _addresses_in_hosts(name: str) -> set[str]:
    """Return the addresses that the file of hosts has for a name."""
    name = name.lower()
    found = set()
    with suppress(OSError), open(HOSTS, encoding="utf-8", errors="replace") as file:
        for line in file:  # of which there may be very many, to keep a browser from them
            if name in line.lower() and name in (words := line.partition("#")[0].lower().split())[1:]:
                with suppress(ValueError):  # its first word is no address; glibc makes nothing of it either
                    found.add(usual_address(words[0]))
    return found


def is_host_name(text: str) -> bool:
    """Say whether a text can be the name of a host: 010.0.0.1 cannot, which is 8.0.0.1 without asking DNS."""
    return bool(re.fullmatch(_HOST_NAME, text)) and not re.fullmatch(_NUMERIC, text)


def _may_pass(error: OSError | UnicodeError) -> bool:
    if isinstance(error, socket.gaierror):
        return error.errno in _TEMPORARY_ADDRESS_ERRORS
    return isinstance(error, OSError)  # EAI_SYSTEM: the system call's own error


def socket_address(peer: tuple[Any, ...]) -> str:
    """Return the address in what a socket of IPv4 or IPv6 tells of its peer, with the zone of a link-local one.

    Python tells the zone as the number of an interface; people know its name.
    """
    host, scope = str(peer[0]), peer[3] if len(peer) > _SCOPE else 0
    if not scope:
        return plain_address(host)
    try:
        zone = socket.if_indextoname(scope)
    except OSError:  # it has just gone
        zone = ""
    return plain_address(f"{without_zone(host)}%{zone if re.fullmatch(ZONE, zone) else scope}")


class Client:
    """The host at the other end of a connection.

    address: as the socket has it.  name: when it is known without DNS.  deadline: on the monotonic clock, in seconds;
    asking for the name raises TimeoutError when it passes; it may be moved.  resolve: asks DNS.
    """

    def __init__(
        self,
        address: str,
        *,
        name: str | None = None,
        deadline: float | None = None,
        resolve: Callable[[str], Lookup] = look_up,
    ) -> None:
        self.address = plain_address(address)
        self._known_name = name
        self._lookup: Lookup | None = None
        self.deadline = deadline
        self._resolve = resolve

    @property
    def loopback(self) -> bool:
        """True for 127.0.0.0/8 and ::1."""
        return self.address.startswith("127.") or self.address == "::1"

    @property
    def address_forms(self) -> tuple[str, ...]:
        """The address without its zone; for IPv6 the short form, then the full one."""
        short, full = without_zone(self.address), full_address(self.address)
        return (short,) if full == short else (short, full)

    @property
    def name(self) -> str | None:
        """The confirmed name, asked for at the first use. Raises TimeoutError at the deadline."""
        return self.lookup.name

    @property
    def name_unknown_now(self) -> bool:
        """True when DNS failed in a way that may pass. Raises TimeoutError at the deadline."""
        return self.lookup.temporary

    @property
    def shown_name(self) -> str:
        """The confirmed name if it is known already, else `unknown`. Never asks."""
        return (self._lookup.name if self._lookup else self._known_name) or "unknown"

    @property
    def looked_up(self) -> bool:
        """True once the name has been asked for and answered."""
        return self._lookup is not None

    @property
    def lookup(self) -> Lookup:
        """What DNS says, asked once. Raises TimeoutError at the deadline."""
        # No cached_property: up to Python 3.11 it has one lock for all clients, and holds it while DNS is asked.
        if self._lookup is None:
            self._lookup = self._look_up()
        return self._lookup

    def _look_up(self) -> Lookup:
        if self._known_name is not None:
            return Lookup(self._known_name, temporary=False, steps=())
        if self.deadline is None:
            return self._resolve(self.address)
        return within(self.deadline - time.monotonic(), self._resolve, self.address)


def within(seconds: float, resolve: Callable[[str], T], subject: str) -> T:
    """Return `resolve(subject)`, or raise TimeoutError when that takes longer than `seconds`.

    The call goes on in a thread that is left behind: the system's resolver cannot be interrupted.
    """
    import queue  # only a session that asks DNS needs threads
    import threading

    results: queue.SimpleQueue[T | BaseException] = queue.SimpleQueue()

    def work() -> None:
        try:
            results.put(resolve(subject))
        except BaseException as error:  # noqa: BLE001 - it is raised again, in the thread that waits
            results.put(error)

    threading.Thread(target=work, name="resolver", daemon=True).start()
    try:
        result = results.get(timeout=min(max(0.0, seconds), threading.TIMEOUT_MAX))
    except queue.Empty:
        raise TimeoutError(f"the name of {subject} took too long to look up") from None
    if isinstance(result, BaseException):
        raise result
    return result
