"""The fixtures of this folder."""

from tests.clients.forger import forged
from tests.clients.servers import start

__all__ = ["forged", "start"]
