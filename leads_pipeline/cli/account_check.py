"""`leads accounts check`: asks the API once with each of an account's keys, through the slot, and stores the answer."""

import time
import uuid
from dataclasses import dataclass

from rich.console import Console

from leads_pipeline.cli.errors import FAILED, NEEDS_A_PERSON, TOO_EARLY, CommandError, exit_code_of
from leads_pipeline.cli.moments import in_india
from leads_pipeline.days import ONE_DAY, day_of, utc_now
from leads_pipeline.indiamart.call_log import CallRecord
from leads_pipeline.indiamart.call_slot import key_fingerprint
from leads_pipeline.settings import Account, load_settings
from leads_pipeline.stages.pull import SCHEDULE_PRIORITY, Pulled, PullFailedError, PullLater, PullRequest, pull
from leads_pipeline.stages.workspace import Workspace

_SHORT_WAIT = 5.0
"""So many seconds a person waits without having asked to."""
_LONGEST_NAP = 30.0


@dataclass(frozen=True)
class Checked:
    """What came of asking with one key."""

    text: str
    exit_code: int


def check_account(name: str, *, wait: bool) -> None:
    """Ask for yesterday once with each key of the account, and print what the answers mean.

    Raises CommandError with the exit code of the worst: 1 failed, 3 needs a person, 4 the slot is not free yet.
    """
    workspace = Workspace(load_settings())
    account = workspace.settings.account(name)
    workspace.prepare()
    console = Console(soft_wrap=True, highlight=False, markup=False)
    results = []
    for access in account.versions:
        result = _check(workspace, access, console, wait=wait)
        results.append(result)
        if result.exit_code == 0:
            console.print(result.text)
    failed = [result for result in results if result.exit_code]
    if failed:
        codes = {result.exit_code for result in failed}
        worst = next(code for code in (NEEDS_A_PERSON, FAILED, TOO_EARLY) if code in codes)
        raise CommandError("\n".join(result.text for result in failed), worst)


def _check(workspace: Workspace, access: Account, console: Console, *, wait: bool) -> Checked:
    who = f"{access.name} ({access.api_version})"
    if not access.has_key:
        return Checked(f"{who}: there is no CRM key, so nothing was asked. Put {access.key_hint}.", NEEDS_A_PERSON)
    run_id = f"check-{uuid.uuid4()}"
    days = (day_of(utc_now()) - ONE_DAY,)
    request = PullRequest(access, days, run_id, again=True, priority=SCHEDULE_PRIORITY)
    try:
        result = _ask_once(workspace, request, console, wait=wait)
    except PullFailedError as error:
        acts = f" Who must act: {error.outcome.rule.actor}." if error.outcome else ""
        return Checked(f"{who}: {error}{acts}", exit_code_of(error.outcome))
    finally:
        workspace.slots.leave_queue(key_fingerprint(access.key), run_id)
    call = _call_of(workspace, run_id)
    if isinstance(result, PullLater) and call is None:
        again = "" if wait else " --wait waits for it."
        text = (
            f"{who}: nothing was asked, the next call may be made at {in_india(result.until)}. {result.reason}{again}"
        )
        return Checked(text, TOO_EARLY)
    if isinstance(result, PullLater):
        actor = call.outcome.rule.actor if call else ""
        return Checked(f"{who}: {result.reason} Who must act: {actor}.", FAILED)
    response = result.response
    if response is None:
        return Checked(f"{who}: no call was needed.", 0)
    return Checked(
        f"{who}: {response.outcome.rule.sentence} {response.records} record(s) of {days[0]}, stored as "
        f"{response.response_id}; the account's next pull puts them into the tables.",
        0,
    )


def _ask_once(workspace: Workspace, request: PullRequest, console: Console, *, wait: bool) -> Pulled | PullLater:
    """Pull until the one call is made; return early if its slot stays closed and nobody wants to wait for it.

    While another call is under way nobody knows its end, so the slot asks to look again every second: patience
    counts from the first try.
    """
    patience_ends = time.monotonic() + _SHORT_WAIT
    told = ""
    while True:
        result = pull(workspace, request, lambda _: None)
        if not isinstance(result, PullLater) or _call_of(workspace, request.run_id):
            return result
        if not wait and time.monotonic() + result.seconds > patience_ends:
            return result
        if wait and result.reason != told:
            who = f"{request.account.name} ({request.account.api_version})"
            console.print(f"{who}: {result.reason} Next try at {in_india(result.until)}.")
            told = result.reason
        time.sleep(min(max(result.seconds, 0.01), _LONGEST_NAP))


def _call_of(workspace: Workspace, run_id: str) -> CallRecord | None:
    return next(iter(workspace.call_log.of_run(run_id)), None)
