"""A message handed to all its recipients: who gets it, what goes to the dead letters, and what the sender hears."""

from __future__ import annotations

import fcntl
import itertools
import re
import time
from pathlib import Path

import pytest

from mailrecv.delivery import mbox
from mailrecv.delivery.handover import DeliveryLimits, Destination, hand_over
from mailrecv.delivery.message import Message
from mailrecv.delivery.outcome import Attempt, Status
from mailrecv.reply import Reply
from tests.support.delivery import a_message, copy_of, entry_of, messages_in
from tests.support.users import as_nobody

TOO_SLOW = Reply(450, "Too slow")
DELIVERED, TEMPORARY, PERMANENT = Status
FATES = list(itertools.product(Status, repeat=3))


def deliver(
    *destinations: Destination,
    dead_letters: Path | str | None = None,
    seconds: float = 5,
    message: Message | None = None,
) -> tuple[Reply, list[Attempt]]:
    deadletter_file = None if dead_letters is None else str(dead_letters)
    return hand_over(message or a_message(), destinations, deadletter_file, DeliveryLimits(seconds, TOO_SLOW))


def destination(tmp_path: Path, recipient: str, fate: Status) -> Destination:
    """Return a destination where a copy has this fate."""
    match fate:
        case Status.DELIVERED:
            return Destination(recipient, "append", f"{tmp_path}/{recipient}")
        case Status.TEMPORARY:
            return Destination(recipient, "append", str(tmp_path))
        case Status.PERMANENT:
            return Destination(recipient, "pipe", "exit 67")


def promised(fates: tuple[Status, ...], dead_letters: str) -> int:
    """Return the code of the one reply, as the manual has it."""
    if DELIVERED not in fates:
        return 451 if TEMPORARY in fates else 554
    if set(fates) == {DELIVERED} or dead_letters == "file":
        return 250
    return 451


@pytest.mark.parametrize("dead_letters", ["file", "none", "failing", "/dev/null"])
@pytest.mark.parametrize("fates", FATES, ids=lambda fates: "-".join(fate.value for fate in fates))
def test_every_outcome(tmp_path: Path, fates: tuple[Status, ...], dead_letters: str) -> None:
    """Every copy safe: 250. None delivered: 451 if it may work later, else 554, and no dead letters. Some delivered and
    one neither delivered nor safe: 451. The dead letters get one copy for all that failed.
    """
    file = tmp_path / "dead"
    where = {"file": file, "none": None, "failing": tmp_path, "/dev/null": "/dev/null"}[dead_letters]
    message = a_message()
    recipients = [f"r{number}@x" for number in range(3)]
    reply, attempts = deliver(
        *(destination(tmp_path, recipient, fate) for recipient, fate in zip(recipients, fates, strict=True)),
        dead_letters=where,
        message=message,
    )
    assert reply.code == promised(fates, dead_letters)

    for recipient, fate in zip(recipients, fates, strict=True):
        if fate is DELIVERED:
            assert (tmp_path / recipient).read_bytes() == entry_of(message, recipient)
    failed = [recipient for recipient, fate in zip(recipients, fates, strict=True) if fate is not DELIVERED]
    rescued = failed if dead_letters == "file" and len(failed) < 3 else []
    assert (messages_in(file) if file.exists() else []) == ([copy_of(message, *rescued)] if rescued else [])

    tried = failed if dead_letters in ("file", "failing") and len(failed) < 3 else []
    assert [(attempt.recipient, attempt.dead_letter) for attempt in attempts] == [
        *((recipient, False) for recipient in recipients),
        *((recipient, True) for recipient in tried),
    ]
    assert tuple(attempt.outcome.status for attempt in attempts[:3]) == fates


def test_each_method(tmp_path: Path) -> None:
    """The recipients of one message may have it in an mbox, in a Maildir and by a command, each with its own copy."""
    message = a_message()
    reply, attempts = deliver(
        Destination("a@x", "append", f"{tmp_path}/mbox"),
        Destination("b@x", "maildir", f"{tmp_path}/Maildir"),
        Destination("c@x", "pipe", f"cat >{tmp_path}/read"),
        message=message,
    )
    assert (reply.code, message.id in reply.text) == (250, True)
    assert [attempt.outcome.status for attempt in attempts] == [DELIVERED] * 3
    assert (tmp_path / "mbox").read_bytes() == entry_of(message, "a@x")
    assert [file.read_bytes() for file in tmp_path.glob("Maildir/new/*")] == [copy_of(message, "b@x")]
    assert (tmp_path / "read").read_bytes() == message.from_line() + copy_of(message, "c@x")


def test_two_recipients_in_one_mbox(tmp_path: Path) -> None:
    """Recipients that share an mbox have a copy each there."""
    path = tmp_path / "mbox"
    message = a_message()
    deliver(*(Destination(recipient, "append", str(path)) for recipient in ("a@x", "b@x")), message=message)
    assert messages_in(path) == [copy_of(message, "a@x"), copy_of(message, "b@x")]


@pytest.mark.parametrize(
    "method, target, reason",
    [
        ("append", "{}", "{}: Is a directory"),
        ("append", "{}/missing/mbox", "{}/missing: No such file or directory"),
        ("append", "/dev/full", "/dev/full: No space left on device"),
        ("maildir", "/dev/null/x", "/dev/null: Not a directory"),
        ("pipe", ": " + "x" * 200_000, "/bin/sh: Argument list too long"),
    ],
)
def test_an_error_of_the_system(tmp_path: Path, method: str, target: str, reason: str) -> None:
    """What the system refuses is this machine's fault, so the sender may come again; the log is told what and where."""
    reply, [attempt] = deliver(Destination("a@x", method, target.format(tmp_path)))
    assert reply.code == 451
    assert (attempt.outcome.status, attempt.outcome.detail) == (TEMPORARY, reason.format(tmp_path))


@pytest.mark.needs_root
def test_a_place_that_the_user_may_not_write(tmp_path: Path) -> None:
    """Where permissions are in the way, the reason says whose: most often it is another user than one thinks."""
    with as_nobody():
        _, [attempt] = deliver(Destination("a@x", "append", f"{tmp_path}/mbox"))
    assert re.fullmatch(r"/\S+: Permission denied for the user nobody", attempt.outcome.detail)


def test_a_path_that_no_file_can_have(tmp_path: Path) -> None:
    """A path that the system cannot take at all is a failed delivery like any other, and the other copies are made."""
    reply, attempts = deliver(
        Destination("a@x", "append", f"{tmp_path}/" + "x" * 5000), Destination("b@x", "append", f"{tmp_path}/mbox")
    )
    assert reply.code == 451
    assert [attempt.outcome.delivered for attempt in attempts] == [False, True]


@pytest.mark.parametrize("others", [[], ["exit 67"]])
def test_the_time_limit(others: list[str]) -> None:
    """When nothing was delivered and that was for lack of time, the reply is the limit's own."""
    commands = ["sleep 60", *others]
    reply, attempts = deliver(*(Destination("a@x", "pipe", command) for command in commands), seconds=0.1)
    assert reply == TOO_SLOW
    assert [attempt.outcome.timed_out for attempt in attempts] == [True] + [False] * len(others)
    assert 0.1 <= attempts[0].seconds < 2


def test_each_delivery_has_the_whole_time(tmp_path: Path) -> None:
    """A slow delivery takes nothing from the time of the next."""
    slow = Destination("a@x", "pipe", "sleep 0.2")
    reply, _ = deliver(slow, slow, slow, seconds=0.5)
    assert reply.code == 250


def nobodys(recipient: str, tmp_path: Path) -> Destination:
    """Return where a recipient goes that no line speaks of."""
    return Destination(recipient, "append", f"{tmp_path}/dead", unspoken_of=True)


@pytest.mark.parametrize("delivered", [True, False])
@pytest.mark.parametrize("failed", [0, 1, 2])
@pytest.mark.parametrize("unspoken_of", [1, 2, 100])
def test_one_copy_for_the_dead_letters(tmp_path: Path, unspoken_of: int, failed: int, delivered: bool) -> None:
    """Recipients that no line speaks of, and those whose own copies failed, share one, and have an attempt each."""
    message = a_message()
    strangers = [f"stranger{number}@x" for number in range(unspoken_of)]
    failing = [f"failing{number}@x" for number in range(failed)]
    own = [Destination("a@x", "append", f"{tmp_path}/a")] if delivered else []
    reply, attempts = deliver(
        *(nobodys(recipient, tmp_path) for recipient in strangers),
        *(destination(tmp_path, recipient, PERMANENT) for recipient in failing),
        *own,
        dead_letters=tmp_path / "dead",
        message=message,
    )
    assert reply.code == 250
    assert messages_in(tmp_path / "dead") == [copy_of(message, *strangers, *failing)]
    assert [(attempt.recipient, attempt.outcome.status, attempt.dead_letter) for attempt in attempts] == [
        *((recipient, PERMANENT, False) for recipient in failing),
        *(("a@x", DELIVERED, False) for _ in own),
        *((recipient, DELIVERED, False) for recipient in strangers),
        *((recipient, DELIVERED, True) for recipient in failing),
    ]


def test_a_line_that_names_the_dead_letter_file(tmp_path: Path) -> None:
    """A recipient that has a line of its own has a copy of its own, also where that is the dead letter file."""
    message = a_message()
    own = Destination("a@x", "append", f"{tmp_path}/dead")
    strangers = [nobodys(recipient, tmp_path) for recipient in ("b@x", "c@x")]
    deliver(own, *strangers, dead_letters=tmp_path / "dead", message=message)
    assert messages_in(tmp_path / "dead") == [copy_of(message, "a@x"), copy_of(message, "b@x", "c@x")]


@pytest.mark.parametrize("delivered", [True, False])
def test_dead_letters_that_cannot_be_written(tmp_path: Path, delivered: bool) -> None:
    """Whoever was to share that copy has none, each in the log, and the sender is to come again."""
    (tmp_path / "dead").mkdir()
    own = [Destination("a@x", "append", f"{tmp_path}/a")] if delivered else []
    failing = destination(tmp_path, "f@x", PERMANENT)
    strangers = [nobodys(recipient, tmp_path) for recipient in ("b@x", "c@x")]
    reply, attempts = deliver(*own, failing, *strangers, dead_letters=tmp_path / "dead")
    assert reply.code == 451
    failed = [(attempt.recipient, attempt.dead_letter) for attempt in attempts if not attempt.outcome.delivered]
    assert failed == [("f@x", False), ("b@x", False), ("c@x", False), ("f@x", True)]


def test_dead_letters_that_are_not_kept(tmp_path: Path) -> None:
    """/dev/null takes what no line speaks of, and no copy that failed."""
    stranger = Destination("b@x", "append", "/dev/null", unspoken_of=True)
    reply, attempts = deliver(stranger, destination(tmp_path, "f@x", PERMANENT), dead_letters="/dev/null")
    assert reply.code == 451
    assert [(attempt.recipient, attempt.dead_letter) for attempt in attempts] == [("f@x", False), ("b@x", False)]


@pytest.mark.parametrize("delivered", [True, False])
def test_no_dead_letters_past_the_deadline(tmp_path: Path, delivered: bool) -> None:
    """No delivery begins past the deadline, unless a copy is safe: the sender would have to send it once more."""
    own = [Destination("a@x", "pipe", "sleep 0.3")] if delivered else []
    limits = DeliveryLimits(5, TOO_SLOW, deadline=time.monotonic() + (0.1 if delivered else 0))
    reply, attempts = hand_over(a_message(), [nobodys("b@x", tmp_path), *own], f"{tmp_path}/dead", limits)
    assert (reply.code, (tmp_path / "dead").exists()) == ((250, True) if delivered else (450, False))
    assert delivered or attempts[0].outcome.detail == "no time was left for it"


@pytest.mark.parametrize("dead_letters, code", [("dead", 250), (None, 451)])
def test_no_delivery_begins_past_the_deadline(tmp_path: Path, dead_letters: str | None, code: int) -> None:
    """What has begun is finished; what has not counts as failed for lack of time, and is safe with the dead letters."""
    destinations = [Destination("a@x", "pipe", "sleep 0.3"), Destination("b@x", "append", f"{tmp_path}/b")]
    limits = DeliveryLimits(5, TOO_SLOW, deadline=time.monotonic() + 0.1)
    message = a_message()
    reply, attempts = hand_over(message, destinations, dead_letters and f"{tmp_path}/{dead_letters}", limits)
    assert reply.code == code
    assert [attempt.outcome.delivered for attempt in attempts[:2]] == [True, False]
    assert attempts[1].outcome.detail == "no time was left for it"
    assert not (tmp_path / "b").exists()
    if dead_letters:
        assert messages_in(tmp_path / dead_letters) == [copy_of(message, "b@x")]


def test_all_dead_letters_have_the_time_of_one_delivery(tmp_path: Path) -> None:
    """A dead letter file that is locked by another process holds up a message once, not once for each copy."""
    (tmp_path / "dead").touch()
    failing = [Destination("b@x", "pipe", "exit 75")] * 5
    with (tmp_path / "dead").open() as locked:
        fcntl.flock(locked, fcntl.LOCK_EX)
        began = time.monotonic()
        reply, _ = deliver(Destination("a@x", "pipe", "exit 0"), *failing, dead_letters=tmp_path / "dead", seconds=0.5)
    assert 0.5 <= time.monotonic() - began < 2
    assert reply.code == 451


def test_a_time_limit_that_means_none() -> None:
    """The largest number that the configuration takes is no trouble."""
    reply, _ = deliver(Destination("a@x", "pipe", "exit 0"), seconds=10**15)
    assert reply.code == 250


def test_what_a_command_said() -> None:
    """The output of a command comes with the attempt, whether it succeeded or not."""
    _, attempts = deliver(Destination("a@x", "pipe", "echo yes"), Destination("b@x", "pipe", "echo no; exit 1"))
    assert [attempt.outcome.output for attempt in attempts] == [("yes",), ("no",)]


def test_a_fault_of_the_program_is_no_failed_delivery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What should never happen is not taken for a full disk: whoever called has to see it."""
    with pytest.raises(ValueError, match="no such method: carrier pigeon"):
        deliver(Destination("a@x", "carrier pigeon", "x"))
    monkeypatch.delattr(mbox, "append")
    with pytest.raises(AttributeError):
        deliver(Destination("a@x", "append", str(tmp_path / "mbox")))
