import csv
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from leads_pipeline.stages import export_leads
from leads_pipeline.storage.tables import COVERAGE, LEADS
from leads_pipeline.storage.views import LEADS_MASKED
from leads_pipeline_tests.cli.installation import Installation, Printed
from leads_pipeline_tests.storage.view_rows import create_database, insert, lead
from leads_pipeline_tests.support import ist

FIRST, LAST = date(2026, 3, 1), date(2026, 3, 3)
MESSAGE = '=HYPERLINK("http://x.example";"y")\nनमस्ते, "urgent"'
LEADS_OF_DAYS = [
    lead("late", "2026-03-01 23:59:59", sender_mobile="+919812300045", query_message=MESSAGE, is_repeat=True),
    lead(
        "early", "2026-03-01 00:00:00", quantity=Decimal("2.500"), requirement_details=[("usage", "Roof"), ("a", '"')]
    ),
    lead("next", "2026-03-02 00:00:00", sender_name="", call_duration=42, query_type="P"),
    lead("of another", "2026-03-03 12:00:00", account="other", first_seen_at=ist("2026-03-03 12:30:00.250000")),
    lead("too late", "2026-03-04 00:00:00"),
]
COMPLETE = {"state": "complete", "fetched": True, "merged": True, "leads": 1}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "data"
    with create_database(folder / "leads.duckdb") as connection:
        insert(connection, LEADS, LEADS_OF_DAYS)
        days = [date(2026, 3, number) for number in (1, 2, 3, 4)]
        insert(connection, COVERAGE, [{"account": "demo", "lead_date": day, **COMPLETE} for day in days])
        insert(connection, COVERAGE, [{"account": "other", "lead_date": days[2], **COMPLETE}])
    return folder


@pytest.fixture
def published(installation: Installation, data_dir: Path) -> Installation:
    installation.monkeypatch.setenv("LEADS_DATA_DIR", str(data_dir))
    return installation


def export(installation: Installation, *arguments: str) -> Printed:
    return installation.leads("export", "--from", str(FIRST), "--to", str(LAST), *arguments)


def csv_rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_csv_holds_the_days_leads_oldest_first_with_indias_time(published: Installation) -> None:
    printed = export(published)
    file = published.root / "leads_2026-03-01_2026-03-03.csv"
    assert printed.code == 0
    assert file.stat().st_mode & 0o777 == 0o600
    text = file.read_text(encoding="utf-8")
    assert text.splitlines()[0] == ",".join(column.name for column in LEADS.columns)
    rows = csv_rows(text)
    assert [row["query_id"] for row in rows] == ["early", "late", "next", "of another"]
    assert [row["query_time"] for row in rows[:2]] == ["2026-03-01T00:00:00+05:30", "2026-03-01T23:59:59+05:30"]
    assert (rows[1]["query_time_ist"], rows[1]["lead_date"]) == ("2026-03-01T23:59:59", "2026-03-01")
    assert rows[3]["first_seen_at"] == "2026-03-03T12:30:00.250000+05:30"
    assert (rows[2]["call_duration"], rows[2]["is_repeat"], rows[1]["is_repeat"]) == ("42", "", "true")
    assert (rows[0]["quantity"], json.loads(rows[0]["requirement_details"])) == ("2.500", {"usage": "Roof", "a": '"'})
    assert f"Wrote 4 leads of {FIRST} to {LAST} to leads_2026-03-01_2026-03-03.csv (" in printed.err
    assert "This is personal data" in printed.err


def test_csv_changes_no_value_and_tells_null_from_an_empty_text(published: Installation) -> None:
    printed = export(published, "--output", "-")
    rows = csv_rows(printed.out)
    assert rows[1]["query_message"] == MESSAGE
    assert rows[1]["sender_mobile"] == "+919812300045"
    following = next(line for line in printed.out.splitlines() if line.startswith('"demo","next"'))
    cells = following.split(",")
    name, mobile = (LEADS.schema.names.index(column) for column in ("sender_name", "sender_mobile"))
    assert (cells[name], cells[mobile]) == ('""', "")


def test_json_is_an_object_per_line_with_nulls_and_nested_values(published: Installation) -> None:
    printed = export(published, "--format", "json", "--output", "-")
    records = [json.loads(line) for line in printed.out.splitlines()]
    assert [list(record) for record in records] == [LEADS.schema.names] * 4
    assert records[0]["requirement_details"] == {"usage": "Roof", "a": '"'}
    assert records[0]["quantity"] == 2.5
    assert (records[1]["query_message"], records[1]["is_repeat"], records[1]["extra"]) == (MESSAGE, True, None)
    assert records[2]["query_time"] == "2026-03-02T00:00:00+05:30"
    assert "Wrote 4 leads of 2026-03-01 to 2026-03-03 to standard output." in printed.err


def test_parquet_has_the_tables_types_comments_and_values(published: Installation, data_dir: Path) -> None:
    printed = export(published, "--format", "parquet", "--output", "some.parquet")
    file = pq.ParquetFile(published.root / "some.parquet")
    assert printed.code == 0
    assert [(field.name, field.type) for field in file.schema_arrow] == [
        (field.name, field.type) for field in LEADS.schema
    ]
    assert [field.metadata[b"comment"].decode() for field in file.schema_arrow] == [
        column.comment for column in LEADS.columns
    ]
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"
    with duckdb.connect(str(data_dir / "leads.duckdb"), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'").fetchall()
        order = "lead_date, account, query_time"
        stored = connection.sql(f"FROM leads WHERE lead_date <= '2026-03-03' ORDER BY {order}").to_arrow_table()
    assert file.read().to_pylist() == stored.to_pylist()
    assert file.read()["query_time"][0].as_py() == datetime(2026, 2, 28, 18, 30, tzinfo=UTC)


@pytest.mark.parametrize("format_name", ["csv", "json", "parquet"])
def test_days_without_leads_give_a_whole_file_without_rows(published: Installation, format_name: str) -> None:
    printed = published.leads("export", "--from", "2025-01-01", "--to", "2025-01-01", "--format", format_name)
    file = published.root / f"leads_2025-01-01_2025-01-01.{format_name}"
    assert printed.code == 0
    assert "Wrote 0 leads of 2025-01-01 to" in printed.err
    assert "The database has leads from 2026-03-01 to 2026-03-04." in printed.err
    assert "personal data" not in printed.err
    if format_name == "parquet":
        assert pq.read_schema(file).field("query_time").type == pa.timestamp("us", "UTC")
        assert pq.read_table(file).num_rows == 0
    else:
        assert file.read_text() == ("" if format_name == "json" else ",".join(LEADS.schema.names) + "\n")


def test_masked_leads_are_those_of_the_masked_view(published: Installation) -> None:
    printed = export(published, "--masked")
    text = (published.root / "leads_masked_2026-03-01_2026-03-03.csv").read_text()
    assert text.splitlines()[0] == ",".join(LEADS_MASKED.columns)
    assert [row["has_mobile"] for row in csv_rows(text)] == ["false", "true", "false", "false"]
    assert "9812300045" not in text
    assert "personal data" not in printed.err


def test_one_account_alone_and_days_that_are_not_complete_are_told(published: Installation) -> None:
    printed = export(published, "--account", "other", "-f", "json")
    lines = (published.root / "leads_other_2026-03-01_2026-03-03.json").read_text().splitlines()
    assert [json.loads(line)["query_id"] for line in lines] == ["of another"]
    assert "other: 2 of 3 days are not complete, so leads may lack (`leads status`)." in printed.err
    assert "demo:" not in printed.err
    assert "demo:" not in export(published, "--account", "demo").err


def test_small_days_are_read_together_and_nothing_is_lost_between_pieces(published: Installation) -> None:
    published.monkeypatch.setattr(export_leads, "_ROWS_PER_PIECE", 2)
    published.monkeypatch.setattr(export_leads, "_ROWS_PER_BATCH", 1)
    export(published, "--format", "parquet", "-o", "pieces.parquet")
    file = pq.ParquetFile(published.root / "pieces.parquet")
    assert [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)] == [2, 2]
    printed = export(published, "-o", "-")
    assert [row["query_id"] for row in csv_rows(printed.out)] == ["early", "late", "next", "of another"]


def test_an_existing_file_is_kept_unless_told_otherwise(published: Installation) -> None:
    file = published.root / "mine.csv"
    file.write_text("somebody's work")
    refused = export(published, "--output", "mine.csv")
    assert (refused.code, file.read_text()) == (1, "somebody's work")
    assert "mine.csv exists already: use --overwrite" in refused.err
    assert export(published, "--output", "mine.csv", "--overwrite").code == 0
    assert len(csv_rows(file.read_text())) == 4
    assert file.stat().st_mode & 0o777 == 0o600


def test_an_export_that_fails_leaves_what_was_there_and_no_half_file(published: Installation) -> None:
    file = published.root / "mine.json"
    file.write_text("before")

    def fails(*_: object) -> Iterator[pa.RecordBatch]:
        yield pa.record_batch({"line": ["{}"]})
        raise duckdb.IOException("it says +919812300045")

    published.monkeypatch.setattr(export_leads.LeadExport, "_batches", fails)
    printed = export(published, "-f", "json", "-o", "mine.json", "--overwrite")
    assert printed.code == 1
    assert printed.err == "exporting 4 leads failed (IOException)\n"
    assert file.read_text() == "before"
    assert [path.name for path in published.root.glob(".*.tmp")] == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--from", "2026-02-30"), "a day is written YYYY-MM-DD"),
        (("--from", "2026-03-02", "--to", "2026-03-01"), "is before --from 2026-03-02. Nothing was exported."),
        (("--format", "xlsx"), "--format xlsx: choose one of csv, parquet, json."),
        (("--format", "parquet", "--output", "-"), "Parquet can't go to standard output"),
        (("--output", "."), "is a folder"),
        (("--output", "nowhere/leads.csv"), "There is no folder nowhere"),
        (("--account", "deom"), "The database knows no account deom: did you mean demo?"),
        (("--account", "zzz"), "The database knows no account zzz: it knows demo, other."),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error_that_writes_nothing(
    published: Installation, arguments: tuple[str, ...], says: str
) -> None:
    printed = published.leads("export", *arguments)
    assert printed.code == 2
    assert says in printed.err
    assert sorted(path.name for path in published.root.iterdir()) == ["dagster.yaml", "workspace.yaml"]


def test_a_reader_that_has_had_enough_is_no_error(published: Installation) -> None:
    program = "from leads_pipeline.cli import main; main()"
    arguments = ["export", "--from", str(FIRST), "--to", str(LAST), "--output", "-"]
    with subprocess.Popen(
        [sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert (process.stderr.read(), process.wait()) == ("", 0)


def test_without_a_database_it_says_how_to_get_one(installation: Installation) -> None:
    printed = installation.leads("export")
    assert printed.code == 1
    assert "There is no database yet" in printed.err


def test_a_database_of_an_older_version_is_named_as_such(installation: Installation) -> None:
    tables = "CREATE TABLE coverage (account VARCHAR, lead_date DATE, state VARCHAR)"
    installation.publish(tables, "CREATE TABLE leads (account VARCHAR, lead_date DATE)")
    printed = installation.leads("export", "--masked")
    assert printed.code == 1
    assert "has no leads_masked: an older version of this program wrote it" in printed.err
