"""Sensors: they gather facts and hand over what a pure function decides of them."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime

import dagster as dg
from dagster import RunsFilter

from leads_pipeline.days import days_between, utc_now
from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline.jobs import pull_request
from leads_pipeline.run_queue import days_in_progress, days_of_tags, end_dead_runs, unfinished_runs
from leads_pipeline.settings import Account
from leads_pipeline.stages.gaps import (
    NOT_YET_PAUSE,
    GapFacts,
    GapRun,
    Refusal,
    decide_gaps,
    last_gap_day,
)
from leads_pipeline.stages.workspace import Workspace

GAPS_TAG = "leads/gaps"
"""The tag of the runs that an account's gap sensor requested; dagster.yaml lets one run at a time per account."""
_SECONDS_BETWEEN_LOOKS = 60
_RUNS_LOOKED_AT = 20


def build_gap_sensor(
    account: Account, job: dg.JobDefinition, workspace: Workspace, clock: Callable[[], datetime] = utc_now
) -> dg.SensorDefinition:
    """Return the sensor that requests what the account's coverage lacks."""

    @dg.sensor(
        name=f"{account.name}_gaps",
        job=job,
        minimum_interval_seconds=_SECONDS_BETWEEN_LOOKS,
        default_status=(dg.DefaultSensorStatus.RUNNING if account.schedules_on else dg.DefaultSensorStatus.STOPPED),
        description=(
            "Requests the days that are not complete, as far back as IndiaMART serves: first those that are fetched "
            "and not merged (no call), then the others in the fewest calls, newest first. Leaves the account alone "
            "after a refusal that only a person can mend, until its key or settings change and are loaded anew."
        ),
    )
    def gaps(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        end_dead_runs(context.instance, workspace.settings.state_dir)
        decision = decide_gaps(gather_gap_facts(context.instance, workspace, account, context.cursor, clock()))
        return dg.SensorResult(
            run_requests=[
                pull_request(account, request.first, request.last, tags={GAPS_TAG: account.name})
                for request in decision.requests
            ],
            skip_reason=decision.reason or None,
            cursor=json.dumps(asdict(decision.refusal)) if decision.refusal else "",
        )

    return gaps


def gather_gap_facts(
    instance: dg.DagsterInstance, workspace: Workspace, account: Account, cursor: str | None, now: datetime
) -> GapFacts:
    """Return what the decision is made of; the cursor is what an earlier decision asked to be remembered."""
    start = max(workspace.start_date(), account.start or date.min)
    tags = {GAPS_TAG: account.name}
    return GapFacts(
        account=account,
        now=now,
        coverage=tuple(workspace.coverage(account.name, days_between(start, last_gap_day(now)), now)),
        longest_window=workspace.longest_window(account.name),
        in_progress=days_in_progress(instance, account.name),
        unfinished=len(unfinished_runs(instance, tags)),
        finished=_finished(workspace, instance.get_run_records(RunsFilter(tags=tags), limit=_RUNS_LOOKED_AT)),
        last_call=workspace.call_log.last_of(account.name, workspace.only_source(account)),
        not_yet_available=tuple(
            workspace.call_log.of_outcome_since(account.name, Outcome.NOT_YET_AVAILABLE, now - NOT_YET_PAUSE)
        ),
        refusal=Refusal(**json.loads(cursor)) if cursor else None,
    )


def _finished(workspace: Workspace, records: Sequence[dg.RunRecord]) -> tuple[GapRun, ...]:
    runs = [
        GapRun(
            days=tuple(days_of_tags(record.dagster_run.tags)),
            ended_at=datetime.fromtimestamp(record.end_time, UTC) if record.end_time else record.update_timestamp,
            succeeded=record.dagster_run.is_success,
            last_call=next(reversed(workspace.call_log.of_run(record.dagster_run.run_id)), None),
        )
        for record in records
        if record.dagster_run.is_finished
    ]
    return tuple(sorted(runs, key=lambda run: run.ended_at, reverse=True))
