"""Reads a configuration file: every line through the table of directives, every fault kept until the end."""

from __future__ import annotations

from mailrecv.config.directives import DIRECTIVES, Draft
from mailrecv.config.faults import ConfigError, Fault
from mailrecv.config.model import Config
from mailrecv.config.words import MissingWord, WordFault, Words, brief

_LONGEST_TYPO = 40  # characters of a word that may have been meant as a directive


def read_config(path: str) -> Config:
    """Return the configuration that a file holds.

    path: of the file. Raises ConfigError with all its faults, or with one when it cannot be read at all.
    """
    try:
        with open(path, "rb") as file:
            octets = file.read()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError([Fault(path, 0, 0, f"cannot be read: {reason}")]) from None
    return parse_config(octets, path)


def parse_config(octets: bytes, path: str) -> Config:
    """Return the configuration that the octets of a file hold.  path: for the faults. Raises ConfigError."""
    draft = Draft()
    faults = []
    lines = octets.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    sources = [line.removesuffix(b"\r").decode("utf-8", "surrogateescape") for line in lines]
    for number, source in enumerate(sources, 1):
        try:
            _read_line(draft, source, number)
        except WordFault as fault:
            faults.append(Fault(path, number, fault.column, fault.text, _shown(source), fault.width))
    for number, undefined in draft.undefined_groups():
        source = _shown(sources[number - 1])
        faults.append(Fault(path, number, undefined.column, undefined.text, source, undefined.width))
    if faults:
        raise ConfigError(sorted(faults, key=lambda fault: (fault.line, fault.column)))
    return draft.finish(path)


def _read_line(draft: Draft, source: str, number: int) -> None:
    words = Words(source)
    if words.empty():
        return
    name = words.word("a directive")
    directive = DIRECTIVES.get(name)
    if directive is None:
        raise words.fault(f"unknown directive {brief(name)}{_hint(name)}")
    try:
        directive.read(draft, words, number)
    except MissingWord as fault:
        raise WordFault(fault.column, fault.width, f"{fault.text}; the form is: {name} {directive.usage}") from None
    draft.directives.append((number, words.text()))


def _hint(name: str) -> str:
    import difflib  # only a faulty file needs it

    near = difflib.get_close_matches(name.lower(), DIRECTIVES, 1) if len(name) <= _LONGEST_TYPO else []
    return f", did you mean {near[0]}?" if near else ""


def _shown(text: str) -> str:
    """Return text without the surrogates that stand for octets outside UTF-8: it is to be printed."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
