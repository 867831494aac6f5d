"""The words of one line of the configuration, taken one after the other.

A word is what stands between blanks; `#` at the start of a line or after a blank begins a comment. Each way to take a
word checks it and raises WordFault, which points at the word, or at the line's end where a word is missing.
"""

from __future__ import annotations

import re

from mailrecv.policy.client_patterns import AddressFault, ClientTest, client_pattern
from mailrecv.policy.patterns import Pattern, PatternFault
from mailrecv.reply import Reply

_WORD = re.compile(r"[^ \t]+")
_COMMENT = re.compile(r"(?:^|(?<=[ \t]))#")
_UNFIT = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\udc80-\udcff]")  # controls, and octets that are not UTF-8
_CODE = re.compile(r"[45][0-9][0-9]")
_NO_REFUSAL = re.compile(r"[0-9]{3}")  # of three digits, but none of the above
_NUMBER = re.compile(r"0*([0-9]{1,16})")
_SWITCH = {"on": True, "yes": True, "1": True, "off": False, "no": False, "0": False}
_SHOWN = 40  # characters of a word that a fault repeats
_MAX_NUMBER = 10**15  # larger than any count, octets or seconds that can be meant


class WordFault(Exception):
    """A word is wrong.  column: from 1.  width: in characters.  text: what is wrong."""

    def __init__(self, column: int, width: int, text: str) -> None:
        super().__init__(column, width, text)
        self.column = column
        self.width = max(1, width)
        self.text = text


def _unfit(character: str) -> str:
    code = ord(character)
    return f"octet 0x{code - 0xDC00:02x} is not UTF-8" if code >= 0xDC80 else f"control character 0x{code:02x}"


class MissingWord(WordFault):
    """The line ends where a word should be."""


def brief(word: str) -> str:
    """Return a word for use in a fault's text, cut off where it is long."""
    return word if len(word) <= _SHOWN else word[:_SHOWN] + "..."


class Words:
    """A cursor over the words of a line.  text: the line without its line end."""

    def __init__(self, text: str) -> None:
        comment = _COMMENT.search(text)
        self._text = text[: comment.start()].rstrip(" \t") if comment else text.rstrip(" \t")
        unfit = _UNFIT.search(self._text)  # a comment may hold anything
        if unfit:
            raise WordFault(unfit.start() + 1, 1, _unfit(unfit[0]))
        self._at = 0  # where the next word is looked for
        self._last = (1, 1)  # column and width of the word taken last

    def empty(self) -> bool:
        """True when no word is left."""
        return _WORD.search(self._text, self._at) is None

    def text(self) -> str:
        """Return the whole line without its comment."""
        return self._text.strip(" \t")

    def fault(self, text: str) -> WordFault:
        """Return a fault at the word taken last."""
        return WordFault(*self._last, text)

    def found(self, expected: str, word: str) -> WordFault:
        """Return a fault that says what was expected, and the word that stands there instead."""
        return self.fault(f"{expected} expected, found {brief(word)}")

    def word(self, what: str) -> str:
        """Take the next word.  what: its name, for the fault when it is missing."""
        match = _WORD.search(self._text, self._at)
        if match is None:
            raise MissingWord(len(self._text) + 1, 1, f"{what} expected here")
        self._at = match.end()
        self._last = (match.start() + 1, len(match[0]))
        return match[0]

    def rest(self, what: str) -> str:
        """Take all that is left, blanks inside it as they are."""
        first = self.word(what)
        start = self._at - len(first)
        self._at = len(self._text)
        self._last = (start + 1, self._at - start)
        return self._text[start:]

    def end(self) -> None:
        """Check that nothing is left."""
        if not self.empty():
            word = self.word("")
            raise self.found("nothing more", word)

    def one_of(self, what: str, choices: tuple[str, ...]) -> str:
        """Take one of some fixed words."""
        word = self.word(f"{what} ({' or '.join(choices)})")
        if word not in choices:
            raise self.found(f"{' or '.join(choices)}", word)
        return word

    def switch(self, what: str) -> bool:
        """Take a word that turns something on or off."""
        word = self.word(f"{what} (on or off)")
        if word not in _SWITCH:
            raise self.found("on or off", word)
        return _SWITCH[word]

    def number(self, what: str, least: int) -> int:
        """Take a whole number, `least` or more."""
        word = self.word(f"{what}, a number,")
        digits = _NUMBER.fullmatch(word)
        if digits is None or not least <= int(digits[1]) <= _MAX_NUMBER:
            raise self.found(f"{what}: a whole number from {least} to {_MAX_NUMBER}", word)
        return int(digits[1])

    def pattern(self, what: str) -> Pattern:
        """Take a regular expression."""
        word = self.word(f"{what}, a regular expression,")
        try:
            return Pattern(word)
        except PatternFault as fault:
            raise self._within(fault) from None

    def client(self) -> ClientTest:
        """Take a pattern for clients."""
        word = self.word("a client's name or address, [ADDRESS], ADDRESS/BITS or a regular expression,")
        try:
            return client_pattern(word)
        except AddressFault as fault:
            raise self.fault(str(fault)) from None
        except PatternFault as fault:
            raise self._within(fault) from None

    def _within(self, fault: PatternFault) -> WordFault:
        """Return a fault at the place in the word taken last where PCRE2 found it."""
        column, width = self._last
        offset = min(fault.offset, width)
        text = f"bad pattern: {fault.text}, at offset {fault.offset}"
        return WordFault(column + offset, width - offset, text)

    def reply(self, default: str) -> Reply:
        """Take a reply code and, to the end of the line, its text.  default: the text when there is none."""
        word = self.word("a reply code, 4xx or 5xx,")
        if not _CODE.fullmatch(word):
            if _NO_REFUSAL.fullmatch(word):
                raise self.fault(f"{word} is no refusal: a reply code from 400 to 599 expected")
            raise self.found("a reply code from 400 to 599", word)
        return Reply(int(word), default if self.empty() else self.rest("the reply's text"))
