"""The call log's row of a call: from its stored answer, or from what is known when none came."""

from leads_pipeline.days import utc_now
from leads_pipeline.indiamart.call_log import CallRecord
from leads_pipeline.indiamart.call_slot import CallInFlight
from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline.storage.raw import RawResponse


def record_of_answer(response: RawResponse, waited_seconds: float) -> CallRecord:
    """Return the row of a call whose answer is stored."""
    return CallRecord(
        account=response.account,
        source_api=response.source_api,
        window_start=response.window_start,
        window_end=response.window_end,
        sent_at=response.sent_at,
        received_at=response.received_at,
        latency_seconds=response.latency_seconds,
        waited_seconds=waited_seconds,
        outcome=response.outcome,
        http_status=response.http_status,
        code=response.code,
        message=response.message,
        records=response.records,
        total_records=response.total_records,
        response_id=response.response_id,
        run_id=response.run_id,
        key_fingerprint=response.key_fingerprint,
    )


def record_without_answer(call: CallInFlight, message: str) -> CallRecord:
    """Return the row of a call that no answer came of, with the reason in words."""
    return CallRecord(
        account=call.account,
        source_api=call.source_api,
        window_start=call.window.start,
        window_end=call.window.end,
        sent_at=call.sent_at,
        received_at=None,
        latency_seconds=max((utc_now() - call.sent_at).total_seconds(), 0.0),
        waited_seconds=call.waited_seconds,
        outcome=Outcome.UNREACHABLE,
        http_status=None,
        code=None,
        message=message,
        records=0,
        total_records=None,
        response_id=call.response_id,
        run_id=call.holder,
        key_fingerprint=call.key_fingerprint,
    )
