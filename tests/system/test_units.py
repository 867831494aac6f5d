"""The units as systemd sees them."""

from __future__ import annotations

import pytest

from tests.system.mailhost import EXAMPLES, MailHost

INSTANCE = "mailrecv@1.service"  # any
RESIDENT = "mailrecv-resident.service"
# Tenths of systemd's scale, which goes from 0.0, all locked up, to 10.0.
EXPOSURE, HARDENED_EXPOSURE = 21, 13


def test_verify(server: MailHost) -> None:
    """`systemd-analyze verify` has nothing to say about the units."""
    units = ["mailrecv.socket", INSTANCE, "mailrecv-resident.socket", RESIDENT]
    assert server.run("systemd-analyze", "verify", "--man=no", *units) == ""


@pytest.mark.parametrize("name, template", [(INSTANCE, "mailrecv@.service"), (RESIDENT, RESIDENT)])
def test_security(server: MailHost, name: str, template: str) -> None:
    """`systemd-analyze security` finds no service more exposed than this, and much less with hardened.conf."""
    server.run("systemd-analyze", "security", f"--threshold={EXPOSURE}", name)
    hardened = server.path(f"{EXAMPLES}/systemd/hardened.conf").read_text()
    with server.drop_in(template, hardened):
        server.run("systemd-analyze", "security", f"--threshold={HARDENED_EXPOSURE}", name)
