"""Reads messages back: from the text of an entry to its facts, by the message templates of the catalogue.

A log file holds nothing but text, and clients choose some of the words in it. So a message counts only if there is just
one way to read it. A template is a row of fixed pieces with free text in between. Each piece must stand in the message
exactly once after the piece before it; then no other cut is possible. When a client has written such a piece into an
address, or when two templates fit, the message is ambiguous, and nobody may count it: what is refused here can hide a
message of whoever wrote it, but never pass one off as another's.
"""

from __future__ import annotations

import re
from enum import Enum
from string import Formatter
from typing import Final

from mailrecv.journal.catalogue import CATALOGUE, Entry
from mailrecv.report.event import FORMS


class Unreadable(Enum):
    """Why a message cannot be read."""

    UNKNOWN = "no template fits"
    AMBIGUOUS = "there is more than one way to read it"


Facts = dict[str, str]


class Template:
    """The message of a kind of entry, to read instead of to write."""

    def __init__(self, entry: Entry) -> None:
        self.name = entry.name
        self._message = entry.message
        self._free: list[str] = []  # names of facts, one after each piece but the last
        pieces = [""]
        for literal, name, _, _ in Formatter().parse(entry.message):
            pieces[-1] += re.escape(literal)
            if name in FORMS:
                pieces[-1] += f"(?P<{name}>{FORMS[name]})"
            elif name is not None:
                self._free.append(name)
                pieces.append("")
        pieces[-1] += r"\Z"
        self.longest_literal = max((literal for literal, *_ in Formatter().parse(entry.message)), key=len)
        self._first, *self._later = (re.compile(piece) for piece in pieces)

    def read(self, message: str) -> Facts | Unreadable:
        """Return the facts in a message."""
        match = self._first.match(message)
        if match is None:
            return Unreadable.UNKNOWN
        facts = match.groupdict()
        unique = True
        for name, piece in zip(self._free, self._later, strict=True):
            after = match.end()
            match = piece.search(message, after)
            if match is None:
                return Unreadable.UNKNOWN
            # A piece without any text is the end of the message, of which there is one.
            unique = unique and (match.start() == len(message) or piece.search(message, match.start() + 1) is None)
            facts[name] = message[after : match.start()]
            facts |= match.groupdict()
        return facts if unique else Unreadable.AMBIGUOUS

    def covers(self, other: Template) -> bool:
        """Say whether all messages of another template fit this one too, so that the other is the one to trust."""
        examples = {"seconds": "0.000", "id": "0", "reply": "500 x"}
        named = {name: examples.get(name, "0") for _, name, _, _ in Formatter().parse(other._message) if name}
        return self is not other and self.read(other._message.format_map(named)) is not Unreadable.UNKNOWN


TEMPLATES: Final = [Template(entry) for entry in CATALOGUE.values()]
_BY_LITERAL: Final = [(template.longest_literal, template) for template in TEMPLATES]
_COVERED: Final = {template: {other for other in TEMPLATES if template.covers(other)} for template in TEMPLATES}


def read_message(message: str) -> tuple[str, Facts] | Unreadable:
    """Return the name of the kind of entry that a message is of, and its facts."""
    fitting: dict[Template, Facts | Unreadable] = {}
    for literal, template in _BY_LITERAL:
        if literal in message:  # a message has few of them, and to look for one takes no time
            facts = template.read(message)
            if facts is not Unreadable.UNKNOWN:
                fitting[template] = facts
    if len(fitting) > 1:
        fitting = {template: facts for template, facts in fitting.items() if _COVERED[template].isdisjoint(fitting)}
    if not fitting:
        return Unreadable.UNKNOWN
    (template, facts), *others = fitting.items()
    if others or isinstance(facts, Unreadable):
        return Unreadable.AMBIGUOUS
    return template.name, facts
