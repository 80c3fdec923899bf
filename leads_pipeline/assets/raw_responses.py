"""`raw_responses`: at most one call for the run's days; the answer's bytes and facts, stored before they are judged."""

from typing import Any

import dagster as dg

from leads_pipeline.assets.border import stage_border
from leads_pipeline.assets.calls import calls_observed
from leads_pipeline.assets.partitions import (
    ACCOUNT_TAG,
    BACKFILL_POLICY,
    WINDOW_TAG,
    answers_metadata,
    asset_tags,
    report_days,
    run_days,
    window_tag,
)
from leads_pipeline.days import IST, utc_now
from leads_pipeline.indiamart.call_slot import key_fingerprint
from leads_pipeline.settings import Account
from leads_pipeline.stages.pull import Pulled, PullFailedError, PullLater, PullRequest
from leads_pipeline.stages.pull_versions import OtherVersionPulled, VersionsPulled, pull_versions
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.storage.process_locks import PROCESS_TAG, this_process

MAX_WAITS = 1_000_000
"""Waits and failures share Dagster's retry number, so its bound lies far above any queue; failures are bounded
by the call log instead (`stages.pull.MAX_TRANSIENT_FAILURES`)."""

WAIT_TAG = "leads/last_wait"
"""The run tag that says until when the run last waited for its call, and why."""


class PullConfig(dg.Config):
    """What an operator may decide for one run."""

    again: bool = False
    """Ask IndiaMART for the run's days even if they are complete already: finds leads that came late."""
    priority: int = 0
    """Runs of a higher priority get the next call first."""


def build_raw_responses(account: Account, days: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """Return the account's first asset."""

    @dg.asset(
        name="raw_responses",
        key_prefix=account.name,
        group_name=account.name,
        partitions_def=days,
        backfill_policy=BACKFILL_POLICY,
        pool=f"indiamart_api_{account.name}",
        kinds={"indiamart", "json"},
        tags=asset_tags(account, "answers"),
        description=(
            "Every answer of IndiaMART's CRM API, byte by byte, with its facts beside it. One run of up to 7 days "
            "makes at most one call for each of the account's keys; days that were fetched already make none."
        ),
    )
    def raw_responses(
        context: dg.AssetExecutionContext, config: PullConfig, workspace: dg.ResourceParam[Workspace]
    ) -> dg.MaterializeResult[None]:
        tag_run(context, workspace)
        request = PullRequest(account, run_days(context), context.run.run_id, config.again, config.priority)
        try:
            with calls_observed(context, workspace, account), stage_border():
                result = pull_versions(workspace, request, context.log.info)
        except PullFailedError as error:
            metadata = {"outcome": error.outcome.value} if error.outcome else {}
            raise dg.Failure(str(error), metadata=metadata, allow_retries=False) from None
        if isinstance(result, PullLater):
            until = result.until.astimezone(IST)
            context.log.info(f"{result.reason} Next try at {until:%H:%M:%S} IST.")
            why = result.reason.partition(". ")[0].rstrip(".")  # a list of runs has no room for more
            context.instance.add_run_tags(context.run.run_id, {WAIT_TAG: f"until {until:%Y-%m-%d %H:%M:%S} IST: {why}"})
            raise dg.RetryRequested(max_retries=MAX_WAITS, seconds_to_wait=result.seconds)
        return _report(context, workspace, account, request, result)

    return raw_responses


def tag_run(context: dg.AssetExecutionContext, workspace: Workspace) -> None:
    """Give the run the tags that operators filter by, and the process that makes it.

    By the process whoever comes next can tell a run that waits from one whose process died.
    """
    days = run_days(context)
    accounts = sorted({key.path[0] for key in context.job_def.asset_layer.executable_asset_keys})
    wanted = {
        ACCOUNT_TAG: ", ".join(accounts),
        WINDOW_TAG: window_tag(days[0], days[-1]),
        PROCESS_TAG: this_process(workspace.settings.state_dir),
    }
    lacking = {name: value for name, value in wanted.items() if context.run.tags.get(name) != value}
    if lacking:
        context.instance.add_run_tags(context.run.run_id, lacking)


def _report(
    context: dg.AssetExecutionContext,
    workspace: Workspace,
    account: Account,
    request: PullRequest,
    result: VersionsPulled,
) -> dg.MaterializeResult[None]:
    pulled = [result.main, *([result.other.pulled] if result.other and result.other.pulled else [])]
    answers = [one.response for one in pulled if one.response is not None]
    asked = {day for answer in answers for day in answer.window.days}
    coverage = workspace.coverage(account.name, asked | {*request.days}, utc_now())
    beyond = [day.day for day in coverage if day.fetched and day.day in asked]
    facts: dict[str, Any] = {"calls": len(answers), **_answer_facts(result.main), **_slot_facts(workspace, account)}
    if result.main.out_of_reach:
        facts["out_of_reach"] = [day.isoformat() for day in result.main.out_of_reach]
    if result.other is not None:
        facts |= _facts_of_other(workspace, result.other)
    known = {name: value for name, value in facts.items() if value is not None}
    report_days(context, answers_metadata(coverage), beyond, known)
    return dg.MaterializeResult()


def _answer_facts(pulled: Pulled) -> dict[str, Any]:
    response = pulled.response
    if response is None:
        return {}
    return {
        "window": str(response.window),
        "outcome": response.outcome.value,
        "records": response.records,
        "http_status": response.http_status,
        "code": response.code,
        "latency_seconds": response.latency_seconds,
        "response_id": response.response_id,
    }


def _slot_facts(workspace: Workspace, access: Account) -> dict[str, Any]:
    slot = workspace.slots.state(key_fingerprint(access.key))
    return {
        "next_call_at": dg.MetadataValue.timestamp(slot.next_free_at),
        "next_call_waits_because": slot.reason,
        "call_slot_holder": slot.holder or "nobody",
        "runs_waiting_for_a_call": len(slot.queue),
    }


def _facts_of_other(workspace: Workspace, other: OtherVersionPulled) -> dict[str, Any]:
    """Return what came of the account's other version, each name with the version before it: `v1_outcome`."""
    facts = {**(_answer_facts(other.pulled) if other.pulled else {}), **_slot_facts(workspace, other.access)}
    if other.failure:
        facts["failure"] = other.failure
    return {f"{other.access.api_version}_{name}": value for name, value in facts.items()}
