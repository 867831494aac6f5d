"""The places of a configuration, tried as the service; and all advice together."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailrecv.config.reader import parse_config, read_config, split_lines
from mailrecv.delivery.command import PATH
from mailrecv.diagnosis.advice import Source
from mailrecv.diagnosis.paths import shell_word
from mailrecv.diagnosis.places import advise, mend, try_places
from mailrecv.diagnosis.review import Review, review
from mailrecv.diagnosis.service import Service, find_service
from tests.support.users import NOBODY
from tests.support.whole_session import myself

ORIGINAL = Path(__file__).parents[1] / "config" / "original.conf"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory to which the way is open for all users."""
    for above in [tmp_path, *tmp_path.parents[: len(tmp_path.parents) - 2]]:
        above.chmod(above.stat().st_mode | 0o055)
    return tmp_path


def places(folder: Path, service: Service, *lines: str) -> Iterator[tuple[int, int, str, str]]:
    """Yield the advice about the places on these lines, in which {} stands for the folder."""
    path = folder / "mailrecv.conf"
    path.write_text("\n".join(lines).replace("{}", str(folder)), encoding="utf-8")
    source = Source(str(path), split_lines(path.read_bytes()))
    for one in advise(read_config(str(path)), source, service):
        text, instead = (text.replace(str(folder), "{}") for text in (one.place.text, one.instead))
        yield one.place.line, one.place.column, text, instead


def test_each_kind_of_place(folder: Path) -> None:
    """Mailboxes, commands, the dead letter file and the log file are tried, and each is told at its own place."""
    user = myself().user
    found = places(
        folder,
        myself(),
        "allowgroup +g ^a$",
        "deliver rcpt_to a@b append {}/missing/mbox",
        "deliver allowgroup +g rcpt_to c@d  maildir  {}/mailrecv.conf/Maildir",
        "deliver rcpt_to e@f pipe no-such-program -v",
        "deliver rcpt_to g@h append {}/mbox",
        "deadletter_file {}/missing/dead",
        "logfile {}",
        "logfile {}/missing/log",
    )
    assert [(line, column, text) for line, column, text, _ in found] == [
        (2, 28, f"the user {user} cannot write here: {{}}/missing: No such file or directory; so for line 6"),
        (3, 45, f"the user {user} cannot write here: {{}}/mailrecv.conf: Not a directory"),
        (4, 26, f"the user {user} cannot run this: no-such-program: no such program in {PATH}"),
        (8, 9, f"the user {user} cannot write its log here: {{}}/missing: No such file or directory"),
    ]


def test_a_directory_that_is_missing_for_many(folder: Path) -> None:
    """What mends many lines is told once, at the first of them, with the numbers of the others."""
    lines = [f"deliver rcpt_to {name}@b append {{}}/missing/{name}" for name in range(30)]
    lines += ["deliver rcpt_to a@b append {}/other/mbox", "deliver rcpt_to a@d append {}/other/mbox"]
    found = list(places(folder, myself(), *lines))
    assert [(line, text.partition("; ")[2]) for line, _, text, _ in found] == [
        (1, "so for lines 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 19 more"),
        (31, "so for line 32"),
    ]
    assert found[0][3].endswith("install -d -o me -m 750 {}/missing")
    boxes = {mend(myself(), "maildir", f"{folder}/missing/{name}") for name in range(30)}
    assert len(boxes) == 1


@pytest.mark.parametrize("name", ["a;reboot", "a&b", "it's", "$(reboot)", "~", "-rf"])
def test_what_is_pasted_is_quoted(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that a person is to paste names exactly the place, whatever a shell makes of its characters."""
    monkeypatch.chdir(folder)
    for method, path, expected in [
        ("append", f"{folder}/{name}#/mbox", f"{folder}/{name}#"),
        ("maildir", f"{folder}/{name}#/box", f"{folder}/{name}#"),
        ("log", f"{name}#", f"./{name}#" if name.startswith("-") else f"{name}#"),
    ]:
        if shell_word(path) is None:
            assert shlex.split(mend(myself(), method, path).partition(": ")[2])[-1] == expected
    (folder / f"{name}#").touch()
    monkeypatch.setattr("mailrecv.diagnosis.places.shell_word", lambda path: None)
    assert shlex.split(mend(myself(), "append", f"{folder}/{name}#"))[-1] == f"{folder}/{name}#"


def test_what_mends_it(folder: Path) -> None:
    """A missing directory or log is to be made for the user, never one that is there already."""
    missing = f"{folder}/missing"
    assert mend(myself(), "append", f"{missing}/mbox").endswith(f"install -d -o me -m 750 {missing}")
    assert mend(myself(), "maildir", missing).endswith(f"install -d -o me -m 750 {missing}")
    assert mend(myself(), "log", f"{folder}/log").endswith(f"install -o me -m 640 /dev/null {folder}/log")
    assert "install" not in mend(myself(), "append", f"{folder}/mbox")
    assert mend(myself(), "append", f"{folder}/mbox").endswith(f"namei -l {folder}/mbox")
    assert "program" in mend(myself(), "pipe", "x")
    assert mend(myself(), "append", str(folder)) == f"name a file, such as {folder}/mbox"
    assert mend(myself(), "log", str(folder)) == f"name a file, such as {folder}/log"
    (folder / "file").touch()
    assert "write append instead of maildir" in mend(myself(), "maildir", f"{folder}/file")


@pytest.mark.needs_root
def test_places_that_strangers_could_have_made(folder: Path) -> None:
    """What lies in the way of a mailbox, a Maildir or a log is named, and what is to be done about it."""
    (folder / "tmp").mkdir()
    (folder / "tmp").chmod(0o1777)
    (folder / "open").mkdir()
    (folder / "open").chmod(0o777)
    for name in ("tmp/a&b", "open/inner"):
        (folder / name).mkdir()
    os.chown(folder / "tmp" / "a&b", NOBODY, -1)
    (folder / "link").symlink_to("tmp")
    os.lchown(folder / "link", NOBODY, -1)
    (folder / "first").touch()
    (folder / "tmp" / "second").hardlink_to(folder / "first")
    found = places(
        folder,
        myself(),
        "deliver rcpt_to a@b append {}/tmp/a&b/mbox",
        "deliver rcpt_to c@d maildir {}/open/inner/Maildir",
        "deadletter_file {}/link/mbox",
        "logfile {}/tmp/second",
    )
    assert [(text.partition(": ")[2], instead) for _, _, text, instead in found] == [
        (
            "{}/tmp/a&b: belongs to somebody else, where everybody may put things",
            "give it to this user, if it is the right one: chown -h me '{}/tmp/a&b'; or name a place elsewhere",
        ),
        (
            "{}/open/inner: can be replaced by everybody: the directory above has no sticky bit",
            "let others take away only what is theirs: chmod +t {}/open; or name a place elsewhere",
        ),
        (
            "{}/link: a symbolic link of somebody else's is not followed",
            "give it to root, if it is the right one: chown -h root {}/link; or write where it leads to",
        ),
        (
            "{}/tmp/second: has another name, where everybody may put things",
            "name a place elsewhere; the other names show: find / -xdev -samefile {}/tmp/second",
        ),
    ]


@pytest.mark.needs_root
def test_permissions_of_the_service(folder: Path) -> None:
    """It is the service's permissions that count, not those of root, who asks."""
    found = places(folder, find_service("daemon"), "deliver rcpt_to a@b append {}/mbox")
    assert list(found) == [
        (
            1,
            28,
            "the user daemon cannot write here: {}: Permission denied",
            "name a place that this user may write to; what keeps it from this one shows: namei -l {}/mbox",
        )
    ]


@pytest.mark.needs_root
def test_a_configuration_that_the_service_cannot_read(folder: Path) -> None:
    """A file that only root can read turns every client away, so that comes first."""
    (folder / "mailrecv.conf").touch(mode=0o600)
    [(line, _, text, instead)] = places(folder, find_service("daemon"), "error rcpt_to . 550 No")
    assert line == 0
    assert "cannot use this file, so every client is told to come again: cannot be read: Permission denied" in text
    assert "chown root:daemon" in instead


@pytest.mark.needs_root
def test_a_service_that_is_root(folder: Path) -> None:
    """Running as root is told when it is known, and not when it is a guess."""
    [(line, _, text, _)] = places(folder, find_service("root"), "error rcpt_to . 550 No")
    assert (line, text) == (
        0,
        "mailrecv runs as root, as --user says, and so does every command in this file",
    )
    guess = find_service("root").replace(certain=False)
    assert list(places(folder, guess, "error rcpt_to . 550 No")) == []


def test_what_the_unit_closes(folder: Path) -> None:
    """What the unit hides cannot be used, whatever the permissions; a command there cannot be run."""
    hidden = myself().replace(unit={"InaccessiblePaths": str(folder)})
    wanted = [("append", f"{folder}/mbox"), ("pipe", f"{folder}/script"), ("pipe", "cat")]
    why = "hidden by the unit (InaccessiblePaths=)"
    failures = try_places(hidden, os.devnull, wanted).failures
    assert failures == (f"{folder}/mbox: {why}", f"{folder}/script: {why}", None)


def reviewed(path: Path, service: Service) -> Review:
    octets = path.read_bytes()
    return review(parse_config(octets, str(path)), Source(str(path), split_lines(octets)), service)


def test_the_original_s_configuration_is_not_drowned_in_warnings() -> None:
    """What the original's examples get is little, each of it is worth reading, and it is in file order."""
    texts = [(one.place.line, one.place.text.partition(":")[0]) for one in reviewed(ORIGINAL, myself()).advice]
    assert texts == [
        (0, "nobody gets the mail for postmaster@mydomain.com, which every server has to take (RFC 5321)"),
        (7, "/dev/null keeps nothing"),
        (20, r"the range A-z also holds [ \ ] ^ _ and `, which stand between Z and a"),
        (23, r"the range A-z also holds [ \ ] ^ _ and `, which stand between Z and a"),
        (26, "the user me cannot run this"),
    ]


def test_places_that_could_not_be_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without root's help the rest of the advice is given, and what is missing is told."""
    other = myself().replace(uid=os.geteuid() + 1)
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    found = reviewed(ORIGINAL, other)
    assert [one.place.line for one in found.advice] == [0, 7, 20, 23]
    assert found.untried == "only root can try what the user me may do"
