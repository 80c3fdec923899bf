"""The first stage: from the days of a run to at most one call, and from its answer to a stored, judged response."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from leads_pipeline.days import IST, utc_now
from leads_pipeline.indiamart.api_versions import api_version
from leads_pipeline.indiamart.call_log import CallRecord
from leads_pipeline.indiamart.call_slot import CallInFlight, Claim, Granted, SlotTimes, Wait, key_fingerprint
from leads_pipeline.indiamart.client import HttpAnswer, IndiaMartClient, UnreachableError
from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline.indiamart.reading import is_window_too_wide, newer_key_made_at
from leads_pipeline.indiamart.windows import REACH_DAYS, Window, split_by_reach
from leads_pipeline.kill_points import reach
from leads_pipeline.secret_values import SecretMasker
from leads_pipeline.settings import Account
from leads_pipeline.stages.call_records import record_of_answer, record_without_answer
from leads_pipeline.stages.empty_answers import settled
from leads_pipeline.stages.planning import CutTooShortError, PullDays, next_window
from leads_pipeline.stages.recovery import recover_calls
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.storage.raw import RawResponse, ResponseName, sha256_of

MAX_TRANSIENT_FAILURES = 5
"""How many calls of one run may fail for a passing reason before the run fails."""
MAX_EMPTY_ANSWERS = 3
"""How many answers of one run may be empty without saying why: a first one, and two wider ones that must agree."""
_CEILING_UNIT = 500
"""An answer of exactly a multiple of so many records looks as if it had been cut off at a limit."""
SCHEDULE_PRIORITY = 10
"""Calls of the schedules go ahead of a backfill's queue."""


@dataclass(frozen=True)
class PullRequest:
    """What one run wants of an account."""

    account: Account
    days: tuple[date, ...]
    run_id: str
    again: bool = False
    """Ask for the days whatever coverage says."""
    priority: int = 0


@dataclass(frozen=True)
class Pulled:
    """The run has what it can have: by its own call, or by answers that were there already."""

    response: RawResponse | None
    """The answer of the run's own call; None if no call was needed."""
    out_of_reach: tuple[date, ...]


@dataclass(frozen=True)
class PullLater:
    """The run must ask again later: the slot is closed, or the call failed for a passing reason."""

    seconds: float
    until: datetime
    reason: str
    """One line for the run's log: why, and until when."""


class PullFailedError(Exception):
    """The run can't have its days; the text says what happened and who must do what. Holds no key."""

    def __init__(self, message: str, outcome: Outcome | None = None) -> None:
        super().__init__(message)
        self.outcome = outcome


def pull(workspace: Workspace, request: PullRequest, log: Callable[[str], None]) -> Pulled | PullLater:
    """Make the run's one call if it lacks days and the slot is free; raise PullFailedError if it can't ever."""
    account = request.account
    _refuse_other_origin(workspace, account)
    recover_calls(workspace, account, log)
    days = split_by_reach(request.days, utc_now())
    window = _next_window(workspace, request)
    if window is None:
        workspace.slots.leave_queue(key_fingerprint(account.key), request.run_id)
        if days.too_old and not days.within and _some_lacking(workspace, request):
            raise PullFailedError(_too_old(days.too_old))
        log("Every day that can be asked for is fetched already: no call is made.")
        return Pulled(None, days.too_old)
    if not account.has_key:
        raise PullFailedError(_no_key(account))
    granted = workspace.slots.request(_claim(request, window))
    if isinstance(granted, Wait):
        return _later(granted, window)
    recover_calls(workspace, account, log)  # a killed call's slot may have lapsed only now, its answer stored
    window = _next_window(workspace, request)
    if window is None:
        workspace.slots.give_back(granted)
        log("Another run has fetched these days meanwhile: no call is made.")
        return Pulled(None, days.too_old)
    reach("call:slot")
    call = _call(workspace, request, granted, window, log)
    if call is None:
        return _at_next_slot(workspace, account, "The slot's time was over before the call could be made.")
    return _judge(workspace, request, call, days.too_old)


def pulled_already(workspace: Workspace, request: PullRequest) -> Pulled | None:
    """Return what the run has had of this access already; None if it must still ask.

    Raises PullFailedError, as `pull` did, if the run's calls with this access failed for good.
    """
    calls = _calls_of_run(workspace, request)
    if not calls:
        return None
    if calls[-1].outcome.rule.is_success:
        answer = workspace.raw.read_sidecar(calls[-1].response_id)
        return Pulled(answer, split_by_reach(request.days, utc_now()).too_old)
    _refuse_more_calls(calls, calls[-1])
    return None


def _next_window(workspace: Workspace, request: PullRequest) -> Window | None:
    try:
        return next_window(workspace, request.account, PullDays(request.days, request.again), utc_now())
    except CutTooShortError as error:
        raise PullFailedError(str(error), Outcome.TRUNCATED) from None


def _some_lacking(workspace: Workspace, request: PullRequest) -> bool:
    return not all(day.fetched for day in workspace.coverage(request.account.name, request.days, utc_now()))


def _claim(request: PullRequest, window: Window) -> Claim:
    account = request.account
    return Claim(
        key_fingerprint(account.key),
        request.run_id,
        SlotTimes(account.call_interval_seconds, account.timeout_seconds, account.block_seconds),
        request.priority,
        turn=window.start.isoformat(),
    )


def _later(wait: Wait, window: Window) -> PullLater:
    behind = f", behind {wait.ahead} other(s)" if wait.ahead else ""
    return PullLater(wait.seconds, wait.until, f"The call for {window} waits for its slot{behind}: {wait.reason}.")


def _call(
    workspace: Workspace, request: PullRequest, granted: Granted, window: Window, log: Callable[[str], None]
) -> RawResponse | CallRecord | None:
    """Make the call, store its answer, log it and release the slot; return the answer or the failed call.

    Returns None, without a call, if the slot went to another process since it was granted.
    """
    account = request.account
    name = ResponseName(account.name, account.api_version, window, utc_now())
    in_flight = CallInFlight(
        granted.claim.key_fingerprint,
        request.run_id,
        account.name,
        account.api_version,
        window,
        name.response_id,
        name.sent_at,
        granted.waited_seconds,
        lapsed=False,
    )
    if not workspace.slots.begin(granted, in_flight):
        return None
    workspace.catalog.announce(name.response_id)
    waited = f", after a wait of {granted.waited_seconds:.0f} s for its slot" if granted.waited_seconds >= 1 else ""
    log(f"Asking IndiaMART ({account.api_version}) for {window}{waited}.")
    client = IndiaMartClient(api_version(account.api_version), account.access, account.timeout_seconds)
    try:
        answer = client.ask(window)
    except UnreachableError as error:
        failed = record_without_answer(in_flight, str(error))
        workspace.slots.release(granted, failed)
        workspace.catalog.withdraw(name.response_id)
        return failed
    workspace.raw.write_body(name, answer.body)
    response = settled(workspace, account, _sidecar(request, name, answer))
    workspace.raw.write_sidecar(response)
    workspace.catalog.add(response)
    workspace.slots.release(granted, record_of_answer(response, granted.waited_seconds))
    log(
        f"IndiaMART answered in {answer.latency_seconds:.2f} s: {response.outcome}, {response.records} record(s) "
        f"(HTTP {response.http_status}, CODE {response.code}); stored as {response.response_id}."
    )
    if response.records >= _CEILING_UNIT and response.records % _CEILING_UNIT == 0:
        log(
            f"WARNING: {response.records} is a suspiciously round number of records: the API may have a limit that it "
            "does not tell. Compare with the seller panel; shorter windows bring more calls, but whole answers."
        )
    return response


def _sidecar(request: PullRequest, name: ResponseName, answer: HttpAnswer) -> RawResponse:
    account = request.account
    version = api_version(account.api_version)
    judgement = version.judge(answer.body, answer.http_status, SecretMasker(account.access.secrets))
    return RawResponse(
        response_id=name.response_id,
        account=account.name,
        source_api=account.api_version,
        origin=account.origin,
        window_start=name.window.start,
        window_end=name.window.end,
        sent_at=name.sent_at,
        received_at=answer.received_at,
        server_date=answer.server_date,
        latency_seconds=round(answer.latency_seconds, 3),
        http_status=answer.http_status,
        code=judgement.code,
        message=judgement.message,
        total_records=judgement.total_records,
        records=judgement.records,
        outcome=judgement.outcome,
        sha256=sha256_of(answer.body),
        body_bytes=len(answer.body),
        run_id=request.run_id,
        key_fingerprint=key_fingerprint(account.key),
        key_masked=answer.key_masked,
    )


def _judge(
    workspace: Workspace, request: PullRequest, call: RawResponse | CallRecord, too_old: tuple[date, ...]
) -> Pulled | PullLater:
    rule = call.outcome.rule
    if isinstance(call, RawResponse) and rule.is_success:
        return Pulled(call, too_old)
    if is_window_too_wide(call.outcome, call.message):
        workspace.slots.remember_narrow_windows(request.account.name)
    _refuse_more_calls(_calls_of_run(workspace, request), call)
    return _at_next_slot(workspace, request.account, f"{rule.sentence}{_words_of(call)}")


def _calls_of_run(workspace: Workspace, request: PullRequest) -> list[CallRecord]:
    """Return the run's calls to the request's version of the API, oldest first."""
    wanted = request.account.name, request.account.api_version
    calls = workspace.call_log.of_run(request.run_id)
    return [call for call in calls if (call.account, call.source_api) == wanted]


def _refuse_more_calls(calls: Sequence[CallRecord], last: RawResponse | CallRecord) -> None:
    """Raise PullFailedError if the last call's failure won't pass, or the run's calls have failed too often."""
    sentence = f"{last.outcome.rule.sentence}{_words_of(last)}"
    if not last.outcome.rule.is_transient and not is_window_too_wide(last.outcome, last.message):
        raise PullFailedError(sentence, last.outcome)
    failures = [call for call in calls if not call.outcome.rule.is_success]
    empties = [call for call in failures if call.outcome is Outcome.AMBIGUOUS_EMPTY]
    if len(failures) >= MAX_TRANSIENT_FAILURES or len(empties) >= MAX_EMPTY_ANSWERS:
        raise PullFailedError(f"The run gave up after {len(failures)} failed calls; the last: {sentence}", last.outcome)


def _words_of(call: RawResponse | CallRecord) -> str:
    if not call.message:
        return ""
    if call.outcome in (Outcome.UNREACHABLE, Outcome.AMBIGUOUS_EMPTY):
        return f" Reason: {call.message}"
    made_at = newer_key_made_at(call.message)
    newer = f" The newer key was made at {made_at.astimezone(IST):%d %b %Y %H:%M} IST." if made_at else ""
    return f" IndiaMART said: {call.message}{newer}"


def _at_next_slot(workspace: Workspace, account: Account, reason: str) -> PullLater:
    state = workspace.slots.state(key_fingerprint(account.key))
    return PullLater(state.seconds_left, state.next_free_at, reason)


def _refuse_other_origin(workspace: Workspace, account: Account) -> None:
    origins = {access.origin for access in workspace.versions_of(account)}
    others = workspace.catalog.origins(account.name) - origins - {account.origin}
    if others:
        raise PullFailedError(
            f"The answers of account {account.name} came from {', '.join(sorted(others))}, but the settings now "
            f"name {account.origin}. No call was made, so that leads of two sources can't mix. Put INDIAMART_API_URL "
            "back, or use another LEADS_DATA_DIR for the other source."
        )


def _no_key(account: Account) -> str:
    return (
        f"Account {account.name} has no CRM key, so no call was made. Put INDIAMART_CRM_KEY=... into .env "
        "(the seller panel shows it: Lead Manager, Import/Export Leads, Pull API), or try `leads demo`."
    )


def _too_old(days: tuple[date, ...]) -> str:
    return (
        f"IndiaMART serves the last {REACH_DAYS} days only: {days[0]} to {days[-1]} can't be asked for any more. "
        "No call was made. Ask for later days, or import answers that were saved earlier."
    )
