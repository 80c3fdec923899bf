import random
import stat
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc
import pytest

from leads_pipeline.leads.schema import LEADS_ARROW_SCHEMA, SCHEMA_VERSION
from leads_pipeline.storage import normalized_files
from leads_pipeline.storage.normalized_files import AnswerCounts, NormalizedFiles
from leads_pipeline_tests.storage.lead_tables import DAY, leads_of

COUNTS = AnswerCounts(received=4, leads=2, duplicates=1, quarantined=1)
LEADS = leads_of(DAY, ["1", "2"])


@pytest.fixture
def files(tmp_path: Path) -> NormalizedFiles:
    return NormalizedFiles(tmp_path, "demo")


def the_file(tmp_path: Path) -> Path:
    [path] = tmp_path.rglob("*.arrow")
    return path


def test_every_record_received_must_be_accounted_for() -> None:
    assert COUNTS.add_up
    assert not AnswerCounts(received=5, leads=2, duplicates=1, quarantined=1).add_up


def test_leads_and_counts_come_back_as_they_were_kept(tmp_path: Path, files: NormalizedFiles) -> None:
    files.write("demo.v2.a", LEADS, COUNTS)
    found = files.read("demo.v2.a")
    assert found is not None
    assert found.counts == COUNTS
    assert found.leads.equals(LEADS)
    assert found.leads.schema.equals(LEADS_ARROW_SCHEMA, check_metadata=True)
    assert stat.S_IMODE(the_file(tmp_path).stat().st_mode) == 0o600


def test_an_answer_without_leads_keeps_the_types(files: NormalizedFiles) -> None:
    files.write("demo.v2.a", LEADS_ARROW_SCHEMA.empty_table(), AnswerCounts(0, 0, 0, 0))
    found = files.read("demo.v2.a")
    assert found is not None
    assert found.leads.schema.equals(LEADS_ARROW_SCHEMA)


def test_an_answer_that_was_not_normalised_has_no_file(files: NormalizedFiles) -> None:
    assert files.read("demo.v2.a") is None


def test_a_file_of_another_schema_version_is_made_again(
    files: NormalizedFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.write("demo.v2.a", LEADS, COUNTS)
    monkeypatch.setattr(normalized_files, "SCHEMA_VERSION", SCHEMA_VERSION + 1)
    assert files.read("demo.v2.a") is None


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.99])
def test_a_damaged_file_is_made_again(tmp_path: Path, files: NormalizedFiles, share: float) -> None:
    files.write("demo.v2.a", LEADS, COUNTS)
    path = the_file(tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    assert files.read("demo.v2.a") is None


@pytest.mark.parametrize("seed", range(20))
def test_a_file_with_wrong_bytes_in_it_ends_no_process(tmp_path: Path, files: NormalizedFiles, seed: int) -> None:
    files.write("demo.v2.a", LEADS, COUNTS)
    path, draws = the_file(tmp_path), random.Random(seed)
    data = bytearray(path.read_bytes())
    for _ in range(20):
        data[draws.randrange(len(data))] = draws.randrange(256)
    path.write_bytes(data)
    found = files.read("demo.v2.a")
    assert found is None or found.leads.schema.equals(LEADS_ARROW_SCHEMA)


def test_a_file_that_is_not_one_of_ours_is_made_again(tmp_path: Path, files: NormalizedFiles) -> None:
    files.write("demo.v2.a", LEADS, COUNTS)
    with pyarrow.ipc.new_file(the_file(tmp_path), pa.schema([("query_id", pa.int64())])) as writer:
        writer.write_table(pa.table({"query_id": [1]}))
    assert files.read("demo.v2.a") is None


def test_files_of_answers_that_are_in_the_tables_are_removed(tmp_path: Path, files: NormalizedFiles) -> None:
    for name in ("demo.v2.a", "demo.v2.b", "demo.v2.c"):
        files.write(name, LEADS, COUNTS)
    files.remove_all_but(["demo.v2.b", "demo.v2.unknown"])
    assert the_file(tmp_path).stem == "demo.v2.b"
    NormalizedFiles(tmp_path, "other").remove_all_but([])
