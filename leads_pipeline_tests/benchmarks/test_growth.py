from pathlib import Path

from leads_pipeline.days import ONE_DAY, day_of, utc_now
from leads_pipeline.storage.coverage import DayState
from leads_pipeline_tests.benchmarks import growth
from leads_pipeline_tests.support import make_settings, make_workspace


def test_a_history_of_polling_covers_all_of_its_days(tmp_path: Path) -> None:
    workspace = make_workspace(make_settings(tmp_path, growth.URL))
    answers = growth.fill_catalogue(workspace, days=3)
    now = utc_now()
    assert 2 * 96 < answers <= 3 * 96
    days = [day_of(now) - number * ONE_DAY for number in range(4)]
    [today, *past] = reversed(workspace.coverage(growth.ACCOUNT, days, now))
    assert {day.state for day in past} == {DayState.COMPLETE}
    assert today.state in {DayState.PARTIAL, DayState.MISSING}  # missing in its first quarter of an hour
    assert len(past[1].proofs) > 90


def test_every_question_to_a_history_is_answered(tmp_path: Path) -> None:
    seconds = growth.measure_history(tmp_path, days=2, rounds=1)
    assert len(seconds) == 5
    assert all(one > 0 for one in seconds.values())
