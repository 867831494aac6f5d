"""What serves clients: one on a socket, a person at the standard streams, or everybody at a listening socket."""

from __future__ import annotations

import select
import socket
import threading
import time

from mailrecv.client import Client
from mailrecv.config.model import Config
from mailrecv.journal import catalogue
from mailrecv.journal.log import Journal
from mailrecv.reply import Reply
from mailrecv.server.activation import peer_address
from mailrecv.server.channel import SocketChannel, Stop, StreamChannel
from mailrecv.server.chronicle import record_exception
from mailrecv.server.refusal import refuse
from mailrecv.server.session import Session
from mailrecv.values import Value

MAX_CONNECTIONS = 100  # at once, at a listening socket
_AFTER_FAILED_ACCEPT_SECONDS = 0.05
TOO_MANY_CONNECTIONS = Reply(421, "Too many connections, try again later")


class Service(Value):
    """What all sessions of this program have in common.

    config: as read.  domain: what the server calls itself.  journal: where sessions are recorded.  stop: ends them.
    """

    config: Config
    domain: str
    journal: Journal
    stop: Stop

    def serve_connection(self, connection: socket.socket, began: float, sent: bytes = b"") -> bool:
        """Serve the client of a connected socket, and close it. Return True when the client said QUIT.

        began: since when the client has been waiting, on the monotonic clock.  sent: what it has been sent
        of the greeting.
        """
        deadline = self._deadline(began)
        try:
            address = peer_address(connection)
        except OSError:  # the client was gone before anybody looked
            connection.close()
            return False
        client = _local_client() if address is None else Client(address, deadline=deadline)
        return self._session(SocketChannel(connection, self.stop, sent), client, deadline).run()

    def serve_standard_streams(self, began: float) -> bool:
        """Serve whoever is at standard input and output. Return True when they said QUIT.  began: as above."""
        return self._session(StreamChannel(0, 1, self.stop), _local_client(), self._deadline(began)).run()

    def serve_listener(self, listener: socket.socket) -> None:
        """Serve every client that connects, each in a thread of its own, until a stop is requested.

        Then the sessions are waited for: one that is idle ends at once, one that delivers when it has delivered.
        """
        listener.setblocking(False)
        poller = select.poll()
        poller.register(listener, select.POLLIN)
        poller.register(self.stop, select.POLLIN)
        host, port = listener.getsockname()[:2]
        self.journal.record(catalogue.LISTENING, address=f"{host} port {port}")
        sessions: set[threading.Thread] = set()
        while self.stop.fileno() not in {fd for fd, _ in poller.poll()}:
            try:
                connection, _ = listener.accept()
            except OSError:  # the client has given up in the meantime; or no descriptor is free just now
                time.sleep(_AFTER_FAILED_ACCEPT_SECONDS)
                continue
            sessions = {session for session in sessions if session.is_alive()}
            if len(sessions) >= MAX_CONNECTIONS:
                refuse(connection, TOO_MANY_CONNECTIONS)
                continue
            session = threading.Thread(target=self._serve_in_thread, args=(connection,), name="session")
            try:
                session.start()
            except RuntimeError:  # the system has no thread to give just now
                refuse(connection, TOO_MANY_CONNECTIONS)
                continue
            sessions.add(session)
        listener.close()
        self.journal.record(catalogue.STOPPING, reason=f"{sum(s.is_alive() for s in sessions)} sessions are open")
        for session in sessions:
            session.join()

    def _serve_in_thread(self, connection: socket.socket) -> None:
        try:
            self.serve_connection(connection, time.monotonic())
        except Exception as error:  # noqa: BLE001 - one session must not end the others
            record_exception(self.journal, error)

    def _session(self, channel: SocketChannel | StreamChannel, client: Client, deadline: float) -> Session:
        return Session(channel, client, config=self.config, domain=self.domain, journal=self.journal, deadline=deadline)

    def _deadline(self, began: float) -> float:
        return began + self.config.limits.connection_secs.value


def _local_client() -> Client:
    """Return the client for somebody on this machine who has no address: never asked about in DNS."""
    return Client("127.0.0.1", name="localhost")
