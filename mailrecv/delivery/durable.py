"""The one place that touches mailboxes on disk: lock, write, sync, name, cut back.

What a caller gets back as done is on the disk: data and, where a name is new, the directory. What failed is undone as
far as the system lets it be. Every function raises OSError, and TimeoutError (an OSError) at a deadline; deadlines are
on the monotonic clock, in seconds.
"""

from __future__ import annotations

import errno
import fcntl
import math
import os
import select
import stat
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from mailrecv import trusted_path

_FILE_MODE = 0o600
_DIRECTORY_MODE = 0o700
_SHARED_FILE_MODE = 0o660  # where a group shares the directory
_SHARED_DIRECTORY_MODE = 0o770
_FIRST_WAIT = 0.001  # seconds between two tries for a lock; doubled each time, up to the longest
_LONGEST_WAIT = 0.01  # about as long as another process takes to append a message: few chances are missed
_JOINED_OCTETS = 1 << 16  # of small blocks that are written together
_BLOCK_OCTETS = 4096  # how much is looked at, at a time, for NULs at the end of a file
_MOST_NULS = 1 << 26  # how many of those that are on the disk are read: as quickly done as a large message is written
_WITHOUT_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS)  # what link(2) says on a file system that has none
MOVED = "was moved away while it was written to"
# struct flock (fcntl(2)): the kind of lock; all else is 0, which means from the beginning of the file to its end
_WRITE_LOCK = fcntl.F_WRLCK.to_bytes(2, sys.byteorder) + bytes(30)
_NO_LOCK = fcntl.F_UNLCK.to_bytes(2, sys.byteorder) + bytes(30)


class MovedAway(OSError):
    """What was appended is safe, but in a file that no longer has its name: whoever moved it may have read it before.

    It is to be appended once more, to what is there now. The moved file is not cut back, it is somebody else's now:
    better to have a message twice than never.
    """


class AppendedFile:
    """A locked file that is being appended to.

    size: octets in it, with those that were just written; 0 for a device or FIFO.  regular: whether it is none of
    these.
    """

    def __init__(self, fd: int, size: int, deadline: float, *, regular: bool = True) -> None:
        self.size = size
        self.regular = regular
        self._fd = fd
        self._deadline = deadline

    def tail(self, octets: int) -> bytes:
        """Return the last octets, fewer if the file is shorter."""
        octets = min(octets, self.size)
        return os.pread(self._fd, octets, self.size - octets) if octets else b""

    def write(self, blocks: Iterable[bytes]) -> None:
        """Append blocks, however little the file takes at a time; a FIFO is waited for until the deadline."""
        for block in _joined(blocks):
            view = memoryview(block)
            while view:
                try:
                    written = os.write(self._fd, view)
                except BlockingIOError:
                    _wait_until_writable(self._fd, self._deadline)
                else:
                    view = view[written:]
                    if self.regular:
                        self.size += written

    @contextmanager
    def part(self) -> Iterator[None]:
        """Cut the file back to where the body began to write if that raises; what was written before stays."""
        start = self.size
        try:
            yield
        except BaseException:
            if self.regular:
                _cut_back(self._fd, start)
                self.size = os.fstat(self._fd).st_size
            raise


def _joined(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield small blocks together: each write is a call of the system."""
    small: list[bytes] = []
    octets = 0
    for block in blocks:
        if octets + len(block) > _JOINED_OCTETS:
            yield b"".join(small)
            small, octets = [], 0
        small.append(block)
        octets += len(block)
    yield b"".join(small)


@contextmanager
def appending(path: str, deadline: float) -> Iterator[AppendedFile]:
    """Open a file to append to it, alone, and make what was written safe at the end.

    The file is made if missing. If the body raises, or the final sync fails, the file is cut back to where it began; so
    are NULs at its end, which a crash has left there. Raises MovedAway if the path no longer leads to it by then.
    A device or FIFO is just written to: it has no end to cut back to. What a stranger may have put there is left alone,
    as `trusted_path` has it.
    """
    fd, status = _open_for_append(path, deadline)
    try:
        if not stat.S_ISREG(status.st_mode):
            try:
                yield AppendedFile(fd, 0, deadline, regular=False)
            finally:
                _unlock(fd)
            return
        if status.st_size == 0:
            # Before the first octet, not after the last: a file that another process finds with data in it is then
            # known to have its name on disk, even if the process that made it was killed.
            sync_directory(os.path.dirname(os.path.realpath(path)))
        size = _size_without_nuls(fd, status.st_size)
        if size < status.st_size:
            os.ftruncate(fd, size)
        try:
            yield AppendedFile(fd, size, deadline)
            os.fsync(fd)
            stays = _is_still_at(path, status)
        except BaseException:
            _cut_back(fd, size)
            raise
        if not stays:
            raise MovedAway(None, MOVED, path)
    finally:
        with suppress(OSError):  # the sync has told all there is to tell: this must not make a failure of a success
            os.close(fd)


def store(path: str, blocks: Iterable[bytes]) -> None:
    """Write a new file and make its data safe; its name is not yet. No file is left if that fails."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    fd = os.open(path, flags, _file_mode(os.path.dirname(path)))
    try:
        try:
            AppendedFile(fd, 0, deadline=0).write(blocks)
            os.fsync(fd)
        finally:
            os.close(fd)
    except BaseException:
        with suppress(OSError):
            os.unlink(path)
        raise


def rename(path: str, new_path: str) -> None:
    """Give a stored file its final name and make the name safe. No file is left if that fails.

    What is there already is not replaced: that is a FileExistsError.
    """
    names = [path]
    try:
        _link_or_move(path, new_path)
        names.append(new_path)
        with suppress(FileNotFoundError):  # moved
            os.unlink(path)
        sync_directory(os.path.dirname(new_path))
    except BaseException:
        for name in names:
            with suppress(OSError):
                os.unlink(name)
        raise


def make_directories(*paths: str) -> None:
    """Make directories, and those above them, where any of these is missing, and make their names safe.

    Nothing is made where `trusted_path` forbids to go. What others were faster to make is not looked at.
    """
    if not all(os.path.isdir(path) for path in paths):
        for path in paths:
            _make_directory(path.rstrip("/"))


def keeps(path: str) -> bool:
    """Return False for a device such as /dev/null: what is written to it is not stored."""
    try:
        return not stat.S_ISCHR(os.stat(path).st_mode)
    except OSError:
        return True  # whatever is wrong here, the delivery will meet it


def sync_directory(path: str) -> None:
    """Make the names in a directory safe.  path: empty for the working directory."""
    try:
        fd = os.open(path or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EINVAL):
            raise
        os.sync()  # a directory that may not be read, or a file system that cannot sync one: sync them all


def _make_directory(path: str) -> None:
    above_is_new = False
    try:
        end = trusted_path.follow(path)
    except FileNotFoundError:
        above = os.path.dirname(path)
        if not above:
            raise
        _make_directory(above)
        above_is_new = True
        end = trusted_path.follow(path)
    directory = os.path.dirname(end)
    try:
        os.mkdir(end, _directory_mode(directory))
    except FileExistsError:
        pass  # whoever made it may have been killed before its name was safe
    else:
        if not above_is_new:
            sync_directory(os.path.dirname(directory))  # so may whoever made the one above
    sync_directory(directory)


def _link_or_move(path: str, new_path: str) -> None:
    try:
        os.link(path, new_path)  # unlike rename(2) it never replaces anything
    except OSError as error:
        if error.errno not in _WITHOUT_LINKS:
            raise
        if os.path.lexists(new_path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new_path) from None
        os.rename(path, new_path)


def _file_mode(directory: str) -> int:
    """Return the mode for a new file in a directory."""
    return _SHARED_FILE_MODE if _is_shared(directory) else _FILE_MODE


def _directory_mode(directory: str) -> int:
    """Return the mode for a new directory in a directory."""
    return _SHARED_DIRECTORY_MODE if _is_shared(directory) else _DIRECTORY_MODE


def _is_shared(directory: str) -> bool:
    """Say whether a group is to share what is made in a directory: the sign for that is that it is setgid."""
    return bool(os.stat(directory or ".").st_mode & stat.S_ISGID)


def _open_for_append(path: str, deadline: float) -> tuple[int, os.stat_result]:
    """Return a descriptor of the file at `path`, locked if `_is_ours_to_lock`, and its status since then."""
    while True:
        end = trusted_path.follow(path)
        fd, status = trusted_path.open_followed(end, _flags_for(end), _file_mode(os.path.dirname(end)))
        try:
            if not _is_ours_to_lock(status):
                return fd, status
            _lock(fd, path, deadline)
            status = os.fstat(fd)  # whoever had the lock has written
            if _is_still_at(path, status):
                return fd, status
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)  # the file was renamed or replaced while its lock was waited for: take the one that is there now
        if time.monotonic() >= deadline:
            raise TimeoutError(None, MOVED, path)


def _flags_for(path: str) -> int:
    """Return how to open the file: a FIFO must not be opened for reading, or it would seem to have a reader."""
    flags = os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return flags | os.O_WRONLY
    except FileNotFoundError:
        pass
    return flags | os.O_RDWR | os.O_CREAT


def _is_ours_to_lock(status: os.stat_result) -> bool:
    """Return False for a device that everybody may open, such as /dev/null: then anybody can hold its lock for ever.

    All else is locked, a FIFO and a printer too: what two sessions write there at the same time would get mixed.
    """
    return not (stat.S_ISCHR(status.st_mode) and status.st_mode & (stat.S_IROTH | stat.S_IWOTH))


def _lock(fd: int, path: str, deadline: float) -> None:
    wait = _FIRST_WAIT
    while not _try_to_lock(fd):
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(None, "locked by another process for too long", path)
        time.sleep(min(wait, left))
        wait = min(2 * wait, _LONGEST_WAIT)


def _try_to_lock(fd: int) -> bool:
    """Lock the whole file in both ways that there are, or in none: each program knows only one of them.

    mutt, Postfix and Dovecot use fcntl(2), and rewrite an mbox in place while they hold it. The lock here belongs to
    the open file, as that of flock(2) does: one that belongs to the process would not keep out its other threads.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _WRITE_LOCK)
    except BlockingIOError:
        fcntl.flock(fd, fcntl.LOCK_UN)  # whoever has the other may be waiting for this one
        return False
    return True


def _unlock(fd: int) -> None:
    """Give up the locks of a file that others may have open by the same descriptor, as a terminal: they would stay."""
    with suppress(OSError):
        fcntl.flock(fd, fcntl.LOCK_UN)
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _NO_LOCK)


def _is_still_at(path: str, status: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.stat(path), status)
    except FileNotFoundError:
        return False


def _wait_until_writable(fd: int, deadline: float) -> None:
    poller = select.poll()
    poller.register(fd, select.POLLOUT)
    if not poller.poll(max(0.0, deadline - time.monotonic()) * 1000):
        raise TimeoutError(None, "the reader of this FIFO takes nothing")


def _size_without_nuls(fd: int, size: int) -> int:
    """Return the size of a file without the NULs at its end, or without as many of them as are soon read.

    A file system may put them where a crash kept data from the disk, and btrfs does when it can neither write nor cut
    back, for lack of quota. Whoever reads the file would take them for a part of the text before them. As a rule they
    are a hole, or no more than a message. What goes beyond that, as when somebody wrote gigabytes of them, stays.
    """
    left = _MOST_NULS
    while size and left > 0:
        start = max(0, size - _BLOCK_OCTETS)
        block = os.pread(fd, size - start, start)
        end = start + len(block.rstrip(b"\0"))
        if end > start:
            return end
        size = _end_of_data(fd, start)
        left -= len(block)
    return size


def _end_of_data(fd: int, size: int) -> int:
    """Return where the hole begins that these octets of a file end with: it is all NULs and need not be read."""
    if size == 0 or _next_data(fd, size - 1) < size:
        return size
    data, hole = 0, size  # there is none between the second and `size`; it is asked for data from between the two
    while data < hole:
        middle = (data + hole) // 2
        if _next_data(fd, middle) < size:
            data = middle + 1
        else:
            hole = middle
    return hole


def _next_data(fd: int, offset: int) -> float:
    """Return where the first data at or after an offset is; a file system that knows no holes has data everywhere."""
    try:
        return os.lseek(fd, offset, os.SEEK_DATA)
    except OSError as error:
        return math.inf if error.errno == errno.ENXIO else offset


def _cut_back(fd: int, size: int) -> None:
    # If this fails too, what is left is a torn tail, and the next append closes it off.
    with suppress(OSError):
        os.ftruncate(fd, size)
        os.fsync(fd)
