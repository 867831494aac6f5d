"""The fixtures of this folder."""

from tests.clients.forger import forged
from tests.clients.servers import silent_resolver, start

__all__ = ["forged", "silent_resolver", "start"]
