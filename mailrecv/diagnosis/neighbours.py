"""Addresses that look like those a pattern is meant for, and are not: on these a pattern shows whether it is right."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TypeAlias

Network: TypeAlias = IPv4Network | IPv6Network
_OCTETS = 4
_GROUPS = 8
_OCTET_BITS, _GROUP_BITS = 8, 16
_ENCLOSED = re.compile(r"\((?:\?:)?(?P<inside>[^()|]*)\)[*+?]?")
_ANY_DIGITS = r"(?:\.|[*+?]|\[0-9\]|\\d|x|\{1,3\})*"  # what people write for the rest of an address
_IPV4 = re.compile(rf"(?P<fixed>(?:[0-9]{{1,3}}\.){{0,3}}[0-9]{{1,3}}\.?)(?P<rest>{_ANY_DIGITS})")
_IPV6 = re.compile(rf"(?P<fixed>[0-9a-f]*:[0-9a-f:]*)(?P<rest>{_ANY_DIGITS})", re.IGNORECASE)


def meant_for(text: str) -> Network | None:
    """Return which addresses a regular expression is meant for, if it is an address, or the beginning of one."""
    body = text.strip("|").removeprefix("^").removesuffix(r"\K").removesuffix("$").strip("|")
    if enclosed := _ENCLOSED.fullmatch(body):
        body = enclosed["inside"]
    body = body.replace(r"\.", ".")
    try:
        if match := _IPV4.fullmatch(body):
            return _ipv4(match["fixed"], match["rest"])
        if match := _IPV6.fullmatch(body):
            return _ipv6(match["fixed"], match["rest"])
    except ValueError:
        pass
    return None


def _ipv4(fixed: str, rest: str) -> Network | None:
    octets = fixed.rstrip(".").split(".")
    if len(octets) == _OCTETS and (rest or fixed.endswith(".")):
        return None
    return ip_network((".".join(octets + ["0"] * (_OCTETS - len(octets))), _OCTET_BITS * len(octets)))


def _ipv6(fixed: str, rest: str) -> Network | None:
    if not rest and not fixed.endswith(":"):
        try:
            return ip_network(fixed)
        except ValueError:  # the beginning of one, without a colon at its end
            pass
    groups = fixed.rstrip(":").split(":")
    if "" in groups or len(groups) >= _GROUPS:
        return None
    return ip_network((f"{':'.join(groups)}::", _GROUP_BITS * len(groups)))


def neighbours(meant: Network) -> Iterator[str]:
    """Yield addresses that are not among those meant, but have the same digits in their place, or nearly."""
    for text in _ipv4_like(meant) if meant.version == _OCTETS else _ipv6_like(meant):
        try:
            address = ip_address(text)
        except ValueError:
            continue
        if address not in meant:
            yield str(address)


def pattern_for(meant: Network) -> str:
    """Return the pattern that says what is meant."""
    return f"[{meant.network_address}]" if meant.prefixlen == meant.max_prefixlen else str(meant)


def _ipv4_like(meant: Network) -> Iterator[str]:
    fixed = ".".join(str(meant.network_address).split(".")[: meant.prefixlen // _OCTET_BITS])
    digits = "0123456789"
    dots = [at for at, character in enumerate(fixed) if character == "."]
    without_a_dot = (fixed[:at] + digit + fixed[at + 1 :] for digit in digits for at in dots)
    others = (f"{fixed[:at]}{digit}{fixed[at:]}" for digit in digits for at in dots)
    for form in itertools.chain([fixed], others, without_a_dot):
        for before, after in itertools.product(["", "1", "2"], ["", *digits, "00", "55"]):
            yield _completed(before + form + after)


def _completed(beginning: str) -> str:
    return ".".join([*beginning.split("."), *["7"] * (_OCTETS - 1 - beginning.count("."))])


def _ipv6_like(meant: Network) -> Iterator[str]:
    fixed = str(meant.network_address)
    if meant.prefixlen < meant.max_prefixlen:
        fixed = fixed.rstrip(":")
    befores = ("", "1", "a", "fe80:", "2001:db8:", "2001:db8:1")
    afters: Iterable[str] = ("", "0", "1", "7", "f", "ff", ":7", ":1")
    for before, after in itertools.product(befores, afters):
        yield before + fixed + after
        yield f"{before}{fixed}{after}::7"
