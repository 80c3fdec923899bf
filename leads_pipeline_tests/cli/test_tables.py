import json
from datetime import date
from importlib import import_module
from pathlib import Path

import pytest

from leads_pipeline.storage.tables import COVERAGE, LEADS, TABLES
from leads_pipeline.storage.views import CALLS_PER_DAY, LEADS_MASKED, VIEWS
from leads_pipeline_tests.cli.installation import Installation
from leads_pipeline_tests.storage.view_rows import create_database, insert

DAYS = [date(2026, 3, number) for number in (1, 2, 3)]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("listed") / "data"
    missing = {"account": "demo", "state": "missing", "fetched": False, "merged": False, "leads": 0}
    with create_database(folder / "leads.duckdb") as connection:
        insert(connection, COVERAGE, [{**missing, "lead_date": day} for day in DAYS])
    return folder


@pytest.fixture
def published(installation: Installation, data_dir: Path) -> Installation:
    installation.monkeypatch.setattr(import_module("leads_pipeline.cli.tables"), "SECONDS_PER_COUNT", 60.0)
    installation.monkeypatch.setenv("LEADS_DATA_DIR", str(data_dir))
    return installation


def test_all_tables_and_views_are_listed_with_rows_and_comments_and_no_internal_one(published: Installation) -> None:
    listed = json.loads(published.leads("tables", "--json").out)
    public = sorted(table.name for table in TABLES if not table.name.startswith("pipeline."))
    assert [one["name"] for one in listed] == [*public, *sorted(view.name for view in VIEWS)]
    by_name = {one["name"]: one for one in listed}
    assert by_name["coverage"] == {"name": "coverage", "kind": "table", "rows": 3, "comment": COVERAGE.comment}
    assert by_name["calls_per_day"] == {
        **{"name": "calls_per_day", "kind": "view", "rows": 0},
        "comment": CALLS_PER_DAY.comment,
    }


def test_people_get_a_table_and_are_told_how_to_see_columns(published: Installation) -> None:
    printed = published.leads("tables")
    assert printed.code == 0
    assert f" coverage table 3 {COVERAGE.comment} " in printed.text
    assert printed.text.endswith("leads tables NAME tells a table's columns.")


@pytest.mark.parametrize("name", ["leads", "LEADS"])
def test_a_table_is_described_column_by_column(published: Installation, name: str) -> None:
    described = json.loads(published.leads("tables", name, "--json").out)
    assert (described["name"], described["kind"], described["rows"]) == ("leads", "table", 0)
    assert [(one["name"], one["comment"]) for one in described["columns"]] == [
        (column.name, column.comment) for column in LEADS.columns
    ]
    types = {one["name"]: one["type"] for one in described["columns"]}
    assert (types["query_time"], types["quantity"]) == ("TIMESTAMP WITH TIME ZONE", "DECIMAL(18,3)")


def test_a_view_is_described_as_a_table_is(published: Installation) -> None:
    printed = published.leads("tables", "leads_masked")
    assert printed.text.startswith(f"leads_masked (view, 0 rows): {LEADS_MASKED.comment}")
    assert " has_mobile BOOLEAN Whether a mobile of the buyer is known " in printed.text
    assert "sender_mobile" not in printed.text


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("lead", "Did you mean leads?"),
        ("buyer_masked", "Did you mean buyers_masked"),
        ("followed_files", "`leads tables` lists them."),
    ],
)
def test_an_unknown_name_is_a_usage_error_with_the_nearest_names(published: Installation, name: str, hint: str) -> None:
    printed = published.leads("tables", name)
    assert printed.code == 2
    assert printed.err.startswith(f"There is no table or view {name}. {hint}")


def test_what_takes_too_long_to_count_is_listed_without_a_count(installation: Installation) -> None:
    slow = "CREATE VIEW slow AS SELECT DISTINCT a.range * b.range FROM range(100000) a, range(100000) b"
    installation.publish("CREATE TABLE quick AS FROM range(7)", slow)
    rows = {one["name"]: one["rows"] for one in json.loads(installation.leads("tables", "--json").out)}
    assert rows["slow"] is None
    printed = installation.leads("tables")
    assert printed.code == 0
    assert " slow view ? " in printed.text
    assert "? takes longer to count" in printed.text


def test_without_a_database_it_says_how_to_get_one(installation: Installation) -> None:
    printed = installation.leads("tables")
    assert printed.code == 1
    assert "There is no database yet" in printed.err
