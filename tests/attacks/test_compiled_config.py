"""The compiled configuration: it says which commands are run, so one that a stranger may have made is not read.

The attacker is another user of the machine, who can write where the compiled forms lie, or who hopes that one outlives
the file that it was made from. This process, as root or as the user `mail`, stands for mailrecv.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mailrecv.config import compiler
from mailrecv.config.compiled import Compiled, name_for, open_compiled
from mailrecv.config.faults import ConfigError
from mailrecv.config.reader import read_config
from mailrecv.server import configuration
from mailrecv.server.head_start import early_greeting
from tests.support.delivery import NOBODY, open_descriptors
from tests.support.users import running_as

pytestmark = pytest.mark.needs_root

CONFIG = "domain mydomain.com\ndeliver rcpt_to me@mydomain.com append /srv/mbox\nerror rcpt_to . 550 No\n"
Change = Callable[[Path], object]


@pytest.fixture
def file(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A configuration that root has compiled, where every user can reach it, unlike what pytest makes."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        Path(folder, "cache").mkdir()
        monkeypatch.setenv("CACHE_DIRECTORY", f"{folder}/cache")
        path = Path(folder) / "mailrecv.conf"
        path.write_text(CONFIG)
        path.chmod(0o644)
        compile_it(path)
        yield path


def compile_it(path: Path) -> None:
    """Compile a configuration, as a session does that had to read it."""
    config = read_config(str(path))
    compiler.store(config, early_greeting(config))
    assert is_used(path)


def compiled_form(path: Path) -> Path:
    """Return the file that the compiled form is in."""
    return Path(name_for(str(path)))


def opened(path: Path) -> Compiled | None:
    """Return the compiled form that a session would use; check that nothing is left open of one that it would not."""
    before = open_descriptors()
    found = open_compiled(str(path))
    assert found or open_descriptors() == before
    return found


def is_used(path: Path) -> bool:
    """Say whether a session would use the compiled form."""
    found = opened(path)
    if found:
        found.close()
    return found is not None


# What lies in its place


def replaced_by(make: Change) -> Change:
    """Return what puts something else in the place of a file."""

    def replace(path: Path) -> None:
        path.rename(path.with_name("ours"))
        make(path)

    return replace


NOT_OURS: dict[str, Change] = {
    "a stranger's file": lambda path: os.chown(path, NOBODY, -1),
    "a file that its group may write to": lambda path: path.chmod(0o664),
    "a file that everybody may write to": lambda path: path.chmod(0o646),
    "a link": replaced_by(lambda path: path.symlink_to("ours")),
    "a FIFO": replaced_by(os.mkfifo),
    "a directory": replaced_by(Path.mkdir),
    "nothing": Path.unlink,
    "an empty file": replaced_by(lambda path: path.touch(0o600)),
    "noise": lambda path: path.write_bytes(bytes(range(256)) * 20),
    "another program's": lambda path: path.write_bytes(path.read_bytes().replace(b"mailrecv ", b"mailsend ", 1)),
}


@pytest.mark.attacks(1)
@pytest.mark.parametrize("change", NOT_OURS.values(), ids=NOT_OURS)
def test_what_a_stranger_may_have_put_there(file: Path, change: Change) -> None:
    """Whatever is not a file that only root or this user can write is left alone."""
    change(compiled_form(file))
    assert not is_used(file)


@pytest.mark.attacks(1)
@pytest.mark.parametrize(
    "owner, reader, used",
    [("root", "mail", True), ("mail", "mail", True), ("mail", "root", False), ("nobody", "mail", False)],
)
def test_whose_it_may_be(file: Path, owner: str, reader: str, used: bool) -> None:
    """It may be root's or the reader's; root does not trust what the server's own user has made."""
    shutil.chown(compiled_form(file), owner)
    with running_as(reader):
        assert is_used(file) is used


def test_who_may_read_it(file: Path) -> None:
    """Who may not read the configuration may not read it compiled."""
    file.chmod(0o640)
    shutil.chown(file, "root", "mail")
    compile_it(file)
    status = compiled_form(file).stat()
    assert (compiled_form(file).owner(), compiled_form(file).group(), status.st_mode & 0o777) == ("root", "mail", 0o640)


@pytest.mark.attacks(1)
def test_a_link_where_it_is_made(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written where a link leads that somebody has put in the place of the new file, if they guess it."""
    victim = file.with_name("victim")
    victim.write_text("mine")
    monkeypatch.setattr(os, "urandom", bytes)
    Path(f"{compiled_form(file)}.{bytes(8).hex()}").symlink_to(victim)
    with pytest.raises(FileExistsError):
        compile_it(file)
    assert victim.read_text() == "mine"


# What it was made from


def rewritten(path: Path) -> None:
    """Write a file anew, as long as before, and set its times back, as far as anybody can."""
    status = path.stat()
    path.write_text(path.read_text().replace("mbox", "evil"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def exchanged(path: Path) -> None:
    """Put another file with the same times in the place of a file."""
    new = path.with_name("new")
    shutil.copy2(path, new)
    new.rename(path)


CHANGED: dict[str, Change] = {
    "rewritten": rewritten,
    "exchanged": exchanged,
    "open to everybody": lambda path: path.chmod(0o646),
    "a stranger's": lambda path: os.chown(path, NOBODY, -1),
    "gone": Path.unlink,
}


@pytest.mark.attacks(1)
@pytest.mark.parametrize("change", CHANGED.values(), ids=CHANGED)
def test_the_file_has_changed_since(file: Path, change: Change) -> None:
    """It holds only for as long as the file and its permissions stay as they were."""
    change(file)
    assert not is_used(file)


@pytest.mark.attacks(1)
def test_a_file_that_everybody_may_write_to(file: Path) -> None:
    """A configuration that strangers can change is refused, though it was compiled while they could not."""
    file.chmod(0o646)
    with pytest.raises(ConfigError, match="may be changed by everybody"):
        configuration.read(str(file), None, opened(file))


@pytest.mark.attacks(2)
def test_of_another_file(file: Path) -> None:
    """What was compiled of one file stands for no other, be it a copy, or the same one by another name."""
    copy, name = file.with_name("copy"), file.with_name("name")
    shutil.copy2(file, copy)
    name.hardlink_to(file)
    for other in (copy, name):
        shutil.copy2(compiled_form(file), compiled_form(other))
        assert not is_used(other)


@pytest.mark.attacks(1)
def test_cut_off(file: Path) -> None:
    """However much of its beginning a bad disk has left, it is left alone."""
    for length in reversed(range(compiled_form(file).stat().st_size)):
        os.truncate(compiled_form(file), length)
        assert not is_used(file), length
