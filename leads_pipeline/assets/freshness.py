"""When an account's leads count as stale: the schedules are off, or their runs fail."""

from datetime import timedelta

import dagster as dg

from leads_pipeline.settings import DEMO_ACCOUNT, Account

STALE_AFTER = timedelta(hours=26)
"""The nightly schedule's day, with time for waits: later than that a night was missed."""
_LATEST_WARNING = STALE_AFTER - timedelta(hours=1)


def freshness_policy(account: Account) -> dg.FreshnessPolicy | None:
    """Return the policy of the account's leads and database; the demo's fixed days have none.

    It warns when two ticks of the intraday schedule have passed without a run that got through.
    """
    if account.name == DEMO_ACCOUNT:
        return None
    two_ticks = timedelta(minutes=2 * account.intraday_minutes) + timedelta(hours=1)
    return dg.FreshnessPolicy.time_window(fail_window=STALE_AFTER, warn_window=min(two_ticks, _LATEST_WARNING))
