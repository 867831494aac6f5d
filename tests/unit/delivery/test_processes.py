"""What a command starts: all of it ends with the time limit, and what lives on after the command's own end is told."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from unittest import mock

import pytest

from mailrecv.delivery import command, processes
from mailrecv.delivery.outcome import Outcome
from mailrecv.delivery.processes import MAX_NAMED
from tests.support.delivery import RECIPIENT, a_message, in_child
from tests.support.process import Witness

PATIENCE_SECONDS = 10.0  # for what should happen at once, on a busy machine
LIMIT_SECONDS = 0.5

# Each starts something that lives for a minute, in a way that leaves the command or its process group, says so, and
# goes on for a minute itself. {} stands for what it does.
WAYS_AWAY = {
    "background": "{} & echo; sleep 60",
    "nohup": "nohup sh -c '{}' & echo; sleep 60",
    "new session": "setsid sh -c '{}; :' & echo; sleep 60",
    "new session, waited for": "echo; setsid --wait sh -c '{}; :'",
    "double fork": "(setsid sh -c '({} &) ; :' &) ; echo; sleep 60",
    "without environment": "setsid env -i sh -c '(PATH=$PATH {} &) ; :' & echo; sleep 60",
    "without environment, in the tree": "echo; setsid --wait env -i PATH=$PATH sh -c '{}; :'",
    "several generations": 'setsid sh -c \'setsid sh -c "setsid sh -c \\"({} &)\\" &" &\' & echo; sleep 60',
    "without output": "setsid sh -c '{}' >/dev/null 2>&1 </dev/null & echo; sleep 60",
}


@pytest.fixture
def witness(tmp_path: Path) -> Iterator[Witness]:
    """A witness for the processes of a test."""
    with closing(Witness(tmp_path)) as found:
        yield found


def run(shell_command: str, seconds: float = PATIENCE_SECONDS, message_id: str = "60a1b2c3d4e5f") -> Outcome:
    message = a_message(id=message_id)
    with closing(message.data):
        return command.run(message, RECIPIENT, shell_command, time.monotonic() + seconds)


def eventually(condition: Callable[[], bool]) -> bool:
    """Say whether something comes true soon."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not condition() and time.monotonic() < give_up_at:
        time.sleep(0.01)
    return condition()


@contextmanager
def another_command(witness: Witness) -> Iterator[None]:
    """Let another command run in this process meanwhile, as in the threads of a resident server."""
    thread = threading.Thread(target=run, args=(witness.command("exec sleep 60"), 60, "another"))
    thread.start()
    try:
        assert eventually(witness.somebody_lives)
        yield
    finally:
        kill_children()
        thread.join()


def children() -> list[int]:
    """Return the children of this process, of all its threads."""
    tasks = Path("/proc/self/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text(encoding="ascii").split()]


def living_children() -> list[int]:
    """Let go of the children that have ended, and return the others."""
    return [pid for pid in children() if os.waitpid(pid, os.WNOHANG) == (0, 0)]


def kill_children() -> None:
    for pid in children():
        os.kill(pid, signal.SIGKILL)


# At the time limit


@pytest.mark.parametrize("way", WAYS_AWAY)
def test_nothing_outlives_the_limit(witness: Witness, way: str) -> None:
    """What a command has started ends with it at the limit, wherever it went."""

    def run_it() -> Outcome:
        return run(witness.command(WAYS_AWAY[way].replace("{}", "sleep 60")), LIMIT_SECONDS)

    outcome = in_child(run_it)
    assert (outcome.detail, outcome.output[:1]) == ("took too long and was killed", ("",))
    assert eventually(lambda: not witness.somebody_lives())


@pytest.mark.parametrize("way", WAYS_AWAY)
def test_nothing_outlives_the_limit_beside_another_command(tmp_path: Path, witness: Witness, way: str) -> None:
    """The same where several commands run in one process, and the other one goes on."""
    (tmp_path / "other").mkdir()

    def run_both() -> Outcome:
        with closing(Witness(tmp_path / "other")) as other, another_command(other):
            outcome = run(witness.command(WAYS_AWAY[way].replace("{}", "sleep 60")), LIMIT_SECONDS)
            assert other.somebody_lives()
            assert eventually(lambda: not witness.somebody_lives())
            return outcome

    outcome = in_child(run_both)
    assert (outcome.detail, outcome.output[:1]) == ("took too long and was killed", ("",))
    assert eventually(lambda: not witness.somebody_lives())


FORKS = """\
import os, time
for number in range(200):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(60)
        os._exit(0)
    time.sleep(0.005)
"""


def test_what_forks_while_it_is_killed(witness: Witness) -> None:
    """A command that makes new processes all the time, each in a session of its own, is killed to the last of them."""
    shell_command = witness.command(f"setsid {sys.executable} -c '{FORKS}' & sleep 60")
    assert in_child(lambda: run(shell_command, LIMIT_SECONDS)).timed_out
    assert eventually(lambda: not witness.somebody_lives())


KEEPS_LEAVING = "while sleep 0.02; do (env -i setsid sleep 60 &) ; done >/dev/null 2>&1 &"


@pytest.mark.parametrize("left", ["setsid sleep 60 >/dev/null 2>&1 &", KEEPS_LEAVING])
@pytest.mark.parametrize("way", ["double fork", "without environment"])
def test_what_an_earlier_command_left_is_spared(tmp_path: Path, witness: Witness, way: str, left: str) -> None:
    """The limit of one command ends all of it, and nothing that another has left behind or that comes of that."""
    (tmp_path / "slow").mkdir()

    def run_both() -> None:
        with closing(Witness(tmp_path / "slow")) as slow:
            assert run(witness.command(left)).delivered
            known = set(children())
            outcome = run(slow.command(WAYS_AWAY[way].replace("{}", "sleep 60")), LIMIT_SECONDS, "slow")
            assert outcome.timed_out
            assert eventually(lambda: not slow.somebody_lives())
            assert known <= set(living_children())
            assert eventually(lambda: (len(living_children()) > 3) == (left == KEEPS_LEAVING))
            while living_children():
                kill_children()

    in_child(run_both)
    assert eventually(lambda: not witness.somebody_lives())


# After the command's own end


@pytest.mark.parametrize(
    "shell_command, names",
    [
        (":", []),
        ("true & wait", []),
        ("yes | head -1 >/dev/null", []),
        ("(true &)", []),
        ("sleep 60 &", ["sleep"]),
        ("nohup sleep 60 >/dev/null 2>&1 &", ["sleep"]),
        ("setsid sleep 60 >/dev/null 2>&1 &", ["sleep"]),
        ("(setsid sleep 60 >/dev/null 2>&1 &)", ["sleep"]),
        ("env -i setsid sleep 60 >/dev/null 2>&1 & exit 75", ["sleep"]),
        ("sleep 60 & tail -f /dev/null >/dev/null &", ["sleep", "tail"]),
    ],
)
def test_what_is_left_behind(shell_command: str, names: list[str]) -> None:
    """A command's processes that live on are told by name, however they left it, and they do live on."""

    def settled() -> bool:
        """Say whether the shells in between have ended, and each process runs the program that it is for."""
        return sorted(Path(f"/proc/{pid}/comm").read_text().strip() for pid in living_children()) == names

    def run_it() -> tuple[Outcome, list[int]]:
        with pausing(lambda: eventually(settled)):
            outcome = run(shell_command)
        left = living_children()
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        return outcome, left

    outcome, left = in_child(run_it)
    expected = [f"{name} ({pid})" for name, pid in zip(names, sorted(left), strict=True)]
    assert sorted(outcome.left_behind) == sorted(expected)


def test_what_is_about_to_end_is_not_told(tmp_path: Path) -> None:
    """What ends just after the command, as the reader of its output may, is not left behind."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)

    def end() -> None:
        fifo.write_bytes(b"\n")
        assert eventually(lambda: not living_children())

    def run_it() -> tuple[str, ...]:
        with pausing(end) as pauses:
            outcome = run(f"read line <{fifo} &")
        assert pauses == [processes._SETTLE_SECONDS]
        return outcome.left_behind

    assert in_child(run_it) == ()


def test_nobody_waits_where_nothing_is_left() -> None:
    """A command that leaves nothing behind is done at once."""

    def run_it() -> list[float]:
        with pausing(lambda: None) as pauses:
            run("true & wait")
        return pauses

    assert in_child(run_it) == []


@contextmanager
def pausing(do: Callable[[], object]) -> Iterator[list[float]]:
    """Do something instead of each pause of `processes`, and say how long these were to be."""
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        do()

    with mock.patch.object(processes, "time", mock.Mock(wraps=time, sleep=sleep)):
        yield pauses


def test_many_that_are_left_behind() -> None:
    """Of many the first are named, and the others counted."""

    def run_it() -> tuple[str, ...]:
        outcome = run(f"for n in $(seq {MAX_NAMED + 3}); do sleep 60 & done")
        kill_children()
        return outcome.left_behind

    assert in_child(run_it)[MAX_NAMED:] == ("3 more",)


def test_each_command_is_told_its_own(witness: Witness) -> None:
    """What one command has left is not told of the next one, nor of one that runs at the same time."""

    def run_them() -> list[int]:
        with another_command(witness):
            left = [len(run(text).left_behind) for text in ("sleep 60 &", ":", "sleep 60 & sleep 60 &")]
            left.append(len(run(":", message_id="later").left_behind))
            return left

    assert in_child(run_them) == [1, 0, 2, 0]
