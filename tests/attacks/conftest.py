"""The fixtures of this folder."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.clients.servers import start
from tests.support.network import Network

__all__ = ["start"]


@pytest.fixture(scope="module")
def network() -> Generator[Network, None, None]:
    """A network of the tests' own."""
    with Network() as made:
        yield made
