from pathlib import Path

import pyarrow.dataset as ds
import pytest

from leads_pipeline.days import day_start
from leads_pipeline.leads.schema import QUARANTINE_ARROW_SCHEMA
from leads_pipeline.storage.errors import StorageError
from leads_pipeline.storage.quarantine_files import QuarantineFiles
from leads_pipeline_tests.storage.lead_tables import DAY, quarantined

START = day_start(DAY)


@pytest.fixture
def files(tmp_path: Path) -> QuarantineFiles:
    return QuarantineFiles(tmp_path / "data", "demo")


def test_kept_records_are_read_back_whole(files: QuarantineFiles) -> None:
    records = quarantined("demo.v2.1", ["a", "b"])
    files.keep("demo.v2.1", START, records)
    (path,) = files.paths()
    assert path == files.data_dir / "quarantine/account=demo/window_day=2026-03-01/demo.v2.1.parquet"
    assert files.read(path).equals(records)
    assert files.read(path).schema.equals(QUARANTINE_ARROW_SCHEMA)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_keeping_the_same_records_again_leaves_the_file_alone(files: QuarantineFiles) -> None:
    files.keep("demo.v2.1", START, quarantined("demo.v2.1", ["a"]))
    before = files.path("demo.v2.1", START).stat()
    files.keep("demo.v2.1", START, quarantined("demo.v2.1", ["a"]))
    after = files.path("demo.v2.1", START).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_a_replay_that_quarantines_nothing_removes_the_file(files: QuarantineFiles) -> None:
    files.keep("demo.v2.1", START, quarantined("demo.v2.1", ["a"]))
    files.keep("demo.v2.2", START, quarantined("demo.v2.2", ["b"]))
    files.keep("demo.v2.1", START, quarantined("demo.v2.1", []))
    assert [path.stem for path in files.paths()] == ["demo.v2.2"]
    files.remove("demo.v2.2", START)
    files.remove("demo.v2.2", START)
    assert list(files.paths()) == []


def test_records_of_another_answer_are_refused(files: QuarantineFiles) -> None:
    with pytest.raises(StorageError):
        files.keep("demo.v2.1", START, quarantined("demo.v2.2", ["a"]))
    assert list(files.paths()) == []


def test_hive_readers_read_the_folder(files: QuarantineFiles) -> None:
    files.keep("demo.v2.1", START, quarantined("demo.v2.1", ["a", "b"]))
    assert ds.dataset(files.data_dir / "quarantine", partitioning="hive").to_table().num_rows == 2
