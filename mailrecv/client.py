"""Who is at the other end: the address, and the name that DNS confirms for it.

A reverse name counts only if it resolves back to the address (forward-confirmed reverse DNS): whoever owns an address
block can publish any name for it. The system's resolver is asked (so /etc/hosts and nsswitch.conf hold), once, and only
when somebody wants the name. It cannot be interrupted, so it runs in a thread that is left behind at the deadline.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable
from typing import TypeVar

from mailrecv.values import Value

T = TypeVar("T")
MAX_NAMES = 10  # of one address that are looked up again; an address with more is nobody's mail server
# Not compiled before DNS was asked: most sessions never do.
_HOST_NAME = r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,252}[A-Za-z0-9_])?\.?"
_NUMERIC = r"(?:.*\.)?(?:[0-9]+|0[xX][0-9a-fA-F]*)\.?"
_MAPPED = "::ffff:"  # IPv4-mapped IPv6, RFC 4291 §2.5.5.2
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
        first, others, _ = socket.gethostbyaddr(address)
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
            found = {str(entry[4][0]) for entry in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)}
        except (OSError, UnicodeError) as error:
            temporary |= _may_pass(error)
            steps.append(f"{name} has no address: {getattr(error, 'strerror', None) or error}")
            continue
        confirmed = any(plain_address(other) == address for other in found)
        steps.append(
            f"{address} is named {name}, which {'confirms it' if confirmed else 'is ' + ' '.join(sorted(found))}"
        )
        if confirmed:
            return Lookup(name.rstrip(".").lower(), temporary=False, steps=tuple(steps))
    return Lookup(None, temporary, tuple(steps))


def is_host_name(text: str) -> bool:
    """Say whether a text can be the name of a host: 010.0.0.1 cannot, which is 8.0.0.1 without asking DNS."""
    return bool(re.fullmatch(_HOST_NAME, text)) and not re.fullmatch(_NUMERIC, text)


def _may_pass(error: OSError | UnicodeError) -> bool:
    if isinstance(error, socket.gaierror):
        return error.errno in _TEMPORARY_ADDRESS_ERRORS
    return isinstance(error, OSError)  # EAI_SYSTEM: the system call's own error


def plain_address(address: str) -> str:
    """Return an address without an IPv6 zone, and as IPv4 where it is one mapped into IPv6."""
    address = address.partition("%")[0]
    tail = address[len(_MAPPED) :]
    return tail if address.lower().startswith(_MAPPED) and "." in tail else address


def usual_address(text: str) -> str:
    """Return an address that a person wrote in the form that the system gives it. Raises ValueError when it is none."""
    plain = plain_address(text)
    family = socket.AF_INET6 if ":" in plain else socket.AF_INET
    try:
        return socket.inet_ntop(family, socket.inet_pton(family, plain))
    except (OSError, ValueError) as error:
        raise ValueError(f"{text} is no IP address, such as 192.0.2.7 or 2001:db8::7") from error


def full_address(address: str) -> str:
    """Return an IPv6 address with all its digits, any other unchanged."""
    if ":" not in address:
        return address
    digits = socket.inet_pton(socket.AF_INET6, address).hex()
    return ":".join(digits[start : start + 4] for start in range(0, len(digits), 4))


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
        """The address; for IPv6 the short form, then the full one."""
        full = full_address(self.address)
        return (self.address,) if full == self.address else (self.address, full)

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
