import random
import signal
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from leads_pipeline.leads.frames import to_frame, to_table
from leads_pipeline.leads.merge import merge_leads
from leads_pipeline.leads.schema import LEADS_ARROW_SCHEMA
from leads_pipeline.storage import coming_days
from leads_pipeline.storage.coming_days import ComingDay, runs
from leads_pipeline.storage.errors import StorageError
from leads_pipeline.storage.followed_files import FileStamp, FollowedFile, ReadFile
from leads_pipeline.storage.following import AccountDay
from leads_pipeline.storage.lead_rows import LeadRows
from leads_pipeline.storage.memory import limit_memory, memory_limited
from leads_pipeline.storage.merge_journal import DayReplacement
from leads_pipeline.storage.parquet import LeadFiles
from leads_pipeline.storage.tables import BUYERS, LEAD_VERSIONS, LEADS
from leads_pipeline_tests.storage.buyer_truth import Lead, table_of, true_buyers
from leads_pipeline_tests.storage.children import exit_code, publish, publish_killed, write_state
from leads_pipeline_tests.storage.lead_tables import DAY, FETCHED, day_after, leads_of

MANY = coming_days._MANY_DAYS
ONE_BY_ONE = 10**6
CANARY = "+919812345678"
FOLLOWED = "SELECT * EXCLUDE (size, mtime_ns, inode) FROM pipeline.followed_files ORDER BY ALL"


@pytest.fixture
def calls_of_add_days(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many days were read at once, each time."""
    calls: list[int] = []
    add_days = LeadRows.add_days

    def counted(rows: LeadRows, account: str, days: list[ComingDay], lacking: frozenset[str]) -> None:
        calls.append(len(days))
        add_days(rows, account, days, lacking)

    monkeypatch.setattr(LeadRows, "add_days", counted)
    return calls


def store(data_dir: Path, days: dict[date, pa.Table], account: str = "demo") -> None:
    replacement = DayReplacement(LeadFiles(data_dir, account))
    replacement.replace(days, {})
    replacement.clear()


def tables_of(data_dir: Path) -> dict[str, list[tuple[Any, ...]]]:
    with duckdb.connect(str(data_dir / "leads.duckdb"), read_only=True) as connection:
        tables = (LEADS, LEAD_VERSIONS, BUYERS)
        asked = {table.name: f"FROM {table.name} ORDER BY ALL" for table in tables}
        asked["files"] = FOLLOWED
        asked["identifiers"] = "FROM pipeline.buyer_identifiers ORDER BY ALL"
        return {name: connection.execute(sql).fetchall() for name, sql in asked.items()}


def some_leads(draws: random.Random, day: int, count: int) -> list[Lead]:
    """Return leads of one day, of people who come back on other days."""
    return [
        Lead(
            f"{day}-{number}",
            day=day,
            second=draws.randrange(100),
            seen=draws.randrange(100),
            query_type=draws.choice(["W", "B", "P", None]),
            sender_name=draws.choice(["Asha", "Ravi", None]),
            sender_company=draws.choice(["Firm", None]),
            sender_city=draws.choice(["Pune", None]),
            sender_mobile=f"+9198123{draws.randrange(40):05}" if draws.random() < 0.8 else None,
            sender_email=f"{draws.randrange(60)}@buyer.example" if draws.random() < 0.3 else None,
        )
        for number in range(count)
    ]


def with_versions(day: int) -> pa.Table:
    first = leads_of(day_after(day), ["v1", "v2"], state="one", subject="Pipes", requirement_details=[("size", "5")])
    later = leads_of(day_after(day), ["v2"], state="two", subject="Tubes", fetched_at=FETCHED + timedelta(hours=1))
    return to_table(merge_leads(to_frame(first), to_frame(later)), LEADS_ARROW_SCHEMA)


@pytest.mark.parametrize("seed", range(3))
def test_many_days_at_once_give_what_they_give_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls_of_add_days: list[int], seed: int
) -> None:
    draws = random.Random(seed)
    standing = {day: some_leads(draws, day, draws.randrange(6)) for day in range(8)}
    tables = {day_after(day): table_of(day, leads, "demo") for day, leads in standing.items()}
    store(tmp_path, tables | {day_after(30): with_versions(30)})
    for most in (ONE_BY_ONE, 3):
        monkeypatch.setattr(coming_days, "_MANY_DAYS", most)
        publish(tmp_path, rebuild=True)
        if most == ONE_BY_ONE:
            one_by_one = tables_of(tmp_path)
    assert calls_of_add_days == [9]
    assert tables_of(tmp_path) == one_by_one
    assert len(one_by_one["lead_versions"]) == 2

    changed = {day: some_leads(draws, day, 4) for day in (1, 8, 9, 10, 11)}
    standing |= changed
    store(tmp_path, {day_after(day): table_of(day, leads, "demo") for day, leads in changed.items()})
    LeadFiles(tmp_path, "demo").path(day_after(2)).unlink()
    standing.pop(2)
    result = publish(tmp_path)
    assert calls_of_add_days == [9, 4]
    assert set(result.changed_days) == {AccountDay("demo", day_after(day)) for day in (1, 2, 8, 9, 10, 11)}
    followed = tables_of(tmp_path)
    states, buyers = true_buyers([lead for leads in standing.values() for lead in leads], "demo")
    names = [column.name for column in BUYERS.columns]
    assert sorted((dict(zip(names, row, strict=True)) for row in followed["buyers"]), key=_id) == buyers
    found = {row[1]: row[-2:] for row in followed["leads"]}
    assert {name: found[name] for name in states} == states
    monkeypatch.setattr(coming_days, "_MANY_DAYS", ONE_BY_ONE)
    publish(tmp_path, rebuild=True)
    assert tables_of(tmp_path) == followed


def _id(row: dict[str, Any]) -> str:
    return str(row["buyer_id"])


def test_days_of_older_versions_of_the_program_lack_columns_and_are_still_read_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls_of_add_days: list[int]
) -> None:
    days = {
        day_after(day): leads_of(day_after(day), [f"{day}"], extra="{}", sender_email="a@b.example")
        for day in range(MANY)
    }
    store(tmp_path, days)
    files = LeadFiles(tmp_path, "demo")
    for day in list(days)[:3]:
        table = pq.ParquetFile(files.path(day)).read()
        pq.write_table(table.drop_columns(["extra", "versions", "sender_email"]), files.path(day))
    publish(tmp_path)
    assert calls_of_add_days == [3, MANY - 3]
    at_once = tables_of(tmp_path)
    monkeypatch.setattr(coming_days, "_MANY_DAYS", ONE_BY_ONE)
    publish(tmp_path, rebuild=True)
    assert tables_of(tmp_path) == at_once


def test_a_day_that_has_to_be_cast_is_read_alone(tmp_path: Path, calls_of_add_days: list[int]) -> None:
    write_state(tmp_path, [day_after(day) for day in range(MANY)], "first", rows=2)
    path = LeadFiles(tmp_path, "demo").path(DAY)
    table = pq.ParquetFile(path).read()
    place = table.schema.get_field_index("response_position")
    pq.write_table(table.set_column(place, "response_position", table["response_position"].cast(pa.int64())), path)
    assert publish(tmp_path).leads == 2 * MANY
    assert calls_of_add_days == [MANY - 1]


def test_large_files_are_read_at_once_also_when_they_are_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls_of_add_days: list[int]
) -> None:
    write_state(tmp_path, [DAY, day_after(1)], "first")
    size = LeadFiles(tmp_path, "demo").path(DAY).stat().st_size
    monkeypatch.setattr(coming_days, "_MANY_BYTES", 3 * size)
    publish(tmp_path, rebuild=True)
    assert calls_of_add_days == []
    monkeypatch.setattr(coming_days, "_MANY_BYTES", size)
    assert publish(tmp_path, rebuild=True).leads == 20
    assert calls_of_add_days == [2]


def test_days_without_leads_and_names_that_mean_something_to_duckdb_are_read_as_they_are(tmp_path: Path) -> None:
    data_dir = tmp_path / "it's [a] *" / "lead_date=2001-01-01" / "account=1"
    days = {day_after(day): leads_of(day_after(day), ["1"][: day % 2], account="007") for day in range(MANY)}
    store(data_dir, days, "007")
    assert publish(data_dir).leads == MANY // 2
    rows = tables_of(data_dir)["leads"]
    place = [column.name for column in LEADS.columns].index("lead_date")
    assert {(row[0], row[place]) for row in rows} == {("007", day) for day, table in days.items() if table.num_rows}


@pytest.mark.parametrize("damage", ["footer", "pages", "unknown column", "lacking column", "null"])
def test_a_file_that_can_not_be_read_is_named_without_its_values(tmp_path: Path, damage: str) -> None:
    write_state(tmp_path, [day_after(day) for day in range(MANY)], "first", rows=2)
    path = LeadFiles(tmp_path, "demo").path(day_after(4))
    table = pq.ParquetFile(path).read()
    if damage == "footer":
        path.write_bytes(path.read_bytes()[:-20])
    elif damage == "pages":
        data = bytearray(path.read_bytes())
        data[4:2000] = b"\xff" * 1996
        path.write_bytes(data)
    elif damage == "unknown column":
        pq.write_table(table.append_column("later", pa.array([CANARY] * 2)), path)
    elif damage == "lacking column":
        pq.write_table(table.drop_columns(["query_id"]), path)
    else:
        place = table.schema.get_field_index("query_id")
        pq.write_table(table.set_column(place, "query_id", pa.array([None, CANARY])), path)
    with pytest.raises(StorageError, match=str(day_after(4))) as caught:
        publish(tmp_path)
    assert CANARY not in str(caught.value)
    assert not (tmp_path / "leads.duckdb").exists()


@pytest.mark.parametrize("kill_at", ["store:before_commit", "store:committed"])
def test_a_kill_while_many_days_are_read_heals_in_the_next_refresh(tmp_path: Path, kill_at: str) -> None:
    write_state(tmp_path, [day_after(day) for day in range(MANY)], "first", rows=2)
    assert exit_code(publish_killed, tmp_path, 1, kill_at) == -signal.SIGKILL
    assert publish(tmp_path).leads == 2 * MANY
    write_state(tmp_path, [day_after(MANY + day) for day in range(MANY)], "first", rows=2)
    assert exit_code(publish_killed, tmp_path, 1, kill_at) == -signal.SIGKILL
    assert publish(tmp_path).leads == 4 * MANY
    assert len(tables_of(tmp_path)["files"]) == 2 * MANY


def test_runs_of_days_are_no_larger_than_said_but_for_single_days() -> None:
    file = FollowedFile(Path(), "", "leads", "demo", DAY)
    reads = [ReadFile(file, FileStamp(0, 0, 0), "", rows) for rows in (3, 4, 3, 20, 0, 1)]
    days = [ComingDay(read, DAY, frozenset()) for read in reads]
    assert [[coming.read.rows for coming in run] for run in runs(days, 7)] == [[3, 4], [3], [20], [0, 1]]
    assert list(runs([], 7)) == []


def test_memory_is_limited_for_the_time_and_never_raised() -> None:
    with duckdb.connect() as connection:

        def limit() -> int:
            [(found,)] = connection.execute("SELECT parse_formatted_bytes(current_setting('memory_limit'))").fetchall()
            return int(found)

        limit_memory(connection, 2 * 10**8)
        with memory_limited(connection, 10**8):
            assert limit() == pytest.approx(10**8, rel=0.02)
        with memory_limited(connection, 10**9):
            assert limit() == pytest.approx(2 * 10**8, rel=0.02)
        assert limit() == pytest.approx(2 * 10**8, rel=0.02)
