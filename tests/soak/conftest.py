"""The fixtures of this folder."""

from tests.clients.servers import silent_resolver, start

__all__ = ["silent_resolver", "start"]
