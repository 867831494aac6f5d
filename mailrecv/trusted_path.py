"""Which paths may be written to: those that no stranger could have turned to a place of their own.

A stranger is any user but root, the one who runs this, and the owners of the directories that the path names. Where
only these may put things, everything is taken to be meant as it is. But in a directory that everybody may write to,
such as /tmp, what is found may have been put there to be found: to get at what is written, or to have it written
elsewhere. So each step of a path is looked at, as sendmail and OpenSSH do with theirs, and each link on the way.

Root trusts one user more with the files that it writes to, see `trust_files_of`.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat

LINK = "a symbolic link of somebody else's is not followed"
OWNER = "belongs to somebody else, where everybody may put things"
SECOND_NAME = "has another name, where everybody may put things"
REPLACEABLE = "can be replaced by everybody: the directory above has no sticky bit"

_MAX_LINKS = 40  # path_resolution(7): as many as the kernel follows
_OPEN_ALREADY = "/proc/self/fd/"  # and the number of a descriptor of this process

_trusted_with_files: set[int] = set()


def trust_files_of(uid: int) -> None:
    """Let this process write to a user's regular files, too, where everybody may put things: root to its service's.

    Not through links, and not in directories of that user, which could make root write to what only root may change.
    """
    _trusted_with_files.add(uid)


def follow(path: str, start: str = "") -> str:
    """Return where `path` leads once all symbolic links on it are followed; check each step with `check_step`.

    start: where a relative path begins, as an earlier call has returned it; empty for the working directory.

    What the path ends at may be missing. Raises PermissionError for a step that cannot be trusted, and whatever OSError
    the system has for one that cannot be gone; `filename` is that step.

    What it returns stays a way to the same place, as far as strangers go: none of them can replace a directory on it.
    What it ends at they may still put there or exchange, so a file is opened with `open_followed`.
    """
    reached = "/" if path.startswith("/") else start
    directory = os.stat(reached or ".")
    names = _names_in(path)
    links = 0
    while names:
        name = names.pop()
        step = os.path.join(reached, name)
        try:
            status = os.lstat(step)
        except FileNotFoundError:
            if names:
                raise
            return step
        if name not in (".", ".."):  # which are not put there by anybody
            check_step(step, status, directory)
        if not stat.S_ISLNK(status.st_mode):
            if names and not stat.S_ISDIR(status.st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), step)
            reached, directory = step, status
            continue
        if step.startswith("/proc/"):  # /dev/stdout ends at a link there that only the kernel can follow
            return os.path.join(step, *reversed(names))
        links += 1
        if links > _MAX_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        target = os.readlink(step)
        names += _names_in(target)
        if target.startswith("/"):
            reached = "/"
            directory = os.stat(reached)
    return reached


def open_followed(path: str, flags: int, mode: int) -> tuple[int, os.stat_result]:
    """Open or make a file where `follow` has led to; return the descriptor and the status. Check what was opened."""
    directory = os.stat(os.path.dirname(path) or ".")
    if path.startswith("/proc/"):
        fd = _open_below_proc(path, flags)
    else:
        fd = _open_or_make(path, flags | os.O_NOFOLLOW, mode)
    try:
        status = os.fstat(fd)
        check_step(path, status, directory)
    except BaseException:
        os.close(fd)
        raise
    return fd, status


def check_step(path: str, status: os.stat_result, directory: os.stat_result) -> None:
    """Check that no stranger could have put there what is at `path`. Raises PermissionError.

    status: of it, itself, if it is a link.  directory: the status of the directory that it lies in.

    A link must belong to root or to this user, as for Postfix's local(8). In a directory that everybody may write to,
    what is there must belong to one of these or to the owner of the directory, and what is no directory must have no
    second name: the same as the kernel does there where the settings fs.protected_* are on, but it does so for fewer
    kinds of files. And a directory or a link must be safe from being replaced, as the sticky bit has it: a file that is
    opened shows whose it is, what is passed on the way does not.
    """
    trusted = {0, os.geteuid()}
    if stat.S_ISLNK(status.st_mode) and status.st_uid not in trusted:
        raise PermissionError(errno.EPERM, LINK, path)
    if not directory.st_mode & stat.S_IWOTH:
        return
    if stat.S_ISREG(status.st_mode):
        trusted |= _trusted_with_files
    if status.st_uid not in trusted | {directory.st_uid}:
        raise PermissionError(errno.EPERM, OWNER, path)
    is_directory = stat.S_ISDIR(status.st_mode)
    if status.st_nlink > 1 and not is_directory:
        raise PermissionError(errno.EPERM, SECOND_NAME, path)
    if (is_directory or stat.S_ISLNK(status.st_mode)) and not directory.st_mode & stat.S_ISVTX:
        raise PermissionError(errno.EPERM, REPLACEABLE, path)


def _open_or_make(path: str, flags: int, mode: int) -> int:
    try:
        # With O_CREAT the kernel refuses what is there and another user's (fs.protected_regular), whomever we trust.
        return os.open(path, flags & ~os.O_CREAT)
    except FileNotFoundError:
        return os.open(path, flags, mode)


def _open_below_proc(path: str, flags: int) -> int:
    """Open what is there; or take what is open already, such as standard error, if this user may not open it anew.

    That is so for what root has opened before it became another user. It is taken as it is, and waited for if its
    opener wanted that. An mbox is not: it is to be read as well, and written to at its end.
    """
    try:
        return os.open(path, flags & ~os.O_CREAT)
    except PermissionError:
        number = path.removeprefix(_OPEN_ALREADY)
        if not number.isdecimal() or flags & os.O_ACCMODE != os.O_WRONLY:
            raise
        if fcntl.fcntl(int(number), fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise
        return os.dup(int(number))


def _names_in(path: str) -> list[str]:
    """Return the names that a path consists of, the last one first; a slash at its end stands for a directory."""
    names = [name for name in path.split("/") if name]
    if path.endswith("/"):
        names.append(".")
    names.reverse()
    return names
