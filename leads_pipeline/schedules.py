"""Schedules: every night the last complete days, through the day today, whatever coverage says; and the report."""

from collections.abc import Sequence
from datetime import date, timedelta

import dagster as dg

from leads_pipeline.days import IST, ONE_DAY, day_of
from leads_pipeline.jobs import pull_request
from leads_pipeline.run_queue import end_dead_runs, unfinished_runs
from leads_pipeline.settings import MINUTES_PER_DAY, Account
from leads_pipeline.stages.pull import SCHEDULE_PRIORITY
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.stages.write_report import unreported_version, why_not_drawn

REPORT_CRON = "40 * * * *"
"""Every hour, soon after the nightly pull's end: at most 24 reports a day, whatever is published."""
_MINUTES_PER_HOUR = 60


def intraday_crons(minutes: int) -> list[str]:
    """Return the cron lines that tick every so many minutes, counted from midnight (1 to 1440).

    A line can't say "every 7 minutes", so hours that tick at the same minutes share one: at most 24 lines. Where
    the minutes don't divide a day, the last tick is nearer to midnight than they say.
    """
    hours_by_minutes: dict[tuple[int, ...], list[int]] = {}
    for hour in range(MINUTES_PER_DAY // _MINUTES_PER_HOUR):
        start = hour * _MINUTES_PER_HOUR
        ticks = tuple(minute for minute in range(_MINUTES_PER_HOUR) if (start + minute) % minutes == 0)
        if ticks:
            hours_by_minutes.setdefault(ticks, []).append(hour)
    return [f"{_joined(ticks)} {_joined(hours)} * * *" for ticks, hours in hours_by_minutes.items()]


def daily_cron(account: Account) -> str:
    """Return the cron line of the account's nightly pull.

    Unless set, it is 00:20 in India: late enough for yesterday to be over by any clock, early enough for people's
    morning.
    """
    return f"{account.daily_at.minute} {account.daily_at.hour} * * *"


def build_schedules(account: Account, job: dg.JobDefinition, workspace: Workspace) -> list[dg.ScheduleDefinition]:
    """Return the account's two schedules."""
    return [_daily(account, job, workspace), _intraday(account, job, workspace)]


def _daily(account: Account, job: dg.JobDefinition, workspace: Workspace) -> dg.ScheduleDefinition:
    name = f"{account.name}_daily"

    @dg.schedule(
        name=name,
        job=job,
        cron_schedule=daily_cron(account),
        execution_timezone=IST.key,
        default_status=_status(on=account.schedules_on),
        description=(
            "Asks for the last 7 complete days in one call, whatever is there already: heals up to 6 missed nights "
            "and brings leads that came late. Goes ahead of backfills."
        ),
    )
    def daily(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        last = day_of(context.scheduled_execution_time) - ONE_DAY
        first = last - workspace.longest_window(account.name) + ONE_DAY
        return _request(context, workspace, account, first, last, name=name)

    return daily


def _intraday(account: Account, job: dg.JobDefinition, workspace: Workspace) -> dg.ScheduleDefinition:
    name = f"{account.name}_intraday"

    @dg.schedule(
        name=name,
        job=job,
        cron_schedule=intraday_crons(account.intraday_minutes),
        execution_timezone=IST.key,
        default_status=_status(on=account.schedules_on),
        description=(
            f"Asks for today and {account.lookback_days} day(s) before it in one call, every "
            f"{account.intraday_minutes} minutes (LEADS_INTRADAY_MINUTES and LEADS_LOOKBACK_DAYS, or the account's own "
            "in the accounts file). Goes ahead of backfills."
        ),
    )
    def intraday(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        today = day_of(context.scheduled_execution_time)
        back = min(timedelta(account.lookback_days), workspace.longest_window(account.name) - ONE_DAY)
        return _request(context, workspace, account, today - back, today, name=name)

    return intraday


def build_report_schedule(job: dg.JobDefinition, workspace: Workspace) -> dg.ScheduleDefinition:
    """Return the schedule that writes the report if anything was published since."""
    name, settings = "report_hourly", workspace.settings

    @dg.schedule(
        name=name,
        job=job,
        cron_schedule=REPORT_CRON,
        execution_timezone=IST.key,
        default_status=_status(on=settings.schedules_on),
        description="Writes data/reports/leads_report.html if anything was published since it was last written.",
    )
    def report_hourly(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        problem = why_not_drawn()
        if problem:
            return dg.SkipReason(problem)
        if unreported_version(settings) is None:
            return dg.SkipReason("Nothing was published since the report was written.")
        earlier = unfinished_runs(context.instance, {"dagster/schedule_name": name})
        if earlier:
            return dg.SkipReason(f"Run {earlier[0].run_id[:8]} of this schedule is queued or running still.")
        return dg.RunRequest()

    return report_hourly


def _status(*, on: bool) -> dg.DefaultScheduleStatus:
    return dg.DefaultScheduleStatus.RUNNING if on else dg.DefaultScheduleStatus.STOPPED


def _request(
    context: dg.ScheduleEvaluationContext,
    workspace: Workspace,
    account: Account,
    first: date,
    last: date,
    *,
    name: str,
) -> dg.RunRequest | dg.SkipReason:
    if not account.has_key:
        return dg.SkipReason(f"Account {account.name} has no CRM key, so nothing can be asked: put {account.key_hint}.")
    start = max(workspace.start_date(), account.start or date.min)
    if last < start:
        return dg.SkipReason(f"The account's first day is {start}; there is nothing to ask before it.")
    end_dead_runs(context.instance, workspace.settings.state_dir)
    earlier = unfinished_runs(context.instance, {"dagster/schedule_name": name})
    if earlier:
        return dg.SkipReason(f"Run {earlier[0].run_id[:8]} of this schedule is queued or running still.")
    return pull_request(account, max(first, start), last, again=True, priority=SCHEDULE_PRIORITY)


def _joined(numbers: Sequence[int]) -> str:
    return ",".join(str(number) for number in numbers)
