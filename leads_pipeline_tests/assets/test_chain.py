"""A run takes up to 7 days all the way, with at most one call."""

from pathlib import Path

import dagster as dg
import duckdb
import pytest

from leads_pipeline.fake_indiamart.server import FakeIndiaMart
from leads_pipeline_tests.assets.installations import (
    STAGES,
    WEEK,
    Installation,
    PulledWeek,
    days_ago,
    keys_of,
    materializations,
)


def ids_in_database(database: Path) -> list[str]:
    with duckdb.connect(str(database), read_only=True) as connection:
        return [row[0] for row in connection.execute("SELECT query_id FROM leads ORDER BY query_id").fetchall()]


def test_seven_days_are_one_call_and_four_assets(week: PulledWeek) -> None:
    true_ids = sorted(lead.query_id for lead in week.server.truth(WEEK[0], WEEK[-1]))

    assert week.result.success
    assert [(call.outcome, call.rows) for call in week.server.calls] == [("leads", len(true_ids))]
    assert ids_in_database(week.installation.settings.database) == true_ids


@pytest.mark.parametrize("stage", STAGES)
def test_each_of_the_seven_days_is_materialized(week: PulledWeek, stage: str) -> None:
    assert week.installation.materialized(stage) == keys_of(WEEK)
    assert sorted(materializations(week.result, stage)) == keys_of(WEEK)


@pytest.mark.parametrize(
    ("stage", "names"),
    [
        ("raw_responses", {"calls", "window", "outcome", "records", "http_status", "code", "response_id"}),
        ("raw_responses", {"fetched", "fetched_until", "answers"}),
        (
            "normalized_leads",
            {"answers", "received", "leads", "duplicates", "quarantined", "unread_requirement_values"},
        ),
        ("leads", {"answers_merged", "leads_new", "preview", "state", "leads_per_day"}),
        ("leads", {"leads", "late_leads", "late_percent"}),
        ("leads_database", {"version", "quarantined", "days_changed", "dagster/row_count"}),
    ],
)
def test_every_day_says_in_its_metadata_what_came_of_it(week: PulledWeek, stage: str, names: set[str]) -> None:
    by_day = materializations(week.result, stage)

    assert all(names <= metadata.keys() for metadata in by_day.values())


def test_the_numbers_in_the_metadata_are_the_truth(week: PulledWeek) -> None:
    true_leads = week.server.truth(WEEK[0], WEEK[-1])
    raw, normalized, leads, database = (materializations(week.result, stage)[keys_of(WEEK)[0]] for stage in STAGES)
    rows = {key: day["leads"] for key, day in materializations(week.result, "leads").items()}
    total = str(len(true_leads))  # of the run: text, for the UI plots numbers by day

    assert (raw["calls"], raw["outcome"], raw["records"]) == ("1", "leads", total)
    assert raw["window"] == f"{WEEK[0]} to {WEEK[-1]}"
    assert (normalized["received"], normalized["leads"], normalized["quarantined"]) == (total, total, "0")
    assert normalized["unread_requirement_values"] == "0"
    assert (leads["answers_merged"], leads["leads_new"]) == ("1", total)
    assert database["dagster/row_count"] == len(true_leads)
    assert rows == {day.isoformat(): sum(lead.query_time.date() == day for lead in true_leads) for day in WEEK}


def test_days_that_are_complete_make_no_call_and_are_materialized_again(
    complete: Installation, server: FakeIndiaMart
) -> None:
    before = ids_in_database(complete.settings.database)

    result = complete.run(WEEK)

    assert result.success
    assert server.calls == ()
    assert {stage: sorted(materializations(result, stage)) for stage in STAGES} == dict.fromkeys(STAGES, keys_of(WEEK))
    assert materializations(result, "raw_responses")[keys_of(WEEK)[0]]["calls"] == "0"
    assert ids_in_database(complete.settings.database) == before


def test_a_run_that_asks_again_makes_one_more_call_and_no_duplicates(
    complete: Installation, server: FakeIndiaMart
) -> None:
    result = complete.run(WEEK, again=True)

    assert result.success
    assert [call.outcome for call in server.calls] == ["leads"]
    assert materializations(result, "leads")[keys_of(WEEK)[0]]["leads_new"] == "0"
    true_ids = sorted(lead.query_id for lead in server.truth(WEEK[0], WEEK[-1]))
    assert ids_in_database(complete.settings.database) == true_ids


def test_days_beyond_the_run_that_its_call_completed_are_reported_too_and_not_counted_among_its_own(
    acme: Installation, server: FakeIndiaMart
) -> None:
    result = acme.run(WEEK[:2])

    assert result.success
    assert [(call.start.date(), call.end.date()) for call in server.calls] == [(WEEK[0], days_ago(9, 9)[0])]
    assert {stage: acme.materialized(stage) for stage in STAGES} == dict.fromkeys(STAGES, keys_of(WEEK))
    for stage in STAGES:
        assert sorted(materializations(result, stage)) == keys_of(WEEK[:2])
    last = dg.AssetRecordsFilter(dg.AssetKey(["acme", "leads"]), asset_partitions=keys_of(WEEK[-1:]))
    (beyond,) = acme.instance.fetch_materializations(last, limit=9).records
    assert beyond.asset_materialization is not None
    assert beyond.asset_materialization.metadata["reported_by"] == dg.MetadataValue.dagster_run(result.run_id)
    assert "leads_per_day" not in beyond.asset_materialization.metadata  # its picture ends with the run's last day
    assert [day.state.value for day in acme.coverage(WEEK)] == ["complete"] * 7


def test_runs_with_holes_and_overlaps_need_no_more_calls_than_windows(
    acme: Installation, server: FakeIndiaMart
) -> None:
    """Days 4 and 5 bring 6 to 10 along, day 11 those up to yesterday; the last run needs no call of its own."""
    days = days_ago(16, 3)

    for some in (days[3:5], days[0:3], days[10:11], days[7:14]):
        assert acme.run(some).success

    windows = [(call.start.date(), call.end.date()) for call in server.calls]
    assert windows == [(days[3], days[10]), (days[0], days[3]), (days[10], days_ago(0, 0)[0])]
    assert [day.state.value for day in acme.coverage(days)] == ["complete"] * 14


def test_a_day_without_leads_is_materialized_with_a_file_that_has_no_rows(
    acme: Installation, server: FakeIndiaMart
) -> None:
    recent = days_ago(40, 3)
    empty = next(day for day in recent if not server.truth(day, day))

    result = acme.run([empty])

    assert result.success
    day = materializations(result, "leads")[empty.isoformat()]
    assert (day["leads"], day["preview"]) == (0, "no leads")
    assert acme.workspace.lead_files("acme").exists(empty)
    assert [day.state.value for day in acme.coverage([empty])] == ["complete"]


def test_today_is_fetched_up_to_now_and_not_called_complete(acme: Installation) -> None:
    today = days_ago(0, 0)

    result = acme.run(today)

    assert result.success
    assert materializations(result, "leads")[today[0].isoformat()]["state"] == "partial"
    assert materializations(result, "raw_responses")[today[0].isoformat()]["fetched"] is False
    assert [day.state.value for day in acme.coverage(today)] == ["partial"]
