from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from leads_pipeline.days import IST, ONE_DAY, day_end, day_of, day_start, days_between
from leads_pipeline.indiamart.windows import (
    CLOCK_MARGIN,
    MAX_WINDOW,
    NARROW_WINDOW,
    REACH_DAYS,
    Window,
    first_day_in_reach,
    plan_windows,
    split_by_reach,
    window_for_run,
)
from leads_pipeline_tests.support import ist

NOW = ist("2026-11-30 16:34:56")
TODAY = date(2026, 11, 30)
MOMENTS = st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))
OFFSETS = st.sets(st.integers(-380, 3), max_size=40)
NEAR_OFFSETS = st.sets(st.integers(-30, 2), max_size=20)
WIDTHS = st.sampled_from([MAX_WINDOW, NARROW_WINDOW])
MIDNIGHT = datetime(2026, 11, 29, 18, 30, 0, 400_000, tzinfo=UTC)


def from_offsets(now: datetime, offsets: set[int]) -> list[date]:
    return [day_of(now) + timedelta(days=offset) for offset in offsets]


def fewest_groups(days: list[date], longest: timedelta) -> int:
    """The fewest groups of days, each spanning at most `longest`, by trying every way to cut the sorted days."""
    best = [0]
    for end in range(1, len(days) + 1):
        best.append(1 + min(best[start] for start in range(end) if days[end - 1] - days[start] < longest))
    return best[-1]


@given(MOMENTS, OFFSETS, WIDTHS)
@example(MIDNIGHT, {-1, 0}, MAX_WINDOW)
def test_windows_cover_exactly_the_days_that_can_be_asked_for(
    now: datetime, offsets: set[int], longest: timedelta
) -> None:
    days = from_offsets(now, offsets)
    windows = plan_windows(days, now, longest)
    askable = [day for day in sorted(days) if first_day_in_reach(now) <= day and day_start(day) <= now - ONE_SECOND]
    for day in askable:
        [window] = [window for window in windows if day in window.days]
        assert window.covers(day) or (day == day_of(now) and window.end == now.replace(microsecond=0))
    for window in windows:
        assert {window.days[0], window.days[-1]} <= {*askable}


ONE_SECOND = timedelta(seconds=1)


@given(MOMENTS, OFFSETS, WIDTHS)
@example(MIDNIGHT, {0}, MAX_WINDOW)
def test_windows_never_overlap_nor_exceed_their_width_nor_ask_beyond_now_or_the_reach(
    now: datetime, offsets: set[int], longest: timedelta
) -> None:
    windows = plan_windows(from_offsets(now, offsets), now, longest)
    assert all(earlier.end <= later.start for earlier, later in pairwise(windows))
    for window in windows:
        assert timedelta(0) < window.end - window.start <= longest
        assert window.end <= now
        assert window.start >= now - timedelta(days=REACH_DAYS) + CLOCK_MARGIN
        assert window.end.microsecond == 0


@given(MOMENTS, st.one_of(OFFSETS, NEAR_OFFSETS), WIDTHS)
def test_windows_are_the_fewest(now: datetime, offsets: set[int], longest: timedelta) -> None:
    days = from_offsets(now, offsets)
    askable = sorted({day for window in plan_windows(days, now) for day in window.days} & {*days})
    assert len(plan_windows(days, now, longest)) == fewest_groups(askable, longest)


def test_a_year_takes_53_windows_and_364_days_take_52() -> None:
    first = first_day_in_reach(NOW)
    year = days_between(first, TODAY)
    assert len(year) == REACH_DAYS
    assert len(plan_windows(year, NOW)) == 53
    assert len(plan_windows(year[:364], NOW)) == 52


def test_whole_days_are_asked_for_from_midnight_to_midnight_exactly_seven_days_apart() -> None:
    [window] = plan_windows(days_between(date(2026, 3, 1), date(2026, 3, 7)), NOW)
    assert window == Window(ist("2026-03-01 00:00:00"), ist("2026-03-08 00:00:00"))
    assert str(window) == "2026-03-01 to 2026-03-07"


def test_narrow_windows_span_six_days() -> None:
    windows = plan_windows(days_between(date(2026, 3, 1), date(2026, 3, 7)), NOW, NARROW_WINDOW)
    assert [str(window) for window in windows] == ["2026-03-01 to 2026-03-06", "2026-03-07"]


def test_today_is_asked_for_up_to_now() -> None:
    [window] = plan_windows([TODAY], NOW)
    assert (window.start, window.end) == (day_start(TODAY), NOW)
    assert not window.covers(TODAY)
    assert str(window) == "2026-11-30 00:00 to 2026-11-30 16:34 IST"


def test_in_the_first_second_of_a_day_there_is_nothing_of_it_to_ask_for() -> None:
    assert plan_windows([TODAY], MIDNIGHT) == []
    assert window_for_run([TODAY], [TODAY], MIDNIGHT) is None
    assert plan_windows([TODAY], MIDNIGHT + ONE_SECOND) != []


def test_days_are_sorted_by_reach_and_none_is_lost() -> None:
    old, new = TODAY - timedelta(days=REACH_DAYS), TODAY + ONE_DAY
    reach = split_by_reach([new, TODAY, old, old + ONE_DAY], NOW)
    assert (reach.too_old, reach.within, reach.future) == ((old,), (old + ONE_DAY, TODAY), (new,))


def test_the_reach_shrinks_five_minutes_before_the_api_would_refuse_a_day() -> None:
    day = date(2025, 11, 30)
    limit = day_start(day) + timedelta(days=REACH_DAYS)
    assert first_day_in_reach(limit - CLOCK_MARGIN - ONE_SECOND) == day
    assert first_day_in_reach(limit - CLOCK_MARGIN) > day


@pytest.mark.parametrize("length", [timedelta(0), -ONE_SECOND, MAX_WINDOW + ONE_SECOND])
def test_a_window_of_nothing_or_of_more_than_seven_days_cannot_be_made(length: timedelta) -> None:
    with pytest.raises(ValueError, match="at most 7 days"):
        Window(day_start(TODAY), day_start(TODAY) + length)


def test_a_window_needs_zones_and_counts_its_days_in_india() -> None:
    with pytest.raises(ValueError, match="time zone"):
        Window(datetime(2026, 3, 1), datetime(2026, 3, 2))
    in_utc = Window(ist("2026-03-01 00:00:00").astimezone(UTC), ist("2026-03-03 00:00:00").astimezone(UTC))
    assert in_utc.days == [date(2026, 3, 1), date(2026, 3, 2)]
    assert in_utc.covers(date(2026, 3, 2))
    assert not in_utc.covers(date(2026, 3, 3))


def test_a_run_that_lacks_nothing_has_no_window() -> None:
    days = days_between(date(2026, 3, 1), date(2026, 3, 7))
    assert window_for_run(days, [], NOW) is None
    assert window_for_run(days, [date(2026, 3, 8)], NOW) is None


def test_a_runs_window_starts_at_its_first_lacking_day_and_ends_at_the_last_lacking_day_within_reach_of_it() -> None:
    run = days_between(date(2026, 3, 1), date(2026, 3, 3))
    lacking = [date(2026, 3, day) for day in (2, 5, 8, 9)]
    assert window_for_run(run, lacking, NOW) == Window(ist("2026-03-02 00:00:00"), ist("2026-03-09 00:00:00"))
    assert window_for_run(run, lacking, NOW, NARROW_WINDOW) == Window(
        ist("2026-03-02 00:00:00"), ist("2026-03-06 00:00:00")
    )


def test_a_run_of_past_days_leaves_today_alone() -> None:
    run = [TODAY - 2 * ONE_DAY]
    lacking = [*run, TODAY - ONE_DAY, TODAY]
    window = window_for_run(run, lacking, NOW)
    assert window is not None
    assert window.end == day_start(TODAY)
    with_today = window_for_run([*run, TODAY], lacking, NOW)
    assert with_today is not None
    assert with_today.end == NOW


@given(MOMENTS, NEAR_OFFSETS, NEAR_OFFSETS, WIDTHS)
def test_a_runs_window_holds_all_it_can_of_what_is_lacking(
    now: datetime, run: set[int], lacking: set[int], longest: timedelta
) -> None:
    run_days, lacking_days = from_offsets(now, run), from_offsets(now, lacking)
    window = window_for_run(run_days, lacking_days, now, longest)
    own = [day for window in plan_windows({*run_days} & {*lacking_days}, now) for day in window.days]
    assert (window is None) == (not own)
    if window is None:
        return
    today = day_of(now)
    fitting = {day for day in lacking_days if own[0] <= day < own[0] + longest and day < today}
    if today in own and today < own[0] + longest:
        fitting |= {today}
    assert window.days[0] == own[0]
    assert window.days[-1] == max(fitting)
    assert window.end == min(day_end(max(fitting)), now.replace(microsecond=0))


@given(st.sets(st.integers(-60, -2), min_size=1, max_size=40))
def test_runs_of_a_selection_with_holes_make_the_fewest_calls_that_cover_it(offsets: set[int]) -> None:
    selected = sorted(from_offsets(NOW, offsets))
    lacking = {*from_offsets(NOW, set(range(-70, 0)))}
    calls = 0
    for first, last in dagster_runs(selected):
        window = window_for_run(days_between(first, last), lacking, NOW)
        if window is not None:
            calls += 1
            lacking -= {*window.days}
    assert not lacking & {*selected}
    assert calls == len(plan_windows(selected, NOW))


def dagster_runs(days: list[date]) -> list[tuple[date, date]]:
    """Cut a selection as a backfill does: neighbouring days together, at most 7 in a run."""
    runs: list[tuple[date, date]] = []
    for day in days:
        if runs and day - runs[-1][1] == ONE_DAY and day - runs[-1][0] < MAX_WINDOW:
            runs[-1] = (runs[-1][0], day)
        else:
            runs.append((day, day))
    return runs


def test_indias_days_are_used_whatever_zone_now_is_told_in() -> None:
    late = datetime(2026, 11, 30, 20, 0, tzinfo=UTC)  # 01:30 of the next day in India
    assert plan_windows([date(2026, 12, 1)], late) == plan_windows([date(2026, 12, 1)], late.astimezone(IST)) != []
