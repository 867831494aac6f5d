"""A disk that records every write and every flush, so that a power cut at any moment can be played afterwards.

The disk is a file in a FUSE file system of its own, served by this module run as a program, and a loop device makes a
block device of it. So it records what dm-log-writes would, on a kernel without device-mapper. FUSE passes writes on at
once, and the loop device passes on each flush that the file system on it asks for, as the fsync of the file.

The record is a sequence of (offset, size, octets); a flush is one whose offset is FLUSH and whose size is 0.
"""

from __future__ import annotations

import os
import random
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from itertools import count
from pathlib import Path

SIZE_OCTETS = 32 << 20

FLUSH = 0xFFFF_FFFF_FFFF_FFFF
_HEADER = struct.Struct("<QQ")


class RecordedDisk:
    """A disk with an ext4 file system, mounted at `mounted` and recorded in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.mounted = folder / "mounted"
        self._folder = folder
        self._cuts = count(1)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Make, mount and record it for as long as the body takes."""
        for name in ("image", "record", "disk"):
            (self._folder / name).touch()
        os.truncate(self._folder / "image", SIZE_OCTETS)
        subprocess.run(["mkfs.ext4", "-q", self._folder / "image"], check=True)
        (self._folder / "as-made").write_bytes((self._folder / "image").read_bytes())
        self.mounted.mkdir()
        server = subprocess.Popen([sys.executable, __file__, self._folder], stdout=subprocess.PIPE)
        assert server.stdout is not None
        try:
            assert server.stdout.readline() == b"mounted\n"
            with mounted(self._folder / "disk", self.mounted):
                yield
        finally:
            _unmount(self._folder / "disk")
            server.kill()
            server.wait()
            server.stdout.close()

    def moment(self) -> int:
        """Return the present moment, for `after_power_cut`."""
        return (self._folder / "record").stat().st_size

    @contextmanager
    def after_power_cut(self, moment: int, chance: random.Random | None) -> Iterator[None]:
        """Mount the disk as it is after a power cut, for as long as the body takes.

        What was flushed is there. Of what was written since, there is nothing; or, given a source of chance, some of
        it: a disk may write in any order what it was not told to flush.
        """
        # A file of its own: the kernel may still be busy with that of the last time.
        image = self._folder / f"after-power-cut-{next(self._cuts)}"
        image.write_bytes(self._octets_after_power_cut(moment, chance))
        try:
            with mounted(image, self.mounted):
                yield
        finally:
            image.unlink()

    def _octets_after_power_cut(self, moment: int, chance: random.Random | None) -> bytearray:
        image = bytearray((self._folder / "as-made").read_bytes())
        unflushed: list[tuple[int, bytes]] = []
        with (self._folder / "record").open("rb") as record:
            while record.tell() < moment:
                offset, size = _HEADER.unpack(record.read(_HEADER.size))
                if offset != FLUSH:
                    unflushed.append((offset, record.read(size)))
                    continue
                for place, octets in unflushed:
                    image[place : place + len(octets)] = octets
                unflushed.clear()
        for place, octets in unflushed:
            if chance and chance.random() < 0.5:
                image[place : place + len(octets)] = octets
        return image


@contextmanager
def mounted(image: Path, at: Path) -> Iterator[None]:
    """Mount an image for as long as the body takes."""
    subprocess.run(["mount", "-o", "loop,noatime", image, at], check=True)
    try:
        yield
    finally:
        _unmount(at)


def _unmount(path: Path) -> None:
    # Lazily: the loop device lets go of its file in its own time, and nothing must stay mounted when a test fails.
    subprocess.run(["umount", "--lazy", path], check=True)


# The server. Its messages are those of linux/fuse.h, for a file system that is a single file.


class Opcode(IntEnum):
    """What the kernel may ask for; all else is answered as not implemented."""

    FORGET = 2
    GETATTR = 3
    SETATTR = 4
    OPEN = 14
    READ = 15
    WRITE = 16
    RELEASE = 18
    FSYNC = 20
    FLUSH = 25  # of a descriptor, when it is closed: nothing to do with that of a disk
    INIT = 26
    INTERRUPT = 36
    DESTROY = 38
    BATCH_FORGET = 42


_UNANSWERED = (Opcode.FORGET, Opcode.INTERRUPT, Opcode.BATCH_FORGET)
_NOT_IMPLEMENTED = -38  # ENOSYS
_REQUEST = struct.Struct("<IIQQIIIHH")  # length, opcode, unique, ...
_ANSWER = struct.Struct("<IiQ")  # length, error, unique
_PLACE = struct.Struct("<8xQI20x")  # offset, size, of READ and WRITE
_LARGEST_WRITE = 1 << 20
_BIG_WRITES, _MAX_PAGES = 1 << 5, 1 << 22  # flags of INIT
_INIT = struct.pack("<4I4xI4xH34x", 7, 31, 0, _BIG_WRITES | _MAX_PAGES, _LARGEST_WRITE, _LARGEST_WRITE // 4096)
_MODE, _LINKS, _BLOCK_OCTETS = 0o100600, 1, 4096
_ATTRIBUTES = struct.pack("<16xQQ44xII12xI4x", 1, SIZE_OCTETS, _MODE, _LINKS, _BLOCK_OCTETS)


class Server:
    """Serves the file `disk` in a folder, with the contents of `image`, and writes the `record`."""

    def __init__(self, folder: Path) -> None:
        self._image = os.open(folder / "image", os.O_RDWR)
        self._record = os.open(folder / "record", os.O_WRONLY | os.O_APPEND)
        self._fuse = os.open("/dev/fuse", os.O_RDWR)
        options = f"fd={self._fuse},rootmode=100600,user_id=0,group_id=0,allow_other"
        mount = ["mount", "-i", "-t", "fuse", "-o", options, "recorded", str(folder / "disk")]
        subprocess.run(mount, check=True, pass_fds=[self._fuse])

    def serve(self) -> None:
        """Answer the kernel until the file is unmounted."""
        while True:
            try:
                request = os.read(self._fuse, _LARGEST_WRITE + 4096)
            except OSError:
                return
            _, opcode, unique, *_ = _REQUEST.unpack_from(request)
            if opcode not in _UNANSWERED:
                answer = self._answer(opcode, request[_REQUEST.size :])
                error = _NOT_IMPLEMENTED if answer is None else 0
                answer = answer or b""
                os.write(self._fuse, _ANSWER.pack(_ANSWER.size + len(answer), error, unique) + answer)

    def _answer(self, opcode: int, body: bytes) -> bytes | None:
        match opcode:
            case Opcode.INIT:
                return _INIT
            case Opcode.GETATTR | Opcode.SETATTR:
                return _ATTRIBUTES
            case Opcode.OPEN:
                return bytes(16)
            case Opcode.READ:
                offset, size = _PLACE.unpack_from(body)
                return os.pread(self._image, size, offset)
            case Opcode.WRITE:
                offset, size = _PLACE.unpack_from(body)
                octets = body[_PLACE.size : _PLACE.size + size]
                os.pwrite(self._image, octets, offset)
                os.write(self._record, _HEADER.pack(offset, size) + octets)
                return struct.pack("<I4x", size)
            case Opcode.FSYNC:
                os.write(self._record, _HEADER.pack(FLUSH, 0))
                return b""
            case Opcode.FLUSH | Opcode.RELEASE | Opcode.DESTROY:
                return b""
        return None


if __name__ == "__main__":
    server = Server(Path(sys.argv[1]))
    os.write(1, b"mounted\n")
    server.serve()
