"""`leads pull`: days to windows, each window a real Dagster run in this process, with a progress bar."""

import builtins
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import dagster as dg
from dagster_shared.error import SerializableErrorInfo  # part of dagster itself
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.text import Text

from leads_pipeline.account_definitions import resolved_pull_job
from leads_pipeline.cli.day_range import day_range
from leads_pipeline.cli.errors import FAILED, NEEDS_A_PERSON, USAGE, CommandError, exit_code_of
from leads_pipeline.cli.instance import open_instance
from leads_pipeline.days import IST, contiguous_ranges, day_end, days_between, utc_now
from leads_pipeline.indiamart.call_slot import CallSlots, key_fingerprint
from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline.indiamart.windows import CLOCK_MARGIN, REACH_DAYS, Window, plan_windows, split_by_reach
from leads_pipeline.jobs import ACCOUNT_TAG
from leads_pipeline.settings import Account, Settings, load_settings
from leads_pipeline.stages.publish_tables import publish_tables
from leads_pipeline.stages.pull_versions import why_left_alone
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.storage.coverage import DayState
from leads_pipeline.storage.process_locks import PROCESS_TAG, this_process

_SECONDS_PER_RUN = 1.0  # our own part of a window, for the estimate only


@dataclass(frozen=True)
class PullPlan:
    """What a pull will do."""

    account: Account
    days: tuple[date, ...]
    left_out: int
    """How many of the days asked for are out of the API's reach, or still to come."""
    windows: tuple[Window, ...]
    """The calls to make, oldest first."""
    without_call: tuple[tuple[date, date], ...]
    """Ranges of days that are fetched but not in the tables yet: runs without a call."""
    versions: tuple[tuple[str, ...], ...]
    """For each window the versions of the API that are asked for it: a call each."""
    seconds: float
    """How long it will take, waits included."""

    @property
    def runs(self) -> list[tuple[date, date]]:
        """Return the first and last day of each run, oldest first."""
        return sorted([*self.without_call, *((window.days[0], window.days[-1]) for window in self.windows)])

    @property
    def summary(self) -> str:
        """Return the sentence that tells what will be done and how long it takes."""
        what = f"{self.account.name}: {self.days[0]} to {self.days[-1]}, {len(self.days)} day(s)"
        beyond = f" ({self.left_out} more can't be asked for)" if self.left_out else ""
        if not self.runs:
            return f"{what}{beyond}: complete already, no call is needed."
        return f"{what}{beyond}: {self.calls}, about {_duration(self.seconds)}."

    @property
    def calls(self) -> str:
        """Return the number of calls in words, by version where there are two."""
        counts = Counter(version for asked in self.versions for version in asked)
        each = f" ({', '.join(f'{count} to {name}' for name, count in counts.items())})" if len(counts) > 1 else ""
        return f"{counts.total()} call(s){each}"


def run_pull(account_name: str, first: str | None, last: str | None, *, again: bool, dry_run: bool) -> None:
    """Pull the days (by default the last 7 complete ones), printing what will be done and how it goes."""
    settings = load_settings()
    account = settings.account(account_name)
    days = days_between(*day_range(first, last, "Nothing was asked."))
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    if dry_run:
        show_plan(settings, account, days, again=again)
    else:
        pull_days(settings, account, days, again=again, console=console)


def pull_days(settings: Settings, account: Account, days: Sequence[date], *, again: bool, console: Console) -> None:
    """Pull the account's days; raise CommandError if some can't be had."""
    workspace = Workspace(settings)
    workspace.prepare()
    plan = plan_pull(workspace, account, days, again=again)
    console.print(plan.summary)
    if not plan.runs:
        _finish_what_was_killed(settings, workspace, console)
        return
    if plan.windows and not account.has_key:
        raise CommandError(
            f"Account {account.name} has no CRM key. Put {account.key_hint} (the seller panel shows it: "
            "Lead Manager, Import/Export Leads, Pull API), or try `leads demo`.",
            NEEDS_A_PERSON,
        )
    _run(settings, plan, again=again, console=console)


def _finish_what_was_killed(settings: Settings, workspace: Workspace, console: Console) -> None:
    """Publish what a run merged that ended before it could publish, and mark that run as failed.

    If nothing is behind this changes nothing.
    """
    result = publish_tables(workspace, lambda _: None)
    if result.published:
        console.print(f"The published tables were behind; they are version {result.version} now.")
    with open_instance(settings):
        pass  # opening it marks runs whose process died


def show_plan(settings: Settings, account: Account, days: Sequence[date], *, again: bool) -> None:
    """Print the windows, calls and time of a pull; make no call."""
    workspace = Workspace(settings)
    workspace.prepare()
    plan = plan_pull(workspace, account, days, again=again)
    console = Console(soft_wrap=True, highlight=False)
    console.print(plan.summary)
    has_two = len(account.versions) > 1
    for number, (window, versions) in enumerate(zip(plan.windows, plan.versions, strict=True), 1):
        console.print(f"  {', '.join(versions)}: {window}" if has_two else f"  call {number}: {window}")
    for first, last in plan.without_call:
        console.print(f"  no call, only merge what is fetched: {first} to {last}")


def plan_pull(
    workspace: Workspace, account: Account, days: Sequence[date], *, again: bool, main_only: bool = False
) -> PullPlan:
    """Return the fewest calls that bring the days, and the runs that need none; raise CommandError if none can be.

    An account with keys for two versions is asked for with both, in runs that they share, unless `main_only`.
    """
    now = utc_now()
    usable = _within_reach(workspace, account, days)
    coverage = workspace.coverage(account.name, usable, now)
    lacking = {
        access: {
            day.day
            for day in workspace.coverage(account.name, usable, now, workspace.only_source(access))
            if again or not day.fetched
        }
        for access in _askable(workspace, account, main_only=main_only)
    }
    to_ask = {day for days_of_version in lacking.values() for day in days_of_version}
    windows = plan_windows(to_ask, now, workspace.longest_window(account.name))
    inside = {day for window in windows for day in window.days}
    unmerged = [day.day for day in coverage if day.fetched and day.state is not DayState.COMPLETE]
    asked = [[one for one, lacks in lacking.items() if lacks & {*window.days}] for window in windows]
    waits = [_waits(workspace, one, sum(one in of_window for of_window in asked)) for one in lacking]
    return PullPlan(
        account,
        tuple(usable),
        len(days) - len(usable),
        tuple(windows),
        tuple(_runs_of([day for day in unmerged if day not in inside])),
        tuple(tuple(one.api_version for one in of_window) for of_window in asked),
        max(waits) + _SECONDS_PER_RUN * len(windows),
    )


def _askable(workspace: Workspace, account: Account, *, main_only: bool) -> list[Account]:
    main, *others = account.versions
    return [main, *(one for one in others if not main_only and not why_left_alone(workspace, one))]


def _waits(workspace: Workspace, access: Account, calls: int) -> float:
    """Return how long so many calls with the key wait for its slot; the waits of two keys overlap."""
    state = workspace.slots.state(key_fingerprint(access.key))
    return state.seconds_left + access.call_interval_seconds * (calls + len(state.queue) - 1) if calls else 0.0


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


def _run(settings: Settings, plan: PullPlan, *, again: bool, console: Console) -> None:
    ranges = plan.runs
    slots = Workspace(settings).slots
    job = resolved_pull_job(settings, plan.account)
    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    with open_instance(settings) as instance, _progress(console, slots, plan.account) as progress:
        task = progress.add_task("pulling", total=len(ranges), ends_at=utc_now() + timedelta(seconds=plan.seconds))
        done = 0
        while ranges:
            first, last = ranges.pop(0)
            progress.update(task, description=f"{first} to {last}")
            _run_window(job, instance, settings, plan.account, (first, last), again=again)
            done += 1
            if not console.is_terminal:
                console.print(f"{first} to {last}: done, {done} of {done + len(ranges)}.")
            ranges = ranges or _still_lacking(settings, plan, again=again)
            interval = max(access.call_interval_seconds for access in plan.account.versions)
            left = len(ranges) * (interval + _SECONDS_PER_RUN)
            ends_at = utc_now() + timedelta(seconds=left)
            progress.update(task, completed=done, total=done + len(ranges), ends_at=ends_at)


def _still_lacking(settings: Settings, plan: PullPlan, *, again: bool) -> list[tuple[date, date]]:
    """Return the runs that complete days need still: an answer that was cut short is asked for in smaller parts.

    It ends: each run brings coverage forward, halves a window, or fails. The other version's failures fail no run,
    so it is left out after one.
    """
    if again:
        return []
    over = [day for day in plan.days if day_end(day) + CLOCK_MARGIN < utc_now()]
    if not over:
        return []
    workspace = Workspace(settings)
    newest = [workspace.call_log.last_of(one.name, one.api_version) for one in plan.account.versions[1:]]
    has_failed = any(call is None or not call.outcome.rule.is_success for call in newest)
    return plan_pull(workspace, plan.account, over, again=False, main_only=has_failed).runs


def _run_window(
    job: dg.JobDefinition,
    instance: dg.DagsterInstance,
    settings: Settings,
    account: Account,
    days: tuple[date, date],
    *,
    again: bool,
) -> None:
    first, last = days
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
            ACCOUNT_TAG: account.name,
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
            return CommandError(failure.description, exit_code_of(Outcome(str(outcome.value)) if outcome else None))
        words = _blocking_finding(result) or _own_words(data.error)
        return CommandError(f"{event.step_key} failed: {words} Its log: `leads ui`, run {result.run_id}.", FAILED)
    return CommandError(f"The run {result.run_id} was stopped. The same command continues where it stopped.", FAILED)


def _blocking_finding(result: dg.ExecuteInProcessResult) -> str:
    """Return what the check found that stopped the run; empty if none did."""
    found = (one for one in result.get_asset_check_evaluations() if one.blocking and not one.passed)
    return next((str(one.description) for one in found if one.severity is dg.AssetCheckSeverity.ERROR), "")


def _own_words(error: SerializableErrorInfo | None) -> str:
    """Return what the program's own or the system's error says; others' words may quote values: their kind only."""
    while error is not None and error.cause is not None:
        error = error.cause
    if error is None:
        return "the reason is unknown."
    kind, _, words = error.message.strip().partition(": ")
    is_of_system = issubclass(getattr(builtins, kind, object), OSError)
    return f"{words.rstrip('.')}." if words and (kind.startswith("leads_pipeline.") or is_of_system) else f"{kind}."


class _TimeLeft(ProgressColumn):
    """Shows the time until the estimated end, and that end."""

    def render(self, task: Task) -> Text:
        """Return the column's text."""
        ends_at: datetime = task.fields["ends_at"]
        left = max((ends_at - utc_now()).total_seconds(), 0.0)
        return Text(f"{_duration(left)} left, until {ends_at.astimezone(IST):%H:%M} IST")


class _SlotWait(ProgressColumn):
    """Shows until when the next call waits, and why, while it does."""

    max_refresh = 1.0

    def __init__(self, slots: CallSlots, account: Account) -> None:
        super().__init__()
        self._slots, self._fingerprints = slots, [key_fingerprint(access.key) for access in account.versions]

    def render(self, task: Task) -> Text:
        """Return the column's text."""
        states = [self._slots.state(fingerprint) for fingerprint in self._fingerprints]
        state = max(states, key=lambda one: one.seconds_left)
        if task.finished or state.seconds_left < 1:
            return Text("")
        return Text(f"next call at {state.next_free_at.astimezone(IST):%H:%M:%S} ({state.reason})", style="dim")


def _progress(console: Console, slots: CallSlots, account: Account) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        _TimeLeft(),
        _SlotWait(slots, account),
        console=console,
        disable=not console.is_terminal,  # in a file a bar is a line of noise between what was said
    )


def _duration(seconds: float) -> str:
    total = round(seconds)
    if total < 60:  # noqa: PLR2004 - seconds in a minute
        return f"{total} s"
    hours, minutes = divmod(-(-total // 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
