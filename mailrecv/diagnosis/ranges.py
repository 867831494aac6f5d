"""Advice about ranges such as `A-z`, which hold the characters between the capitals and the small letters too."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mailrecv.config.model import Config
from mailrecv.diagnosis.advice import Advice, Source

_SLIP = re.compile(r"\[\^?(?:\\.|[^\]\\])*?A-z")
_PATTERN_WORD = 2  # of `allow remotehost REGEX`, `allowgroup +NAME REGEX` and `error rcpt_to REGEX`


def advise(config: Config, source: Source) -> Iterator[Advice]:
    """Yield advice about all patterns, for clients and for recipients."""
    for_clients = [*config.allow, *(rule for group in config.groups.values() for rule in group)]
    patterns = [(rule.line, rule.pattern.text) for rule in for_clients]
    patterns += [(rule.line, rule.pattern.text) for rule in config.errors]
    for line, pattern in patterns:
        if _SLIP.search(pattern):
            text = r"the range A-z also holds [ \ ] ^ _ and `, which stand between Z and a"
            yield source.advice(line, _PATTERN_WORD, text, "write: a-z, since letter case makes no difference")
