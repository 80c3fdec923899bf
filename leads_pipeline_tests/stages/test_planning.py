from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from leads_pipeline.days import IST, ONE_DAY, day_end, day_start, utc_now
from leads_pipeline.fake_indiamart.server import FakeIndiaMart
from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline.indiamart.windows import Window
from leads_pipeline.stages.planning import CutTooShortError, narrowed, widened
from leads_pipeline.stages.pull import PullFailedError, PullRequest
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.storage.catalog import StoredAnswer
from leads_pipeline_tests.support import KEY, complete_days, make_settings, make_workspace, pull_to_the_end

DAY = date(2026, 9, 1)
WEEK = Window(day_start(DAY), day_end(DAY + 6 * ONE_DAY))


def pull_once(workspace: Workspace, days: tuple[date, ...], run_id: str) -> Outcome | None:
    account = workspace.settings.accounts[0]
    response = pull_to_the_end(workspace, PullRequest(account, days, run_id)).response
    return response.outcome if response else None


def answer(window: Window, outcome: Outcome) -> StoredAnswer:
    asked = datetime(2026, 10, 1, tzinfo=UTC)
    return StoredAnswer("a.v2.x", "a", "v2", window, asked, asked, outcome, 3, merged=True)


def test_a_window_that_was_never_cut_short_stays_whole() -> None:
    assert narrowed(WEEK, []) == WEEK


@pytest.mark.parametrize(
    ("cut", "half"),
    [
        (timedelta(days=7), timedelta(days=3)),
        (timedelta(days=3), timedelta(days=1)),
        (timedelta(days=2), timedelta(days=1)),
        (timedelta(days=1), timedelta(hours=12)),
        (timedelta(hours=12), timedelta(hours=6)),
        (timedelta(hours=3), timedelta(hours=1)),
        (timedelta(hours=2), timedelta(hours=1)),
    ],
)
def test_an_answer_cut_short_halves_the_window(cut: timedelta, half: timedelta) -> None:
    cut_short = answer(Window(WEEK.start, WEEK.start + cut), Outcome.TRUNCATED)

    assert narrowed(WEEK, [cut_short]) == Window(WEEK.start, WEEK.start + half)


def test_the_shortest_of_several_cuts_counts() -> None:
    cuts = [answer(Window(WEEK.start, WEEK.start + timedelta(days=days)), Outcome.TRUNCATED) for days in (7, 3)]

    assert narrowed(WEEK, cuts).end == WEEK.start + ONE_DAY


def test_the_next_part_starts_where_the_answers_stop_proving_the_day() -> None:
    morning = answer(Window(WEEK.start, WEEK.start + timedelta(hours=6)), Outcome.LEADS)
    cut = answer(Window(WEEK.start, WEEK.start + timedelta(hours=12)), Outcome.TRUNCATED)

    assert narrowed(WEEK, [cut, morning]) == Window(WEEK.start + timedelta(hours=6), WEEK.start + timedelta(hours=12))


def test_an_hour_cut_short_is_given_up_with_words_for_people() -> None:
    hour = answer(Window(WEEK.start, WEEK.start + timedelta(hours=1)), Outcome.TRUNCATED)

    with pytest.raises(CutTooShortError, match=r"2026-09-01 00:00 IST.*support"):
        narrowed(WEEK, [hour])


def test_a_cut_elsewhere_changes_nothing() -> None:
    later = Window(day_start(DAY + 2 * ONE_DAY), day_end(DAY + 2 * ONE_DAY))

    assert narrowed(WEEK, [answer(later, Outcome.TRUNCATED)]) == WEEK


@pytest.mark.parametrize(
    ("first", "last", "earliest", "widest"),
    [
        (5, 5, -30, (-1, 5)),
        (0, 6, -30, (0, 6)),
        (5, 5, 4, (4, 10)),
        (5, 6, 5, (5, 11)),
        (19, 19, 17, (17, 19)),
    ],
)
def test_a_window_is_widened_backwards_to_seven_days_then_forwards_but_not_into_today(
    first: int, last: int, earliest: int, widest: tuple[int, int]
) -> None:
    """Days are counted from DAY; today is the 20th."""
    days = [DAY + number * ONE_DAY for number in (first, last, earliest, 20, *widest)]
    window = widened(Window(day_start(days[0]), day_end(days[1])), days[2], days[3], timedelta(days=7))

    assert window == Window(day_start(days[4]), day_end(days[5]))


def test_a_window_up_to_now_stays_so_when_it_is_widened() -> None:
    now = day_start(DAY) + timedelta(hours=9)
    window = widened(Window(day_start(DAY), now), DAY - 30 * ONE_DAY, DAY, timedelta(days=7))

    assert window == Window(day_start(DAY - 6 * ONE_DAY), now)


def test_a_truncated_week_is_asked_in_parts_until_it_is_whole(tmp_path: Path) -> None:
    with FakeIndiaMart(seed=3, keys=(KEY,), interval_seconds=0.04) as fake:
        workspace = make_workspace(make_settings(tmp_path, fake.url))
        days = complete_days(7)
        fake.inject("fewer_than_total")
        outcomes = []
        while not all(day.fetched for day in workspace.coverage("indiamart", days, utc_now())):
            outcomes.append(pull_once(workspace, days, f"run-{len(outcomes)}"))
        spans = [(call.start, call.end) for call in fake.calls]

    assert outcomes[0] is Outcome.TRUNCATED
    assert [end - start for start, end in spans] == [7 * ONE_DAY, 3 * ONE_DAY, 3 * ONE_DAY, 2 * ONE_DAY]
    assert spans[3][0].astimezone(IST) == day_start(days[6]), "the last part takes yesterday along: it is lacking too"
    assert spans[1][0].astimezone(IST) == day_start(days[0])


def test_a_server_that_cuts_every_answer_ends_in_one_clear_failure(tmp_path: Path) -> None:
    with FakeIndiaMart(seed=3, keys=(KEY,), interval_seconds=0.02) as fake:
        workspace = make_workspace(make_settings(tmp_path, fake.url, interval=0.03))
        days = complete_days(1, ago=1)
        fake.inject("fewer_than_total", times=50)
        with pytest.raises(PullFailedError, match="an hour is the least"):
            for run in range(20):
                pull_once(workspace, days, f"run-{run}")
        spans = [call.end - call.start for call in fake.calls]

    assert spans == [timedelta(hours=hours) for hours in (24, 12, 6, 3, 1)]
