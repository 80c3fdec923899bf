"""A year is pulled in the fewest calls, whoever cuts it into runs.

The API reaches 365 days back, so 365 days that are over are never all within its reach at one moment: there are 364
of them, and today. Here both sides, the program and the fake IndiaMART, reach a few days further. The server's clock
stands still, so that no lead comes late between a call and the comparison with the truth.
"""

import random
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path

import pytest

from leads_pipeline.days import day_end, day_of, day_start, days_between, utc_now
from leads_pipeline.fake_indiamart import rules
from leads_pipeline.fake_indiamart.server import FakeIndiaMart
from leads_pipeline.indiamart import windows
from leads_pipeline.indiamart.windows import Window
from leads_pipeline.stages.publish_tables import publish_tables
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.storage.coverage import DayState
from leads_pipeline_tests.end_to_end.runs import (
    call_for,
    days_in,
    folder_in_memory,
    merge,
    quiet,
    run,
    runs_of_a_backfill,
    runs_of_a_pull,
)
from leads_pipeline_tests.end_to_end.truth_rows import assert_is_truth
from leads_pipeline_tests.stages.stored_answers import store_leads
from leads_pipeline_tests.support import KEY, complete_days, make_settings, make_workspace

YEAR = complete_days(365, ago=1)
FURTHER_DAYS = 3
HOLES = 20
SEEDS = (1, 2, 3)
INTERVAL_SECONDS = 0.01


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeIndiaMart]:
    monkeypatch.setattr(windows, "REACH_DAYS", windows.REACH_DAYS + FURTHER_DAYS)
    monkeypatch.setattr(rules, "FURTHEST_BACK", rules.FURTHEST_BACK + timedelta(days=FURTHER_DAYS))
    now = utc_now()
    with FakeIndiaMart(
        seed=5, keys=(KEY,), interval_seconds=INTERVAL_SECONDS, leads_per_day=2, clock=lambda: now
    ) as fake:
        yield fake


@pytest.fixture
def workspace(server: FakeIndiaMart) -> Iterator[Workspace]:
    with folder_in_memory() as folder:
        yield workspace_in(folder, server)


def workspace_in(folder: Path, server: FakeIndiaMart) -> Workspace:
    return make_workspace(make_settings(folder, server.url, interval=INTERVAL_SECONDS))


def random_days(seed: int) -> list[date]:
    return sorted(random.Random(seed).sample(YEAR, HOLES))


def fewest_calls(days: Sequence[date]) -> int:
    """The least number of windows of 7 days that hold all the days, by trying every way to start the last one."""
    ordered = sorted(days)
    best = [0]
    for number, last in enumerate(ordered, 1):
        starts = range(bisect_left(ordered, last - timedelta(days=6)), number)
        best.append(1 + min(best[start] for start in starts))
    return best[-1]


def most_days_that_share_no_window(days: Sequence[date]) -> int:
    """No plan can have fewer calls than there are days that lie 7 or more apart."""
    apart: list[date] = []
    for day in sorted(days):
        if not apart or day - apart[-1] >= timedelta(days=7):
            apart.append(day)
    return len(apart)


def assert_fewest(server: FakeIndiaMart, lacking: Sequence[date], calls_before: int = 0) -> None:
    made = len(server.calls) - calls_before
    assert made == fewest_calls(lacking) == most_days_that_share_no_window(lacking)
    assert server.refused_calls == ()


def assert_truth_of_the_year(workspace: Workspace, server: FakeIndiaMart) -> None:
    publish_tables(workspace, quiet)
    account = workspace.settings.accounts[0].name
    assert_is_truth(workspace.settings.database, account, server.truth(YEAR[0], YEAR[-1]))


def complete_but(workspace: Workspace, server: FakeIndiaMart, holes: Sequence[date]) -> None:
    """Make every day of the year complete but the holes, as if earlier runs had asked for just those."""
    others = sorted({*YEAR} - {*holes})
    for days in runs_of_a_backfill(others):
        window = Window(day_start(days[0]), day_end(days[-1]))
        store_leads(workspace, window, server.truth(days[0], days[-1]), utc_now())
    merge(workspace, others)
    assert days_in(workspace, YEAR, DayState.COMPLETE) == others


def test_a_year_is_pulled_in_53_calls_and_the_same_year_again_in_none(
    workspace: Workspace, server: FakeIndiaMart
) -> None:
    runs = runs_of_a_pull(workspace, YEAR)
    for days in runs:
        run(workspace, days)

    assert len(runs) == len(server.calls) == fewest_calls(YEAR) == 53
    assert server.refused_calls == ()
    assert any(call.rows == 0 for call in server.calls) or empty_days(server), "some day of a year is empty"
    assert days_in(workspace, YEAR, DayState.COMPLETE) == [*YEAR]
    assert_truth_of_the_year(workspace, server)

    assert runs_of_a_pull(workspace, YEAR) == []
    for days in runs_of_a_backfill(YEAR):
        assert call_for(workspace, days).response is None
    assert len(server.calls) == 53


def empty_days(server: FakeIndiaMart) -> list[date]:
    with_leads = {day_of(lead.query_time) for lead in server.truth(YEAR[0], YEAR[-1])}
    return [day for day in YEAR if day not in with_leads]


def test_a_backfill_of_a_year_makes_53_runs_with_a_call_each(workspace: Workspace, server: FakeIndiaMart) -> None:
    runs = runs_of_a_backfill(YEAR)
    responses = [call_for(workspace, days).response for days in runs]
    merge(workspace, YEAR)

    assert len(runs) == len(server.calls) == 53
    assert all(responses)
    assert_truth_of_the_year(workspace, server)


@pytest.mark.parametrize("seed", SEEDS)
def test_twenty_holes_in_a_complete_year_are_pulled_in_the_fewest_calls(
    workspace: Workspace, server: FakeIndiaMart, seed: int
) -> None:
    holes = random_days(seed)
    complete_but(workspace, server, holes)
    runs = runs_of_a_pull(workspace, YEAR)
    for days in runs:
        call_for(workspace, days)
    merge(workspace, YEAR)

    assert_fewest(server, holes)
    assert len(runs) == len(server.calls)
    assert days_in(workspace, YEAR, DayState.COMPLETE) == [*YEAR]
    assert_truth_of_the_year(workspace, server)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_backfill_of_twenty_holes_makes_the_fewest_calls_though_it_has_more_runs(
    workspace: Workspace, server: FakeIndiaMart, seed: int
) -> None:
    holes = random_days(seed)
    complete_but(workspace, server, holes)
    runs = runs_of_a_backfill(holes)
    for days in runs:
        call_for(workspace, days)
    merge(workspace, YEAR)

    assert_fewest(server, holes)
    assert len(runs) > len(server.calls)
    assert days_in(workspace, YEAR, DayState.COMPLETE) == [*YEAR]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_backfill_of_an_empty_year_but_for_twenty_days_makes_the_fewest_calls(
    workspace: Workspace, server: FakeIndiaMart, seed: int
) -> None:
    left_out = {*random_days(seed)}
    selected = [day for day in YEAR if day not in left_out]
    runs = runs_of_a_backfill(selected)
    for days in runs:
        call_for(workspace, days)
    merge(workspace, selected)

    assert_fewest(server, selected)
    assert len(runs) > len(server.calls)
    assert {*selected} <= {*days_in(workspace, YEAR, DayState.COMPLETE)}


def test_what_the_api_serves_of_this_year_takes_53_calls_and_then_one_for_today(tmp_path: Path) -> None:
    """Without a longer reach: 364 days that are over, and today, which is never complete."""
    today = day_of(utc_now())
    days = days_between(windows.first_day_in_reach(utc_now()), today)
    with FakeIndiaMart(seed=5, keys=(KEY,), interval_seconds=INTERVAL_SECONDS, leads_per_day=2) as server:
        workspace = workspace_in(tmp_path, server)
        first = runs_of_a_pull(workspace, days)
        for one in first:
            call_for(workspace, one)
        merge(workspace, days)
        again = runs_of_a_pull(workspace, days)

    assert len(first) == len(server.calls) == 53
    assert again == [(today,)]
    assert server.refused_calls == ()
