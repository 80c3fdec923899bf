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

import duckdb
import pytest

from leads_pipeline.cli.pull import plan_pull
from leads_pipeline.days import ONE_DAY, day_end, day_of, day_start, days_between, utc_now
from leads_pipeline.fake_indiamart import rules
from leads_pipeline.fake_indiamart.server import FakeIndiaMart
from leads_pipeline.indiamart import windows
from leads_pipeline.indiamart.windows import CLOCK_MARGIN, Window
from leads_pipeline.stages.publish_tables import publish_tables
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.storage.coverage import DayState
from leads_pipeline_tests.end_to_end.runs import (
    call_for,
    days_in,
    folder_in_memory,
    merge,
    quiet,
    runs_of_a_backfill,
    runs_of_a_pull,
)
from leads_pipeline_tests.end_to_end.truth_rows import assert_is_truth
from leads_pipeline_tests.stages.stored_answers import store_leads
from leads_pipeline_tests.storage.children import ONE_THREAD
from leads_pipeline_tests.support import KEY, complete_days, make_settings, make_workspace

YEAR = complete_days(365, ago=1)
FURTHER_DAYS = 3
HOLES = 20
SEEDS = (1, 2)
RUNS_PER_MERGE = 27
INTERVAL_SECONDS = 0.01


@pytest.fixture(autouse=True)
def no_day_begins_meanwhile() -> None:
    """The year ends with yesterday, which a run across India's midnight, or just after it, can't tell for sure."""
    if day_of(utc_now() - CLOCK_MARGIN) != YEAR[-1] + ONE_DAY:
        pytest.skip("a day has only just begun in India")


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


def assert_year_is_there(workspace: Workspace, server: FakeIndiaMart) -> None:
    """Every lead of the year is in the Parquet files, once, and no other lead is."""
    files = f"{workspace.settings.data_dir}/leads/*/*/*.parquet"
    with duckdb.connect(config=ONE_THREAD) as connection:
        found = connection.execute("SELECT query_id FROM read_parquet(?) ORDER BY query_id", [files]).fetchall()
    assert [row[0] for row in found] == sorted(lead.query_id for lead in server.truth(YEAR[0], YEAR[-1]))


def fetched(workspace: Workspace) -> list[date]:
    account = workspace.settings.accounts[0].name
    return [day.day for day in workspace.coverage(account, YEAR, utc_now()) if day.fetched]


def fetch_all_but(workspace: Workspace, server: FakeIndiaMart, holes: Sequence[date]) -> None:
    """Store the answers of every day of the year but the holes, as if earlier runs had asked for just those."""
    others = sorted({*YEAR} - {*holes})
    for days in runs_of_a_backfill(others):
        window = Window(day_start(days[0]), day_end(days[-1]))
        store_leads(workspace, window, server.truth(days[0], days[-1]), utc_now())
    assert fetched(workspace) == others


def empty_days(server: FakeIndiaMart) -> list[date]:
    with_leads = {day_of(lead.query_time) for lead in server.truth(YEAR[0], YEAR[-1])}
    return [day for day in YEAR if day not in with_leads]


def test_a_year_is_pulled_in_53_calls_and_the_same_year_again_in_none(
    workspace: Workspace, server: FakeIndiaMart
) -> None:
    runs = runs_of_a_pull(workspace, YEAR)
    for number, days in enumerate(runs, 1):
        call_for(workspace, days)
        if number % RUNS_PER_MERGE == 0 or number == len(runs):
            merge(workspace, days)

    assert len(runs) == len(server.calls) == fewest_calls(YEAR) == 53
    assert server.refused_calls == ()
    assert len(empty_days(server)) > 10
    assert days_in(workspace, YEAR, DayState.COMPLETE) == [*YEAR]
    publish_tables(workspace, quiet)
    account = workspace.settings.accounts[0].name
    assert_is_truth(workspace.settings.database, account, server.truth(YEAR[0], YEAR[-1]))

    assert runs_of_a_pull(workspace, YEAR) == []
    for days in runs_of_a_backfill(YEAR):
        assert call_for(workspace, days).response is None
    assert len(server.calls) == 53


def test_a_backfill_of_a_year_makes_53_runs_with_a_call_each(workspace: Workspace, server: FakeIndiaMart) -> None:
    responses = [call_for(workspace, days).response for days in runs_of_a_backfill(YEAR)]

    assert len(responses) == len(server.calls) == 53
    assert all(responses)
    assert fetched(workspace) == [*YEAR]


def test_twenty_holes_in_a_complete_year_are_pulled_in_the_fewest_calls(
    workspace: Workspace, server: FakeIndiaMart
) -> None:
    holes = random_days(SEEDS[0])
    fetch_all_but(workspace, server, holes)
    merge(workspace, YEAR[:1])
    runs = runs_of_a_pull(workspace, YEAR)
    for days in runs:
        call_for(workspace, days)
    merge(workspace, YEAR)

    assert_fewest(server, holes)
    assert len(runs) == len(server.calls)
    assert days_in(workspace, YEAR, DayState.COMPLETE) == [*YEAR]
    assert_year_is_there(workspace, server)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_backfill_of_twenty_holes_makes_the_fewest_calls_though_it_has_more_runs(
    workspace: Workspace, server: FakeIndiaMart, seed: int
) -> None:
    holes = random_days(seed)
    fetch_all_but(workspace, server, holes)
    runs = runs_of_a_backfill(holes)
    for days in runs:
        call_for(workspace, days)

    assert_fewest(server, holes)
    assert len(runs) > len(server.calls)
    assert fetched(workspace) == [*YEAR]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_backfill_of_a_missing_year_but_for_twenty_days_makes_the_fewest_calls(
    workspace: Workspace, server: FakeIndiaMart, seed: int
) -> None:
    left_out = {*random_days(seed)}
    selected = [day for day in YEAR if day not in left_out]
    runs = runs_of_a_backfill(selected)
    for days in runs:
        call_for(workspace, days)

    assert_fewest(server, selected)
    assert len(runs) > len(server.calls)
    assert {*selected} <= {*fetched(workspace)}


def test_what_the_api_serves_of_this_year_takes_53_calls_and_then_one_for_today() -> None:
    """Without a longer reach: 364 days that are over, and today, which is never complete."""
    today = day_of(utc_now())
    days = days_between(windows.first_day_in_reach(utc_now()), today)
    with (
        FakeIndiaMart(seed=5, keys=(KEY,), interval_seconds=INTERVAL_SECONDS, leads_per_day=2) as server,
        folder_in_memory() as folder,
    ):
        workspace = workspace_in(folder, server)
        first = runs_of_a_pull(workspace, days)
        for one in first:
            call_for(workspace, one)
        windows_then = plan_pull(workspace, workspace.settings.accounts[0], days, again=False).windows

    assert len(first) == len(server.calls) == 53
    assert [window.days for window in windows_then] == [[today]]
    assert server.refused_calls == ()
