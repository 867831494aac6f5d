"""The three kinds of patterns for clients: an address in brackets, a network, or else a regular expression.

Which one a word of the configuration is, `client_pattern` tells by its form. Whoever has one need not know.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from mailrecv.address import BITS, number_of, usual_address, without_zone
from mailrecv.policy.patterns import Pattern, Verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mailrecv.policy.clients import Known

_ADDRESS = "0123456789abcdefABCDEF.:"  # characters
TAG = "ipv6:"  # as HELO has it before an address in brackets
_PLAINLY_ADDRESSES = "0123456789:^$|()?*+{},"  # of these, and of escaped dots, no name can be made


class AddressFault(Exception):
    """A word is meant for an address or a network, but is none.  The text says what is wrong, and what to write."""


class ClientTest(Protocol):
    """A pattern for clients."""

    @property
    def text(self) -> str:
        """As the configuration has it."""

    @property
    def may_match_names(self) -> bool:
        """False when no host name can satisfy it, so that none need be asked for."""

    @property
    def may_match_somebody(self) -> bool:
        """False when no client at all can satisfy it, for all that can be told."""

    @property
    def exact(self) -> bool:
        """True when it says itself which addresses are meant, and matches no others."""

    def tried_on(self, client: Known) -> Iterator[tuple[str, Verdict]]:
        """Yield what it is tried on, and with what result: the address first, then the name."""


def client_pattern(text: str, *, checked: bool = False) -> ClientTest:
    """Return the pattern for clients that a word stands for.

    checked: it was read before, without a fault. Raises AddressFault, and PatternFault for a regular expression.
    """
    kind = Network if is_network(text) else Address if is_address(text) else None
    if kind is None:
        return Expression(Pattern(text, checked=checked))
    if not checked:
        from mailrecv.policy import address_faults  # so the file is being read, and nobody waits for a greeting

        address_faults.check(text)
    return kind(text)


def is_network(text: str) -> bool:
    """Say whether a word has the form ADDRESS/BITS: no client has a slash, so it is meant for nothing else."""
    address, slash, bits = text.partition("/")
    if not slash:
        return False
    address = without_zone(address)
    characters = _ADDRESS if ":" in address else "0123456789."
    return bool(address and bits) and not address.strip(characters) and not bits.strip("0123456789.")


def is_address(text: str) -> bool:
    """Say whether a word has the form [ADDRESS]: no class of characters would name the same one twice."""
    if not (text.startswith("[") and text.endswith("]")):
        return False
    address = without_zone(text[1:-1].lower().removeprefix(TAG))
    return (address.count(".") > 1 or address.count(":") > 1) and not address.strip(_ADDRESS)


def is_written_as_address(text: str) -> bool:
    """Say whether a regular expression is nothing but digits, dots and anchors, though its dots match letters, too."""
    return not text.strip(".0123456789^$") and text.strip(".^$") != ""


class Address:
    """`[192.0.2.9]`: exactly that address; a link-local one without a zone is meant on every link."""

    may_match_names = False
    may_match_somebody = True
    exact = True

    def __init__(self, text: str) -> None:
        self.text = text
        self._address = usual_address(text[1:-1])

    def tried_on(self, client: Known) -> Iterator[tuple[str, Verdict]]:
        """Yield the address, and whether it is this one."""
        address = client.address if "%" in self._address else without_zone(client.address)
        yield client.address, _verdict(address == self._address)

    def __repr__(self) -> str:
        return f"Address({self.text!r})"


class Network:
    """`192.0.2.0/24`: all addresses that begin with the same so many bits."""

    may_match_names = False
    may_match_somebody = True
    exact = True

    def __init__(self, text: str) -> None:
        self.text = text
        address, _, bits = text.partition("/")
        self._family, number = number_of(address)
        self._other_bits = BITS[self._family] - int(bits)
        self._first_bits = number >> self._other_bits

    def tried_on(self, client: Known) -> Iterator[tuple[str, Verdict]]:
        """Yield the address, and whether it is in the network."""
        family, number = number_of(without_zone(client.address))
        within = family == self._family and number >> self._other_bits == self._first_bits
        yield client.address, _verdict(within)

    def __repr__(self) -> str:
        return f"Network({self.text!r})"


class Expression:
    """A regular expression, for names and for both forms of an address."""

    exact = False

    def __init__(self, pattern: Pattern) -> None:
        self.text = pattern.text
        self._pattern = pattern
        self._may_match_names: bool | None = None

    @property
    def may_match_names(self) -> bool:
        """False when it needs what no name has, or when digits and dots are enough for it."""
        if self._may_match_names is None:
            self._may_match_names = self._find_out()
        return self._may_match_names

    @property
    def may_match_somebody(self) -> bool:
        """False when it needs what neither a name nor an address has."""
        from mailrecv.policy.mixtures import may_match_somebody  # no session wants to know

        return may_match_somebody(self._pattern)

    def _find_out(self) -> bool:
        text = self.text.replace("\\.", "")
        if is_written_as_address(text) or not text.replace("[0-9]", "").strip(_PLAINLY_ADDRESSES):
            return False
        from mailrecv.policy.mixtures import may_match_names  # many configurations have none but plain ones

        return may_match_names(self._pattern)

    def tried_on(self, client: Known) -> Iterator[tuple[str, Verdict]]:
        """Yield each form of the address, then the name, if there is one that could match."""
        for form in client.forms:
            yield form, self._pattern.search(form)
        if client.name is not None and self.may_match_names:
            yield client.name, self._pattern.search(client.name, host_name=True)

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"


def _verdict(matches: bool) -> Verdict:
    return Verdict.YES if matches else Verdict.NO
