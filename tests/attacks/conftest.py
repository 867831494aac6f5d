"""The fixtures of this folder."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.clients.servers import start
from tests.support.figures import Figures
from tests.support.network import Network

__all__ = ["start"]


@pytest.fixture(autouse=True)
def attacks(request: pytest.FixtureRequest, figure: Figures) -> Generator[None, None, None]:
    """Count the attacks that a test tries: how many, it says with a marker."""
    yield
    if marker := request.node.get_closest_marker("attacks"):
        figure.add(marker.args[0], "attacks tried")


@pytest.fixture(scope="module")
def network() -> Generator[Network, None, None]:
    """A network of the tests' own."""
    with Network() as made:
        yield made
