import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

from leads_pipeline.cli import run_history
from leads_pipeline.cli.run_history import BATCH_VARIABLE, HeldEventLog, open_history

DAYS = dg.DailyPartitionsDefinition(start_date="2026-03-01", end_offset=1)
WEEK = {"dagster/asset_partition_range_start": "2026-03-01", "dagster/asset_partition_range_end": "2026-03-07"}


@dg.asset(partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run(), pool="one_at_a_time")
def first(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """Say something of each day and of the run, with a tag and an event without a run."""
    for key in context.partition_keys:
        context.add_asset_metadata({"day": key}, partition_key=key)
    context.instance.add_run_tags(context.run.run_id, {"said": "so"})
    context.log_event(dg.AssetObservation("first", metadata={"call": 1}))
    context.instance.report_runless_asset_event(dg.AssetMaterialization("first", partition="2026-03-20"))
    return dg.MaterializeResult(metadata={"rows": 3}, tags={"kind": "a"})


@dg.asset(partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run(), deps=[first])
def second() -> dg.MaterializeResult[None]:
    """Do nothing."""
    return dg.MaterializeResult()


@dg.multi_asset_check(specs=[dg.AssetCheckSpec(name, asset=first) for name in ("good", "bad")])
def looked_at() -> Iterator[dg.AssetCheckResult]:
    """Find one thing good, and warn of another."""
    yield dg.AssetCheckResult(check_name="good", passed=True)
    yield dg.AssetCheckResult(check_name="bad", passed=False, severity=dg.AssetCheckSeverity.WARN)


def job() -> dg.JobDefinition:
    everything = dg.define_asset_job("everything", selection="*")
    definitions = dg.Definitions(
        assets=[first, second], asset_checks=[looked_at], jobs=[everything], executor=dg.in_process_executor
    )
    return definitions.resolve_job_def("everything")


def run(instance: dg.DagsterInstance, number: int) -> None:
    result = job().execute_in_process(instance=instance, tags=WEEK, run_id=run_id_of(number))
    assert result.success


def run_id_of(number: int) -> str:
    return f"{number:08}-0000-4000-8000-000000000000"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def told(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Return what the database says, but for the times and what holds them."""
    queries = {
        "schema": "SELECT type, name, sql FROM sqlite_master ORDER BY 1, 2",
        "events": "SELECT id, run_id, dagster_event_type, step_key, asset_key, partition FROM event_logs ORDER BY id",
        "assets": "SELECT asset_key, last_run_id, last_materialization IS NULL FROM asset_keys ORDER BY 1",
        "checks": "SELECT asset_key, check_name, run_id, execution_status, evaluation_event_storage_id, partition "
        "FROM asset_check_executions ORDER BY id",
        "slots": "SELECT concurrency_key, run_id, step_key FROM concurrency_slots ORDER BY id",
        "revision": "SELECT version_num FROM alembic_version",
        "mode": "PRAGMA journal_mode",
    }
    with closing(sqlite3.connect(path)) as connection:
        return {name: connection.execute(query).fetchall() for name, query in queries.items()}


def runs_of(path: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        runs = connection.execute("SELECT run_id, status, pipeline_name, snapshot_id FROM runs ORDER BY id").fetchall()
        tags = connection.execute("SELECT run_id, key, value FROM run_tags ORDER BY 1, 2").fetchall()
    return [*runs, *tags]


def test_what_is_written_is_what_dagster_itself_writes(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    with dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(plain))) as instance:
        run(instance, 1)
        run(instance, 2)
    monkeypatch.setenv(BATCH_VARIABLE, "1000")
    with open_history(home) as instance:
        run(instance, 1)
        run(instance, 2)
    names = sorted(path.name for path in (plain / "history" / "runs").iterdir())
    assert names == sorted(path.name for path in (home / "history" / "runs").iterdir())
    databases = [name for name in names if name.endswith(".db")]
    assert len(databases) == 4, "the index, two runs, and the events without a run"
    for name in databases:
        assert told(home / "history" / "runs" / name) == told(plain / "history" / "runs" / name)
    assert runs_of(home / "history" / "runs.db") == runs_of(plain / "history" / "runs.db")


def test_others_read_and_write_beside_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BATCH_VARIABLE, "1000")
    with (
        open_history(home) as instance,
        dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(home))) as other,
    ):
        run(instance, 1)
        events = len(other.all_logs(run_id_of(1)))
        assert events == len(instance.all_logs(run_id_of(1))) > 0
        other.report_engine_event("said by another process", other.get_run_by_id(run_id_of(1)))
        run(other, 2)
        assert len(instance.all_logs(run_id_of(1))) == events + 1
        assert {one.run_id for one in instance.get_runs()} == {run_id_of(1), run_id_of(2)}


def test_events_handed_over_together_are_stored_all_or_none(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_history(home) as instance:
        run(instance, 1)
        log = instance.event_log_storage
        events = [one for one in instance.all_logs(run_id_of(1)) if one.is_dagster_event][:5]
        before = told(home / "history" / "runs" / f"{run_id_of(1)}.db"), told(home / "history" / "runs" / "index.db")
        store = SqliteEventLogStorage.store_event
        stored: list[object] = []

        def full(storage: SqliteEventLogStorage, event: dg.EventLogEntry) -> None:
            stored.append(event)
            if len(stored) == 4:
                raise OSError("the disk is full")
            store(storage, event)

        monkeypatch.setattr(SqliteEventLogStorage, "store_event", full)
        with pytest.raises(OSError, match="full"):
            log.store_event_batch(events)
        monkeypatch.undo()
        after = told(home / "history" / "runs" / f"{run_id_of(1)}.db"), told(home / "history" / "runs" / "index.db")
        assert after == before
        log.store_event_batch(events)
        assert len(instance.all_logs(run_id_of(1))) == len(before[0]["events"]) + 5


def test_few_databases_stay_open_however_many_runs_there_are(home: Path) -> None:
    with open_history(home) as instance:
        log = instance.event_log_storage
        assert isinstance(log, HeldEventLog)
        for number in range(6):
            log.get_logs_for_run(run_id_of(number))
        assert len(log._engines) <= run_history._RUNS_KEPT_OPEN + 1
    assert not log._engines
    assert not [*home.rglob("*.db-wal")], "the last connection to a database brings everything into it"


def test_a_database_that_was_left_empty_gets_its_tables(home: Path) -> None:
    with open_history(home) as instance:
        empty = home / "history" / "runs" / f"{run_id_of(1)}.db"
        empty.touch()
        run(instance, 1)
        assert told(empty)["events"]


def test_a_run_starts_no_process_and_its_logs_are_there_and_empty(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(*_arguments: object, **_options: object) -> None:
        raise AssertionError("no process")

    with open_history(home) as instance:
        monkeypatch.setattr(subprocess, "Popen", start)
        run(instance, 1)
        manager = instance.compute_log_manager
        [event] = [one for one in instance.all_logs(run_id_of(1)) if "LOGS_CAPTURED" in str(one.dagster_event_type)]
        key = manager.build_log_key_for_run(run_id_of(1), event.get_dagster_event().logs_captured_data.file_key)
        assert manager.is_capture_complete(key)
        logs = manager.get_log_data(key)
        assert (logs.stdout or b"", logs.stderr or b"") == (b"", b"")
