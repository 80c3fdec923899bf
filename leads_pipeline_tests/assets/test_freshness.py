"""When leads count as stale follows from the schedules."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from dagster._core.definitions.freshness import TimeWindowFreshnessPolicy

from leads_pipeline.assets.freshness import freshness_policy
from leads_pipeline.settings import DEMO_ACCOUNT
from leads_pipeline_tests.support import make_settings


@pytest.mark.parametrize(
    ("minutes", "warned_after"),
    [(5, timedelta(minutes=70)), (180, timedelta(hours=7)), (1440, timedelta(hours=25))],
)
def test_two_missed_ticks_warn_and_a_missed_night_fails(tmp_path: Path, minutes: int, warned_after: timedelta) -> None:
    (account,) = make_settings(tmp_path, "http://127.0.0.1:9/").accounts

    policy = freshness_policy(replace(account, intraday_minutes=minutes))

    assert isinstance(policy, TimeWindowFreshnessPolicy)
    assert policy.warn_window is not None
    assert policy.warn_window.to_timedelta() == warned_after
    assert policy.fail_window.to_timedelta() == timedelta(hours=26)


def test_the_fixed_days_of_the_demo_never_count_as_stale(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, "http://127.0.0.1:9/", account=DEMO_ACCOUNT)

    assert freshness_policy(settings.accounts[0]) is None
