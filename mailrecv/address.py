"""IP addresses, in the one form in which the log shows them and patterns are tried on them."""

from __future__ import annotations

import re
import socket

ZONE = r"[A-Za-z0-9._-]+"  # the name of an interface, or its number
BITS = {socket.AF_INET: 32, socket.AF_INET6: 128}
_MAPPED = "::ffff:"  # IPv4-mapped IPv6, RFC 4291 §2.5.5.2
_LINK_LOCAL = ("fe8", "fe9", "fea", "feb")  # how such addresses begin, RFC 4291 §2.5.6


def plain_address(address: str) -> str:
    """Return an address as it is shown, and as patterns are tried on it.

    That is IPv4 for one mapped into IPv6. The zone is told for link-local addresses alone: no other has one. And IPv6
    is written without dots, or ::192.0.2.9, whose owner is anybody, would look like an IPv4 address to a pattern.
    """
    host, _, zone = address.partition("%")
    if ":" in host and "." in host:
        head, _, tail = host.rpartition(":")
        if host.lower().startswith(_MAPPED):
            return tail
        octets = [int(octet) for octet in tail.split(".")]
        host = f"{head}:{octets[0] << 8 | octets[1]:x}:{octets[2] << 8 | octets[3]:x}"
    return f"{host}%{zone}" if zone and host.lower().startswith(_LINK_LOCAL) else host


def usual_address(text: str) -> str:
    """Return an address that a person wrote in the form that the log has it. Raises ValueError when it is none."""
    host, _, zone = text.partition("%")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        usual = socket.inet_ntop(family, socket.inet_pton(family, host))
    except (OSError, ValueError) as error:
        raise ValueError(f"{text} is no IP address, such as 192.0.2.7 or 2001:db8::7") from error
    if "%" in text and not re.fullmatch(ZONE, zone):
        raise ValueError(f"{text} has no zone behind the %, such as eth0")
    return plain_address(f"{usual}%{zone}" if zone else usual)


def without_zone(address: str) -> str:
    """Return an address without its zone, if it has one."""
    return address.partition("%")[0]


def full_address(address: str) -> str:
    """Return an IPv6 address with all its digits and without its zone, any other unchanged."""
    if ":" not in address:
        return address
    address = without_zone(address)
    digits = socket.inet_pton(socket.AF_INET6, address).hex()
    return ":".join(digits[start : start + 4] for start in range(0, len(digits), 4))


def number_of(address: str) -> tuple[socket.AddressFamily, int]:
    """Return the family of an address without a zone, and its bits as a number. Raises OSError when it is none."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return family, int.from_bytes(socket.inet_pton(family, address), "big")


def address_from(family: socket.AddressFamily, number: int) -> str:
    """Return the address with these bits."""
    return plain_address(socket.inet_ntop(family, number.to_bytes(BITS[family] // 8, "big")))
