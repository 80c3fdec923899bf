import os
import signal
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from leads_pipeline.days import day_start
from leads_pipeline.leads.frames import to_frame, to_table
from leads_pipeline.leads.merge import merge_leads
from leads_pipeline.leads.schema import LEADS_ARROW_SCHEMA, VERSIONS
from leads_pipeline.storage import store
from leads_pipeline.storage.errors import StorageError
from leads_pipeline.storage.following import AccountDay
from leads_pipeline.storage.merge_journal import DayReplacement
from leads_pipeline.storage.parquet import LeadFiles
from leads_pipeline.storage.publish import refresh_and_publish
from leads_pipeline.storage.quarantine_files import QuarantineFiles
from leads_pipeline.storage.store import Sources, store_path
from leads_pipeline.storage.tables import TABLES
from leads_pipeline_tests.storage.children import exit_code, publish, publish_killed, replace_days, write_state
from leads_pipeline_tests.storage.lead_tables import (
    DAY,
    FETCHED,
    alerts,
    calls,
    coverage_of_days,
    day_after,
    leads_of,
    quarantined,
)

DAYS = [day_after(offset) for offset in range(3)]


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    write_state(tmp_path / "data", DAYS, "first")
    return tmp_path / "data"


def ask(data_dir: Path, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(data_dir / "leads.duckdb"), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def leads_in_store(data_dir: Path) -> pa.Table:
    with duckdb.connect(str(data_dir / "leads.duckdb"), read_only=True) as connection:
        return connection.sql("SELECT * FROM leads ORDER BY lead_date, query_time, query_id").to_arrow_table()


def assert_follows(data_dir: Path) -> None:
    """The published leads are the Parquet files' leads, value by value and type by type."""
    files = LeadFiles(data_dir, "demo")
    expected = files.read(files.days()).drop_columns([VERSIONS])
    found = leads_in_store(data_dir).select(expected.schema.names)
    assert found.to_pylist() == expected.to_pylist()
    assert not store_path(data_dir).with_name("store.duckdb.wal").exists()


def store_days(data_dir: Path, tables: dict[date, pa.Table]) -> None:
    replacement = DayReplacement(LeadFiles(data_dir, "demo"))
    replacement.replace(tables, {})
    replacement.clear()


def change_store(data_dir: Path, sql: str) -> None:
    with duckdb.connect(str(store_path(data_dir))) as connection:
        connection.execute(sql).fetchall()


def test_the_tables_have_the_declared_columns_types_and_comments(data_dir: Path) -> None:
    publish(data_dir)
    described = {
        (schema, table, column): (kind, nullable, comment)
        for schema, table, column, kind, nullable, comment in ask(
            data_dir,
            "SELECT schema_name, table_name, column_name, data_type, is_nullable, comment FROM duckdb_columns() "
            "WHERE table_name IN (SELECT table_name FROM duckdb_tables())",
        )
    }
    expected = {}
    kinds = {"timestamp[us, tz=UTC]": "TIMESTAMP WITH TIME ZONE", "timestamp[us]": "TIMESTAMP", "string": "VARCHAR"}
    kinds |= {"date32[day]": "DATE", "int32": "INTEGER", "int64": "BIGINT", "double": "DOUBLE", "bool": "BOOLEAN"}
    kinds |= {"decimal128(18, 3)": "DECIMAL(18,3)", "map<string, string>": "MAP(VARCHAR, VARCHAR)", "uint64": "UBIGINT"}
    for table in TABLES:
        schema, _, name = table.name.rpartition(".")
        for column in table.columns:
            kind = "UUID" if column.name == "buyer_id" else kinds.get(str(column.type), "VARCHAR[]")
            expected[(schema or "main", name, column.name)] = (kind, column.nullable, column.comment)
    assert described == expected
    assert all(comment for _, _, comment in described.values())
    tables = ask(data_dir, "SELECT table_name, comment FROM duckdb_tables() WHERE NOT internal")
    assert set(tables) == {(table.name.rpartition(".")[2], table.comment) for table in TABLES}
    assert all(comment for _, comment in tables)


def test_clients_of_all_1_x_versions_can_read_the_file(data_dir: Path) -> None:
    publish(data_dir)
    assert ask(data_dir, "SELECT tags['storage_version'] FROM duckdb_databases() WHERE NOT internal") == [("v1.0.0+",)]


def test_a_day_without_leads_and_columns_without_values_are_followed(data_dir: Path) -> None:
    files = LeadFiles(data_dir, "demo")
    files.stage(day_after(5), leads_of(day_after(5), []))
    files.commit(day_after(5))
    result = publish(data_dir)
    assert result.leads == 30
    assert AccountDay("demo", day_after(5)) in result.changed_days
    assert (day_after(5), 0) in ask(data_dir, "SELECT lead_date, leads FROM coverage")
    assert_follows(data_dir)


def test_only_changed_days_are_read_anew(data_dir: Path) -> None:
    publish(data_dir)
    write_state(data_dir, [DAYS[1]], "second", rows=4)
    result = publish(data_dir)
    assert result.changed_days == (AccountDay("demo", DAYS[1]),)
    assert result.leads == 24
    assert_follows(data_dir)


def test_the_versions_of_a_lead_move_with_it_to_another_day(data_dir: Path) -> None:
    first = leads_of(day_after(7), ["x"], state="one", subject="Pipes")
    second = leads_of(day_after(8), ["x"], state="two", subject="Tubes", fetched_at=FETCHED + timedelta(hours=1))
    told = (
        "SELECT version, subject, is_current, lead_date::VARCHAR, changed_columns FROM lead_versions ORDER BY version"
    )
    store_days(data_dir, {day_after(7): first, day_after(8): first.slice(0, 0)})
    publish(data_dir)
    assert ask(data_dir, told) == []
    moved = to_table(merge_leads(to_frame(first), to_frame(second)), LEADS_ARROW_SCHEMA)
    store_days(data_dir, {day_after(7): first.slice(0, 0), day_after(8): moved})
    publish(data_dir)
    assert ask(data_dir, told) == [
        (1, "Pipes", False, "2026-03-09", []),
        (2, "Tubes", True, "2026-03-09", ["query_time", "subject"]),
    ]
    assert_follows(data_dir)


def test_a_day_whose_file_is_gone_leaves_the_tables(data_dir: Path) -> None:
    publish(data_dir)
    LeadFiles(data_dir, "demo").path(DAYS[0]).unlink()
    result = publish(data_dir)
    assert result.changed_days == (AccountDay("demo", DAYS[0]),)
    assert_follows(data_dir)


def test_an_account_whose_folder_is_gone_leaves_the_tables(data_dir: Path) -> None:
    other = LeadFiles(data_dir, "other")
    other.stage(DAY, leads_of(DAY, ["1"], account="other"))
    other.commit(DAY)
    assert publish(data_dir).leads == 31
    other.path(DAY).unlink()
    assert publish(data_dir).leads == 30
    assert ask(data_dir, "SELECT DISTINCT account FROM leads") == [("demo",)]


def test_a_file_that_was_only_touched_changes_nothing(data_dir: Path) -> None:
    first = publish(data_dir)
    os.utime(LeadFiles(data_dir, "demo").path(DAY))
    second = publish(data_dir)
    assert (second.version, second.published, second.changed_days) == (first.version, False, ())


def test_a_change_of_the_same_size_and_time_in_a_new_inode_is_seen(data_dir: Path) -> None:
    publish(data_dir)
    path = LeadFiles(data_dir, "demo").path(DAY)
    status = path.stat()
    write_state(data_dir, [DAY], "tsrif")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert publish(data_dir).changed_days == (AccountDay("demo", DAY),)
    assert (DAY, "tsrif") in ask(data_dir, "SELECT DISTINCT lead_date, content_hash FROM leads")


def test_a_merge_that_died_half_way_is_finished_before_it_is_read(data_dir: Path) -> None:
    publish(data_dir)
    moved = {DAYS[0]: leads_of(DAYS[0], ["a"]), DAYS[1]: leads_of(DAYS[1], ["b", "c"])}
    assert exit_code(replace_days, data_dir, moved, "merge:rename:2") == -signal.SIGKILL
    assert publish(data_dir).leads == 13
    assert DayReplacement(LeadFiles(data_dir, "demo")).redo() == {"responses": ["a", "b"]}
    assert_follows(data_dir)


@pytest.mark.parametrize("damage", ["garbage", "empty", "cut", "no tables", "older schema", "missing", "lone wal"])
def test_a_store_of_no_use_is_rebuilt(data_dir: Path, damage: str) -> None:
    publish(data_dir, 3)
    path = store_path(data_dir)
    if damage in ("garbage", "empty"):
        path.write_bytes(b"not a database" * 5000 if damage == "garbage" else b"")
    elif damage == "cut":
        os.truncate(path, path.stat().st_size // 2)
    elif damage == "no tables":
        change_store(data_dir, "DROP TABLE publication")
    elif damage == "older schema":
        change_store(data_dir, "UPDATE publication SET schema_sha256 = 'older'; DELETE FROM leads")
    else:
        path.unlink()
        if damage == "lone wal":
            path.with_name("store.duckdb.wal").write_bytes(b"left over" * 100)
    result = publish(data_dir, 3)
    assert (result.published, result.leads, result.api_calls) == (True, 30, 3)
    assert_follows(data_dir)
    assert path.stat().st_mode & 0o777 == 0o600


def test_damage_found_while_reading_is_answered_by_a_rebuild(data_dir: Path) -> None:
    publish(data_dir)
    with store_path(data_dir).open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        for offset in range(3 * 4096 + 512, size, 65536):
            file.seek(offset)
            file.write(b"\xff" * 4096)
    write_state(data_dir, DAYS, "second")
    assert publish(data_dir).leads == 30
    assert_follows(data_dir)


def test_an_unreadable_day_file_stops_the_refresh_and_keeps_what_is_published(data_dir: Path) -> None:
    first = publish(data_dir)
    LeadFiles(data_dir, "demo").path(DAY).write_bytes(b"PAR1 torn PAR1")
    with pytest.raises(StorageError, match=str(DAY)):
        publish(data_dir)
    assert ask(data_dir, "SELECT count(*), max(version) FROM leads, publication") == [(30, first.version)]


@pytest.mark.parametrize("most", [10**8, 10**15])
def test_the_store_takes_no_more_memory_than_is_meant_or_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    limit = "SELECT parse_formatted_bytes(current_setting('memory_limit'))"
    with duckdb.connect() as connection:
        [(by_itself,)] = connection.execute(limit).fetchall()
    monkeypatch.setattr(store, "_MOST_MEMORY_BYTES", most)
    with store._open_store(tmp_path / "store.duckdb") as connection:
        [(bytes_,)] = connection.execute(limit).fetchall()
    assert bytes_ == pytest.approx(min(most, by_itself), rel=0.05)


def test_what_a_killed_refresh_spilled_is_removed(data_dir: Path) -> None:
    spilled = store_path(data_dir).with_name("store.tmp") / "duckdb_temp_storage_DEFAULT-0.tmp"
    spilled.parent.mkdir(parents=True)
    spilled.write_bytes(b"rows of buyers")
    publish(data_dir)
    assert not spilled.exists()


@pytest.mark.parametrize("kill_at", ["store:before_commit", "store:committed"])
def test_a_kill_around_the_commit_heals_in_the_next_refresh(data_dir: Path, kill_at: str) -> None:
    publish(data_dir, 1)
    write_state(data_dir, DAYS[:2], "second", rows=5)
    assert exit_code(publish_killed, data_dir, 2, kill_at) == -signal.SIGKILL
    assert ask(data_dir, "SELECT count(*) FROM leads") == [(30,)]
    result = publish(data_dir, 2)
    assert (result.published, result.leads, result.api_calls) == (True, 20, 2)
    assert_follows(data_dir)


def test_a_kill_during_the_first_refresh_heals(data_dir: Path) -> None:
    assert exit_code(publish_killed, data_dir, 2, "store:before_commit") == -signal.SIGKILL
    assert publish(data_dir, 2).leads == 30
    assert_follows(data_dir)


def test_quarantine_has_one_row_for_each_record_with_its_newest_answer(data_dir: Path) -> None:
    files = QuarantineFiles(data_dir, "demo")
    start = day_start(DAY)
    files.keep("demo.v2.1", start, quarantined("demo.v2.1", ["x", "y", "x"]))
    files.keep("demo.v2.2", start, quarantined("demo.v2.2", ["x"], hours=3, reason="no time"))
    assert publish(data_dir).quarantined == 2
    sql = "SELECT record_sha256, reason, record, times_seen, response_id, first_seen_at, last_seen_at FROM quarantine"
    later = FETCHED + timedelta(hours=3)
    assert ask(data_dir, f"{sql} ORDER BY 1") == [
        ("x", "no time", '{"record": "x"}', 3, "demo.v2.2", FETCHED, later),
        ("y", "no id", '{"record": "y"}', 1, "demo.v2.1", FETCHED, FETCHED),
    ]
    files.keep("demo.v2.1", start, quarantined("demo.v2.1", []))
    assert publish(data_dir).quarantined == 1
    assert ask(data_dir, sql)[0][3:5] == (1, "demo.v2.2")


def test_calls_are_appended_once(data_dir: Path) -> None:
    asked: list[int] = []

    def calls_after(newest: int) -> pa.Table:
        asked.append(newest)
        return calls(range(1, 5 if len(asked) > 1 else 3))

    for _ in range(3):
        refresh_and_publish(data_dir, Sources(calls_after, lambda: coverage_of_days(DAYS), lambda: alerts([])))
    assert asked == [0, 2, 4]
    assert ask(data_dir, "SELECT call_id, received_at, http_status FROM api_calls ORDER BY call_id") == [
        (number, None, None) for number in range(1, 5)
    ]


def test_a_forced_rebuild_drops_calls_that_the_log_has_forgotten(data_dir: Path) -> None:
    publish(data_dir, 3)
    assert publish(data_dir, 0).api_calls == 3
    assert publish(data_dir, 0, rebuild=True).api_calls == 0


def test_coverage_is_replaced_and_counts_the_leads_of_the_tables(data_dir: Path) -> None:
    publish(data_dir)
    partial = coverage_of_days([DAY, day_after(9)], state="partial")
    refresh_and_publish(data_dir, Sources(lambda _: calls([]), lambda: partial, lambda: alerts([])))
    assert ask(data_dir, "SELECT account, lead_date, state, fetched_until, response_ids, leads FROM coverage") == [
        ("demo", DAY, "partial", day_start(day_after(1)), ["demo.v2.1"], 10),
        ("demo", day_after(9), "partial", day_start(day_after(10)), ["demo.v2.1"], 0),
    ]


def test_alerts_are_replaced_and_published_when_they_change(data_dir: Path) -> None:
    def publish_alerts(*given: tuple[int, str]) -> bool:
        empty = calls([])
        return refresh_and_publish(
            data_dir, Sources(lambda _: empty, lambda: coverage_of_days(DAYS), lambda: alerts(given))
        ).published

    assert publish_alerts((1, "open"))
    assert not publish_alerts((1, "open"))
    assert publish_alerts((1, "resolved"), (2, "open"))
    assert ask(data_dir, "SELECT alert_id, cause, state, resolved_at IS NULL FROM alerts ORDER BY 1") == [
        (1, "key_rejected", "resolved", False),
        (2, "key_rejected", "open", True),
    ]


def test_rows_that_do_not_fit_are_refused_without_their_values(data_dir: Path) -> None:
    canary = "+919812345678"
    wrong = calls([1]).set_column(0, "call_id", pa.array([canary]))
    with pytest.raises(StorageError) as caught:
        refresh_and_publish(data_dir, Sources(lambda _: wrong, lambda: coverage_of_days(DAYS), lambda: alerts([])))
    assert canary not in str(caught.value)
    assert not (data_dir / "leads.duckdb").exists()


def test_many_refreshes_do_not_bloat_the_store(data_dir: Path) -> None:
    days = [day_after(offset) for offset in range(10)]
    write_state(data_dir, days, "fresh", rows=400)
    publish(data_dir)
    fresh = store_path(data_dir).stat().st_size
    sizes = []
    for number in range(12):
        write_state(data_dir, [days[number * 7 % 10], days[number * 3 % 10]], f"state {number}", rows=400)
        publish(data_dir)
        sizes.append(store_path(data_dir).stat().st_size)
    assert max(sizes[6:]) <= max(sizes[:6]) + 262144
    assert max(sizes) <= 4 * fresh
    assert_follows(data_dir)


def test_a_bloated_store_is_rebuilt(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(data_dir)
    change_store(data_dir, "CREATE TABLE big AS SELECT hash(range) AS h FROM range(500000)")
    change_store(data_dir, "CREATE TABLE keep AS SELECT hash(range) AS h FROM range(50000)")
    change_store(data_dir, "DROP TABLE big")
    bloated = store_path(data_dir).stat().st_size
    monkeypatch.setattr(store, "_BLOATED_BLOCKS", 4)
    monkeypatch.setattr(store, "_BLOAT", 1.2)
    assert publish(data_dir).leads == 30
    assert store_path(data_dir).stat().st_size < bloated
