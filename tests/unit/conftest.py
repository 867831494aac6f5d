"""A configuration to compile, for the tests of several rooms."""

from __future__ import annotations

from pathlib import Path

import pytest

CONFIG = """\
domain mydomain.com
debug srw+F
logfile /var/log/mailrecv.log
loghex off
deadletter_file /srv/mail/dead.mbox
limit.smtp_commands 25 500 Too many commands
limit.fcrdns_check off
limit.delivery_secs 7
allowgroup +google ^mail[a-z]*\\.google\\.com$
allowgroup +google \\.gmail\\.com$
deliver allowgroup +google rcpt_to status@mydomain.com pipe /bin/archive -v
deliver rcpt_to Status@mydomain.com append /srv/mail/status.mbox
deliver rcpt_to \u00fc@mydomain.com maildir /srv/mail/\u00fc
error rcpt_to ^sales@ 550 Please use our web form.
error rcpt_to . 451 Not now.
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory for compiled configurations."""
    folder = tmp_path / "cache"
    folder.mkdir()
    monkeypatch.setenv("CACHE_DIRECTORY", str(folder))
    return folder


@pytest.fixture
def file(tmp_path: Path, cache: Path) -> Path:
    """A configuration that says something of every kind."""
    path = tmp_path / "mailrecv.conf"
    path.write_text(CONFIG, encoding="utf-8")
    return path
