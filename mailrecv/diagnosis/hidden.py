"""Advice about lines that never decide anything: an earlier line, or the protocol, always comes before them.

Only what can be told for certain is told. Whether one pattern matches all that another does cannot be told in general;
it can where both are plain text but for `^` and `$`, where both are the same, and where the first matches everything.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import TypeAlias

from mailrecv.config.model import Config, Deliver
from mailrecv.diagnosis.advice import ADDRESS, Advice, Source, word_of
from mailrecv.smtp.grammar import Malformed, parse_path

_EVERYTHING = re.compile(r"\^?(?:\.[*+][?+]?)\$?|\^?\.?|\.?\$|\^\.?")  # no recipient is empty, or holds a line end
_PLAIN = re.compile(r"(\^?)((?:[A-Za-z0-9@_:/ ,=&%!'~-]|\\[^A-Za-z0-9])+)(\$?)")
_LONGEST_COMPARED = 80  # characters of a plain pattern; the work grows with their square
_FIRST_WORD = 0
_PATTERN_WORD = 2  # of `error rcpt_to REGEX ...`
_GROUP_WORD = 1  # of `allowgroup +NAME REGEX`


def advise(config: Config, source: Source) -> Iterator[Advice]:
    """Yield advice about `deliver`, `error` and `allowgroup` lines that never decide."""
    for rules in config.deliver.values():
        yield from _unreached(config, rules, source)
    yield from _hidden_errors(config, source)
    used = {rule.group for rules in config.deliver.values() for rule in rules}
    for name, patterns in config.groups.items():
        if name not in used:
            text = f"no deliver line uses the group {name}"
            yield source.advice(patterns[0].line, _GROUP_WORD, text, "use it in a deliver line, or remove it")


# deliver


def _unreached(config: Config, rules: tuple[Deliver, ...], source: Source) -> Iterator[Advice]:
    """Yield advice about the lines for one address."""
    impossible = _impossible_address(config, rules[0].address)
    if impossible is not None:
        for rule in rules:
            yield source.advice(rule.line, word_of(rule, ADDRESS), *impossible)
        return
    for at, rule in enumerate(rules):
        for earlier in rules[:at]:
            if earlier.group is None or (rule.group is not None and _admits_all_of(config, earlier.group, rule.group)):
                whom = "everybody" if earlier.group is None else f"every client that {rule.group} does"
                text = f"this line is never reached: line {earlier.line} takes {rule.address} from {whom}"
                yield source.advice(rule.line, _FIRST_WORD, text, f"move it before line {earlier.line}, or remove it")
                break


def _admits_all_of(config: Config, group: str, other: str) -> bool:
    patterns = {rule.pattern.text for rule in config.groups[group]}
    return all(rule.pattern.text in patterns for rule in config.groups[other])


def _impossible_address(config: Config, address: str) -> tuple[str, str] | None:
    """Return why no client can name an address in RCPT TO, and what to write instead; None when one can."""
    octets = address.encode("utf-8", "surrogateescape")
    if config.limits.smtp_ascii.on and not address.isascii():
        text = "this line is never reached: limit.smtp_ascii refuses such an address"
        return text, "write an address in ASCII, or limit.smtp_ascii off"
    try:
        path = parse_path(b"TO:<" + octets + b">", b"TO", "", reverse=False)
    except Malformed:
        return "this line is never reached: SMTP knows no such address", "write an address as in name@mydomain.com"
    if not path.domain and path.local_part == "postmaster":
        text = "this line is never reached: a postmaster without a domain gets the server's"
        return text, f"write: postmaster@{config.domain or 'DOMAIN, the name of this server'}"
    if str(path).lower() != address:
        return "this line is never reached: SMTP has another form for this address", f"write: {path}"
    return None


# error


_Plain: TypeAlias = tuple[str, bool, bool]  # text in small letters; whether it begins, and ends, with the subject


def _plain(pattern: str) -> _Plain | None:
    """Return a pattern as plain text, or None when it is more than that."""
    match = _PLAIN.fullmatch(pattern)
    return match and (re.sub(r"\\(.)", r"\1", match[2]).lower(), bool(match[1]), bool(match[3]))


def _wider(plain: _Plain) -> Iterator[_Plain]:
    """Yield every plain pattern that matches all that this one does, itself among them."""
    text, begins, ends = plain
    for start, end in itertools.combinations(range(len(text) + 1), 2):
        for at_start in {False, begins and start == 0}:
            for at_end in {False, ends and end == len(text)}:
                yield text[start:end], at_start, at_end


def _hidden_errors(config: Config, source: Source) -> Iterator[Advice]:
    everything: int | None = None  # the first line that takes all recipients
    earlier: dict[str | _Plain, int] = {}  # the first line with a pattern, as it is written and as plain text
    for rule in config.errors:
        pattern = rule.pattern.text
        plain = _plain(pattern)
        wider = _wider(plain) if plain is not None and len(plain[0]) <= _LONGEST_COMPARED else ()
        hider = everything or min((earlier[one] for one in (pattern, *wider) if one in earlier), default=None)
        if hider is not None:
            text = f"this line never decides: line {hider} takes all that it matches"
            yield source.advice(rule.line, _PATTERN_WORD, text, f"move it before line {hider}, or remove it")
        elif plain is not None and plain[1:] == (True, True) and plain[0] in config.deliver:
            line = config.deliver[plain[0]][0].line
            text = f"this line never decides: line {line} speaks of the same address, and deliver lines come first"
            yield source.advice(rule.line, _PATTERN_WORD, text, f"remove this line, or line {line}")
        earlier.setdefault(pattern, rule.line)
        if plain is not None:
            earlier.setdefault(plain, rule.line)
        if everything is None and _EVERYTHING.fullmatch(pattern):
            everything = rule.line
