"""The processes that a command has started: how to end them all, and which of them it leaves behind.

A process whose parent has ended would go to PID 1, and nobody could tell any more who had started it. So this process
adopts the orphans of its commands (PR_SET_CHILD_SUBREAPER of prctl(2)), and finds them among its children. Several
commands may run here at once, and what earlier ones have left may go on. Whose an orphan is, is told by a limit of its
resources: a process inherits its limits, also when it has cleared its environment, is in a session of its own and runs
another program. The limit is the one of processor time under real-time scheduling (RLIMIT_RTTIME of getrlimit(2)),
different for each command, and so high, hours at least, that it limits nothing.
"""

from __future__ import annotations

import os
import resource
import signal
import time
from _thread import allocate_lock
from contextlib import contextmanager, suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_NAMED = 5  # of the processes that are left behind
_PR_SET_CHILD_SUBREAPER = 36
_WNOTHREAD = 0x20000000  # wait(2): for children of this thread only, not for commands that other threads wait for
_LOOK_AGAIN_SECONDS = 0.002  # a process that is killed ends a moment later, and until then may have made another
_MUST_FIND_NONE = 2  # times: a list of children may lack one while another one ends (proc(5))
_SETTLE_SECONDS = 0.05  # until what a command leaves behind has ended, if it is about to, or goes by its own name
_ENDED = ("Z", "X")  # states of processes of which nothing is left but their exit status

_adopter = 0  # the process that adopts orphans: a child that is forked does not inherit that
_starting = allocate_lock()  # limits are those of a process, not of a thread


class Processes:
    """Those of one command."""

    def __init__(self) -> None:
        self._mark = 0

    @contextmanager
    def started_here(self) -> Iterator[None]:
        """Let the command that is started meanwhile be the one."""
        _adopt_orphans()
        with _starting:
            usual = resource.getrlimit(resource.RLIMIT_RTTIME)
            self._mark = time.monotonic_ns()  # as microseconds of real-time scheduling
            with suppress(OSError, ValueError):  # there is a hard limit: what leaves the command's tree is not found
                resource.setrlimit(resource.RLIMIT_RTTIME, (self._mark, usual[1]))
            try:
                yield
            finally:
                with suppress(OSError, ValueError):
                    resource.setrlimit(resource.RLIMIT_RTTIME, usual)

    def left_behind(self) -> list[str]:
        """Return the processes that live on, now that the command has ended and was waited for: name and number."""
        found = self._living_orphans()
        if found:  # one may be about to end, or to run the program that it is for
            time.sleep(_SETTLE_SECONDS)
            found = self._living_orphans()
        names = [f"{name} ({pid})" for pid, (name, _) in found[:MAX_NAMED]]
        return [*names, f"{len(found) - MAX_NAMED} more"] if len(found) > MAX_NAMED else names

    def kill(self, leader: int, seconds: float) -> bool:
        """Kill all that the command has started, also what has left its process group. Return whether all is gone.

        leader: the command itself, not waited for yet.  seconds: how long that may take.
        """
        give_up_at = time.monotonic() + seconds
        groups = {leader, *self._groups(leader)}  # not one by one: a process of the group could fork in the meantime
        found_none = 0
        while found_none < _MUST_FIND_NONE:
            killed = [_kill_group(group) for group in groups]
            if (killed and not any(killed)) or time.monotonic() > give_up_at:
                return False
            time.sleep(_LOOK_AGAIN_SECONDS)
            groups = self._groups(leader)
            found_none = 0 if groups else found_none + 1
        return True

    def _groups(self, leader: int) -> set[int]:
        """Return the process groups of all that is alive, but never that of this process.  leader: as above."""
        family = set(_with_descendants([leader, *self._orphans()]))
        return {status[1] for pid in family if (status := _status(pid)) is not None} - {os.getpgrp()}

    def _living_orphans(self) -> list[tuple[int, tuple[str, int]]]:
        return [(pid, status) for pid in self._orphans() if (status := _status(pid)) is not None]

    def _orphans(self) -> Iterator[int]:
        """Yield the adopted processes that stem from this command."""
        mark = b"%d" % self._mark
        for pid in _adopted():
            if mark in _read(f"/proc/{pid}/limits").split():
                yield pid


def bury_orphans() -> None:
    """Let go of adopted processes that have ended: to be called now and then by a main thread that starts no commands.

    The kernel keeps the exit status of each until somebody has asked for it.
    """
    with suppress(ChildProcessError):  # there is none, ended or not
        while os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | _WNOTHREAD):
            pass


def _adopt_orphans() -> None:
    """Let this process be the parent of all orphans that stem from it."""
    global _adopter  # noqa: PLW0603 - as it is a property of the process
    if _adopter == os.getpid():
        return
    with suppress(ImportError, OSError):  # then those who leave the command's process group cannot be found
        import _ctypes  # ctypes takes as long to import as the rest of a delivery; prctl needs nothing of what it adds

        program = _ctypes.dlopen(None, 0)  # type: ignore[arg-type]  # as in dlopen(3)
        prctl = _ctypes.dlsym(program, "prctl")
        _ctypes.call_function(prctl, (_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
    _adopter = os.getpid()


def _adopted() -> list[int]:
    """Return the processes that this one has adopted; the kernel gives them to the main thread.

    Where that starts the commands, too, they are among them.
    """
    return _children_of_thread(os.getpid(), os.getpid())


def _with_descendants(pids: Iterable[int]) -> Iterator[int]:
    """Yield processes, their children, the children of these, and so on."""
    found = list(pids)
    for pid in found:  # which grows meanwhile
        yield pid
        with suppress(OSError):  # it has ended
            for thread in os.listdir(f"/proc/{pid}/task"):
                found += _children_of_thread(pid, int(thread))


def _children_of_thread(pid: int, thread: int) -> list[int]:
    return [int(child) for child in _read(f"/proc/{pid}/task/{thread}/children").split()]


def _status(pid: int) -> tuple[str, int] | None:
    """Return the name and the process group of a process, None when it has ended."""
    name, _, rest = _read(f"/proc/{pid}/stat").decode("utf-8", "replace").rpartition(")")
    state, _, group, *_ = rest.split() or (_ENDED[0], "", "")
    return None if state in _ENDED else (name.partition("(")[2], int(group))


def _read(path: str) -> bytes:
    """Return what a file of /proc holds, nothing when its process has ended or is none of ours."""
    with suppress(OSError), open(path, "rb", buffering=0) as file:
        return file.read()
    return b""


def _kill_group(group: int) -> bool:
    try:
        os.killpg(group, signal.SIGKILL)
    except OSError as error:
        return isinstance(error, ProcessLookupError)  # it has ended by itself
    return True
