import os
import random
from pathlib import Path

import pyarrow as pa
import pytest

from leads_pipeline.storage import lead_ids
from leads_pipeline.storage.errors import StorageError
from leads_pipeline.storage.lead_ids import LeadIds
from leads_pipeline.storage.parquet import LeadFiles
from leads_pipeline_tests.storage.lead_tables import DAY, day_after, leads_of


def write(files: LeadFiles, offset: int, *ids: str) -> None:
    files.stage(day_after(offset), leads_of(day_after(offset), ids, account="007"))
    files.commit(day_after(offset))


@pytest.fixture
def files(tmp_path: Path) -> LeadFiles:
    files = LeadFiles(tmp_path / "data", "007")
    for offset in range(5):
        write(files, offset, *(f"{offset}-{number}" for number in range(3)))
    return files


@pytest.fixture
def ids(files: LeadFiles) -> LeadIds:
    return LeadIds(files)


def test_the_days_of_known_ids_are_found_and_no_others(ids: LeadIds) -> None:
    for _ in ("read from the day files", "read from the hashes"):
        assert ids.days_holding(pa.array(["1-2", "4-0", "4-1", "none"])) == {day_after(1), day_after(4)}
        assert ids.days_holding(pa.chunked_array([["0-0"], ["1-1"]])) == {DAY, day_after(1)}
        assert ids.days_holding(pa.array(["none"])) == set()
        assert ids.days_holding(pa.array([], pa.string())) == set()


def test_rows_are_counted_in_all_days(files: LeadFiles, ids: LeadIds) -> None:
    write(files, 7, "1-2", "9-9")  # as a fault of the program would leave it
    assert ids.rows_with(pa.array(["1-2", "9-9", "2-0", "none"])) == 4
    assert ids.rows_with(pa.chunked_array([], pa.string())) == 0


def test_an_account_without_files_has_no_days(tmp_path: Path) -> None:
    assert LeadIds(LeadFiles(tmp_path, "007")).days_holding(pa.array(["1"])) == set()


def test_unchanged_days_are_not_read_again(ids: LeadIds, monkeypatch: pytest.MonkeyPatch) -> None:
    ids.days_holding(pa.array(["1-2"]))
    monkeypatch.delattr(LeadFiles, "read_columns")
    assert ids.days_holding(pa.array(["1-2"])) == {day_after(1)}


def test_a_day_that_changed_or_went_is_noticed(files: LeadFiles, ids: LeadIds) -> None:
    ids.days_holding(pa.array(["1-2"]))
    write(files, 1, "1-0", "8-8")
    files.path(day_after(4)).unlink()
    assert ids.days_holding(pa.array(["1-2", "8-8", "4-0"])) == {day_after(1)}
    assert sorted(path.name for path in ids.folder.iterdir()) == [f"{day_after(day)}.ids" for day in range(4)]


@pytest.mark.parametrize("content", [b"", b"ids", b"another form of the same length, or so it seems"])
def test_hashes_that_are_no_hashes_are_made_anew(ids: LeadIds, content: bytes) -> None:
    ids.days_holding(pa.array(["1-2"]))
    (ids.folder / f"{day_after(1)}.ids").write_bytes(content)
    assert ids.days_holding(pa.array(["1-2"])) == {day_after(1)}


def test_a_file_put_back_with_its_old_time_is_noticed(files: LeadFiles, ids: LeadIds) -> None:
    path = files.path(day_after(1))
    content, status = path.read_bytes(), path.stat()
    write(files, 1, "8-0", "8-1", "8-2")
    ids.days_holding(pa.array(["1-2"]))
    path.with_name("restored").write_bytes(content)
    path.with_name("restored").replace(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert ids.days_holding(pa.array(["1-2"])) == {day_after(1)}


def test_an_unreadable_day_is_an_error_and_not_a_day_without_ids(files: LeadFiles, ids: LeadIds) -> None:
    files.path(day_after(1)).write_bytes(b"PAR1 and nothing more")
    with pytest.raises(StorageError, match=str(day_after(1))):
        ids.days_holding(pa.array(["1-2"]))


def test_ids_of_one_hash_name_a_day_too_many(ids: LeadIds, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lead_ids, "hash_array", lambda texts, categorize: texts.astype("U1").astype("uint64"))
    assert ids.days_holding(pa.array(["3-9"])) == {day_after(3)}


def test_the_rows_found_are_those_of_a_plain_count_whatever_is_long_or_short(
    files: LeadFiles, ids: LeadIds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lead_ids, "_DAYS_TOGETHER", 3)
    random_ = random.Random(5)
    held = {offset: {str(random_.randrange(400)) for _ in range(1 + offset**3)} for offset in range(8)}
    for offset, of_day in held.items():
        write(files, offset, *of_day)
    for size in (1, 7, 300):
        for _ in ("read from the day files", "read from the hashes"):
            wanted = [str(random_.randrange(400)) for _ in range(size)]
            rows = {day_after(offset): len(of_day & {*wanted}) for offset, of_day in held.items()}
            assert ids.rows_with(pa.array(wanted)) == sum(rows.values())
            assert ids.days_holding(pa.array(wanted)) == {day for day, found in rows.items() if found}
