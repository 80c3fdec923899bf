"""What keeps the memory of one long-lived process, and of a rebuild, from growing with what is stored."""

import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from leads_pipeline.days import day_start
from leads_pipeline.storage import store
from leads_pipeline.storage.quarantine_files import QuarantineFiles
from leads_pipeline_tests.storage.children import publish
from leads_pipeline_tests.storage.lead_tables import DAY, quarantined

FILES, RECORDS, LETTERS = 6, 200, 2_000


def test_arrow_takes_its_memory_from_the_system() -> None:
    program = "import leads_pipeline, pyarrow; print(pyarrow.default_memory_pool().backend_name)"
    unset = {name: value for name, value in os.environ.items() if name != "ARROW_DEFAULT_MEMORY_POOL"}
    result = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=True, env=unset)
    assert result.stdout == "system\n"


def test_a_refresh_keeps_no_files_rows_in_memory_until_it_commits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = QuarantineFiles(tmp_path / "data", "demo")
    for number in range(FILES):
        reasons = f"{number}" * LETTERS
        files.keep(f"answer-{number}", day_start(DAY), quarantined(f"answer-{number}", _names(), reason=reasons))
    kept: list[int] = []
    monkeypatch.setattr(store, "reach", lambda point: kept.append(pa.total_allocated_bytes()))

    before = pa.total_allocated_bytes()
    publish(tmp_path / "data")

    assert kept[0] - before < RECORDS * LETTERS, "the rows of a file are still there at the commit"


def _names() -> list[str]:
    return [f"{record}" for record in range(RECORDS)]
