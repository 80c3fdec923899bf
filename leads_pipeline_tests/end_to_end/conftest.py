from collections.abc import Iterator
from pathlib import Path

import pytest

from leads_pipeline_tests.end_to_end.driver import BASE_WEEK, Installation, fake_server, run_to_the_end
from leads_pipeline_tests.end_to_end.warm_starts import WarmStarts


@pytest.fixture(scope="session")
def starts() -> Iterator[WarmStarts]:
    """The process that commands are forked from, for who does not want a fresh start."""
    with WarmStarts() as starts:
        yield starts


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """An installation with one week pulled and published; tests copy it and leave it alone."""
    with fake_server() as server:
        installation = Installation(tmp_path_factory.mktemp("base") / "data", server.url)
        run_to_the_end(installation, [BASE_WEEK])
    return installation


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"
