"""Every asset's checks in real runs: green on good data, and each finds the damage that it is there for."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import dagster as dg
import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from leads_pipeline.checks.account_checks import CHECKS
from leads_pipeline.definitions import build_definitions
from leads_pipeline.fake_indiamart.server import FakeIndiaMart
from leads_pipeline.storage.parquet import FILE_SCHEMA
from leads_pipeline_tests.assets.installations import (
    WEEK,
    Installation,
    PulledWeek,
    account,
    days_ago,
    materializations,
    pulled_week,
    settings_of,
    strict_server,
)
from leads_pipeline_tests.private_values import private_values

NAMES = {check.name for checks in CHECKS.values() for check in checks}
NOT_ALWAYS_GREEN = {"coverage", "no_new_names"}  # the days after the run lack; the fake has a new field


@pytest.fixture
def server() -> Iterator[FakeIndiaMart]:
    with strict_server() as server:
        yield server


@pytest.fixture
def acme(server: FakeIndiaMart, tmp_path: Path) -> Iterator[Installation]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Installation(settings_of(tmp_path, account(server)), instance)


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PulledWeek]:
    with pulled_week(tmp_path_factory.mktemp("week")) as week:
        yield week


@pytest.fixture
def complete(week: PulledWeek, server: FakeIndiaMart, tmp_path: Path) -> Iterator[Installation]:
    """An installation in which WEEK is complete, to be damaged."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield week.installation.copied_to(tmp_path, server, instance)


def checked(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {one.check_name: one for one in result.get_asset_check_evaluations()}


def alone(acme: Installation, *names: str) -> dict[str, dg.AssetCheckEvaluation]:
    """Run the checks alone, as a person does in the UI; all of them if none is named."""
    definitions = build_definitions(acme.settings)
    keys = [
        dg.AssetCheckKey(dg.AssetKey(["acme", stage]), check.name)
        for stage, checks in CHECKS.items()
        for check in checks
        if check.name in (names or NAMES)
    ]
    job = dg.define_asset_job("alone", selection=dg.AssetSelection.checks(*keys))
    own = dg.Definitions(
        definitions.assets,
        asset_checks=definitions.asset_checks,
        jobs=[job],
        resources=definitions.resources,
        executor=dg.in_process_executor,
    )
    result = own.resolve_job_def("alone").execute_in_process(instance=acme.instance, raise_on_error=False)
    return checked(result)


def rewrite(acme: Installation, day: date, table: pa.Table) -> None:
    pq.write_table(table.cast(FILE_SCHEMA), acme.workspace.lead_files("acme").path(day))


def day_table(acme: Installation, day: date) -> pa.Table:
    return pq.ParquetFile(acme.workspace.lead_files("acme").path(day)).read()


def busy_days(acme: Installation) -> list[date]:
    counts = acme.workspace.lead_files("acme").counts(WEEK)
    return [day for day, count in counts.items() if count > 3]


def test_a_good_run_makes_every_check_once_and_one_asks_no_call(acme: Installation, server: FakeIndiaMart) -> None:
    result = acme.run(WEEK)
    in_run = checked(result)
    by_hand = alone(acme)

    assert result.success
    assert in_run.keys() == by_hand.keys() == NAMES
    assert [name for name in NAMES - NOT_ALWAYS_GREEN if not in_run[name].passed] == []
    assert [name for name in NAMES - {"coverage"} if not by_hand[name].passed] == []
    assert len(server.calls) == 1
    total = len(server.truth(WEEK[0], WEEK[-1]))
    assert in_run["records_add_up"].metadata["received"].value == total
    assert in_run["ids_are_unique"].metadata["ids"].value == total
    assert in_run["database_equals_files"].metadata["days_compared_by_content"].value == 7


def week_with_a_new_field(server: FakeIndiaMart) -> tuple[date, ...]:
    """Return a late week with a field that the schema does not know: not every week has one."""
    weeks = (days_ago(last + 6, last) for last in range(2, 300))
    return next(week for week in weeks if any(lead.extra for lead in server.truth(week[0], week[-1])))


def test_new_names_are_told_once_and_never_with_a_value(acme: Installation, server: FakeIndiaMart) -> None:
    week = week_with_a_new_field(server)
    first, second = checked(acme.run(week)), checked(acme.run(week, again=True))
    private = private_values(server.truth(week[0], week[-1]))
    texts = " ".join(str(one.description) + str(one.metadata) for one in (*first.values(), *second.values()))

    assert not first["no_new_names"].passed
    assert first["no_new_names"].severity is dg.AssetCheckSeverity.WARN
    assert "QUERY_SOURCE_NEW" in str(first["no_new_names"].description)
    assert second["no_new_names"].passed
    assert second["no_new_names"].metadata["fields_in_extra"].value == "QUERY_SOURCE_NEW"
    assert [value for value in private if value in texts] == []


def test_garbage_is_a_warning_with_reasons_and_stops_nothing(acme: Installation, server: FakeIndiaMart) -> None:
    server.inject("garbage_records")

    result = acme.run(WEEK[:1])
    found = checked(result)["few_in_quarantine"]

    assert result.success
    assert found.metadata["quarantined"].value == sum(
        int(str(value.value)) for name, value in found.metadata.items() if name.startswith("reason_")
    )
    assert found.passed or found.severity is dg.AssetCheckSeverity.WARN


def test_a_damaged_answer_that_is_merged_warns_and_one_that_is_not_stops_the_run(
    complete: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    (body,) = (complete.settings.data_dir / "raw").rglob("*.zst")
    whole = body.read_bytes()
    body.write_bytes(whole[:-9])
    damaged = alone(complete, "answers_are_as_they_came")["answers_are_as_they_came"]
    body.write_bytes(whole)
    complete.workspace.catalog.forget("acme")
    (complete.settings.state_dir / "answers.sqlite").unlink()  # every answer counts as unmerged then
    (sidecar,) = (complete.settings.data_dir / "raw").rglob("*.json")
    sidecar.write_text(sidecar.read_text().replace('"sha256": "', '"sha256": "0'))

    stopped = complete.run(WEEK)

    assert (damaged.passed, damaged.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert not stopped.success
    assert checked(stopped)["answers_are_as_they_came"].severity is dg.AssetCheckSeverity.ERROR
    assert materializations(stopped, "normalized_leads") == {}


def test_an_id_in_two_days_stops_the_run_before_it_is_published(complete: Installation) -> None:
    version = complete.settings.database.resolve()
    one, other = busy_days(complete)[:2]
    moved = day_table(complete, one).slice(0, 1)
    rewrite(complete, other, pa.concat_tables([day_table(complete, other), moved]))

    result = complete.run(WEEK)
    found = checked(result)

    assert not result.success
    assert not found["ids_are_unique"].passed
    assert not found["times_are_of_their_day"].passed
    assert found["times_are_of_their_day"].metadata["outside_their_day"].value == 1
    assert materializations(result, "leads_database") == {}
    assert complete.settings.database.resolve() == version


def test_other_columns_stop_the_run(complete: Installation) -> None:
    day = busy_days(complete)[0]
    table = day_table(complete, day).append_column("more", pa.array(["x"] * day_table(complete, day).num_rows))
    pq.write_table(table, complete.workspace.lead_files("acme").path(day))

    found = alone(complete, "columns_are_the_contract")["columns_are_the_contract"]

    assert not found.passed
    assert found.metadata["examples"].value == day.isoformat()


def test_a_lead_of_the_future_warns(complete: Installation) -> None:
    day = busy_days(complete)[0]
    table = day_table(complete, day)
    ahead = pa.scalar(400 * 86_400_000_000, pa.duration("us"))
    for name in ("query_time", "query_time_ist"):
        table = table.set_column(table.column_names.index(name), name, pc.add(table[name], ahead))
    rewrite(complete, day, table)

    found = alone(complete, "none_in_the_future")["none_in_the_future"]

    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert found.metadata["in_the_future"].value == table.num_rows


def test_a_database_that_differs_in_one_value_is_red(complete: Installation) -> None:
    database = complete.settings.database.resolve()
    database.chmod(0o600)
    with duckdb.connect(str(database)) as connection:
        connection.execute("UPDATE leads SET content_hash = 'x' WHERE lead_date = ?", [busy_days(complete)[0]])

    found = alone(complete, "database_equals_files")["database_equals_files"]

    assert not found.passed
    assert found.metadata["examples"].value == busy_days(complete)[0].isoformat()


def test_a_file_merged_since_is_not_taken_for_a_difference(complete: Installation) -> None:
    day = busy_days(complete)[0]
    rewrite(complete, day, day_table(complete, day).slice(1))

    found = alone(complete, "database_equals_files")["database_equals_files"]

    assert found.passed
    assert found.metadata["days_about_to_be_published"].value == 1
