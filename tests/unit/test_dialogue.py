"""The reader and player of dialogue files."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dialogue import Closes, Dialogue, Expected, Sent, check_files, parse, play
from tests.support.memory_server import MemoryServer


def dialogue(*session: str, files: str = "") -> Dialogue:
    """Return a dialogue whose session begins on the fifth line of its file."""
    return parse("\n".join(["# Shows it.", "[config]", "domain here", "[session]", *session, files]), "x.dialogue")


def test_parse() -> None:
    """Lines in a row are joined, escapes undone, comments and blank lines dropped."""
    session = ["S: 220-a", "S: 220", "", "# says hello", r"C: \xff\0\\", r"C: \{3*ab}\n" + "\\", "C:", "S: closes"]
    assert dialogue(*session) == Dialogue(
        "x",
        "domain here\n",
        (
            Expected("x.dialogue:5", ("220-a", "220")),
            Sent("x.dialogue:9", b"\xff\0\\\r\nababab\n\r\n"),
            Closes("x.dialogue:12"),
        ),
        {},
    )


def test_bare_lf() -> None:
    """The lines of a person end in LF, and those of files always do."""
    read = parse("[session, bare LF]\nC: a\n[file me]\n| b\n|\n", "x.dialogue")
    assert read.steps == (Sent("x.dialogue:2", b"a\n"),)
    assert read.files == {"me": b"b\n\n"}


@pytest.mark.parametrize("line", ["HELO x", "S: what", "S: 99", "| text", "[sesion]"])
def test_faults(line: str) -> None:
    """What is no line of a dialogue is a fault, with the place where it stands."""
    with pytest.raises(ValueError, match=r"x\.dialogue:5: "):
        dialogue(line)


@pytest.mark.parametrize(
    "session",
    [
        ["S: 220 here", "C: QUIT", "S: 221", "S: closes"],
        ["S: 220", "C: HELP", "S: 214 Help", "C: NOOP", "S: 250"],
        ["S: 220", "C: HELP", "S: 214-", "S: 214-", "S: 214-", "S: 214"],
        ["S: 220", "C: HELO x", "S: 250 here Hello {client}"],
        ["S: 220 {any} mailrecv"],
    ],
)
def test_play(session: list[str]) -> None:
    """What fits passes: the code, the beginning of the text, one line for several, placeholders."""
    play(dialogue(*session), lambda: MemoryServer("domain here"))


@pytest.mark.parametrize(
    "session",
    [
        ["S: 221"],
        ["S: 220 there"],
        ["S: closes"],
        ["S: 220", "S: 250"],
        ["S: 220", "C: QUIT", "S: 221", "S: 250"],
        ["S: 220", "C: QUIT", "S: closes"],
        ["S: 220", "C: HELP", "S: 214-", "S: 214"],
        ["S: 220", "C: HELP", "S: 214-", "S: 214-", "S: 214-", "S: 214-", "S: 214"],
        ["S: 220 {date}"],
    ],
)
def test_play_fails(session: list[str]) -> None:
    """What does not fit fails, with the place of the step that was not met."""
    last = len(session) + 4 if not session[-1].startswith("S: 214") else 7
    with pytest.raises(AssertionError, match=rf"x\.dialogue:{last}"):
        play(dialogue(*session), lambda: MemoryServer("domain here"))


@pytest.mark.parametrize(
    "files, fits",
    [
        ("[file me]\n| one\n| {any}o", True),
        ("[file m*]\n| one\n| two", True),
        ("[file me]\n| one\n| two\n[file you]", True),
        ("[file me]\n| one", False),
        ("[file me]\n| one\n| tw", False),
        ("[file me]\n| {any}", False),
        ("[file me]\n| one\n| two\n[file you]\n| one", False),
        ("", False),
    ],
)
def test_check_files(files: str, fits: bool, tmp_path: Path) -> None:
    """The files must be those of the dialogue, whole and no others; an empty one may be missing."""
    (tmp_path / "me").write_bytes(b"one\ntwo\n")
    (tmp_path / "empty").touch()
    if fits:
        check_files(dialogue(files=files), tmp_path)
    else:
        with pytest.raises(AssertionError):
            check_files(dialogue(files=files), tmp_path)
