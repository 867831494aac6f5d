"""The network of the senders and what runs in it: mailrecv with a name server at its side, Postfix, and Exim."""

from __future__ import annotations

import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.clients.servers import Site, Starter, with_resolver
from tests.senders.mail_servers import Exim, MailServer, Postfix
from tests.support.network import DNS, SERVER, Network

SENDERS: dict[type[MailServer], tuple[str, str]] = {
    Postfix: ("postfix.example", "198.51.100.7"),
    Exim: ("exim.example", "198.51.100.8"),
}
DIRECTIVES = (
    "deadletter_file {folder}/others",
    "deliver rcpt_to later@mydomain.com pipe test -e {folder}/ready || exit 75; cat >>{folder}/later",
    "limit.smtp_rcpt_to 10 452 Too many recipients",
)


@pytest.fixture(scope="package")
def network(tmp_path_factory: pytest.TempPathFactory) -> Generator[Network, None, None]:
    """A network in which the senders have names."""
    records = [f"host-record={name},{address}" for name, address in SENDERS.values()]
    with Network() as made, made.name_server(tmp_path_factory.mktemp("dns"), records, port=53):
        yield made


@pytest.fixture(scope="package")
def site(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Generator[Site, None, None]:
    """The site of the mailrecv that they all send to."""
    folder = tmp_path_factory.mktemp("mailrecv")
    starter = Starter(folder)
    site = starter.site(*DIRECTIVES)
    program = network.at_server(*with_resolver(folder, DNS))
    try:
        starter.process([*program, "listen", "-c", str(site.config), f"{SERVER}:25"], site)
        site.wait_for_log("listening on")
        yield site
    finally:
        starter.end()


@pytest.fixture(scope="package", params=SENDERS, ids=lambda sender: sender.__name__)
def sender(request: pytest.FixtureRequest, network: Network) -> Generator[MailServer, None, None]:
    """A running sender."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # its processes are several users
        sender: MailServer = request.param(network, Path(folder), *SENDERS[request.param])
        with sender.running():
            yield sender
