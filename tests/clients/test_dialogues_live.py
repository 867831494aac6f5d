"""Every dialogue of tests/dialogues, over a socket with the program itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.servers import LISTEN, SYSTEMD, Starter
from tests.dialogue import Dialogue, all_dialogues, check_files, play


@pytest.mark.parametrize("way", [LISTEN, SYSTEMD])
@pytest.mark.parametrize("dialogue", all_dialogues(), ids=str)
def test_dialogue(start: Starter, tmp_path: Path, dialogue: Dialogue, way: str) -> None:
    """The client gets the replies, and the files hold the mail, that the dialogue says."""
    delivered = tmp_path / "delivered"
    delivered.mkdir()
    server = start.server(way, site=start.site("logfile {folder}/log", config=dialogue.config_for(delivered)))
    play(dialogue, server.dial)
    server.site.wait_for_log("connection closed")
    check_files(dialogue, delivered)
