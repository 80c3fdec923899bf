import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from leads_pipeline_tests.cli.installation import Installation

LEADS = (
    "CREATE TABLE leads (query_id VARCHAR, query_time TIMESTAMPTZ, query_time_ist TIMESTAMP, lead_date DATE, "
    "subject VARCHAR, call_duration INTEGER)",
    "INSERT INTO leads VALUES "
    "('1', '2026-11-29 18:30:00+00', '2026-11-30 00:00:00', '2026-11-30', 'Requirement for Bolts', 42), "
    "('2', '2026-11-30 18:29:59+00', '2026-11-30 23:59:59', '2026-11-30', NULL, NULL)",
)

HOLD_FOR_WRITING = """
import duckdb, pathlib, sys
path = pathlib.Path(sys.argv[1]).resolve()
path.chmod(0o600)
connection = duckdb.connect(str(path))
connection.execute("INSERT INTO leads (query_id) VALUES ('of the writer')").fetchall()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def published(installation: Installation) -> Path:
    return installation.publish(*LEADS)


def test_without_a_database_it_says_how_to_get_one(installation: Installation) -> None:
    printed = installation.leads("query", "select 1")
    assert printed.code == 1
    assert "There is no database yet" in printed.err
    assert "`leads demo`" in printed.err
    assert not installation.data_dir.exists()


@pytest.mark.usefixtures("published")
def test_a_table_shows_rows_with_indias_time_and_their_count(installation: Installation) -> None:
    printed = installation.leads("query", "select * from leads order by query_id")
    assert printed.code == 0
    assert "1 2026-11-30 00:00:00+05:30 2026-11-30 00:00:00 2026-11-30 Requirement for Bolts 42" in printed.text
    assert "2 2026-11-30 23:59:59+05:30 2026-11-30 23:59:59 2026-11-30 NULL NULL" in printed.text
    assert printed.text.endswith("2 rows")


@pytest.mark.usefixtures("published")
def test_json_is_a_list_of_objects_with_iso_times(installation: Installation) -> None:
    printed = installation.leads("query", "--json", "select * exclude (subject) from leads order by query_id")
    assert json.loads(printed.out) == [
        {
            "query_id": "1",
            "query_time": "2026-11-30T00:00:00+05:30",
            "query_time_ist": "2026-11-30T00:00:00",
            "lead_date": "2026-11-30",
            "call_duration": 42,
        },
        {
            "query_id": "2",
            "query_time": "2026-11-30T23:59:59+05:30",
            "query_time_ist": "2026-11-30T23:59:59",
            "lead_date": "2026-11-30",
            "call_duration": None,
        },
    ]


@pytest.mark.usefixtures("published")
def test_json_holds_every_kind_of_value(installation: Installation) -> None:
    sql = (
        "select 1.50::decimal(9,2) d, 3::hugeint h, 'nan'::double n, '\\xFF'::blob b, [1, 2] l, "
        "{'a': date '2026-01-02'} s, map {'k': true} m, time '10:00:00' t, 1 as d"
    )
    assert json.loads(installation.leads("query", "--json", sql).out) == [
        {
            "d": 1.5,
            "h": 3,
            "n": None,
            "b": "ff",
            "l": [1, 2],
            "s": {"a": "2026-01-02"},
            "m": {"k": True},
            "t": "10:00:00",
            "d_1": 1,
        }
    ]


@pytest.mark.usefixtures("published")
def test_csv_quotes_what_needs_it_and_leaves_null_empty(installation: Installation) -> None:
    sql = "select subject, query_time, 'a,\"b\"\nc' as text from leads order by query_id"
    rows = list(csv.reader(io.StringIO(installation.leads("query", "--csv", sql).out)))
    assert rows == [
        ["subject", "query_time", "text"],
        ["Requirement for Bolts", "2026-11-30T00:00:00+05:30", 'a,"b"\nc'],
        ["", "2026-11-30T23:59:59+05:30", 'a,"b"\nc'],
    ]


@pytest.mark.usefixtures("published")
def test_no_rows_are_a_header_an_empty_list_or_no_line(installation: Installation) -> None:
    nothing = "select query_id from leads where false"
    assert installation.leads("query", nothing).text.endswith("0 rows")
    assert json.loads(installation.leads("query", "--json", nothing).out) == []
    assert installation.leads("query", "--csv", nothing).out == "query_id\n"


@pytest.mark.usefixtures("published")
def test_a_long_result_is_cut_in_the_table_only(installation: Installation) -> None:
    sql = "select range as number from range(1001)"
    table = installation.leads("query", sql)
    assert " 999 " in table.text
    assert " 1000 " not in table.text
    assert "The first 1,000 rows; there are more." in table.text
    assert installation.leads("query", f"{sql} limit 1000").text.endswith(" 1,000 rows")
    assert len(json.loads(installation.leads("query", "--json", sql).out)) == 1001
    assert len(installation.leads("query", "--csv", sql).out.splitlines()) == 1002


@pytest.mark.usefixtures("published")
def test_a_table_never_gets_wider_than_the_terminal(installation: Installation) -> None:
    installation.monkeypatch.setenv("COLUMNS", "70")
    wide = ", ".join(f"repeat('{letter}', 300) as column_{letter}" for letter in "abcdefghij")
    printed = installation.leads("query", f"select 7 as n, {wide}")
    assert max(len(line) for line in printed.out.splitlines()) <= 70
    assert "5 of 11 columns fit the terminal." in printed.text
    assert "aaaaaaaaaaa…" in printed.text


@pytest.mark.usefixtures("published")
def test_what_buyers_wrote_cannot_command_the_terminal(installation: Installation) -> None:
    printed = installation.leads(
        "query", "select 'a' || chr(27) || '[2Jb' || chr(10) || '[bold]c[/bold] :smile:' as text"
    )
    assert "\x1b" not in printed.out
    assert "a [2Jb [bold]c[/bold] :smile:" in printed.text


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize(
    "statement",
    ["delete from leads", "insert into leads (query_id) values ('3')", "create table mine (a int)", "drop table leads"],
)
def test_a_statement_that_writes_is_refused_and_changes_nothing(installation: Installation, statement: str) -> None:
    printed = installation.leads("query", statement)
    assert printed.code == 1
    assert printed.err.startswith("The published database is for reading only")
    assert json.loads(installation.leads("query", "--json", "select count(*) as n from leads").out) == [{"n": 2}]


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("selct 1", "Parser Error: syntax error"),
        ("select * from nothing_here", "Catalog Error: Table with name nothing_here does not exist!"),
        ("select subject::int from leads", "Conversion Error"),
    ],
)
def test_wrong_sql_gives_duckdbs_first_line(installation: Installation, sql: str, says: str) -> None:
    printed = installation.leads("query", sql)
    assert printed.code == 1
    assert printed.err.startswith(says)
    assert len(printed.err.splitlines()) == 1


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize("sql", ["", "  ", " -- nothing but a comment"])
def test_an_empty_query_shows_an_example(installation: Installation, sql: str) -> None:
    printed = installation.leads("query", sql)
    assert printed.code == 2
    assert "The query is empty." in printed.err


@pytest.mark.usefixtures("published")
def test_two_formats_at_once_are_refused(installation: Installation) -> None:
    assert installation.leads("query", "--json", "--csv", "select 1").code == 2


def test_a_writer_that_holds_the_database_never_makes_a_reader_fail(
    installation: Installation, published: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    temporary = tmp_path_factory.mktemp("temporary")
    installation.monkeypatch.setattr("tempfile.tempdir", str(temporary))
    writer = subprocess.Popen(
        [sys.executable, "-c", HOLD_FOR_WRITING, str(published)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert writer.stdout is not None and writer.stdout.readline() == "held\n"
        with pytest.raises(duckdb.IOException, match="Conflicting lock"):
            duckdb.connect(str(published), read_only=True)
        counts = json.loads(installation.leads("query", "--json", "select count(*) as n from leads").out)
    finally:
        writer.communicate("")
    assert counts == [{"n": 2}]
    assert list(temporary.iterdir()) == []


def test_what_a_killed_writer_left_does_not_make_a_reader_fail(installation: Installation, published: Path) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", HOLD_FOR_WRITING, str(published)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert writer.stdout is not None and writer.stdout.readline() == "held\n"
    writer.kill()
    writer.communicate()
    assert published.with_name(f"{published.name}.wal").exists()
    assert installation.leads("query", "--csv", "select query_id from leads limit 1").out == "query_id\n1\n"


def test_a_database_that_is_none_gives_one_clear_line(installation: Installation, published: Path) -> None:
    published.chmod(0o600)
    published.write_bytes(b"no database at all")
    printed = installation.leads("query", "select 1")
    assert printed.code == 1
    assert printed.err.startswith("The database can't be opened: ")
    assert len(printed.err.splitlines()) == 1


@pytest.mark.usefixtures("published")
def test_a_reader_that_has_had_enough_ends_it_quietly(installation: Installation) -> None:
    program = "from leads_pipeline.cli import main; main()"
    query = subprocess.Popen(
        [sys.executable, "-c", program, "query", "--csv", "select range as number from range(3000000)"],
        cwd=installation.root,
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert query.stdout is not None and query.stderr is not None
    assert [query.stdout.readline() for _ in range(2)] == ["number\n", "0\n"]
    query.stdout.close()
    assert (query.stderr.read(), query.wait(60)) == ("", 0)
    query.stderr.close()
