import os
import signal
from pathlib import Path

import pyarrow as pa
import pytest

from leads_pipeline.storage.errors import StorageError
from leads_pipeline.storage.merge_journal import DayReplacement
from leads_pipeline.storage.parquet import STAGED_NAME, LeadFiles
from leads_pipeline_tests.storage.children import exit_code, redo_days, replace_days
from leads_pipeline_tests.storage.lead_tables import DAY, day_after, leads_of

PAYLOAD = {"responses": ["a", "b"]}
OLD = {DAY: leads_of(DAY, ["1", "2"]), day_after(1): leads_of(day_after(1), ["3"])}
NEW = {
    DAY: leads_of(DAY, ["1"], state="second"),
    day_after(1): leads_of(day_after(1), ["2", "3"], state="second"),
    day_after(2): leads_of(day_after(2), []),
}
UNDONE = ["merge:staging", "merge:staged"]
DONE = ["merge:journal", *(f"merge:rename:{n}" for n in range(1, 7)), "merge:renamed"]


@pytest.fixture
def files(tmp_path: Path) -> LeadFiles:
    files = LeadFiles(tmp_path, "demo")
    replacement = DayReplacement(files)
    replacement.replace(OLD, {})
    replacement.clear()
    return files


def content(files: LeadFiles) -> dict[object, pa.Table]:
    return {day: files.read([day]) for day in files.days()}


def leftovers(files: LeadFiles) -> list[str]:
    return [path.name for path in files.data_dir.rglob("*") if path.name.startswith(".") or "journal" in path.name]


def test_an_account_without_any_day_can_have_none_replaced(tmp_path: Path) -> None:
    replacement = DayReplacement(LeadFiles(tmp_path, "new"))
    assert replacement.replace({}, PAYLOAD) == {}
    assert replacement.redo() == PAYLOAD


@pytest.mark.parametrize("kill_at", UNDONE)
def test_a_kill_before_the_commit_leaves_the_old_days_and_nothing_else(files: LeadFiles, kill_at: str) -> None:
    assert exit_code(replace_days, files.data_dir, NEW, kill_at) == -signal.SIGKILL
    assert content(files) == OLD
    assert DayReplacement(files).redo() is None
    assert content(files) == OLD
    assert leftovers(files) == []
    assert not files.path(day_after(2)).parent.exists()


@pytest.mark.parametrize("kill_at", DONE)
def test_a_kill_after_the_commit_is_finished_by_redo(files: LeadFiles, kill_at: str) -> None:
    assert exit_code(replace_days, files.data_dir, NEW, kill_at) == -signal.SIGKILL
    replacement = DayReplacement(files)
    assert replacement.redo() == PAYLOAD
    assert content(files) == NEW
    assert replacement.redo() == PAYLOAD
    replacement.clear()
    assert replacement.redo() is None
    assert content(files) == NEW
    assert leftovers(files) == []


def noted_order(monkeypatch: pytest.MonkeyPatch, data_dir: Path) -> list[tuple[str, str]]:
    """What is waited for and renamed from now on, in its order, by its path below the data folder."""
    steps: list[tuple[str, str]] = []
    fsync, replace = os.fsync, Path.replace

    def noted_fsync(descriptor: int) -> None:
        fsync(descriptor)
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        steps.append(("synced", path.relative_to(data_dir).as_posix()))

    def noted_replace(self: Path, target: Path) -> Path:
        steps.append(("renamed", target.relative_to(data_dir).as_posix()))
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    return steps


def test_all_is_on_the_disk_before_the_journal_commits_and_before_the_caller_may_clear_it(
    files: LeadFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = noted_order(monkeypatch, files.data_dir)
    DayReplacement(files).replace(NEW, PAYLOAD)
    folders = {f"leads/account=demo/lead_date={day}" for day in NEW}
    journal = ("renamed", "state/merge-demo.journal.json")
    staging, committing = (place for place, step in enumerate(steps) if step == journal)
    synced = {path for _, path in steps[staging:committing]}
    assert synced >= {*folders, *(f"{folder}/{STAGED_NAME}" for folder in folders), "leads", "leads/account=demo"}
    last_rename = max(place for place, (kind, _) in enumerate(steps) if kind == "renamed")
    assert steps[last_rename] == ("renamed", f"leads/account=demo/lead_date={day_after(2)}/leads.parquet")
    assert {path for _, path in steps[last_rename + 1 :]} == folders


def test_redo_makes_sure_of_names_that_a_killed_process_gave(files: LeadFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    assert exit_code(replace_days, files.data_dir, NEW, "merge:rename:6") == -signal.SIGKILL
    steps = noted_order(monkeypatch, files.data_dir)
    assert DayReplacement(files).redo() == PAYLOAD
    assert sorted(steps) == [("synced", f"leads/account=demo/lead_date={day}") for day in sorted(NEW)]


def test_a_kill_during_redo_is_finished_by_the_next_redo(files: LeadFiles) -> None:
    assert exit_code(replace_days, files.data_dir, NEW, "merge:journal") == -signal.SIGKILL
    assert exit_code(redo_days, files.data_dir, "merge:rename:2") == -signal.SIGKILL
    assert DayReplacement(files).redo() == PAYLOAD
    assert content(files) == NEW


def test_a_replacement_without_a_kill_gives_its_payload_until_it_is_cleared(files: LeadFiles) -> None:
    replacement = DayReplacement(files)
    replacement.replace(NEW, PAYLOAD)
    assert content(files) == NEW
    assert replacement.redo() == PAYLOAD
    replacement.clear()
    assert replacement.redo() is None


def test_a_second_replacement_waits_for_the_ledger_of_the_first(files: LeadFiles) -> None:
    replacement = DayReplacement(files)
    replacement.replace(NEW, PAYLOAD)
    with pytest.raises(StorageError, match="ledger"):
        replacement.replace(OLD, {})
    assert content(files) == NEW


def test_a_table_that_is_refused_leaves_the_old_days(files: LeadFiles) -> None:
    replacement = DayReplacement(files)
    with pytest.raises(StorageError):
        replacement.replace({DAY: NEW[DAY], day_after(1): leads_of(DAY, ["9"])}, PAYLOAD)
    assert replacement.redo() is None
    assert content(files) == OLD
    assert leftovers(files) == []


def test_files_removed_during_a_merge_are_reported(files: LeadFiles) -> None:
    assert exit_code(replace_days, files.data_dir, NEW, "merge:journal") == -signal.SIGKILL
    files.staged_path(day_after(2)).unlink()
    with pytest.raises(StorageError, match="removed"):
        DayReplacement(files).redo()


def test_an_unreadable_journal_is_reported(files: LeadFiles) -> None:
    replacement = DayReplacement(files)
    replacement.journal_path.write_bytes(b"{")
    with pytest.raises(StorageError, match="unreadable"):
        replacement.redo()


def test_the_journal_is_for_the_owner_only(files: LeadFiles) -> None:
    replacement = DayReplacement(files)
    replacement.replace(NEW, PAYLOAD)
    assert replacement.journal_path.stat().st_mode & 0o777 == 0o600
