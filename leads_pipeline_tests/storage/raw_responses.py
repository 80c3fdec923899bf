"""Raw responses of the storage tests: names, sidecars, stored answers."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from leads_pipeline.days import day_end, day_start
from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline.indiamart.windows import Window
from leads_pipeline.storage.catalog import StoredAnswer
from leads_pipeline.storage.raw import RawResponse, RawStore, ResponseName, sha256_of
from leads_pipeline_tests.support import answer_body, ist, records_of

BODY = answer_body(200, records=records_of("1", "2"))
SENT = datetime(2026, 3, 10, 1, 2, 3, 456_789, tzinfo=UTC)


def window_of(first: date, last: date) -> Window:
    return Window(day_start(first), day_end(last))


WINDOW = window_of(date(2026, 3, 1), date(2026, 3, 7))


def name_of(window: Window = WINDOW, *, account: str = "indiamart", sent_at: datetime = SENT) -> ResponseName:
    return ResponseName(account, "v2", window, sent_at)


def response_of(name: ResponseName, body: bytes = BODY, **changes: Any) -> RawResponse:
    response = RawResponse(
        response_id=name.response_id,
        account=name.account,
        source_api=name.source_api,
        origin="https://mapi.indiamart.com",
        window_start=name.window.start,
        window_end=name.window.end,
        sent_at=name.sent_at,
        received_at=name.sent_at + timedelta(seconds=1),
        server_date=ist("2026-03-10 06:32:03"),
        latency_seconds=0.987,
        http_status=200,
        code=200,
        message="",
        total_records=2,
        records=2,
        outcome=Outcome.LEADS,
        sha256=sha256_of(body),
        body_bytes=len(body),
        run_id="run-1",
        key_fingerprint="0123456789abcdef",
        key_masked=False,
    )
    return replace(response, **changes)


def store(raw: RawStore, name: ResponseName, **changes: Any) -> RawResponse:
    """Store an answer with its sidecar."""
    response = response_of(name, **changes)
    raw.write_body(name, BODY)
    raw.write_sidecar(response)
    return response


def stored(
    first: date,
    last: date,
    *,
    outcome: Outcome = Outcome.LEADS,
    fetched_at: datetime | None = None,
    proven_until: datetime | None = None,
    merged: bool = True,
    name: str = "a",
) -> StoredAnswer:
    """What planning knows of an answer for whole days, fetched 10 minutes after they ended unless said otherwise."""
    window = window_of(first, last)
    fetched = fetched_at or window.end + timedelta(minutes=10)
    return StoredAnswer(
        name,
        "indiamart",
        "v2",
        window,
        proven_until or fetched - timedelta(minutes=5),
        fetched,
        outcome,
        3,
        merged,
    )
