"""Paths that are written as for a shell."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailrecv.config.reader import read_config, split_lines
from mailrecv.diagnosis import places
from mailrecv.diagnosis.advice import Source
from mailrecv.diagnosis.paths import advise, instead, shell_word
from tests.support.advice import advice
from tests.support.whole_session import myself


@pytest.mark.parametrize(
    "path, word",
    [
        ("~/mbox", "~"),
        ("~root/mbox", "~root"),
        ("~", "~"),
        ("$HOME/mbox", "$HOME"),
        ("/srv/${USER}/mbox", "${USER}"),
        ("/srv/$(hostname)", "$(hostname)"),
        ("/srv/`hostname`", "`"),
        ("'/srv/mbox'", "'"),
        ('"/srv/mbox"', '"'),
        ("/srv/my\\mbox", "\\"),
        ("/srv/*/mbox", "*"),
        ("/srv/mbox?", "?"),
        ("/srv/mail/status.mbox", None),
        ("/srv/mail~/x~", None),
        ("/srv/100%/a$/b$1", None),
        ("/srv/{a,b}/mbox", "{a,b}"),
        ("/srv/mbox{1..3}", "{1..3}"),
        ("/srv/[a-c]/mbox", "[a-c]"),
        ("/srv/mbox; true", ";"),
        ("/srv/mbox&", "&"),
        ("/srv/mbox | cat", "|"),
        ("/srv/mbox >>/srv/log", ">>"),
        ("/srv/mbox && cat", "&&"),
        ("/srv/{a}/b]/#d/;e&f|g}[", None),
        ("/srv/+lists=2026@x:y", None),
    ],
)
def test_shell_words(path: str, word: str | None) -> None:
    """What a shell would put something else for, or take away, is found; what is an ordinary name is left alone."""
    assert shell_word(path) == word


def test_each_path() -> None:
    """Mailboxes, the dead letter file and the log file are looked at, commands are not: those a shell does read."""
    found = advice(
        advise,
        "allowgroup +g ^a$",
        "deliver rcpt_to a@b append ~/mbox",
        "deliver allowgroup +g rcpt_to c@d maildir $HOME/Maildir",
        "deliver rcpt_to e@f pipe ~/bin/archive >>$HOME/log",
        "deadletter_file '/srv/dead'",
        "logfile ~/log",
    )
    assert [(line, column, text) for line, column, text, _ in found] == [
        (2, 28, "~ is not expanded here: no shell reads this path"),
        (3, 43, "$HOME is not expanded here: no shell reads this path"),
        (5, 17, "' is part of the name here: no shell reads this path"),
        (6, 9, "~ is not expanded here: no shell reads this path"),
    ]
    assert found[2][3] == "write it without the quotes: /srv/dead"


def test_nothing_is_made_for_such_a_path(tmp_path: Path) -> None:
    """The advice about `~/mbox` makes no directory, and pastes nothing that a shell would take for root's home."""
    path = tmp_path / "mailrecv.conf"
    path.write_text("deliver rcpt_to a@b append ~/mbox\ndeliver rcpt_to c@d append $HOME/x/mbox\nlogfile ~/log/log\n")
    source = Source(str(path), split_lines(path.read_bytes()))
    assert list(places.advise(read_config(str(path)), source, myself())) == []
    for method in ("append", "maildir", "log"):
        assert places.mend(myself(), method, "~/mbox") == instead("~/mbox")
        assert "~" not in places.mend(myself(), method, "~/mbox")
