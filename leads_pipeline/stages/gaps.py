"""What the gap sensor requests: from coverage and from what is known of calls and runs. Pure; the sensor has the facts.

Days that are fetched and not merged come first, as they cost no call; then the days that stored answers don't prove,
newest first. What the outcome table says of the newest call decides whether anything is asked at all.
"""

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from leads_pipeline.days import IST, ONE_DAY, contiguous_ranges, day_of
from leads_pipeline.indiamart.call_log import CallRecord
from leads_pipeline.indiamart.call_slot import key_fingerprint
from leads_pipeline.indiamart.outcomes import Outcome, Retry
from leads_pipeline.indiamart.reading import is_window_too_wide
from leads_pipeline.indiamart.windows import CLOCK_MARGIN, MAX_WINDOW, first_day_in_reach
from leads_pipeline.settings import Account
from leads_pipeline.storage.coverage import DayCoverage, DayState

MAX_REQUESTS = 5
"""How many runs of one account's sensor may be queued or running at once."""
LONGEST_PAUSE = timedelta(hours=6)
"""The longest pause after runs that did not help; the first is the account's call interval, each next one twice it."""
NOT_YET_PAUSE = timedelta(days=1)
"""When to ask again for what was not available yet (contract: design 8)."""
HEAD_START = timedelta(hours=1)
"""How long yesterday is left to the daily schedule, whose call would otherwise be made twice."""


@dataclass(frozen=True)
class GapRun:
    """A finished run that the sensor had requested."""

    days: tuple[date, ...]
    ended_at: datetime
    succeeded: bool
    last_call: CallRecord | None
    """The run's newest call; None if it made none."""


@dataclass(frozen=True)
class Refusal:
    """A permanent refusal that the account is left alone for, and the settings that it was met with."""

    call_id: int
    settings: str


@dataclass(frozen=True)
class GapFacts:
    """Everything that decides what one account's gap sensor requests."""

    account: Account
    now: datetime
    coverage: tuple[DayCoverage, ...]
    """Of every day from the first that the account should have to `last_gap_day`."""
    longest_window: timedelta = MAX_WINDOW
    in_progress: frozenset[date] = frozenset()
    """Days of runs and backfills, anybody's, that are queued or running."""
    unfinished: int = 0
    """How many runs of this sensor are queued or running."""
    finished: tuple[GapRun, ...] = ()
    """Its finished runs, newest first; as many as a growing pause needs."""
    last_call: CallRecord | None = None
    """The account's newest call, whoever made it."""
    not_yet_available: tuple[CallRecord, ...] = ()
    """The account's calls of the last day that were answered so."""
    refusal: Refusal | None = None
    """What an earlier decision asked to be remembered."""


@dataclass(frozen=True)
class GapRequest:
    """One run to request: neighbouring days, both ends included, at most a window's."""

    first: date
    last: date


@dataclass(frozen=True)
class GapDecision:
    """The runs to request, in this order; or none, and why."""

    requests: tuple[GapRequest, ...]
    reason: str
    """One sentence; empty if there are requests."""
    refusal: Refusal | None
    """To be remembered until the next decision."""


def last_gap_day(now: datetime) -> date:
    """Return the last day that the sensor looks at: yesterday, but for the first hour of the day."""
    return day_of(now - HEAD_START) - ONE_DAY


def last_day_over(now: datetime) -> date:
    """Return the last day that an answer of this moment can prove, the clock margin kept."""
    return day_of(now - CLOCK_MARGIN) - ONE_DAY


def settings_fingerprint(account: Account) -> str:
    """Return what changes with any setting of the account, the key included; nothing can be had back from it."""
    return hashlib.sha256(f"{account!r} {key_fingerprint(account.key + account.mobile)}".encode()).hexdigest()[:16]


def decide_gaps(facts: GapFacts) -> GapDecision:
    """Return what the sensor requests now, or why it requests nothing."""
    to_merge = [day.day for day in facts.coverage if day.fetched and day.state is not DayState.COMPLETE]
    to_fetch = _lacking(facts)
    refusal = _permanent_refusal(facts)
    remembered = facts.refusal
    if refusal is not None and (remembered is None or remembered.call_id != refusal.call_id):
        remembered = Refusal(refusal.call_id, settings_fingerprint(facts.account))
    if not to_merge and not to_fetch:
        return GapDecision((), _nothing_lacks(facts), remembered)
    pause = _pause_after_failures(facts)
    if pause:
        return GapDecision((), pause, remembered)
    obstacle = _no_key(facts, to_fetch) or _left_alone(facts, refusal, remembered)
    merges = _merge_requests(to_merge, facts.in_progress)
    fetches = [] if obstacle else _fetch_requests(_askable(facts, to_fetch), facts.in_progress, facts.longest_window)
    chosen = merges[: max(MAX_REQUESTS - facts.unfinished, 0)]
    chosen += fetches[: max(_most_at_once(facts) - facts.unfinished - len(chosen), 0)]
    if chosen:
        return GapDecision(tuple(chosen), "", remembered)
    if merges or fetches:
        return GapDecision((), _no_room(facts), remembered)
    return GapDecision((), obstacle or _nothing_now(facts, [*to_merge, *to_fetch]), remembered)


def _lacking(facts: GapFacts) -> list[date]:
    earliest = first_day_in_reach(facts.now)
    return [day.day for day in facts.coverage if not day.fetched and day.day >= earliest]


def _merge_requests(days: Iterable[date], in_progress: Collection[date]) -> list[GapRequest]:
    """Return ranges of at most a week of neighbouring days, newest first."""
    requests: list[GapRequest] = []
    for first, last in reversed(contiguous_ranges([day for day in days if day not in in_progress])):
        end = last
        while end >= first:
            requests.append(GapRequest(max(first, end - MAX_WINDOW + ONE_DAY), end))
            end -= MAX_WINDOW
    return requests


def _fetch_requests(days: Iterable[date], in_progress: Collection[date], longest: timedelta) -> list[GapRequest]:
    """Return the fewest windows that hold the days and none that is in progress, newest first.

    Unlike `windows.plan_windows`, which fills from the oldest day, this fills from the newest: the same number of
    windows, but the first call brings a full window of the newest days.
    """
    left = sorted({*days} - {*in_progress})
    requests: list[GapRequest] = []
    while left:
        last = left[-1]
        barrier = max((day for day in in_progress if day < last), default=date.min)
        first = next(day for day in left if day > last - longest and day > barrier)
        requests.append(GapRequest(first, last))
        left = [day for day in left if day < first]
    return requests


def _askable(facts: GapFacts, days: Iterable[date]) -> list[date]:
    """Leave out the days that can't be available yet.

    IndiaMART withholds what is older than the key (contract: design 8), so what is true of a day is true of all
    days before it.
    """
    until = _withheld_until(facts)
    return [day for day in days if until is None or day > until[0]]


def _withheld_until(facts: GapFacts) -> tuple[date, datetime] | None:
    """Return the last day that is withheld, and when it may be asked for again."""
    calls = [
        call
        for call in facts.not_yet_available
        if call.sent_at + NOT_YET_PAUSE > facts.now and _is_of_this_key(call, facts.account)
    ]
    if not calls:
        return None
    newest = max(calls, key=lambda call: (call.window_end, call.sent_at))
    return day_of(newest.window_end - timedelta(microseconds=1)), newest.sent_at + NOT_YET_PAUSE


def _is_of_this_key(call: CallRecord, account: Account) -> bool:
    return call.key_fingerprint in ("", key_fingerprint(account.key))


def _permanent_refusal(facts: GapFacts) -> CallRecord | None:
    """Return the newest call if it was refused for good with the present key; a window too wide is not."""
    call = facts.last_call
    if call is None or call.outcome.rule.retry is not Retry.NEVER or not _is_of_this_key(call, facts.account):
        return None
    return None if is_window_too_wide(call.outcome, call.message) else call


def _no_key(facts: GapFacts, to_fetch: Collection[date]) -> str:
    if facts.account.has_key:
        return ""
    account = facts.account
    return f"{len(to_fetch)} day(s) lack, but account {account.name} has no CRM key: put {account.key_hint}."


def _left_alone(facts: GapFacts, refusal: CallRecord | None, remembered: Refusal | None) -> str:
    if refusal is None or (remembered and remembered.settings != settings_fingerprint(facts.account)):
        return ""
    return (
        f"The newest call ({_in_india(refusal.sent_at)}) ended as {refusal.outcome}, so nothing is asked until the "
        f"key or the settings change or a call succeeds; who must act: {refusal.outcome.rule.actor}."
    )


def _most_at_once(facts: GapFacts) -> int:
    """Return how many runs may be queued: one until a call with the present key has shown that calls succeed."""
    call = facts.last_call
    proven = call is not None and call.outcome.rule.is_success and _is_of_this_key(call, facts.account)
    return MAX_REQUESTS if proven else 1


def _pause_after_failures(facts: GapFacts) -> str:
    """Return until when nothing is requested because the sensor's last runs did not help; empty if it may go on.

    A new key, and a call of anybody that succeeded after those runs, end the pause.
    """
    call = facts.last_call
    if call is not None and not _is_of_this_key(call, facts.account):
        return ""
    complete = {day.day for day in facts.coverage if day.state is DayState.COMPLETE}
    failures = 0
    for run in facts.finished:
        if _has_helped(run, complete):
            break
        failures += 1
    if not failures:
        return ""
    last = facts.finished[0]
    if call is not None and call.outcome.rule.is_success and call.sent_at > last.ended_at:
        return ""
    interval = timedelta(seconds=facts.account.call_interval_seconds)
    until = last.ended_at + min(interval * 2 ** (failures - 1), LONGEST_PAUSE)
    if until <= facts.now:
        return ""
    return f"The last {failures} run(s) of this sensor did not help; the next is requested at {_in_india(until)}."


def _has_helped(run: GapRun, complete: Collection[date]) -> bool:
    """Tell whether the run got any of its days complete, or is on the way there by parts of a window cut short."""
    if not run.succeeded:
        return False
    call = run.last_call
    in_parts = call is not None and (
        call.outcome is Outcome.TRUNCATED
        or (call.outcome.rule.covers and call.window_end - call.window_start < ONE_DAY)
    )
    return in_parts or any(day in complete for day in run.days)


def _nothing_lacks(facts: GapFacts) -> str:
    if not facts.coverage:
        return "No day is over yet that the account should have."
    return f"Every day from {facts.coverage[0].day} to {facts.coverage[-1].day} is complete, or out of reach."


def _no_room(facts: GapFacts) -> str:
    return f"{facts.unfinished} run(s) of this sensor are queued or running; more are requested after them."


def _nothing_now(facts: GapFacts, days: Collection[date]) -> str:
    withheld = _withheld_until(facts)
    busy = sum(day in facts.in_progress for day in days)
    if withheld is None or busy == len(days):
        return f"{busy} day(s) lack, and all of them are queued or running already."
    return (
        f"{len(days)} day(s) lack: those up to {withheld[0]} are not available before {_in_india(withheld[1])}, "
        f"and {busy} are queued or running."
    )


def _in_india(moment: datetime) -> str:
    return f"{moment.astimezone(IST):%d %b %H:%M} IST"
