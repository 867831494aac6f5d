"""A receiver made with aiosmtpd: what an administrator who knows Python would write instead.

    python aiosmtpd_program.py PORT MAILBOX [--fsync]

It appends each message to a file under flock(2), then syncs it to the disk or does not. It logs nothing, quotes
nothing and asks nobody who the client is. It imports nothing of ours, so that its memory is its own.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sys
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

MAX_OCTETS = 2_000_000_000  # of a message


class Appender:
    """aiosmtpd's handler: appends to a file.  fsync: whether to wait for the disk."""

    def __init__(self, path: str, *, fsync: bool) -> None:
        self._path = path
        self._fsync = fsync

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - their name
        """Append a message."""
        assert envelope.original_content is not None
        unwritten = memoryview(envelope.original_content)
        with Path(self._path).open("ab", buffering=0) as mailbox:
            fcntl.flock(mailbox, fcntl.LOCK_EX)
            while unwritten:
                unwritten = unwritten[mailbox.write(unwritten) :]
            if self._fsync:
                os.fsync(mailbox.fileno())
        return "250 OK"


async def serve(port: int, handler: Appender) -> None:
    """Serve until killed."""

    def session() -> SMTP:
        return SMTP(handler, hostname="bench.example", data_size_limit=MAX_OCTETS)

    server = await asyncio.get_running_loop().create_server(session, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Appender(sys.argv[2], fsync="--fsync" in sys.argv)))
