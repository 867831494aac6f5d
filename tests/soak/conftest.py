"""The fixtures of this folder."""

from tests.clients.servers import start

__all__ = ["start"]
