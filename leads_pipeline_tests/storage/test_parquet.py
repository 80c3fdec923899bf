from datetime import date
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from leads_pipeline.leads.schema import LEADS_ARROW_SCHEMA
from leads_pipeline.storage.errors import StorageError
from leads_pipeline.storage.parquet import FILE_SCHEMA, LeadFiles
from leads_pipeline_tests.storage.lead_tables import DAY, day_after, leads_of

CANARY_PHONE = "+919812345678"


def write(files: LeadFiles, day: date, table: pa.Table) -> None:
    files.stage(day, table)
    files.commit(day)


@pytest.fixture
def files(tmp_path: Path) -> LeadFiles:
    return LeadFiles(tmp_path / "data", "007")


def test_a_day_without_leads_keeps_every_type(files: LeadFiles) -> None:
    write(files, DAY, LEADS_ARROW_SCHEMA.empty_table())
    assert pq.read_schema(files.path(DAY)).equals(FILE_SCHEMA)
    assert files.read([DAY]).schema.equals(LEADS_ARROW_SCHEMA)
    assert files.days() == {DAY}


def test_columns_that_are_all_null_keep_their_types(files: LeadFiles) -> None:
    table = leads_of(DAY, ["2", "1"], account="007")
    write(files, DAY, table)
    assert pq.read_schema(files.path(DAY)).equals(FILE_SCHEMA)
    assert files.read([DAY]).equals(table)


def test_read_returns_only_the_days_asked_for(files: LeadFiles) -> None:
    for offset in range(3):
        write(files, day_after(offset), leads_of(day_after(offset), [str(offset)], account="007"))
    read = files.read([day_after(2), DAY, day_after(9)])
    assert read["query_id"].to_pylist() == ["0", "2"]
    assert read["lead_date"].to_pylist() == [DAY, day_after(2)]


def test_hive_readers_take_days_with_and_without_leads_together(files: LeadFiles) -> None:
    write(files, DAY, LEADS_ARROW_SCHEMA.empty_table())
    write(files, day_after(1), leads_of(day_after(1), ["1", "2"], account="007"))
    files.stage(day_after(2), leads_of(day_after(2), ["3"], account="007"))
    root = files.data_dir / "leads"
    assert ds.dataset(root, partitioning="hive").to_table().num_rows == 2
    assert pq.read_table(root).num_rows == 2
    assert list(pd.read_parquet(root)["lead_date"].astype(str)) == ["2026-03-02", "2026-03-02"]
    sql = (
        "SELECT DISTINCT typeof(query_time), typeof(lead_date), lead_date FROM read_parquet(?, hive_partitioning=true)"
    )
    assert duckdb.execute(sql, [str(root / "*" / "*" / "*.parquet")]).fetchall() == [
        ("TIMESTAMP WITH TIME ZONE", "DATE", day_after(1))
    ]


def test_an_account_without_files_has_no_days(files: LeadFiles) -> None:
    assert files.days() == set()
    assert files.read([DAY]).equals(LEADS_ARROW_SCHEMA.empty_table())


def test_the_same_leads_in_any_order_give_the_same_bytes(files: LeadFiles) -> None:
    table = leads_of(DAY, ["3", "1", "2"], account="007")
    write(files, DAY, table)
    first = files.path(DAY).read_bytes()
    write(files, DAY, table.take(pa.array([2, 0, 1])))
    assert files.path(DAY).read_bytes() == first


@pytest.mark.parametrize("cuts", [(), (1,), (2, 3)])
def test_the_same_leads_in_any_parts_give_the_same_bytes(files: LeadFiles, cuts: tuple[int, ...]) -> None:
    table = leads_of(DAY, [f"{number:02}" for number in range(9)], account="007")
    in_parts = pa.concat_tables(
        table.slice(first, end - first) for first, end in zip((0, *cuts), (*cuts, 9), strict=True)
    )
    of_more = pa.concat_tables([leads_of(DAY, ["x"]), in_parts]).slice(1)
    write(files, DAY, table)
    for same in (in_parts, of_more):
        write(files, day_after(1), same.set_column(5, "lead_date", pa.array([day_after(1)] * 9)))
        assert files.path(day_after(1)).read_bytes() == files.path(DAY).read_bytes()


def test_files_and_folders_are_for_the_owner_only(files: LeadFiles) -> None:
    write(files, DAY, leads_of(DAY, ["1"], account="007"))
    path = files.path(DAY)
    assert path.stat().st_mode & 0o777 == 0o600
    assert {folder.stat().st_mode & 0o777 for folder in path.parents[:3]} == {0o700}


@pytest.mark.parametrize(
    "table",
    [
        leads_of(DAY, ["1"], account="another"),
        leads_of(day_after(1), ["1"], account="007"),
        leads_of(DAY, ["1", "1"], account="007"),
    ],
    ids=["account", "day", "repeated"],
)
def test_rows_that_do_not_belong_in_the_file_are_refused(files: LeadFiles, table: pa.Table) -> None:
    with pytest.raises(StorageError):
        files.stage(DAY, table)
    assert not files.staged_path(DAY).exists()


def test_a_value_of_the_wrong_type_is_refused_without_naming_it(files: LeadFiles) -> None:
    table = leads_of(DAY, ["1"], account="007")
    position = table.schema.get_field_index("call_duration")
    table = table.set_column(position, "call_duration", pa.array([CANARY_PHONE]))
    with pytest.raises(StorageError) as caught:
        files.stage(DAY, table)
    assert CANARY_PHONE not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_file_of_an_older_version_gets_its_new_columns_as_null(files: LeadFiles) -> None:
    table = leads_of(DAY, ["1"], account="007", extra="{}")
    write(files, DAY, table)
    pq.write_table(pq.ParquetFile(files.path(DAY)).read().drop_columns(["extra"]), files.path(DAY))
    read = files.read([DAY])
    assert read.schema.equals(LEADS_ARROW_SCHEMA)
    assert read["extra"].to_pylist() == [None]


@pytest.mark.parametrize("change", ["unknown column", "lacking column", "damaged"])
def test_a_file_that_does_not_fit_is_refused(files: LeadFiles, change: str) -> None:
    write(files, DAY, leads_of(DAY, ["1"], account="007"))
    table = pq.ParquetFile(files.path(DAY)).read()
    if change == "unknown column":
        pq.write_table(table.append_column("later", pa.array(["x"])), files.path(DAY))
    elif change == "lacking column":
        pq.write_table(table.drop_columns(["query_id"]), files.path(DAY))
    else:
        files.path(DAY).write_bytes(files.path(DAY).read_bytes()[:-20])
    with pytest.raises(StorageError, match="2026-03-01"):
        files.read([DAY])


@pytest.mark.parametrize("name", ["../x", "a/b", "", "a=b", ".hidden"])
def test_an_account_name_cannot_leave_its_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        LeadFiles(tmp_path, name).path(DAY)
