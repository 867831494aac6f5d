"""xinetd instead of systemd, with the same configuration."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.system.machine import wait_until
from tests.system.mailhost import EXAMPLES, MailHost


@pytest.fixture
def xinetd(server: MailHost) -> Generator[MailHost, None, None]:
    """The machine with the example for xinetd that comes with the package, and without the socket."""
    server.run("systemctl", "disable", "--now", "mailrecv.socket")
    server.run("cp", f"{EXAMPLES}/xinetd.d/mailrecv", "/etc/xinetd.d/")
    server.run("systemctl", "unmask", "xinetd")
    server.run("systemctl", "start", "xinetd")
    wait_until(lambda: server.shell("ss --no-header --listening --tcp 'sport = 25'"), "xinetd to listen")
    yield server
    server.run("systemctl", "stop", "xinetd")
    server.enable()


@pytest.mark.parametrize("host, shown", [("127.0.0.1", "127.0.0.1"), ("::1", "::1")])
def test_mail(xinetd: MailHost, host: str, shown: str) -> None:
    """Clients are served and mail is delivered as under systemd, and the log has the same fields."""
    with xinetd.connect(host) as client:
        client.envelope("me", "list", "pipe")
        assert client.ask("Hello\r\n.")[:3] == "250"
        assert client.ask("QUIT")[:3] == "221"
        assert client.rest() == []
    assert xinetd.mail.appended == xinetd.mail.in_maildir == [b"Hello\n"]
    assert xinetd.mail.piped == b"Hello\n"
    (delivered,) = xinetd.log("MAILRECV_RECIPIENT=me@mydomain.com", "MAILRECV_EVENT=delivered")
    assert delivered["MAILRECV_CLIENT_ADDRESS"] == shown
    assert delivered["_UID"] == xinetd.run("id", "--user", "mailrecv").strip()


def test_faulty_configuration(xinetd: MailHost) -> None:
    """A faulty configuration gives the client a 421 and not a word more; why is in the journal."""
    xinetd.configure(config="domian mydomain.com\n")
    with xinetd.connect() as client:
        assert [reply[:3] for reply in client.rest()] == ["421"]
    assert any("unknown directive domian" in message for message in xinetd.messages("--identifier=mailrecv"))
