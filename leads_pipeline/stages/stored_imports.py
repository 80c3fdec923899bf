"""Imported answers in the raw store: written like any other, marked so that they never count as a call or a proof.

Whoever stores or recovers one holds the account's merge lock; so what is announced and not entered while the lock is
held is of a process that died.
"""

from collections.abc import Callable

from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline.indiamart.saved_answers import NotAnAnswerError, read_saved_answers
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.storage.catalog import StoredAnswer
from leads_pipeline.storage.raw import RawResponse, ResponseName, is_import, sha256_of

_ORIGIN = "import:"


def import_origin(file_name: str) -> str:
    """Return what the sidecar of an imported answer names as its origin: the file, without the way to it."""
    return f"{_ORIGIN}{file_name}"


def store_import(workspace: Workspace, response: RawResponse, body: bytes) -> StoredAnswer:
    """Store an imported answer, its secrets masked already; storing the same again changes nothing."""
    workspace.catalog.announce(response.response_id)
    workspace.raw.write_body(ResponseName.parse(response.response_id), body)
    workspace.raw.write_sidecar(response)
    return _enter(workspace, response)


def import_facts(name: ResponseName, origin: str, body: bytes, records: int, *, key_masked: bool) -> RawResponse:
    """Return the sidecar of an imported answer; it was sent and received when it is said to have been fetched."""
    return RawResponse(
        response_id=name.response_id,
        account=name.account,
        source_api=name.source_api,
        origin=origin,
        window_start=name.window.start,
        window_end=name.window.end,
        sent_at=name.sent_at,
        received_at=name.sent_at,
        server_date=None,
        latency_seconds=None,
        http_status=None,
        code=None,
        message="",
        total_records=None,
        records=records,
        outcome=Outcome.LEADS,
        sha256=sha256_of(body),
        body_bytes=len(body),
        run_id="",
        key_fingerprint="",
        key_masked=key_masked,
    )


def recover_imports(workspace: Workspace, account: str, log: Callable[[str], None]) -> None:
    """Enter the account's imported answers that a killed process had stored and not entered."""
    for response_id in workspace.catalog.announced():
        if not is_import(response_id) or ResponseName.parse(response_id).account != account:
            continue
        response = workspace.raw.read_sidecar(response_id)
        if response is None and workspace.raw.has_body(response_id):
            response = _from_body(workspace, response_id)
        workspace.raw.remove_leftovers(response_id)
        if response is None:
            workspace.catalog.withdraw(response_id)
        else:
            _enter(workspace, response)
            log(f"Entered the imported answer {response_id}, which an earlier process had stored before it ended.")


def _from_body(workspace: Workspace, response_id: str) -> RawResponse | None:
    name, body = ResponseName.parse(response_id), workspace.raw.read_body(response_id)
    try:
        records = read_saved_answers(body).records.get(name.source_api, ())
    except NotAnAnswerError:
        return None
    if not records:
        return None
    response = import_facts(name, import_origin("unknown"), body, len(records), key_masked=False)
    workspace.raw.write_sidecar(response)
    return response


def _enter(workspace: Workspace, response: RawResponse) -> StoredAnswer:
    workspace.catalog.add(response)
    answer = workspace.catalog.answer(response.response_id)
    if answer is None:
        raise LookupError(f"{response.response_id} was entered and is not in the catalogue")
    return answer
