from collections.abc import Iterator

import pytest

from leads_pipeline.fake_indiamart.server import FakeIndiaMart
from leads_pipeline_tests.fake_indiamart.asking import KEY, SettableClock


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def strict_server(clock: SettableClock) -> Iterator[FakeIndiaMart]:
    """A server with IndiaMART's own limits, in time that stands still."""
    with FakeIndiaMart(
        keys=(KEY,), interval_seconds=300, block_seconds=900, clock=clock.now, monotonic=clock.monotonic
    ) as server:
        yield server
