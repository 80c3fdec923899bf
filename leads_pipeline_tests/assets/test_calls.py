"""Every API call is an observation of raw_responses, failed ones too; runs carry tags to filter by."""

from typing import Any

import dagster as dg
from dagster import DagsterEventType

from leads_pipeline.fake_indiamart.server import FakeIndiaMart
from leads_pipeline_tests.assets.installations import (
    ACME_KEY,
    WEEK,
    Installation,
    PulledWeek,
    materializations,
)
from leads_pipeline_tests.support import forms_found


def observations(acme: Installation, result: dg.ExecuteInProcessResult) -> list[dict[str, Any]]:
    """Return the metadata of the run's observations of raw_responses, oldest first."""
    found = []
    for entry in acme.instance.all_logs(result.run_id, of_type=DagsterEventType.ASSET_OBSERVATION):
        assert entry.dagster_event is not None
        observation = entry.dagster_event.asset_observation_data.asset_observation
        assert observation.asset_key == dg.AssetKey(["acme", "raw_responses"])
        found.append({name: value.value for name, value in observation.metadata.items()})
    return found


def test_a_call_is_observed_with_its_numbers(week: PulledWeek) -> None:
    (call,) = observations(week.installation, week.result)
    (logged,) = week.installation.workspace.call_log.after(0)

    assert (call["outcome"], call["window"]) == ("leads", f"{WEEK[0]} to {WEEK[-1]}")
    assert (call["code"], call["http_status"], call["failed"]) == ("200", "200", 0)
    assert call["records"] == int(call["total_records"]) == len(week.server.truth(WEEK[0], WEEK[-1]))
    assert call["latency_seconds"] == logged.latency_seconds
    assert call["response_id"] == logged.response_id
    assert "who_acts" not in call


def test_only_what_means_something_as_a_curve_is_a_number(week: PulledWeek) -> None:
    (call,) = observations(week.installation, week.result)
    day = materializations(week.result, "leads")[str(WEEK[0])]

    assert numbers_of(call) == {"records", "latency_seconds", "waited_seconds", "failed", "sent_at"}
    assert numbers_of(materializations(week.result, "raw_responses")[str(WEEK[0])]) == {"fetched_until", "next_call_at"}
    assert numbers_of(day) - {"fetched_until"} == {
        *("leads", "leads_W", "leads_B", "leads_P", "leads_WA", "leads_BIZ", "leads_other"),
        *("late_leads", "late_percent"),
    }


def numbers_of(metadata: dict[str, Any]) -> set[str]:
    """Return the names of what Dagster plots, and of moments."""
    return {name for name, value in metadata.items() if isinstance(value, int | float) and value is not True}


def test_failed_calls_are_observed_too_until_the_one_that_fails_the_run(
    acme: Installation, server: FakeIndiaMart
) -> None:
    server.inject("server_error")
    server.inject("reset")
    server.inject("key_incorrect")

    result = acme.run(WEEK)
    calls = observations(acme, result)

    assert not result.success
    assert [call["outcome"] for call in calls] == ["server_error", "unreachable", "key_rejected"]
    assert [call["failed"] for call in calls] == [1, 1, 1]
    assert [(call["who_acts"], call["asked_again"]) for call in calls] == [
        ("nobody", "next free slot"),
        ("the operator", "next free slot"),
        ("the seller", "not until a person acts"),
    ]
    assert "code" not in calls[1]
    assert not forms_found(ACME_KEY, str(calls))


def test_a_run_without_a_call_observes_nothing(complete: Installation) -> None:
    result = complete.run(WEEK)

    assert result.success
    assert observations(complete, result) == []


def test_a_run_says_its_account_and_window_in_its_tags(week: PulledWeek) -> None:
    run = week.installation.instance.get_run_by_id(week.result.run_id)

    assert run is not None
    assert run.tags["leads/account"] == "acme"
    assert run.tags["leads/window"] == f"{WEEK[0]} to {WEEK[-1]}"


def test_the_log_of_a_run_tells_its_story(week: PulledWeek) -> None:
    entries = week.installation.instance.all_logs(week.result.run_id)
    lines = [entry.user_message for entry in entries if not entry.is_dagster_event]
    total = len(week.server.truth(WEEK[0], WEEK[-1]))

    assert [line.partition(" ")[0] for line in lines] == ["Asking", "IndiaMART", "Read", "Merged", "Published"]
    assert lines[0] == f"Asking IndiaMART (v2) for {WEEK[0]} to {WEEK[-1]}."
    assert lines[2].startswith(f"Read the answer for {WEEK[0]} to {WEEK[-1]}: {total} record(s) = ")
    assert f"{total} new" in lines[3]
    assert f"version 1: {total} lead(s)" in lines[4]
