from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from leads_pipeline.fake_indiamart.server import FakeIndiaMart
from leads_pipeline_tests.assets.installations import (
    Installation,
    PulledWeek,
    account,
    pulled_week,
    settings_of,
    strict_server,
)


@pytest.fixture(scope="session")
def week(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PulledWeek]:
    """An installation after one run over a week; tests only read it."""
    with pulled_week(tmp_path_factory.mktemp("week")) as week:
        yield week


@pytest.fixture
def server() -> Iterator[FakeIndiaMart]:
    with strict_server() as server:
        yield server


@pytest.fixture
def acme(server: FakeIndiaMart, tmp_path: Path) -> Iterator[Installation]:
    """An installation with one account, whose runs are recorded in memory."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield Installation(settings_of(tmp_path, account(server)), instance)


@pytest.fixture
def complete(week: PulledWeek, server: FakeIndiaMart, tmp_path: Path) -> Iterator[Installation]:
    """An installation in which that week is complete already; its server has had no call yet."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield week.installation.copied_to(tmp_path, server, instance)
