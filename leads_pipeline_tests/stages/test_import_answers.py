"""Imports: counted, repeatable, never a proof, rebuilt by a replay, and whole after a kill."""

import gzip
import io
import json
import os
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import zstandard

from leads_pipeline.days import ONE_DAY, day_end, day_start, days_between, utc_now
from leads_pipeline.indiamart.windows import Window
from leads_pipeline.settings import Settings
from leads_pipeline.stages import replay_tables, saved_files
from leads_pipeline.stages.import_answers import AnswerImport, ImportCounts, ImportedFile
from leads_pipeline.stages.merge_answers import merge_pending
from leads_pipeline.stages.normalize_answers import normalize_pending
from leads_pipeline.stages.recovery import recover_calls
from leads_pipeline.stages.replay import ReplayRequest, replay
from leads_pipeline.stages.saved_files import SavedFile, SavedFilesError, files_at
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.storage.raw import is_import
from leads_pipeline_tests.end_to_end.runs import quiet
from leads_pipeline_tests.stages.stored_answers import store_records
from leads_pipeline_tests.storage.children import exit_code
from leads_pipeline_tests.support import KEY, answer_body, complete_days, make_settings, make_workspace

ACCOUNT = "indiamart"
[DAY] = complete_days(1, ago=9)
ASKED = day_start(DAY) + timedelta(hours=10)


def lead(query_id: str, at: datetime = ASKED, **fields: object) -> dict[str, object]:
    return {"UNIQUE_QUERY_ID": query_id, "QUERY_TYPE": "W", "QUERY_TIME": f"{at:%Y-%m-%d %H:%M:%S}", **fields}


def v1_lead(query_id: str, at: datetime = ASKED, **fields: object) -> dict[str, object]:
    return {"RN": "1", "QUERY_ID": query_id, "QTYPE": "W", "LOG_TIME": f"{at:%Y%m%d%H%M%S}", **fields}


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setattr(replay_tables, "_PUBLISHING_SECONDS", 0.0)
    return make_workspace(make_settings(tmp_path, "http://127.0.0.1:9/"))


def take(workspace: Workspace, content: object, *, name: str = "saved.json", **options: Any) -> ImportedFile:
    path = workspace.settings.root / name
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    options = {"fetched_at": None, **options}
    return AnswerImport(workspace, ACCOUNT, log=quiet, **options).take(SavedFile(name, path))


def rows(workspace: Workspace) -> dict[str, dict[str, object]]:
    files = workspace.lead_files(ACCOUNT)
    return {row["query_id"]: row for row in files.read(files.days()).to_pylist()}


def replayed_equal(workspace: Workspace) -> bool:
    """Whether the files that stand are those that the raw responses give; nothing is published here."""
    found = replay(workspace, ReplayRequest(ACCOUNT, check=True), quiet).differences
    return not [one for one in found if not one.layer.startswith("published")]


def pulled(workspace: Workspace, records: list[Any], sent_at: datetime) -> None:
    """What a run does that asked for the day then."""
    response = store_records(workspace, Window(day_start(DAY), day_end(DAY)), records, sent_at)
    workspace.catalog.add(response)
    normalize_pending(workspace, ACCOUNT, [DAY], quiet)
    merge_pending(workspace, ACCOUNT, [DAY], quiet)


def test_every_record_is_new_updated_duplicate_or_quarantined(workspace: Workspace) -> None:
    first = [lead("1"), lead("2"), lead("2", SUBJECT="again"), {"UNIQUE_QUERY_ID": "3"}]
    assert take(workspace, first).counts == ImportCounts(received=4, new=2, duplicate=1, quarantined=1)
    later = ASKED + timedelta(hours=1)
    second = [lead("1", SUBJECT="changed"), lead("2", SUBJECT="again"), lead("4", later)]
    assert take(workspace, second).counts == ImportCounts(received=3, new=1, updated=1, duplicate=1)
    assert rows(workspace)["4"]["fetched_at"] == later
    assert set(rows(workspace)) == {"1", "2", "4"}


@pytest.mark.parametrize("again", [[lead("1"), lead("2")], {"CODE": 200, "RESPONSE": [lead("2"), lead("1")]}])
def test_again_brings_nothing_new_in_the_same_bytes_or_in_others(workspace: Workspace, again: object) -> None:
    take(workspace, [lead("1"), lead("2")])
    take(workspace, [lead("1"), lead("2")], name="copy.json")
    assert len(workspace.raw.response_ids()) == 1
    assert take(workspace, again).counts == ImportCounts(received=2, duplicate=2)
    assert len(rows(workspace)) == 2


def test_a_dry_run_counts_the_same_and_stores_nothing(tmp_path: Path) -> None:
    workspace = Workspace(make_settings(tmp_path, "http://127.0.0.1:9/"))
    dry = AnswerImport(workspace, ACCOUNT, None, quiet, is_dry_run=True)
    path = tmp_path / "saved.json"
    path.write_text(json.dumps([lead("1"), lead("1")]))
    assert dry.take(SavedFile("saved", path)).counts == ImportCounts(received=2, new=1, duplicate=1)
    assert dry.take(SavedFile("saved", path)).counts == ImportCounts(received=2, duplicate=2)
    assert not workspace.settings.data_dir.exists()


def test_an_older_v1_import_never_blanks_what_v2_gave(workspace: Workspace) -> None:
    pulled(workspace, [lead("1", SENDER_NAME="Asha", SUBJECT="Requirement")], ASKED + timedelta(hours=2))
    fetched_at = ASKED + timedelta(hours=5)
    result = take(workspace, [v1_lead("1", SENDERNAME=None, PRODUCT_NAME="Pump")], fetched_at=fetched_at)
    assert result.counts.received == 1
    assert result.counts.new == 0
    [row] = rows(workspace).values()
    assert (row["sender_name"], row["subject"], row["query_product_name"]) == ("Asha", "Requirement", "Pump")
    assert replayed_equal(workspace)


def test_an_import_is_never_coverage_nor_another_origin_nor_a_call(workspace: Workspace) -> None:
    take(workspace, [lead("1"), lead("2", ASKED - 900 * ONE_DAY)], fetched_at=utc_now() - timedelta(hours=1))
    days = days_between(DAY - 2 * ONE_DAY, DAY)
    before = [(day.state.value, day.proofs) for day in workspace.coverage(ACCOUNT, days, utc_now())]
    assert before == [("missing", ())] * 3
    assert (workspace.catalog.first_day(ACCOUNT), workspace.catalog.origins(ACCOUNT)) == (None, set())
    assert workspace.call_log.after(0) == []
    pulled(workspace, [lead("3")], day_end(DAY) + timedelta(hours=1))
    [covered] = workspace.coverage(ACCOUNT, [DAY], utc_now())
    assert (covered.state.value, len(covered.proofs)) == ("complete", 1)
    assert set(rows(workspace)) == {"1", "2", "3"}
    assert replayed_equal(workspace)


def test_a_removed_day_file_comes_back_with_its_imported_leads(workspace: Workspace) -> None:
    saved = [lead("1"), lead("2", ASKED - 40 * ONE_DAY)]
    take(workspace, saved)
    workspace.lead_files(ACCOUNT).path(DAY).unlink()
    assert take(workspace, saved).counts == ImportCounts(received=2, new=1, duplicate=1)
    assert replayed_equal(workspace)


def test_keys_are_masked_and_only_the_files_name_is_kept(workspace: Workspace) -> None:
    take(workspace, {"url": f"https://x/?glusr_crm_key={KEY}", "note": KEY, "body": [lead("1")]})
    [response_id] = workspace.raw.response_ids()
    sidecar = workspace.raw.read_sidecar(response_id)
    assert sidecar is not None
    assert (sidecar.origin, sidecar.key_masked, is_import(response_id)) == ("import:saved.json", True, True)
    assert KEY.encode() not in workspace.raw.read_body(response_id)


@pytest.mark.parametrize(
    ("content", "options", "reason"),
    [
        (b"<html>secret", {}, "web page"),
        ([{"UNIQUE_QUERY_ID": "1", "QUERY_TIME": "secret"}], {}, "none of its records has a time"),
        ([lead("1")], {"fetched_at": ASKED - ONE_DAY}, "later than"),
        (gzip.compress(b"[]" * 100, mtime=0)[:-9], {}, "gzip packing is damaged or cut off"),
        (zstandard.compress(b"[1, 2]" * 100)[:-3], {}, "zstd packing is"),
    ],
)
def test_what_is_no_answer_is_refused_whole(workspace: Workspace, content: Any, options: Any, reason: str) -> None:
    result = take(workspace, content, **options)
    assert reason in result.refused
    assert "secret" not in result.refused
    assert workspace.raw.response_ids() == []


def test_packed_files_folders_and_standard_input_are_read(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = workspace.settings.root / "saved"
    (folder / "inner").mkdir(parents=True)
    (folder / "b.jsonl.gz").write_bytes(gzip.compress(b"\n".join(json.dumps(lead(one)).encode() for one in "12")))
    (folder / "a.zst").write_bytes(zstandard.compress(json.dumps([lead("3")]).encode()) * 2)
    (folder / "inner" / "c").write_bytes(answer_body(records=[lead("4")]))
    (folder / ".hidden").write_text("no answer")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps(lead("5")).encode())))
    importing = AnswerImport(workspace, ACCOUNT, None, quiet)
    results = [importing.take(file) for file in files_at([str(folder), "-"])]
    assert [Path(result.name).name for result in results] == ["a.zst", "b.jsonl.gz", "c", "standard input"]
    assert [result.refused for result in results] == [""] * 4
    assert set(rows(workspace)) == set("12345")
    for paths in (["nowhere"], ["-", "-"], [str(folder / "empty")]):
        (folder / "empty").mkdir(exist_ok=True)
        with pytest.raises(SavedFilesError, match="Nothing was imported"):
            files_at(paths)


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress, bytes])
def test_a_document_that_unpacks_to_too_much_is_refused(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, pack: Any
) -> None:
    monkeypatch.setattr(saved_files, "LARGEST_DOCUMENT", 2**20)
    assert "more than 1 MiB" in take(workspace, pack(b"[" + b" " * 2**21 + b"]")).refused


def import_killed(settings: Settings, kill_at: str) -> None:
    os.environ["LEADS_KILL_AT"] = kill_at
    take(Workspace(settings), [lead("1"), lead("2", ASKED - 30 * ONE_DAY), {"UNIQUE_QUERY_ID": "3"}])


@pytest.mark.parametrize("kill_at", ["raw:body", "raw:sidecar", "merge:rename:2"])
def test_after_a_kill_a_pull_is_not_misled_and_the_same_import_finishes(workspace: Workspace, kill_at: str) -> None:
    assert exit_code(import_killed, workspace.settings, kill_at) == -9
    recover_calls(workspace, workspace.settings.accounts[0], quiet)
    assert workspace.catalog.origins(ACCOUNT) == set()
    take(workspace, [lead("1"), lead("2", ASKED - 30 * ONE_DAY), {"UNIQUE_QUERY_ID": "3"}])
    assert set(rows(workspace)) == {"1", "2"}
    assert (len(workspace.raw.response_ids()), workspace.catalog.announced()) == (1, [])
    assert replayed_equal(workspace)


def test_a_replay_enters_an_import_that_was_killed_before_its_sidecar(workspace: Workspace) -> None:
    assert exit_code(import_killed, workspace.settings, "raw:body") == -9
    replay(workspace, ReplayRequest(ACCOUNT), quiet)
    assert set(rows(workspace)) == {"1", "2"}
    assert [day.fetched for day in workspace.coverage(ACCOUNT, [DAY], utc_now())] == [False]
