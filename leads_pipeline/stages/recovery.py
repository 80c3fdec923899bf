"""What a killed process left behind: its stored answer is entered, its call is logged, nothing is asked twice."""

from collections.abc import Callable

from leads_pipeline.indiamart.api_versions import api_version
from leads_pipeline.indiamart.call_slot import CallInFlight
from leads_pipeline.secret_values import SecretMasker
from leads_pipeline.settings import Account
from leads_pipeline.stages.call_records import record_of_answer, record_without_answer
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.storage.raw import RawResponse, ResponseName, is_import, sha256_of


def recover_calls(workspace: Workspace, account: Account, log: Callable[[str], None]) -> None:
    """Enter the account's answers that were stored and not entered, and log the calls that were cut short.

    A call under way is left alone: only when its slot's time is over can its process be nothing but dead.
    """
    announced = workspace.catalog.announced()  # read first: what is announced and not in flight then is over
    in_flight = {call.response_id: call for call in workspace.slots.in_flight() if call.account == account.name}
    for response_id in announced:
        if ResponseName.parse(response_id).account == account.name and not is_import(response_id):
            _enter_or_withdraw(workspace, account, response_id, in_flight.get(response_id), log)
    for call in in_flight.values():
        _settle(workspace, call, log)


def _enter_or_withdraw(
    workspace: Workspace,
    account: Account,
    response_id: str,
    call: CallInFlight | None,
    log: Callable[[str], None],
) -> None:
    is_over = call is None or call.lapsed
    response = workspace.raw.read_sidecar(response_id)
    if response is None and is_over and workspace.raw.has_body(response_id):
        response = _judged_from_body(workspace, account, response_id, call)
        workspace.raw.write_sidecar(response)
    if is_over:
        workspace.raw.remove_leftovers(response_id)
    if response is not None:
        workspace.catalog.add(response)
        log(f"Entered the answer {response_id}, which an earlier process had stored before it ended.")
    elif is_over:
        workspace.catalog.withdraw(response_id)


def _judged_from_body(
    workspace: Workspace, account: Account, response_id: str, call: CallInFlight | None
) -> RawResponse:
    """Return the facts of an answer that has no sidecar: from its name and its body, with the HTTP status unknown."""
    name = ResponseName.parse(response_id)
    account = next((one for one in workspace.versions_of(account) if one.api_version == name.source_api), account)
    body = workspace.raw.read_body(response_id)
    judgement = api_version(name.source_api).judge(body, None, SecretMasker(account.access.secrets))
    return RawResponse(
        response_id=response_id,
        account=name.account,
        source_api=name.source_api,
        origin=account.origin,
        window_start=name.window.start,
        window_end=name.window.end,
        sent_at=name.sent_at,
        received_at=name.sent_at,
        server_date=None,
        latency_seconds=None,
        http_status=None,
        code=judgement.code,
        message=judgement.message,
        total_records=judgement.total_records,
        records=judgement.records,
        outcome=judgement.outcome,
        sha256=sha256_of(body),
        body_bytes=len(body),
        run_id=call.holder if call else "",
        key_fingerprint=call.key_fingerprint if call else "",
        key_masked=False,
        recovered=True,
    )


def _settle(workspace: Workspace, call: CallInFlight, log: Callable[[str], None]) -> None:
    response = workspace.raw.read_sidecar(call.response_id)
    if response is not None:
        workspace.slots.settle(call, record_of_answer(response, call.waited_seconds))
    elif call.lapsed:
        workspace.slots.settle(call, record_without_answer(call, "the process ended before an answer was stored"))
        log(f"A call for {call.window} was cut short: its process ended before an answer was stored.")
