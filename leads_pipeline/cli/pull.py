"""`leads pull`: days to windows, each window a real Dagster run in this process, with a progress bar."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import dagster as dg
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.text import Text

from leads_pipeline.cli.errors import FAILED, NEEDS_A_PERSON, USAGE, CommandError
from leads_pipeline.cli.instance import PROCESS_TAG, open_instance
from leads_pipeline.days import IST, contiguous_ranges, day_of, days_between, utc_now
from leads_pipeline.definitions import build_definitions
from leads_pipeline.indiamart.call_slot import key_fingerprint
from leads_pipeline.indiamart.outcomes import Actor, Outcome
from leads_pipeline.indiamart.windows import REACH_DAYS, Window, plan_windows, split_by_reach
from leads_pipeline.jobs import pull_job_name
from leads_pipeline.settings import Account, Settings, load_settings
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.storage.coverage import DayState
from leads_pipeline.storage.process_locks import this_process

_SECONDS_PER_RUN = 1.0  # our own part of a window, for the estimate only


@dataclass(frozen=True)
class PullPlan:
    """What a pull will do."""

    account: Account
    windows: tuple[Window, ...]
    """The calls to make, oldest first."""
    without_call: tuple[tuple[date, date], ...]
    """Ranges of days that are fetched but not in the tables yet: runs without a call."""
    seconds: float
    """How long it will take, waits included."""


def run_pull(account_name: str, first: str, last: str, *, again: bool) -> None:
    """Pull the days, printing what will be done, how it goes and what came of it."""
    settings = load_settings()
    account = settings.account(account_name)
    days = days_between(*_checked_days(first, last))
    console = Console(stderr=True)
    pull_days(settings, account, days, again=again, console=console)


def _checked_days(first: str, last: str) -> tuple[date, date]:
    try:
        start, end = date.fromisoformat(first), date.fromisoformat(last)
    except ValueError:
        raise CommandError(
            f"--from {first} --to {last}: a day is written YYYY-MM-DD, for example 2026-11-30.", USAGE
        ) from None
    if end < start:
        raise CommandError(f"--to {end} is before --from {start}. Nothing was asked.", USAGE)
    return start, end


def pull_days(settings: Settings, account: Account, days: Sequence[date], *, again: bool, console: Console) -> None:
    """Pull the account's days; raise CommandError if some can't be had."""
    workspace = Workspace(settings)
    workspace.prepare()
    days = _within_reach(workspace, account, days)
    plan = plan_pull(workspace, account, days, again=again)
    _announce(plan, days, console)
    if not plan.windows and not plan.without_call:
        return
    if plan.windows and not account.has_key:
        raise CommandError(
            f"Account {account.name} has no CRM key. Put INDIAMART_CRM_KEY=... into .env (the seller panel shows it: "
            "Lead Manager, Import/Export Leads, Pull API), or try `leads demo`.",
            NEEDS_A_PERSON,
        )
    _run(settings, plan, again=again, console=console)


def plan_pull(workspace: Workspace, account: Account, days: Sequence[date], *, again: bool) -> PullPlan:
    """Return the fewest calls that bring the days, and the runs that need none."""
    now = utc_now()
    coverage = workspace.coverage(account.name, days, now)
    to_ask = [day.day for day in coverage if again or not day.fetched]
    windows = plan_windows(to_ask, now)
    inside = {day for window in windows for day in window.days}
    unmerged = [day.day for day in coverage if day.fetched and day.state is not DayState.COMPLETE]
    state = workspace.slots.state(key_fingerprint(account.key))
    waits = state.seconds_left + account.call_interval_seconds * (len(windows) + len(state.queue) - 1) if windows else 0
    return PullPlan(
        account,
        tuple(windows),
        tuple(_runs_of([day for day in unmerged if day not in inside])),
        waits + _SECONDS_PER_RUN * len(windows),
    )


def _runs_of(days: list[date]) -> list[tuple[date, date]]:
    """Return ranges of at most 7 neighbouring days."""
    week = timedelta(days=6)
    runs: list[tuple[date, date]] = []
    for first, last in contiguous_ranges(days):
        start = first
        while start <= last:
            runs.append((start, min(start + week, last)))
            start += week + timedelta(days=1)
    return runs


def _within_reach(workspace: Workspace, account: Account, days: Sequence[date]) -> list[date]:
    """Return the days that can be pulled; fetched ones can, however old. Raise CommandError if none is left."""
    reach = split_by_reach(days, utc_now())
    fetched = {day.day for day in workspace.coverage(account.name, reach.too_old, utc_now()) if day.fetched}
    usable = sorted({*reach.within, *fetched})
    if usable:
        return usable
    if reach.future:
        raise CommandError(f"{reach.future[0]} is still to come in India. Nothing was asked.", USAGE)
    raise CommandError(
        f"IndiaMART serves the last {REACH_DAYS} days only: {days[0]} to {days[-1]} can't be asked for any more. "
        "Nothing was asked.",
        USAGE,
    )


def _announce(plan: PullPlan, days: Sequence[date], console: Console) -> None:
    what = f"{plan.account.name}: {days[0]} to {days[-1]}, {len(days)} day(s)"
    if not plan.windows and not plan.without_call:
        console.print(f"{what}: complete already, no call is needed.")
        return
    console.print(f"{what}: {len(plan.windows)} call(s), about {_duration(plan.seconds)}.", highlight=False)


def _run(settings: Settings, plan: PullPlan, *, again: bool, console: Console) -> None:
    ranges = sorted([*plan.without_call, *((window.days[0], window.days[-1]) for window in plan.windows)])
    job = build_definitions(settings).resolve_job_def(pull_job_name(plan.account.name))
    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    with open_instance(settings) as instance, _progress(console) as progress:
        task = progress.add_task("pulling", total=len(ranges), ends_at=utc_now() + timedelta(seconds=plan.seconds))
        for done, (first, last) in enumerate(ranges):
            progress.update(task, description=f"{first} to {last}")
            _run_window(job, instance, settings, plan.account, first, last, again=again)
            left = (len(ranges) - done - 1) * (plan.account.call_interval_seconds + _SECONDS_PER_RUN)
            progress.update(task, advance=1, ends_at=utc_now() + timedelta(seconds=left))


def _run_window(
    job: dg.JobDefinition,
    instance: dg.DagsterInstance,
    settings: Settings,
    account: Account,
    first: date,
    last: date,
    *,
    again: bool,
) -> None:
    result = job.execute_in_process(
        instance=instance,
        raise_on_error=False,
        run_config={
            "ops": {f"{account.name}__raw_responses": {"config": {"again": again}}},
            "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
        },
        tags={
            "dagster/asset_partition_range_start": first.isoformat(),
            "dagster/asset_partition_range_end": last.isoformat(),
            PROCESS_TAG: this_process(settings.state_dir),
            "leads/account": account.name,
        },
    )
    if not result.success:
        raise _failure(result)


def _failure(result: dg.ExecuteInProcessResult) -> CommandError:
    for event in result.all_events:
        if not event.is_step_failure:
            continue
        data = event.step_failure_data
        failure = data.user_failure_data
        if failure is not None and failure.description:
            outcome = failure.metadata.get("outcome")
            return CommandError(failure.description, _exit_code(outcome.value if outcome else None))
        kind = data.error.cls_name if data.error else "an unknown error"
        return CommandError(f"{event.step_key} failed with {kind}. Its log: `leads ui`, run {result.run_id}.", FAILED)
    return CommandError(f"The run {result.run_id} was stopped. The same command continues where it stopped.", FAILED)


def _exit_code(outcome: object) -> int:
    if outcome is None:
        return NEEDS_A_PERSON
    return NEEDS_A_PERSON if Outcome(str(outcome)).rule.actor is Actor.SELLER else FAILED


class _TimeLeft(ProgressColumn):
    """Shows the time until the estimated end, and that end."""

    def render(self, task: Task) -> Text:
        ends_at: datetime = task.fields["ends_at"]
        left = max((ends_at - datetime.now(UTC)).total_seconds(), 0.0)
        return Text(f"{_duration(left)} left, until {ends_at.astimezone(IST):%H:%M:%S} IST")


def _progress(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _TimeLeft(),
        console=console,
    )


def _duration(seconds: float) -> str:
    total = round(seconds)
    if total < 60:  # noqa: PLR2004 - seconds in a minute
        return f"{total} s"
    hours, minutes = divmod(-(-total // 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def today() -> date:
    """Return the day it is in India."""
    return day_of(utc_now())
