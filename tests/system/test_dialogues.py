"""Every dialogue of tests/dialogues, with the installed service."""

from __future__ import annotations

import pytest

from tests.dialogue import Dialogue, all_dialogues, check_files, play
from tests.system.mailhost import FOLDER, MailHost


@pytest.mark.parametrize("dialogue", all_dialogues(), ids=str)
def test_dialogue(server: MailHost, dialogue: Dialogue) -> None:
    """The client gets the replies, and the files hold the mail, that the dialogue says."""
    server.configure(config=dialogue.config.replace("{dir}", FOLDER))
    play(dialogue, server.dial)
    server.wait_for_sessions(0)
    check_files(dialogue, server.mail.folder)
