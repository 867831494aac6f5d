"""The catalogue is complete, free of doubles, and what the code records is what it declares."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest

import mailrecv
from mailrecv.config import DEBUG_FLAGS
from mailrecv.journal import catalogue
from mailrecv.journal.catalogue import CATALOGUE, OWN_FACTS, SESSION_FACTS, Entry

SOURCES = sorted(Path(mailrecv.__file__).parent.rglob("*.py"))
ENTRIES = pytest.mark.parametrize("entry", CATALOGUE.values(), ids=CATALOGUE)


def test_no_two_entries_share_a_name_or_a_message_id() -> None:
    """Every entry has a name and a MESSAGE_ID of its own, and its constant is called like it."""
    entries = {name: value for name, value in vars(catalogue).items() if isinstance(value, Entry)}
    assert [entry.name.upper() for entry in entries.values()] == list(entries)
    assert len({entry.message_id for entry in entries.values()}) == len(entries) == len(CATALOGUE)


@ENTRIES
def test_message_id(entry: Entry) -> None:
    """A MESSAGE_ID is 128 bits in lower case hexadecimal, as sd_id128_from_string(3) reads it."""
    assert len(entry.message_id) == 32
    assert set(entry.message_id) <= set("0123456789abcdef")


@ENTRIES
def test_facts_in_the_message(entry: Entry) -> None:
    """A message shows no fact that its entry does not come with."""
    shown = {name for _, name, _, _ in Formatter().parse(entry.message) if name is not None}
    assert shown <= {*entry.facts, *SESSION_FACTS}
    assert not set(entry.facts) & set(SESSION_FACTS)


@ENTRIES
def test_flag(entry: Entry) -> None:
    """The flag of an entry is one that the configuration knows."""
    assert entry.flag == "" or (len(entry.flag) == 1 and entry.flag in DEBUG_FLAGS)


def test_flags_that_do_something() -> None:
    """Every flag has an entry, but for `a` and `F`, which change how much and in which form is logged."""
    assert {entry.flag for entry in CATALOGUE.values()} == {*DEBUG_FLAGS, ""} - {"a", "F"}


def test_own_facts() -> None:
    """Every fact that is taken for the server's own words is a fact of some entry."""
    assert set(OWN_FACTS) <= {fact for entry in CATALOGUE.values() for fact in entry.facts}


def recordings() -> Iterator[tuple[str, frozenset[object], str]]:
    """Yield, for each place in the code that records an entry, the entry's constant, its facts, and where it is."""
    for path in SOURCES:
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(function, ast.FunctionDef):
                yield from _recordings_in(function, path.name)


def _recordings_in(function: ast.FunctionDef, file: str) -> Iterator[tuple[str, frozenset[object], str]]:
    facts_by_name = {
        target.id: {key.value for key in node.value.keys if isinstance(key, ast.Constant)}
        for node in ast.walk(function)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for call in ast.walk(function):
        match call:
            case ast.Call(func=ast.Attribute(attr="record"), args=[entry], keywords=keywords):
                facts: set[object] = {keyword.arg for keyword in keywords if keyword.arg}
                for keyword in keywords:
                    match keyword:
                        case ast.keyword(arg=None, value=ast.Name(id=name)):
                            facts |= facts_by_name[name]
                for node in ast.walk(entry):
                    match node:
                        case ast.Attribute(attr=constant, value=ast.Name(id="catalogue")):
                            yield constant, frozenset(facts), f"{file}:{call.lineno}"


def test_everything_recorded_is_as_declared() -> None:
    """Each entry is recorded somewhere, and everywhere with exactly the facts that it declares."""
    found = list(recordings())
    for constant, facts, where in found:
        assert facts == set(getattr(catalogue, constant).facts), where
    assert {constant.lower() for constant, _, _ in found} == set(CATALOGUE)
