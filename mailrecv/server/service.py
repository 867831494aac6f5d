"""What serves a client: on a socket, or at the standard streams."""

from __future__ import annotations

import socket
from collections.abc import Callable

from mailrecv.client import Client
from mailrecv.config.model import Config
from mailrecv.journal import catalogue
from mailrecv.journal.log import Journal
from mailrecv.reply import Reply
from mailrecv.server.activation import UnservedFamily, peer_address
from mailrecv.server.channel import SocketChannel, Stop, StreamChannel
from mailrecv.server.refusal import refuse
from mailrecv.server.session import Session
from mailrecv.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mailrecv.server.root import Root

NOT_SERVED = Reply(421, "Connections of this kind are not served")


class Service(Value):
    """What all sessions of this program have in common.

    config: as read.  domain: what the server calls itself.  journal: where sessions are recorded.  stop: ends them.
    """

    config: Config
    domain: str
    journal: Journal
    stop: Stop

    def serve_connection(
        self,
        connection: socket.socket,
        began: float,
        sent: bytes = b"",
        *,
        counts: Callable[[bool], None] = lambda counts: None,
    ) -> bool:
        """Serve the client of a connected socket, and close it. Return True when the client said QUIT.

        began: since when the client has been waiting, on the monotonic clock.  sent: what it has been sent
        of the greeting.  counts: as `Session.run` has it.
        """
        try:
            address = peer_address(connection)
        except OSError:  # the client was gone before anybody looked
            connection.close()
            return False
        except UnservedFamily as error:
            self.refuse_family(connection, error)
            return False
        client = _local_client() if address is None else Client(address)
        return self._session(SocketChannel(connection, self.stop, sent), client, began).run(counts)

    def refuse_family(self, connection: socket.socket, error: UnservedFamily) -> None:
        """Turn away a client on a socket of a family that is not served, and record that."""
        journal = self.journal.of_stranger()
        journal.record(catalogue.FAMILY_NOT_SERVED, family=error.name, reply=NOT_SERVED)
        journal.leave()
        refuse(connection, NOT_SERVED)

    def serve_standard_streams(self, began: float, root: Root | None = None) -> bool:
        """Serve whoever is at standard input and output. Return True when they said QUIT.

        began: as above.  root: whose rights are to be given up before the first delivery, if it is root.
        """
        session = self._session(StreamChannel(0, 1, self.stop), _local_client(), began)
        if root is None:
            return session.run()
        session.before_delivery = root.give_up
        try:
            return session.run()
        finally:
            root.leave()

    def _session(self, channel: SocketChannel | StreamChannel, client: Client, began: float) -> Session:
        return Session(channel, client, config=self.config, domain=self.domain, journal=self.journal, began=began)


def _local_client() -> Client:
    """Return the client for somebody on this machine who has no address: never asked about in DNS."""
    return Client("127.0.0.1", name="localhost")
