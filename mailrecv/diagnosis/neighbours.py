"""Addresses that look like those a pattern is meant for, and are not: on these a pattern shows whether it is right."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address, ip_network, summarize_address_range
from typing import TypeAlias

from mailrecv.address import usual_address

Network: TypeAlias = IPv4Network | IPv6Network
_OCTETS = 4
_GROUPS = 8
_OCTET_BITS, _GROUP_BITS = 8, 16
_ENCLOSED = re.compile(r"\((?:\?:)?(?P<inside>[^()|]*)\)[*+?]?")
_ANY_DIGITS = r"(?:\.|[*+?]|\[0-9\]|\\d|x|\{1,3\})*"  # what people write for the rest of an address
_WITH_PORT = re.compile(r"(?P<ipv4>(?:[0-9]+\.){3}[0-9]+):[0-9]+|\[(?P<any>[0-9a-f.:]+)\]:[0-9]+", re.IGNORECASE)
_RANGE = re.compile(r"(?P<first>(?P<network>[0-9.]+\.)[0-9]+)-(?P<last>[0-9.]+)")
_IPV4 = re.compile(rf"(?P<fixed>(?:[0-9]{{1,3}}\.){{0,3}}[0-9]{{1,3}}\.?)(?P<rest>{_ANY_DIGITS})")
_MAPPED = re.compile(r"::ffff:(?=[0-9]+\.)", re.IGNORECASE)  # no client is shown with it in front
_IPV6 = re.compile(rf"(?P<fixed>[0-9a-f]*:[0-9a-f:]*)(?P<rest>{_ANY_DIGITS})", re.IGNORECASE)


def meant_for(text: str) -> Network | None:
    """Return which addresses a regular expression is meant for, if it is an address, or the beginning of one."""
    body = text.strip("|").removeprefix("^").removesuffix(r"\K").removesuffix("$").strip("|")
    if enclosed := _ENCLOSED.fullmatch(body):
        body = enclosed["inside"]
    body = _MAPPED.sub("", body.replace(r"\.", "."), count=1)
    if with_port := _WITH_PORT.fullmatch(body):
        body = with_port["ipv4"] or with_port["any"]
    try:
        if match := _IPV4.fullmatch(body):
            return _ipv4(match["fixed"], match["rest"])
        if match := _IPV6.fullmatch(body):
            return _ipv6(match["fixed"], match["rest"])
    except ValueError:
        pass
    return None


def range_meant(text: str) -> tuple[str, Network | None] | None:
    """Return the first address of a range such as 192.0.2.0-255, and the network that it is; or None for other text."""
    body = text.removeprefix("^").removesuffix("$").replace(r"\.", ".")
    match = _RANGE.fullmatch(body)
    if match is None:
        return None
    last = match["last"] if "." in match["last"] else match["network"] + match["last"]
    try:
        networks = list(summarize_address_range(IPv4Address(match["first"]), IPv4Address(last)))
    except ValueError:
        return None
    return match["first"], networks[0] if len(networks) == 1 else None


def _ipv4(fixed: str, rest: str) -> Network | None:
    octets = fixed.rstrip(".").split(".")
    if len(octets) == _OCTETS and (rest or fixed.endswith(".")):
        return None
    return ip_network((".".join(octets + ["0"] * (_OCTETS - len(octets))), _OCTET_BITS * len(octets)))


def _ipv6(fixed: str, rest: str) -> Network | None:
    if not rest and not fixed.endswith(":"):
        try:
            return ip_network(usual_address(fixed))
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


def examples(meant: Network) -> list[str]:
    """Return some of the addresses that are meant, with few and with many digits."""
    numbers = (0, 1, 7, 20, 77, 177, 200, 255)
    bits = meant.max_prefixlen - meant.prefixlen
    step = _OCTET_BITS if meant.version == _OCTETS else _GROUP_BITS
    everywhere = sum(1 << at for at in range(0, bits, step))
    rests = dict.fromkeys(number * factor for factor in (everywhere, min(1, bits)) for number in numbers)
    return [str(meant.network_address + rest) for rest in rests]


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
