"""Answers put into an installation's store as if an earlier run had pulled them."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from leads_pipeline.fake_indiamart.answers import leads_answer
from leads_pipeline.fake_indiamart.draws import Draws
from leads_pipeline.fake_indiamart.truth import TrueLead
from leads_pipeline.indiamart.api_versions import api_version
from leads_pipeline.indiamart.windows import Window
from leads_pipeline.secret_values import SecretMasker
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.storage.raw import RawResponse, ResponseName, sha256_of
from leads_pipeline_tests.support import answer_body


def store_records(
    workspace: Workspace,
    window: Window,
    records: Sequence[Any],
    sent_at: datetime,
    *,
    received_at: datetime | None = None,
    source_api: str = "v2",
) -> RawResponse:
    """Store an answer with these records, by default received the moment it was sent; it is not in the catalogue."""
    name = ResponseName(workspace.settings.accounts[0].name, source_api, window, sent_at)
    body = json.dumps(records).encode() if source_api == "v1" else answer_body(records=records)
    return _store(workspace, name, body, received_at or sent_at)


def store_leads(workspace: Workspace, window: Window, leads: Sequence[TrueLead], sent_at: datetime) -> RawResponse:
    """Store the answer with these leads that the fake IndiaMART would have given, and enter it in the catalogue."""
    body = leads_answer(leads, Draws(str(window))).encoded()
    response = _store(
        workspace, ResponseName(workspace.settings.accounts[0].name, "v2", window, sent_at), body, sent_at
    )
    workspace.catalog.add(response)
    return response


def _store(workspace: Workspace, name: ResponseName, body: bytes, received_at: datetime) -> RawResponse:
    account = workspace.settings.accounts[0]
    judgement = api_version(name.source_api).judge(body, 200, SecretMasker([account.key]))
    response = RawResponse(
        response_id=name.response_id,
        account=account.name,
        source_api=name.source_api,
        origin=account.origin,
        window_start=name.window.start,
        window_end=name.window.end,
        sent_at=name.sent_at,
        received_at=received_at,
        server_date=None,
        latency_seconds=0.0,
        http_status=200,
        code=judgement.code,
        message=judgement.message,
        total_records=judgement.total_records,
        records=judgement.records,
        outcome=judgement.outcome,
        sha256=sha256_of(body),
        body_bytes=len(body),
        run_id="an-earlier-run",
        key_fingerprint="",
        key_masked=False,
    )
    workspace.raw.write_body(name, body)
    workspace.raw.write_sidecar(response)
    return response
