"""Messages to several recipients, some of whom cannot have them, as the sender sees it.

The tests of the handover try the whole table, without a session.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.clients.servers import Starter
from tests.support.delivery import messages_in

CONFIG = """\
domain mydomain.com
logfile {folder}/log
deliver rcpt_to delivered@mydomain.com append {folder}/delivered
deliver rcpt_to temporary@mydomain.com append {folder}/missing/mbox
deliver rcpt_to permanent@mydomain.com pipe exit 67"""


@pytest.mark.parametrize(
    "recipients, deadletter_file, code, rescued",
    [
        (["delivered", "temporary", "permanent"], "{folder}/dead", "250", ["temporary", "permanent"]),
        (["permanent", "delivered"], "{folder}/dead", "250", ["permanent"]),
        (["delivered", "temporary"], None, "451", []),
        (["delivered", "permanent"], None, "451", []),
        (["delivered", "permanent"], "{folder}/missing/dead", "451", []),
        (["delivered", "temporary", "permanent"], "/dev/null", "451", []),
        (["temporary", "permanent"], "{folder}/dead", "451", []),
        (["permanent"], "{folder}/dead", "554", []),
    ],
)
def test_several_recipients(
    start: Starter, recipients: list[str], deadletter_file: str | None, code: str, rescued: list[str]
) -> None:
    """One reply for all; who was to have a copy has it, or the dead letter file has, or the sender still does."""
    dead_letters = [] if deadletter_file is None else [f"deadletter_file {deadletter_file}"]
    site = start.site(*dead_letters, config=CONFIG)
    session = start.session(site=site)
    session.wire.envelope(*recipients)
    session.wire.send(b"Hello\r\n.\r\n")
    reply = session.wire.reply()
    assert reply[:3] == code
    assert copies(site.folder / "delivered") == [name for name in recipients if name == "delivered"]
    assert copies(site.folder / "dead") == ([" ".join(rescued)] if rescued else [])
    for name in recipients:
        fate = " delivered\n" if name == "delivered" else " not delivered"
        assert any(f"to=<{name}@mydomain.com>" in line and fate in line for line in site.log.splitlines(keepends=True))


def copies(path: Path) -> list[str]:
    """Return for whom each of the copies in an mbox is, which all have to be whole."""
    found = [copy.decode() for copy in messages_in(path)] if path.exists() else []
    assert all(copy.endswith("\nHello\n") for copy in found)
    return [" ".join(re.findall("<([a-z]+)@mydomain[.]com>", copy)) for copy in found]
