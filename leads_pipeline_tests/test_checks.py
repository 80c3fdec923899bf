"""The check that is red while a day lacks that could be had."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from leads_pipeline.checks import coverage_finding, first_day_due
from leads_pipeline.days import ONE_DAY, day_of, utc_now
from leads_pipeline.definitions import build_definitions
from leads_pipeline.fake_indiamart.server import FakeIndiaMart
from leads_pipeline.jobs import pull_request
from leads_pipeline.settings import DEMO_ACCOUNT, Settings
from leads_pipeline.stages.gaps import last_day_over
from leads_pipeline.storage.coverage import DayCoverage, DayState
from leads_pipeline_tests.queued_runs import run_here
from leads_pipeline_tests.support import KEY, ist, make_settings, make_workspace

CHECK = dg.AssetCheckKey(dg.AssetKey(["indiamart", "leads"]), "coverage")
LAST = day_of(utc_now()) - 2 * ONE_DAY
YESTERDAY = date(2026, 11, 19)
ACCOUNT = make_settings(Path("unused"), "http://127.0.0.1:1/").accounts[0]


def covered(*states: DayState) -> list[DayCoverage]:
    """Days with these states, the last one yesterday."""
    first = YESTERDAY - (len(states) - 1) * ONE_DAY
    return [
        DayCoverage(first + number * ONE_DAY, state, state is DayState.COMPLETE, state is DayState.COMPLETE, None, ())
        for number, state in enumerate(states)
    ]


@pytest.mark.parametrize("state", [DayState.MISSING, DayState.PARTIAL, DayState.NOT_YET_AVAILABLE])
def test_a_day_that_lacks_makes_it_red_and_says_what_to_do(state: DayState) -> None:
    finding = coverage_finding(ACCOUNT, covered(DayState.COMPLETE, state, DayState.COMPLETE, state, DayState.COMPLETE))

    assert not finding.passed
    assert not finding.is_warning
    assert finding.sentence == (
        "2 of 5 day(s) from 2026-11-15 to 2026-11-19 lack. `leads pull --account indiamart --from 2026-11-16 --to "
        "2026-11-18`, or switch the sensor `indiamart_gaps` on (Automation)."
    )
    assert finding.facts == {
        **dict.fromkeys((one.value for one in DayState), 0),
        "complete": 3,
        state.value: 2,
        "since": "2026-11-15",
        "until": "2026-11-19",
        "first_lacking": "2026-11-16",
        "last_lacking": "2026-11-18",
    }


def test_days_that_nobody_can_get_any_more_are_counted_and_not_red() -> None:
    finding = coverage_finding(ACCOUNT, covered(DayState.OUT_OF_REACH, DayState.COMPLETE))

    assert finding.passed
    assert finding.facts["out_of_reach"] == 1
    assert "first_lacking" not in finding.facts


def test_an_account_of_which_nothing_was_asked_is_not_red() -> None:
    assert coverage_finding(ACCOUNT, []).passed


@pytest.mark.parametrize(
    ("moment", "last"),
    [
        ("2026-11-20 00:04:59", date(2026, 11, 18)),
        ("2026-11-20 00:05:00", date(2026, 11, 19)),
        ("2026-11-20 23:59:59", date(2026, 11, 19)),
    ],
)
def test_a_day_counts_once_an_answer_can_prove_it(moment: str, last: date) -> None:
    assert last_day_over(ist(moment)) == last


@pytest.fixture
def server() -> Iterator[FakeIndiaMart]:
    with FakeIndiaMart(keys=[KEY], interval_seconds=0, leads_per_day=4.0) as server:
        yield server


@pytest.fixture
def settings(server: FakeIndiaMart, tmp_path: Path) -> Settings:
    return make_settings(tmp_path, server.url, origin=server.origin, interval=0.01)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def run(settings: Settings, instance: dg.DagsterInstance, first: date, last: date) -> dg.ExecuteInProcessResult:
    request = pull_request(settings.accounts[0], first, last)
    job = build_definitions(settings).resolve_job_def("pull_indiamart")
    return run_here(instance, job, request)


def evaluation(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    (found,) = (one for one in result.get_asset_check_evaluations() if one.asset_check_key == CHECK)
    return found


def test_it_runs_with_every_run_and_a_red_one_stops_nothing(settings: Settings, instance: dg.DagsterInstance) -> None:
    late = run(settings, instance, LAST - 5 * ONE_DAY, LAST + ONE_DAY)
    early = run(settings, instance, LAST - 40 * ONE_DAY, LAST - 34 * ONE_DAY)

    assert evaluation(late).passed
    assert early.success
    assert not evaluation(early).passed
    assert evaluation(early).metadata["first_lacking"].value == str(LAST - 33 * ONE_DAY)
    assert evaluation(early).metadata["last_lacking"].value == str(LAST - 6 * ONE_DAY)


def test_it_turns_green_when_the_gap_is_filled(settings: Settings, instance: dg.DagsterInstance) -> None:
    settings = replace(settings, start_date=LAST - 8 * ONE_DAY)

    red = run(settings, instance, LAST - ONE_DAY, day_of(utc_now()))
    green = run(settings, instance, LAST - 8 * ONE_DAY, LAST - 2 * ONE_DAY)

    assert evaluation(red).metadata["missing"].value == 7
    assert evaluation(green).passed


def test_it_can_be_run_alone_without_a_call(
    settings: Settings, instance: dg.DagsterInstance, server: FakeIndiaMart
) -> None:
    settings = replace(settings, start_date=LAST)
    selection = dg.AssetSelection.checks(CHECK)
    definitions = build_definitions(settings)
    alone = dg.Definitions(
        assets=definitions.assets,
        asset_checks=definitions.asset_checks,
        jobs=[dg.define_asset_job("alone", selection=selection)],
        resources=definitions.resources,
    )

    result = alone.resolve_job_def("alone").execute_in_process(instance=instance)

    assert not evaluation(result).passed
    assert not server.calls


def test_days_count_from_the_set_start_else_from_the_first_answered_day(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    workspace, account = make_workspace(settings), settings.accounts[0]
    assert first_day_due(workspace, account) is None

    run(settings, instance, LAST - 6 * ONE_DAY, LAST)
    assert first_day_due(workspace, account) == LAST - 6 * ONE_DAY
    assert first_day_due(workspace, replace(account, start=LAST)) == LAST

    started = make_workspace(replace(settings, start_date=LAST - 20 * ONE_DAY))
    assert first_day_due(started, account) == LAST - 20 * ONE_DAY
    assert first_day_due(started, replace(account, start=LAST - 30 * ONE_DAY)) == LAST - 20 * ONE_DAY
    assert first_day_due(started, replace(account, name=DEMO_ACCOUNT)) is None
