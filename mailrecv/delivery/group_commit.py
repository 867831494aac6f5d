"""Group commit: threads that append to the same file at the same time share its lock and its sync.

One of them leads: it locks the file, writes its own part, then those of all who wait by then, syncs once, and tells
each what became of its part. Whoever came too late for that is led by the first of them. So a mailbox takes as many
messages in the time of one sync as there are sessions with a message for it, and each is as safe as it would be alone:

1. Nobody is told of a success before the sync that came after all of their octets.
2. A part that cannot be written is cut off again, and the others go on. When the sync fails, it fails for all.
3. Nobody waits past their deadline for a lock; only for the octets of others, and of these there are few.
4. When the file is moved away before the sync has ended, all of it is done again, for what is there by then.

It knows threads and parts, and not what is in them.
"""

from __future__ import annotations

import time
from _thread import TIMEOUT_MAX, allocate_lock  # all that it takes of `threading`, which a session need not import
from collections.abc import Callable, Iterator

from mailrecv.delivery import durable
from mailrecv.delivery.durable import AppendedFile

GROUP_OCTETS = 1 << 20  # how much is written for a leader and those who wait: a large message holds up nobody else
# Seconds between two tries to write to a file that is moved away each time; doubled each time, so that until the usual
# deadline a message is written some twenty times in vain, however fast the file is moved.
_FIRST_PAUSE = 0.001


class Part:
    """What one thread has to append.

    write: writes it, in whichever thread, and again where that was in vain.  octets: about how many these are.
    deadline: for the lock of the file, on the monotonic clock.
    """

    def __init__(self, write: Callable[[AppendedFile], None], octets: int, deadline: float) -> None:
        self.write = write
        self.octets = octets
        self.deadline = deadline
        self.leads = False
        self.error: BaseException | None = None
        self._told = allocate_lock()
        self._told.acquire()

    def tell(self) -> None:
        """Let the thread of this part go on: its fate is known, or it leads."""
        self._told.release()

    def is_told(self, seconds: float = -1) -> bool:
        """Wait until the thread of this part may go on, for ever or so long, and say whether it may."""
        return self._told.acquire(timeout=seconds)


_mutex = allocate_lock()
_waiting: dict[str, list[Part]] = {}  # by the path of each file that somebody appends to just now


def append(path: str, part: Part) -> None:
    """Append a part to the file at `path`, and return when it is safe.

    Raises what `durable.appending` and `part.write` raise; nothing of the part is in the file then.
    """
    with _mutex:
        if path in _waiting:
            _waiting[path].append(part)
        else:
            _waiting[path] = []
            part.leads = True
    if not part.leads:
        _wait(path, part)
    if part.leads:
        _lead(path, part)
    if part.error is not None:
        raise part.error


def _wait(path: str, part: Part) -> None:
    """Wait to be told. Raises TimeoutError at the deadline, unless the part is being written by then."""
    if part.is_told(min(max(0.0, part.deadline - time.monotonic()), TIMEOUT_MAX)):
        return
    with _mutex:
        waits = part in _waiting.get(path, ())
        if waits:
            _waiting[path].remove(part)
    if waits:
        raise TimeoutError(None, "in use by other sessions for too long", path)
    part.is_told()


def _lead(path: str, own: Part) -> None:
    """Write the own part and those of all who wait, until the file is not moved away from them; let the next lead."""
    pause = _FIRST_PAUSE
    try:
        while not _append_together(path, own):
            left = own.deadline - time.monotonic()
            if left <= 0:
                own.error = TimeoutError(None, durable.MOVED, path)
                return
            time.sleep(min(pause, left))
            pause *= 2
    finally:
        _pass_on(path)


def _append_together(path: str, own: Part) -> bool:
    """Write the own part and those of all who wait, and tell these. Return False if the file was moved away.

    Those whose parts went with it wait again then.
    """
    followers: list[Part] = []
    moved = False
    try:
        with durable.appending(path, own.deadline) as file:
            _write(own, file)
            for part in _followers(path, own, file):
                followers.append(part)
                _write(part, file)
    except durable.MovedAway:
        moved = True
    except BaseException as error:  # noqa: BLE001 - each thread of the group raises it
        for part in [own, *followers]:
            part.error = part.error or error
    for part in _wait_again(path, followers) if moved else followers:
        part.tell()
    return own.error is not None or not moved


def _wait_again(path: str, parts: list[Part]) -> list[Part]:
    """Put parts back to the front of the line. Return those that had failed, or have no time left and so fail, too."""
    again: list[Part] = []
    ended: list[Part] = []
    now = time.monotonic()
    for part in parts:
        if part.error is None and part.deadline <= now:
            part.error = TimeoutError(None, durable.MOVED, path)
        (again if part.error is None else ended).append(part)
    with _mutex:
        _waiting[path][:0] = again
    return ended


def _followers(path: str, own: Part, file: AppendedFile) -> Iterator[Part]:
    """Take those who wait, one after the other, as long as what they have to write is little."""
    octets = own.octets
    while file.regular:
        with _mutex:
            waiting = _waiting[path]
            if not waiting or octets + waiting[0].octets > GROUP_OCTETS:
                return
            part = waiting.pop(0)
        octets += part.octets
        yield part


def _write(part: Part, file: AppendedFile) -> None:
    try:
        with file.part():
            part.write(file)
    except BaseException as error:  # noqa: BLE001 - the thread of the part raises it
        part.error = error


def _pass_on(path: str) -> None:
    """Let the first who waits lead."""
    with _mutex:
        if _waiting[path]:
            following = _waiting[path].pop(0)
            following.leads = True
            following.tell()
        else:
            del _waiting[path]
