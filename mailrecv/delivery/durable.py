"""The one place that touches mailboxes on disk: lock, write, sync, rename, cut back.

What a caller gets back as done is on the disk: data and, where a name is new, the directory. What failed is undone as
far as the system lets it be. Every function raises OSError, and TimeoutError (an OSError) at a deadline; deadlines are
on the monotonic clock, in seconds.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import stat
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

_FILE_MODE = 0o600
_DIRECTORY_MODE = 0o700
_FIRST_WAIT = 0.001  # seconds between two tries for a lock; doubled each time, up to the longest
_LONGEST_WAIT = 0.01  # about as long as another process takes to append a message: few chances are missed
_JOINED_OCTETS = 1 << 16  # of small blocks that are written together
_BLOCK_OCTETS = 4096  # how much is looked at, at a time, for NULs at the end of a file
_MAX_LINKS = 40  # path_resolution(7): as many as the kernel follows
# struct flock (fcntl(2)): the kind of lock; all else is 0, which means from the beginning of the file to its end
_WRITE_LOCK = fcntl.F_WRLCK.to_bytes(2, sys.byteorder) + bytes(30)


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
    are NULs at its end, which a crash has left there.
    A device or FIFO is just written to: it has no end to cut back to. What a stranger may have put there is left alone,
    as `check_owner` has it.
    """
    fd, status = _open_for_append(path, deadline)
    try:
        if not stat.S_ISREG(status.st_mode):
            yield AppendedFile(fd, 0, deadline, regular=False)
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
        except BaseException:
            _cut_back(fd, size)
            raise
    finally:
        with suppress(OSError):  # the sync has told all there is to tell: this must not make a failure of a success
            os.close(fd)


def store(path: str, blocks: Iterable[bytes]) -> None:
    """Write a new file and make its data safe; its name is not yet. No file is left if that fails."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE)
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
    """Give a stored file its final name and make the name safe. No file is left if that fails."""
    name = path
    try:
        os.rename(path, new_path)
        name = new_path
        sync_directory(os.path.dirname(new_path))
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise


def make_directories(*paths: str) -> None:
    """Make directories, and those above them, where any of these is missing, and make their names safe."""
    if not all(os.path.isdir(path) for path in paths):
        for path in paths:
            _make_directory(path.rstrip("/"))


def check_owner(path: str) -> str:
    """Return where the symbolic links at `path`, if it is one, lead to; check that no stranger could put that there.

    A link must belong to root or to this user, as for Postfix's local(8). In a directory that everybody may write to,
    so must what is there, and a file must have no second name: the same as the kernel does there where the settings
    fs.protected_* are on, but it does so for fewer kinds of files. Raises PermissionError. What is missing is nobody's.
    """
    for _ in range(_MAX_LINKS):
        try:
            status = os.lstat(path)
        except FileNotFoundError:
            return path
        if not stat.S_ISLNK(status.st_mode):
            _check_place(path, status)
            return path
        if status.st_uid not in (0, os.geteuid()):
            raise PermissionError(errno.EPERM, "a symbolic link of somebody else's is not followed", path)
        if path.startswith("/proc/"):  # /dev/stdout ends at a link there that only the kernel can follow
            return path
        path = os.path.join(os.path.dirname(path), os.readlink(path))
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)


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
    try:
        os.mkdir(path, _DIRECTORY_MODE)
    except FileExistsError:
        pass  # whoever made it may have been killed before its name was safe
    except FileNotFoundError:
        parent = os.path.dirname(path)
        if not parent:
            raise
        _make_directory(parent)
        with suppress(FileExistsError):  # another process was faster
            os.mkdir(path, _DIRECTORY_MODE)
    else:
        sync_directory(os.path.dirname(os.path.dirname(path)))  # so may whoever made the one above
    sync_directory(os.path.dirname(path))


def _open_for_append(path: str, deadline: float) -> tuple[int, os.stat_result]:
    """Return a descriptor of the file at `path`, locked if `_is_ours_to_lock`, and its status since then."""
    while True:
        end = check_owner(path)
        fd = os.open(end, _flags_for(end), _FILE_MODE)
        try:
            status = os.fstat(fd)
            _check_place(end, status)  # once more: what was missing a moment ago, others may have made
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


def _check_place(path: str, status: os.stat_result) -> None:
    directory = os.stat(os.path.dirname(path) or ".")
    if not directory.st_mode & stat.S_IWOTH:
        return
    if status.st_uid not in (0, os.geteuid(), directory.st_uid):
        raise PermissionError(errno.EPERM, "belongs to somebody else, where everybody may put things", path)
    if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
        raise PermissionError(errno.EPERM, "has another name, where everybody may put things", path)


def _flags_for(path: str) -> int:
    """Return how to open the file: a FIFO must not be opened for reading, or it would seem to have a reader."""
    flags = os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    if not path.startswith("/proc/"):
        flags |= os.O_NOFOLLOW
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
    """Return the size of a file without the NULs at its end.

    A file system may put them where a crash kept data from the disk, and btrfs does when it can neither write nor cut
    back, for lack of quota. Whoever reads the file would take them for a part of the text before them.
    """
    while size:
        start = max(0, size - _BLOCK_OCTETS)
        block = os.pread(fd, size - start, start)
        size = start + len(block.rstrip(b"\0"))
        if size > start:
            break
    return size


def _cut_back(fd: int, size: int) -> None:
    # If this fails too, what is left is a torn tail, and the next append closes it off.
    with suppress(OSError):
        os.ftruncate(fd, size)
        os.fsync(fd)
