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
    facts: dict[str, Any] = {
        "outcome": call.outcome.value,
        "window": str(call.window),
        "records": call.records,
        "total_records": call.total_records,
        "code": call.code,
        "http_status": call.http_status,
        "latency_seconds": call.latency_seconds,
        "waited_seconds": round(call.waited_seconds, 3),
        "failed": int(not call.outcome.rule.is_success),
        "sent_at": dg.MetadataValue.timestamp(call.sent_at),
        "call_id": call.call_id,
        "response_id": call.response_id,
    }
    return dg.AssetObservation(
        asset,
        description=call.outcome.rule.sentence,
        metadata={name: value for name, value in facts.items() if value is not None},
    )
