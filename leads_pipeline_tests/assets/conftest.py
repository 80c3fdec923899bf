from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from leads_pipeline.fake_indiamart.server import FakeIndiaMart
from leads_pipeline_tests.assets.installations import Installation, account, settings_of, strict_server


@pytest.fixture
def server() -> Iterator[FakeIndiaMart]:
    with strict_server() as server:
        yield server


@pytest.fixture
def acme(server: FakeIndiaMart, tmp_path: Path) -> Iterator[Installation]:
    """An installation with one account, whose runs are recorded in memory."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield Installation(settings_of(tmp_path, account(server)), instance)
