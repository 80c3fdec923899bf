"""The API calls of a run as observations of `raw_responses`: a timeline with plots in the UI, failed calls included."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg

from leads_pipeline.indiamart.call_log import CallRecord
from leads_pipeline.settings import Account
from leads_pipeline.stages.workspace import Workspace


@contextmanager
def calls_observed(context: dg.AssetExecutionContext, workspace: Workspace, account: Account) -> Iterator[None]:
    """Report the calls that the run makes for the account meanwhile, whatever becomes of them or of the block."""
    newest = workspace.call_log.newest_id()
    try:
        yield
    finally:
        for call in workspace.call_log.after(newest):
            if (call.account, call.run_id) == (account.name, context.run.run_id):
                context.log_event(observation_of(context.asset_key, call))


def observation_of(asset: dg.AssetKey, call: CallRecord) -> dg.AssetObservation:
    """Return the picture of one call; it holds no words of the API, which may echo anything."""
    labels: dict[str, Any] = {  # numbers that mean nothing as a curve; Dagster plots those of the other facts
        "code": call.code,
        "http_status": call.http_status,
        "total_records": call.total_records,
        "call_id": call.call_id,
    }
    rule = call.outcome.rule
    facts: dict[str, Any] = {
        "api": call.source_api,
        "outcome": call.outcome.value,
        "who_acts": None if rule.is_success else rule.actor.value,
        "asked_again": None if rule.is_success else rule.retry.value,
        "window": str(call.window),
        "records": call.records,
        "latency_seconds": call.latency_seconds,
        "waited_seconds": round(call.waited_seconds, 3),
        "failed": int(not rule.is_success),
        "sent_at": dg.MetadataValue.timestamp(call.sent_at),
        **{name: str(value) for name, value in labels.items() if value is not None},
        "response_id": call.response_id,
    }
    return dg.AssetObservation(
        asset,
        description=rule.sentence,
        metadata={name: value for name, value in facts.items() if value is not None},
    )
