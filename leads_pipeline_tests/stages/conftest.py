from collections.abc import Iterator
from pathlib import Path

import pytest

from leads_pipeline.stages import replay_tables
from leads_pipeline_tests.end_to_end.runs import folder_in_memory
from leads_pipeline_tests.stages.replays import History, new_history


@pytest.fixture
def folder() -> Iterator[Path]:
    with folder_in_memory() as folder:
        yield folder


@pytest.fixture
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks do not wait for others to publish."""
    monkeypatch.setattr(replay_tables, "_PUBLISHING_SECONDS", 0.0)


@pytest.fixture(scope="session")
def filled() -> Iterator[History]:
    """A history that tests copy."""
    with folder_in_memory() as folder:
        yield new_history(folder).fill()


@pytest.fixture
def history(filled: History, folder: Path) -> History:
    return filled.copied_to(folder)
