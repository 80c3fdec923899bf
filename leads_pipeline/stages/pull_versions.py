"""One run's calls with an account's keys: one call, or one per version of the API while the seller moves."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from leads_pipeline.days import IST, utc_now
from leads_pipeline.indiamart.call_slot import key_fingerprint
from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline.settings import Account
from leads_pipeline.stages.pull import Pulled, PullFailedError, PullLater, PullRequest, pull, pulled_already
from leads_pipeline.stages.workspace import Workspace

REJECTED_PAUSE = timedelta(days=1)
"""How long the other version is left alone after it rejected its key: a dead key is not asked with in every run."""


@dataclass(frozen=True)
class OtherVersionPulled:
    """What came of asking the account's other version: an answer, no need of one, or a failure that won't pass."""

    access: Account
    pulled: Pulled | None
    failure: str = ""
    """Why it has nothing, for people; empty if all went well. Holds no key."""


@dataclass(frozen=True)
class VersionsPulled:
    """The run has what it can have of every version that the account has a key for."""

    main: Pulled
    other: OtherVersionPulled | None = None
    """None for an account with one key."""


def pull_versions(workspace: Workspace, request: PullRequest, log: Callable[[str], None]) -> VersionsPulled | PullLater:
    """Ask with the account's main key and, if it has another version's key, with that as well.

    At most one answer of each in a run: a run that waits for the one keeps what it has of the other. Which days are
    asked for each version decides by its own answers. Raises PullFailedError if the main version fails for good; a
    failure of the other one is told and changes nothing else.
    """
    other = request.account.other_version
    if other is None:
        result = pull(workspace, request, log)
        return result if isinstance(result, PullLater) else VersionsPulled(result)
    try:
        main = pulled_already(workspace, request) or pull(workspace, request, log)
    except PullFailedError:
        workspace.slots.leave_queue(key_fingerprint(other.key), request.run_id)
        raise
    beside = _pull_other(workspace, replace(request, account=other), log)
    if isinstance(main, PullLater) or isinstance(beside, PullLater):
        waits = [result for result in (main, beside) if isinstance(result, PullLater)]
        return min(waits, key=lambda wait: wait.until)
    return VersionsPulled(main, beside)


def why_left_alone(workspace: Workspace, access: Account) -> str:
    """Return why an account's other version is not asked now, its key having been rejected; empty if it may be."""
    call = workspace.call_log.last_of(access.name, access.api_version)
    if (
        call is None
        or call.outcome is not Outcome.KEY_REJECTED
        or call.key_fingerprint != key_fingerprint(access.key)
        or call.sent_at + REJECTED_PAUSE <= utc_now()
    ):
        return ""
    return (
        f"IndiaMART rejected its key at {call.sent_at.astimezone(IST):%d %b %H:%M} IST; it is asked again a day later, "
        f"with another key, or once `leads accounts check {access.name}` finds that it works."
    )


def _pull_other(
    workspace: Workspace, request: PullRequest, log: Callable[[str], None]
) -> OtherVersionPulled | PullLater:
    access = request.account
    left_alone = why_left_alone(workspace, access)
    try:
        if left_alone:
            raise PullFailedError(left_alone, Outcome.KEY_REJECTED)
        result = pulled_already(workspace, request) or pull(workspace, request, log)
    except PullFailedError as error:
        log(
            f"WARNING: {access.api_version}, the account's other version, has no answer for these days, which the "
            f"main version alone brings. {error}"
        )
        return OtherVersionPulled(access, None, str(error))
    return result if isinstance(result, PullLater) else OtherVersionPulled(access, result)
