"""Messages in a Maildir."""

from __future__ import annotations

import mailbox
import os
import re
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from mailrecv.delivery import maildir
from tests.support.delivery import NOBODY, RECIPIENT, a_message, copy_of, in_child


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "mail" / "Maildir"


def deliver(directory: Path, data: bytes = b"Subject: x\n\nFrom x\n") -> bytes:
    """Deliver a message, and return the copy that should be there."""
    message = a_message(data)
    with closing(message.data):
        maildir.deliver(message, RECIPIENT, str(directory))
        return copy_of(message)


def names_in(directory: Path) -> list[str]:
    return [file.name for folder in ("new", "cur", "tmp") for file in directory.joinpath(folder).glob("*")]


def test_a_maildir_is_made(directory: Path) -> None:
    """A Maildir that is missing is made with all its folders and what is above it, for its owner only."""
    deliver(directory)
    made = [directory.parent, directory, *(directory / folder for folder in ("new", "cur", "tmp"))]
    assert [path.stat().st_mode & 0o777 for path in made] == [0o700] * 5


@pytest.mark.parametrize("missing", ["new", "cur", "tmp"])
def test_a_folder_is_made(directory: Path, missing: str) -> None:
    """A folder that is missing is made again."""
    deliver(directory)
    for file in directory.joinpath(missing).iterdir():
        file.unlink()
    directory.joinpath(missing).rmdir()
    deliver(directory)
    assert sorted(path.name for path in directory.iterdir()) == ["cur", "new", "tmp"]


def test_a_message(directory: Path) -> None:
    """A message is a file in new/, for its owner only, with the copy unquoted and no From line; tmp/ is empty."""
    copy = deliver(directory)
    [file] = directory.joinpath("new").iterdir()
    assert file.read_bytes() == copy
    assert copy.endswith(b"\n\nFrom x\n")
    assert file.stat().st_mode & 0o777 == 0o600
    assert names_in(directory) == [file.name]


def test_a_name(directory: Path) -> None:
    """A name is the time, the process with a count and something random, and the host, as the Maildir format has it."""
    deliver(directory)
    [name] = names_in(directory)
    assert re.fullmatch(rf"1700000000\.M500000P{os.getpid()}Q[1-9][0-9]*R[0-9a-f]{{8}}\..+", name)
    assert name.endswith(f".{os.uname().nodename}")


@pytest.mark.parametrize(
    "received, shown",
    [
        (1_700_000_000, "1700000000.M000000P"),
        (1_700_000_000.000042, "1700000000.M000042P"),
        (1_700_000_000.9999998, "1700000001.M000000P"),
    ],
)
def test_the_time_in_a_name(directory: Path, received: float, shown: str) -> None:
    """Microseconds always have six digits, so that the names sort as text, too."""
    maildir.deliver(a_message(received=received), RECIPIENT, str(directory))
    [name] = names_in(directory)
    assert name.startswith(shown)


# In the order in which they come: seconds apart, within one second, at the same moment (copies of one message), and
# when the number of microseconds, or of deliveries, gets one digit more
TIMES = [1_699_999_995.0, 1_700_000_000.0, 1_700_000_000.000007, 1_700_000_000.000009, 1_700_000_000.00001]
TIMES += [1_700_000_000.25] * 12 + [1_700_000_000.3, 1_700_000_010.0]


@pytest.mark.needs_tool("git")
def test_git_finds_the_messages_in_their_order(directory: Path, tmp_path: Path) -> None:
    """git, which sorts by the numbers in the names, splits a Maildir into the messages in the order they came in."""
    for number, received in enumerate(TIMES):
        message = a_message(b"Subject: %d\n\nx\n" % number, received=received, id=os.urandom(6).hex())
        maildir.deliver(message, RECIPIENT, str(directory))
    split = tmp_path / "split"
    split.mkdir()
    subprocess.run(["git", "mailsplit", f"-o{split}", directory], check=True, stdout=subprocess.DEVNULL)
    found = [re.findall(rb"(?m)^Subject: (\d+)$", path.read_bytes()) for path in sorted(split.iterdir())]
    assert found == [[b"%d" % number] for number in range(len(TIMES))]


def test_the_order_of_the_names(directory: Path) -> None:
    """Names sort as text, too, up to the count of the process."""
    times = sorted(set(TIMES))
    for received in times:
        maildir.deliver(a_message(b"%f" % received, received=received), RECIPIENT, str(directory))
    found = sorted(directory.joinpath("new").iterdir())
    assert [float(path.read_bytes().rpartition(b"\n")[2]) for path in found] == times


def test_a_name_that_is_taken(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No message ever replaces another, even if their names were the same."""
    monkeypatch.setattr(maildir, "_unique_name", lambda message: "name")
    copy = deliver(directory, b"Subject: first\n")
    with pytest.raises(FileExistsError):
        deliver(directory, b"Subject: second\n")
    assert names_in(directory) == ["name"]
    assert directory.joinpath("new", "name").read_bytes() == copy


@pytest.mark.parametrize(
    "host, shown",
    [
        ("mail.example", "mail.example"),
        ("a/b:c", r"a\057b\072c"),
        ("../../x", r"..\057..\057x"),
        ("", ""),
        ("x" * 64, "x" * 64),
        ("h\u00f6st", "h\u00f6st"),
    ],
)
def test_odd_host_names(directory: Path, monkeypatch: pytest.MonkeyPatch, host: str, shown: str) -> None:
    """Whatever the host is called, a name is one name, and has no colon that a reader would take for its own."""
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(nodename=host))
    deliver(directory)
    [name] = names_in(directory)
    assert name.split(".", 2)[2] == shown


def test_one_message_several_times(directory: Path) -> None:
    """Several copies of one message get a file each."""
    for _ in range(3):
        deliver(directory)
    assert len(set(names_in(directory))) == 3


def test_first_deliveries_at_the_same_time(directory: Path) -> None:
    """Messages that come while the Maildir is being made are delivered too."""
    bodies = [b"%d\n" % number for number in range(16)]
    with ThreadPoolExecutor(8) as pool:
        copies = list(pool.map(lambda body: deliver(directory, body), bodies))
    assert sorted(file.read_bytes() for file in directory.joinpath("new").iterdir()) == sorted(copies)


@pytest.mark.parametrize("body", [b"", b"\n", b"Subject: x\n\n\0a\rb\r\n\xff\n", b"Subject: x\n\n" + b"y" * 2_000_000])
def test_pythons_mailbox_reads_it(directory: Path, body: bytes) -> None:
    """Python's mailbox module finds the message, octet for octet."""
    copy = deliver(directory, body)
    box = mailbox.Maildir(directory, create=False)
    assert [box.get_bytes(key) for key in box.iterkeys()] == [copy]


# When it fails


def spoil_with_a_file(directory: Path) -> None:
    directory.parent.mkdir()
    directory.touch()


def spoil_with_a_file_for_a_folder(directory: Path) -> None:
    directory.mkdir(parents=True)
    directory.joinpath("new").touch()


@pytest.mark.parametrize("spoil", [spoil_with_a_file, spoil_with_a_file_for_a_folder])
def test_no_maildir(directory: Path, spoil: Callable[[Path], None]) -> None:
    """Where there is no Maildir and none can be made, nothing is left behind."""
    spoil(directory)
    with pytest.raises(OSError, match="Not a directory"):
        deliver(directory)
    assert names_in(directory) == []


@pytest.mark.needs_root
def test_a_full_disk(small_disk: Path) -> None:
    """A message that finds no room leaves nothing, and a smaller one still fits."""
    with pytest.raises(OSError, match="No space left"):
        deliver(small_disk, b"x" * 100_000)
    assert names_in(small_disk) == []
    deliver(small_disk, b"x" * 20_000)
    assert len(names_in(small_disk)) == 1


@pytest.mark.needs_root
@pytest.mark.parametrize("folder", ["new", "tmp"])
def test_a_folder_that_may_not_be_written(public_directory: Path, folder: str) -> None:
    """A folder of someone else's is an error, and nothing is left in the others."""
    for name in ("new", "cur", "tmp"):
        path = public_directory / name
        path.mkdir()
        os.chown(path, 0 if name == folder else NOBODY, 0)

    def deliver_unprivileged() -> None:
        os.setuid(NOBODY)
        deliver(public_directory)

    with pytest.raises(PermissionError):
        in_child(deliver_unprivileged)
    assert names_in(public_directory) == []
