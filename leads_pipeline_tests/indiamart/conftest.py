from pathlib import Path

import pytest

from leads_pipeline.indiamart.call_slot import CallSlots
from leads_pipeline_tests.indiamart.slots import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def slots(tmp_path: Path, clock: ManualClock) -> CallSlots:
    return CallSlots(tmp_path / "calls.sqlite", clock)
