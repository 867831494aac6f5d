"""The units as systemd sees them."""

from __future__ import annotations

from tests.system.mailhost import EXAMPLES, MailHost

INSTANCE = "mailrecv@1.service"  # any
# Tenths of systemd's scale, which goes from 0.0, all locked up, to 10.0.
EXPOSURE, HARDENED_EXPOSURE = 21, 13


def test_verify(server: MailHost) -> None:
    """`systemd-analyze verify` has nothing to say about the units."""
    assert server.run("systemd-analyze", "verify", "--man=no", "mailrecv.socket", INSTANCE) == ""


def test_security(server: MailHost) -> None:
    """`systemd-analyze security` finds no session more exposed than this, and much less with hardened.conf."""
    server.run("systemd-analyze", "security", f"--threshold={EXPOSURE}", INSTANCE)
    hardened = server.path(f"{EXAMPLES}/systemd/hardened.conf").read_text()
    with server.drop_in("mailrecv@.service", hardened):
        server.run("systemd-analyze", "security", f"--threshold={HARDENED_EXPOSURE}", INSTANCE)
