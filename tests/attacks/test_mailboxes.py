"""Mailboxes: what somebody else has put in the place of one is not written to.

The attacker is another user of the machine, who can make files where everybody may, as in /tmp, or where the
administrator was careless. This process stands for mailrecv, and root's files for its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from mailrecv.delivery.handover import DeliveryLimits, Destination, hand_over
from mailrecv.delivery.outcome import Attempt
from mailrecv.reply import Reply
from tests.support.delivery import NOBODY, RECIPIENT, a_message, entry_of, messages_in

pytestmark = pytest.mark.needs_root

LIMITS = DeliveryLimits(1.0, Reply(451, "Too slow"))
OURS = b"From me Mon Aug  1 12:40:13 2022\n\nmine\n\n"


@pytest.fixture
def everybodys(tmp_path: Path) -> Path:
    """A directory like /tmp."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    folder.chmod(0o1777)
    return folder


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A file of mailrecv's that the attacker would like to have something in."""
    path = tmp_path / "victim"
    path.write_bytes(OURS)
    return path


def deliver(path: Path, method: str = "append") -> Attempt:
    """Deliver a message, and return what became of it; check that the reply says the same."""
    reply, (attempt,) = hand_over(a_message(), [Destination(RECIPIENT, method, str(path))], None, LIMITS)
    assert reply.code == (250 if attempt.outcome.delivered else 451)
    return attempt


def refusal(path: Path, method: str = "append") -> str:
    """Deliver a message where it must not go, and return the reason in the log."""
    attempt = deliver(path, method)
    assert not attempt.outcome.delivered
    return attempt.outcome.detail


def strangers(path: Path) -> Path:
    """Give a file, or a link itself, to somebody else."""
    os.lchown(path, NOBODY, NOBODY)
    return path


# Symbolic links


LINKS = "a symbolic link of somebody else's is not followed"


@pytest.mark.attacks(1)
def test_a_link_of_a_strangers_is_not_followed(tmp_path: Path, victim: Path) -> None:
    """A link that belongs to somebody else is refused, wherever it is, and the log names it."""
    (tmp_path / "box").symlink_to(victim)
    assert refusal(strangers(tmp_path / "box")) == f"{tmp_path}/box: {LINKS}"
    assert victim.read_bytes() == OURS


@pytest.mark.attacks(1)
def test_nothing_is_made_where_a_strangers_link_leads(tmp_path: Path) -> None:
    """A link that leads to nothing is not followed to make something there."""
    (tmp_path / "box").symlink_to(tmp_path / "nothing")
    refusal(strangers(tmp_path / "box"))
    assert not (tmp_path / "nothing").exists()


@pytest.mark.attacks(1)
def test_a_strangers_link_behind_our_own(tmp_path: Path, victim: Path) -> None:
    """Every link on the way counts."""
    (tmp_path / "second").symlink_to(victim)
    (tmp_path / "box").symlink_to("second")
    strangers(tmp_path / "second")
    assert refusal(tmp_path / "box") == f"{tmp_path}/second: {LINKS}"
    assert victim.read_bytes() == OURS


@pytest.mark.parametrize("target", ["../there", "../missing"])
def test_a_link_of_our_own_is_followed(tmp_path: Path, target: str) -> None:
    """A link that belongs to root or to mailrecv's user is followed, also to a file that is not there yet."""
    (tmp_path / "there").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "second").symlink_to(target)
    (tmp_path / "box").symlink_to("folder/second")
    assert deliver(tmp_path / "box").outcome.delivered
    assert len(messages_in((tmp_path / "folder" / target).resolve())) == 1


@pytest.mark.attacks(1)
def test_links_in_circles(tmp_path: Path) -> None:
    """Links that lead in circles end in a refusal."""
    (tmp_path / "box").symlink_to("other")
    (tmp_path / "other").symlink_to("box")
    assert refusal(tmp_path / "box").endswith(": Too many levels of symbolic links")


def test_a_link_to_an_open_file(tmp_path: Path) -> None:
    """A link that only the kernel can follow, as /dev/stdout leads to one, still works."""
    reader, writer = os.pipe()
    (tmp_path / "box").symlink_to(f"/proc/self/fd/{writer}")
    assert deliver(tmp_path / "box").outcome.delivered
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        assert pipe.read() == b"\n\n" + entry_of(a_message())


SWAP = """\
import contextlib, os
while True:
    with contextlib.suppress(FileExistsError):
        os.link("link", "box", follow_symlinks=False)
    os.unlink("box")
"""


@pytest.mark.attacks(1)
def test_a_link_put_there_in_between(everybodys: Path, victim: Path) -> None:
    """However fast somebody swaps a link in and out while mail comes in, nothing goes where it leads."""
    (everybodys / "link").symlink_to(victim)
    strangers(everybodys / "link")
    with subprocess.Popen([sys.executable, "-c", SWAP], cwd=everybodys) as swapping:
        try:
            outcomes = Counter(deliver(everybodys / "box").outcome.delivered for _ in range(3000))
        finally:
            swapping.kill()
    assert outcomes[True] > 0
    assert outcomes[False] > 0
    assert victim.read_bytes() == OURS


# Where everybody may put things

Make = Callable[[Path], object]


def second_name(path: Path) -> None:
    """Give a file of mailrecv's, such as its log, another name."""
    path.with_name("first").touch()
    path.hardlink_to(path.with_name("first"))


def strangers_file(path: Path) -> None:
    """Make a file that its owner will read."""
    path.touch()
    path.chmod(0o666)
    strangers(path)


def strangers_fifo(path: Path) -> None:
    """Make a FIFO that its owner will read."""
    os.mkfifo(path)
    path.chmod(0o666)
    strangers(path)


ELSE = "belongs to somebody else, where everybody may put things"


@pytest.mark.attacks(1)
@pytest.mark.parametrize(
    "make, reason",
    [(strangers_file, ELSE), (strangers_fifo, ELSE), (second_name, "has another name, where everybody may put things")],
)
def test_a_strangers_file_where_everybody_may_put_one(everybodys: Path, make: Make, reason: str) -> None:
    """In a directory like /tmp, what somebody else may have put there for mailrecv to find is refused."""
    box = everybodys / "box"
    make(box)
    with reading(box):
        assert refusal(box) == f"{box}: {reason}"
    assert box.stat().st_size == 0


@contextmanager
def reading(path: Path) -> Iterator[int]:
    """Be the reader of a FIFO; of a file, one of many."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        yield fd
    finally:
        os.close(fd)


@pytest.mark.parametrize("make", [Path.touch, os.mkfifo, lambda path: None], ids=["file", "FIFO", "nothing"])
def test_our_own_where_everybody_may_put_things(everybodys: Path, make: Make) -> None:
    """What is root's or mailrecv's own is written to there too, and what is missing is made."""
    box = everybodys / "box"
    make(box)
    with reading(box) if box.exists() else nullcontext():
        assert deliver(box).outcome.delivered


@pytest.mark.parametrize("make", [strangers_file, strangers_fifo, second_name])
def test_elsewhere_an_administrator_decides(tmp_path: Path, make: Make) -> None:
    """Where not everybody may put things, a mailbox may be anybody's, and have several names."""
    box = tmp_path / "box"
    make(box)
    with reading(box):
        assert deliver(box).outcome.delivered


def test_a_directorys_owner_may_put_things_there(everybodys: Path) -> None:
    """What belongs to the owner of a directory that everybody may write to is as good as the directory."""
    strangers(everybodys)
    strangers_file(everybodys / "box")
    assert deliver(everybodys / "box").outcome.delivered


# The way there


@pytest.mark.attacks(3)
@pytest.mark.parametrize("name", ["d/box", "d/e/box", "d/../d/box", "./d//box"])
def test_a_strangers_directory_on_the_way(everybodys: Path, name: str) -> None:
    """Nothing is written below a directory that somebody else has made where everybody may, or made there."""
    for folder in ("d", "d/e"):
        (everybodys / folder).mkdir()
        (everybodys / folder).chmod(0o777)
    (everybodys / "d" / "box").touch()
    strangers(everybodys / "d")
    path = f"{everybodys}/{name}"
    before = sorted(everybodys.rglob("*"))
    assert refusal(Path(path)).endswith(f"d: {ELSE}")
    assert refusal_by_dead_letters(path).endswith(f"d: {ELSE}")
    assert refusal(Path(f"{path}.Maildir"), "maildir").endswith(f"d: {ELSE}")
    assert sorted(everybodys.rglob("*")) == before
    assert (everybodys / "d" / "box").stat().st_size == 0


def refusal_by_dead_letters(path: str) -> str:
    """Deliver a message to two recipients, of whom one can have it; return why the other's is not saved."""
    to = [Destination(RECIPIENT, "append", "/dev/null"), Destination(RECIPIENT, "append", "/dev/full")]
    reply, (*_, rescue) = hand_over(a_message(), to, path, LIMITS)
    assert (reply.code, rescue.dead_letter) == (451, True)
    return rescue.outcome.detail


@pytest.mark.attacks(2)
@pytest.mark.parametrize("method", ["append", "maildir"])
def test_a_strangers_link_on_the_way(tmp_path: Path, method: str) -> None:
    """A link in the middle of a path counts as one at its end does, and what it leads to as if it were written out."""
    (tmp_path / "ours").mkdir()
    (tmp_path / "link").symlink_to("ours")
    strangers(tmp_path / "link")
    assert refusal(tmp_path / "link" / "box", method) == f"{tmp_path}/link: {LINKS}"
    assert list((tmp_path / "ours").iterdir()) == []


@pytest.mark.attacks(4)
@pytest.mark.parametrize("method", ["append", "maildir"])
@pytest.mark.parametrize("path", ["on_the_way/box", "box"])
def test_our_own_link_to_a_strangers_directory(everybodys: Path, tmp_path: Path, path: str, method: str) -> None:
    """A link of our own may lead to what a stranger could have made, which is looked at as well."""
    (everybodys / "d").mkdir()
    strangers(everybodys / "d").chmod(0o777)
    (tmp_path / "folder").mkdir()
    (tmp_path / "other").symlink_to("folder")
    (tmp_path / "on_the_way").symlink_to("tmp/d")
    (tmp_path / "box").symlink_to("other/../tmp/d/box")
    assert refusal(tmp_path / path, method).endswith(f"/d: {ELSE}")
    assert list((everybodys / "d").iterdir()) == []


@pytest.mark.attacks(2)
@pytest.mark.parametrize("path", ["box", "box/inner"])
def test_a_second_name_of_our_own_link(everybodys: Path, tmp_path: Path, victim: Path, path: str) -> None:
    """Nor is a link of our own followed that somebody else may have put there, with a second name for it."""
    (tmp_path / "link").symlink_to(victim if path == "box" else tmp_path)
    os.link(tmp_path / "link", everybodys / "box", follow_symlinks=False)
    assert refusal(everybodys / path) == f"{everybodys}/box: has another name, where everybody may put things"
    assert victim.read_bytes() == OURS
    assert not (tmp_path / "inner").exists()


@pytest.mark.attacks(2)
@pytest.mark.parametrize("method", ["append", "maildir"])
def test_where_everybody_may_replace_a_directory(everybodys: Path, method: str) -> None:
    """Without the sticky bit a directory of our own is no safer than a stranger's: they may exchange it at any time."""
    (everybodys / "ours").mkdir()
    everybodys.chmod(0o777)
    reason = "can be replaced by everybody: the directory above has no sticky bit"
    assert refusal(everybodys / "ours" / "box", method) == f"{everybodys}/ours: {reason}"
    (everybodys / "link").symlink_to("/")
    assert refusal(everybodys / "link" / "box", method) == f"{everybodys}/link: {reason}"
    everybodys.chmod(0o1777)
    assert deliver(everybodys / "ours" / "box", method).outcome.delivered


@pytest.mark.attacks(2)
@pytest.mark.parametrize("folder", ["new", "tmp"])
def test_a_strangers_folder_in_a_maildir(everybodys: Path, folder: str) -> None:
    """Where everybody may put things into a Maildir, its folders are looked at, too."""
    for name in ("new", "cur", "tmp"):
        (everybodys / name).mkdir()
    strangers(everybodys / folder)
    assert refusal(everybodys, "maildir") == f"{everybodys}/{folder}: {ELSE}"
    assert not [path for path in everybodys.rglob("*") if path.is_file()]


SWAP_DIRECTORY = """\
import os
while True:
    os.rename("theirs", "d")
    os.rename("d", "theirs")
"""


@pytest.mark.attacks(1)
def test_a_directory_put_there_in_between(everybodys: Path) -> None:
    """However fast somebody swaps a directory in and out while mail comes in, no mail gets there."""
    (everybodys / "theirs").mkdir()
    (everybodys / "theirs" / "box").touch()
    strangers(everybodys / "theirs")
    with subprocess.Popen([sys.executable, "-c", SWAP_DIRECTORY], cwd=everybodys) as swapping:
        try:
            outcomes = [deliver(everybodys / "d" / "box").outcome for _ in range(3000)]
        finally:
            swapping.kill()
    assert not any(outcome.delivered for outcome in outcomes)
    assert any(outcome.detail.endswith(ELSE) for outcome in outcomes)
    assert [path.stat().st_size for path in everybodys.glob("*/box")] == [0]


# A Maildir


@pytest.mark.attacks(1)
def test_a_strangers_link_to_a_maildir(tmp_path: Path) -> None:
    """No mail goes into the Maildir that somebody else's link leads to."""
    (tmp_path / "box").symlink_to(tmp_path / "theirs")
    (tmp_path / "theirs").mkdir()
    strangers(tmp_path / "box")
    assert refusal(tmp_path / "box", "maildir") == f"{tmp_path}/box: {LINKS}"
    assert refusal(tmp_path / "box/", "maildir") == f"{tmp_path}/box: {LINKS}"
    assert not [path for path in (tmp_path / "theirs").rglob("*") if path.is_file()]


@pytest.mark.attacks(1)
def test_a_strangers_maildir_where_everybody_may_put_one(everybodys: Path) -> None:
    """No mail goes into a Maildir that somebody else has made in a directory like /tmp."""
    for folder in ("", "tmp", "new", "cur"):
        (everybodys / "box" / folder).mkdir()
        strangers(everybodys / "box" / folder)
    assert refusal(everybodys / "box", "maildir") == f"{everybodys}/box: {ELSE}"
    assert not [path for path in everybodys.rglob("*") if path.is_file()]


def test_our_own_maildir_where_everybody_may_put_one(everybodys: Path) -> None:
    """One that mailrecv makes there, or finds of its own, takes mail."""
    assert deliver(everybodys / "box", "maildir").outcome.delivered
    assert deliver(everybodys / "box/", "maildir").outcome.delivered
