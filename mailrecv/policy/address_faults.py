"""What is wrong with a word that is meant for an address or a network, and what was meant."""

from __future__ import annotations

import socket

from mailrecv.address import BITS, address_from, number_of, usual_address
from mailrecv.policy.client_patterns import TAG, AddressFault, is_address, is_network

_NO_NETWORK = "is no network, such as 192.0.2.0/24 or 2001:db8::/32"
_NO_ADDRESS = "is no IP address, such as [192.0.2.7] or [2001:db8::7]"
_OCTETS = 4
_MAPPED = 0xFFFF << 32  # what stands before the last 32 bits of ::ffff:192.0.2.9
_MAPPED_BITS = 96


def check(text: str) -> None:
    """Check a pattern for clients that has the form of an address or a network. Raises AddressFault."""
    if is_network(text):
        address, _, bits = text.partition("/")
        address, percent, zone = address.partition("%")
        _check_network(address, percent + zone, bits)
    elif is_address(text):
        _check_address(text[1:-1])


def _check_network(address: str, zone: str, bits: str) -> None:
    written = f"{address}{zone}/{bits}"
    try:
        family, number = _lenient_number(address)
        size = _lenient_size(bits, family)
    except (OSError, ValueError):
        raise AddressFault(f"{written} {_NO_NETWORK}") from None
    if size > BITS[family]:
        raise AddressFault(f"{written} {_NO_NETWORK}: IPv4 has 32 bits, IPv6 has 128")
    mapped = family == socket.AF_INET6 and size >= _MAPPED_BITS and number & ~0xFFFFFFFF == _MAPPED
    host = address_from(family, number)
    if mapped:
        family, number, size = socket.AF_INET, number & 0xFFFFFFFF, size - _MAPPED_BITS
    other_bits = BITS[family] - size
    network = f"{address_from(family, number >> other_bits << other_bits)}/{size}"
    if zone:
        raise AddressFault(f"a network has no zone, write {network}")
    if mapped:
        raise AddressFault(f"clients by IPv4 are known by their IPv4 address, write {network}")
    if "." in bits:
        raise AddressFault(f"the size of a network is a number of bits, write {network}")
    if bits != str(size) or (family == socket.AF_INET and _has_leading_zeros(address)):
        raise AddressFault(f"a leading zero is not taken, since it can mean two things, write {network}")
    if family == socket.AF_INET and address.count(".") != _OCTETS - 1:
        raise AddressFault(f"an IPv4 address has four numbers, write {network}")
    if number >> other_bits << other_bits != number:
        raise AddressFault(f"{address} is not the first address of its network, write {network}, or [{host}]")


def _check_address(inside: str) -> None:
    address = inside[inside.lower().startswith(TAG) and len(TAG) :]
    try:
        usual = usual_address(address)
    except ValueError:
        if address.count(".") == _OCTETS - 1 and _has_leading_zeros(address):
            octets = ".".join(octet.lstrip("0") or "0" for octet in address.split("."))
            raise AddressFault(f"a leading zero is not taken, since it can mean two things, write [{octets}]") from None
        raise AddressFault(f"{address} {_NO_ADDRESS}") from None
    if "%" in address and "%" not in usual:
        raise AddressFault(f"only link-local addresses, such as fe80::1, have a zone, write [{usual}]")
    if ":" in address and ":" not in usual:
        raise AddressFault(f"clients by IPv4 are known by their IPv4 address, write [{usual}]")
    if address != inside:
        raise AddressFault(f"an address stands here as the log shows it, write [{usual}]")


def _lenient_number(address: str) -> tuple[socket.AddressFamily, int]:
    """Return the number of an address that may be written in a way that is not taken. Raises OSError or ValueError."""
    if ":" in address:
        return number_of(address)
    octets = [int(octet) for octet in address.rstrip(".").split(".")]
    return number_of(".".join(map(str, (octets + [0] * _OCTETS)[: max(_OCTETS, len(octets))])))


def _lenient_size(bits: str, family: socket.AddressFamily) -> int:
    """Return how many bits are meant, also by a mask such as 255.255.255.0. Raises OSError or ValueError."""
    if "." not in bits:
        return int(bits)
    _, mask = number_of(bits)
    others = mask ^ 0xFFFFFFFF
    if family != socket.AF_INET or others & (others + 1):
        raise ValueError
    return BITS[family] - others.bit_length()


def _has_leading_zeros(address: str) -> bool:
    return any(len(octet) > 1 and octet.startswith("0") for octet in address.split("."))
