"""The sensors that alert people. They gather what happened, hand it to the alert desk and let it send what is due.

What the desk decides, and how, is in `alerts/`. A plain sensor over run records and no run_failure_sensor: that one
moves its cursor also when its function fails, and then the failure is lost.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import dagster as dg
from dagster import DagsterEventType, DagsterRunStatus, RunsFilter

from leads_pipeline.alerts.causes import DELIVERY_FAILED, REPLAY_FAILED, RUN_FAILED
from leads_pipeline.alerts.channels import open_channels
from leads_pipeline.alerts.delivery_trouble import RUNS_LOOKED_AT, DeliveryFacts
from leads_pipeline.alerts.desk import AlertDesk, RunReport, in_words
from leads_pipeline.alerts.events import RunFailure, RunSuccess
from leads_pipeline.alerts.few_leads import MOST_WEEKS
from leads_pipeline.alerts.silence import SilenceFacts
from leads_pipeline.assets.deliveries import STOP_LABEL
from leads_pipeline.checks import first_day_due
from leads_pipeline.days import days_between, utc_now
from leads_pipeline.delivery.delivery_log import DeliveryLog
from leads_pipeline.delivery.outbox import Outbox
from leads_pipeline.delivery.outbox_rows import DeliveryState
from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline.indiamart.windows import first_day_in_reach
from leads_pipeline.jobs import REPLAY_JOB, accounts_of, is_delivery
from leads_pipeline.run_queue import days_in_progress, days_of_tags
from leads_pipeline.settings import DEMO_ACCOUNT, Account
from leads_pipeline.stages.gaps import last_day_over
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.storage.coverage import DayState

_WILL_RETRY_TAG = "dagster/will_retry"
"""Dagster sets it when a run fails: whether it will start the run again by itself (dagster.yaml, run_retries)."""
_FINISHED = [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE]
_OVERLAP = timedelta(minutes=10)  # other processes write run records too, and their clocks or commits may lag
_FIRST_LOOK_BACK = timedelta(days=7)
_RUNS_PER_READ = 200
_OUR_ERRORS = "leads_pipeline."
_PROCESS_ENDED = (
    "A run's process ended without finishing it, and it is not started again by itself. Look whether the machine was "
    "restarted or ran out of memory."
)
_WHAT_NEXT = {
    RUN_FAILED: "Once the reason is gone, re-execute it from the failure or pull its days again.",
    DELIVERY_FAILED: "The sensor delivers again by itself; nothing is sent twice.",
    REPLAY_FAILED: (
        "Once the reason is gone, run the job `replay` for the account again; a `check` that finds no difference "
        "ends this alert too."
    ),
}
_NOTHING_LOST = "Nothing that was fetched is lost."
_NOT_LACKING = frozenset({DayState.COMPLETE, DayState.OUT_OF_REACH, DayState.NOT_YET_AVAILABLE})


class AlertsNotSentError(Exception):
    """A channel did not take its message. The tick fails, for people to see it; nothing is lost."""


def build_alert_sensors(workspace: Workspace, clock: Callable[[], datetime] = utc_now) -> list[dg.SensorDefinition]:
    """Return the three sensors of an installation, switched on; SettingsError for a channel that can't be used."""
    settings = workspace.settings
    accounts = frozenset(account.name for account in settings.accounts)
    desk = AlertDesk(
        settings.state_dir,
        workspace.call_log,
        accounts,
        open_channels(settings.alert_urls, accounts),
        lambda account, first, last: lacking_days(workspace, account, first, last, clock()),
        settings.ui_url,
        {account.name: key_hint(account) for account in settings.accounts},
        {account.name: one.api_version for account in settings.accounts for one in account.versions[1:]},
    )

    @dg.sensor(
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Reads the call log and alerts people when IndiaMART refuses or does not answer: once per account and "
            "cause, then at growing intervals, then that it is over. What passes by itself is not told."
        ),
    )
    def api_error_alerts(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        now = clock()
        intake = desk.take_in_calls(now)
        if intake.away_since:
            take_in_runs(desk, workspace, context.instance, now)
            take_in_silence(desk, workspace, context.instance, now)
        return _closed_tick(context, desk, f"{intake.calls} new call(s)", intake.away_since, now)

    @dg.sensor(
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Reads finished runs, replays too, and alerts people of those that failed for good, once per cause. A run "
            "that failed of IndiaMART's answer adds to the alert about that answer. Also looks at what arrived in CRMs."
        ),
    )
    def run_failure_alerts(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        now = clock()
        intake = desk.take_in_calls(now)
        runs = take_in_runs(desk, workspace, context.instance, now)
        desk.take_in_deliveries(gather_delivery_facts(workspace), now)
        if intake.away_since:
            take_in_silence(desk, workspace, context.instance, now)
        return _closed_tick(context, desk, f"{runs} newly finished run(s)", intake.away_since, now)

    @dg.sensor(
        minimum_interval_seconds=1800,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Alerts people when leads stop coming: no successful call for 3 days (critical at 5, for a key of v2 "
            "dies at 7), improbably few leads for the weekdays, past days that lack for over a day."
        ),
    )
    def silence_alerts(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        now = clock()
        intake = desk.take_in_calls(now)
        take_in_runs(desk, workspace, context.instance, now)
        looked_at = take_in_silence(desk, workspace, context.instance, now)
        return _closed_tick(context, desk, f"{looked_at} account(s) looked at", intake.away_since, now)

    return [api_error_alerts, run_failure_alerts, silence_alerts]


def key_hint(account: Account) -> str:
    """Return what to put where for the account to have its keys, of both versions if it has two."""
    if account.other_version is None:
        return account.key_hint
    return "; ".join(f"for {access.api_version} {access.key_hint}" for access in account.versions)


def _closed_tick(
    context: dg.SensorEvaluationContext, desk: AlertDesk, taken_in: str, away_since: datetime | None, now: datetime
) -> dg.SkipReason:
    """Send what is due, and say in the tick what was decided."""
    delivery = desk.deliver(now, away_since)
    for line in delivery.sent:
        context.log.info(line)
    if delivery.failed:
        for line in delivery.failed:
            context.log.error(line)
        raise AlertsNotSentError(f"{'; '.join(delivery.failed)}. It is tried again; nothing is lost.")
    told = f"{len(delivery.sent)} message(s) sent" if desk.channels else "No LEADS_ALERT_URLS are set: nobody is told"
    wrong = f"Open: {in_words(delivery.open)}" if delivery.open else "Nothing is open"
    return dg.SkipReason(f"{taken_in}. {told}. {wrong}.")


def take_in_runs(desk: AlertDesk, workspace: Workspace, instance: dg.DagsterInstance, now: datetime) -> int:
    """Hand over the runs that finished since the last time; return how many were new."""
    read_until = desk.runs_read_until() or now - _FIRST_LOOK_BACK
    accounts = [account.name for account in workspace.settings.accounts]
    records = list(_finished_since(instance, read_until - _OVERLAP))
    reports = [
        RunReport(record.dagster_run.run_id, tuple(_events(instance, record, accounts)))
        for record in sorted(records, key=_ended_at)
        if record.dagster_run.tags.get(_WILL_RETRY_TAG) != "true"
    ]
    newest = max((record.update_timestamp for record in records), default=read_until)
    return desk.take_in_runs(reports, max(newest, read_until), now)


def _finished_since(instance: dg.DagsterInstance, since: datetime) -> Iterator[dg.RunRecord]:
    cursor: str | None = None
    while True:
        records = instance.get_run_records(
            RunsFilter(statuses=_FINISHED, updated_after=since), limit=_RUNS_PER_READ, cursor=cursor
        )
        yield from records
        if len(records) < _RUNS_PER_READ:
            return
        cursor = records[-1].dagster_run.run_id


def _events(
    instance: dg.DagsterInstance, record: dg.RunRecord, accounts: Iterable[str]
) -> Iterator[RunFailure | RunSuccess]:
    run, ended_at = record.dagster_run, _ended_at(record)
    is_replay = run.job_name == REPLAY_JOB
    kind_name = DELIVERY_FAILED if is_delivery(run) else REPLAY_FAILED if is_replay else RUN_FAILED
    of_run = accounts_of(run)
    if of_run is None:
        of_run = frozenset(accounts if is_replay else ())
    concerned = [account for account in accounts if account in of_run]
    if run.is_success:
        yield from (RunSuccess(account, ended_at, kind_name) for account in concerned)
        return
    failed_steps = {
        entry.step_key or "": entry.dagster_event
        for entry in instance.all_logs(run.run_id, of_type=DagsterEventType.STEP_FAILURE)
        if entry.dagster_event is not None
    }
    days = days_of_tags(run.tags)
    for account in concerned:
        died = RunFailure(
            run.run_id,
            account,
            ended_at,
            None,
            "the process ended",
            f"{_PROCESS_ENDED} {_WHAT_NEXT[kind_name]} {_NOTHING_LOST}",
            min(days, default=None),
            max(days, default=None),
            kind_name,
        )
        if not failed_steps:
            yield died
        prefix = "" if is_replay else f"{account}__"  # a replay's one step is of all its accounts
        for key, event in failed_steps.items():
            if key.startswith(prefix) and not _is_stopped_delivery(event):
                yield _of_step(died, key.removeprefix(prefix), event)


def _is_stopped_delivery(event: dg.DagsterEvent) -> bool:
    """Tell whether a CRM made the step fail: the looks at the deliveries tell of that."""
    failure = event.step_failure_data.user_failure_data
    return failure is not None and STOP_LABEL in failure.metadata


def _of_step(died: RunFailure, stage: str, event: dg.DagsterEvent) -> RunFailure:
    """Return the failure with what is known of the step that failed, instead of a death of the process."""
    data = event.step_failure_data
    failure = data.user_failure_data
    named = failure.metadata.get("outcome") if failure else None
    error = (data.error.cause or data.error) if data.error else None
    kind = (error.cls_name if error else None) or "an unknown error"
    if failure and failure.description:
        detail, words = stage, failure.description
    else:
        text = error.message.strip() if error else ""
        ours = text.startswith(_OUR_ERRORS)  # the program's own errors quote no values; others may
        detail = f"{stage}: {kind}"
        words = text.partition(": ")[2].splitlines()[0] if ours and ": " in text else f"It failed of {kind}."
    what = f"The step {stage} failed. {words} The run shows its steps. {_WHAT_NEXT[died.kind_name]} {_NOTHING_LOST}"
    return replace(died, outcome=Outcome(str(named.value)) if named else None, detail=detail, what=what)


def _ended_at(record: dg.RunRecord) -> datetime:
    return datetime.fromtimestamp(record.end_time, UTC) if record.end_time else record.update_timestamp


def take_in_silence(desk: AlertDesk, workspace: Workspace, instance: dg.DagsterInstance, now: datetime) -> int:
    """Hand over what is known of each account that has a key, but for the demo; return how many there are."""
    accounts = [account for account in workspace.settings.accounts if account.has_key and account.name != DEMO_ACCOUNT]
    desk.take_in_silence([gather_silence_facts(desk, workspace, instance, account, now) for account in accounts])
    return len(accounts)


def gather_delivery_facts(workspace: Workspace) -> dict[str, list[DeliveryFacts]]:
    """Return what the deliveries of each account are judged by."""
    settings = workspace.settings
    facts: dict[str, list[DeliveryFacts]] = {account.name: [] for account in settings.accounts}
    outbox, log = Outbox(settings.state_dir), DeliveryLog(settings.state_dir)
    for one in settings.destinations if outbox.exists else ():
        parked = outbox.in_states([DeliveryState.PARKED], one.account, one.name)
        reasons = Counter(row.last_error for row in parked)
        runs = log.last_runs(one.account, one.name, RUNS_LOOKED_AT)
        facts.setdefault(one.account, []).append(DeliveryFacts(one.name, runs, len(parked), reasons))
    return facts


def gather_silence_facts(
    desk: AlertDesk, workspace: Workspace, instance: dg.DagsterInstance, account: Account, now: datetime
) -> SilenceFacts:
    """Return what an account's silence is judged by."""
    first, last = first_day_due(workspace, account), last_day_over(now)
    success, call = workspace.call_log.last_success_of(account.name), workspace.call_log.first_of(account.name)
    busy = days_in_progress(instance, account.name)
    lacking = lacking_days(workspace, account.name, first, last, now) if first else []
    recent = days_between(last - (MOST_WEEKS + 2) * timedelta(days=7), last)
    complete = [day.day for day in workspace.coverage(account.name, recent, now) if day.state is DayState.COMPLETE]
    return SilenceFacts(
        account.name,
        now,
        desk.watched_since(account.name, now),
        success.sent_at if success else None,
        call.sent_at if call else None,
        tuple(day for day in lacking if day not in busy),
        workspace.lead_files(account.name).counts(complete),
        account.key_life,
    )


def lacking_days(workspace: Workspace, account: str, first: date, last: date, now: datetime) -> list[date]:
    """Return the past days from first to last that could be had and are not complete."""
    days = days_between(max(first, first_day_in_reach(now)), min(last, last_day_over(now)))
    return [day.day for day in workspace.coverage(account, days, now) if day.state not in _NOT_LACKING]
