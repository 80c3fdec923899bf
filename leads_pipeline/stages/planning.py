"""What a run asks next: from its days, what stored answers prove, and where the API has cut answers short."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from leads_pipeline.days import ONE_DAY, day_of, day_start, days_between
from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline.indiamart.windows import Window, first_day_in_reach, window_for_run
from leads_pipeline.settings import Account
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.storage.catalog import StoredAnswer
from leads_pipeline.storage.coverage import proven_from_start

SHORTEST_WINDOW = timedelta(hours=1)
"""When even an answer for one hour is cut short, a person must look."""


class CutTooShortError(Exception):
    """The API cuts even an hour's answer short; the text names the hour and says what to do."""


@dataclass(frozen=True)
class PullDays:
    """The days that a run is for, and whether it asks for them whatever coverage says."""

    days: tuple[date, ...]
    again: bool = False


def next_window(workspace: Workspace, account: Account, wanted: PullDays, now: datetime) -> Window | None:
    """Return the window of the run's next call, or None when it needs none; raise CutTooShortError.

    It starts where the stored answers stop proving the run's first lacking day. Where an answer held fewer
    records than it said there were, the window is at most half of that answer's; where one was empty without saying
    why, it is as wide as can be. Of an account with keys for two versions only the answers of this one count.
    """
    own = [day for day in wanted.days if account.start is None or day >= account.start]
    if not own:
        return None
    longest = workspace.longest_window(account.name)
    days = days_between(min(own), max(own) + longest)
    source = workspace.only_source(account)
    lacking = {day.day for day in workspace.coverage(account.name, days, now, source) if not day.fetched}
    window = window_for_run(own, {*lacking, *(own if wanted.again else ())}, now, longest)
    if window is None or day_of(window.start) not in lacking:
        return window
    answers = workspace.answers_about(account.name, window.days, source)
    window = narrowed(window, answers)
    is_cut = any(answer.outcome is Outcome.TRUNCATED for answer in answers)
    empties = workspace.catalog.ambiguous_empties(account.name, window)
    if is_cut or not any(source in (None, answer.source_api) for answer in empties):
        return window
    earliest = max(first_day_in_reach(now), account.start or date.min)
    return widened(window, earliest, day_of(now), longest)


def widened(window: Window, earliest: date, today: date, longest: timedelta) -> Window:
    """Return the window with as many neighbouring days as one call takes, from `earliest` on and before `today`.

    A single lead of any of those days shows that the answer was no false empty one, and then proves them all.
    """
    last = day_of(window.end - timedelta(microseconds=1))
    start = min(window.start, day_start(max(last + ONE_DAY - longest, earliest)))
    return Window(start, max(window.end, min(start + longest, day_start(today))))


def narrowed(window: Window, answers: Sequence[StoredAnswer]) -> Window:
    """Return the window without what is proven of its first day, and no longer than half of an answer cut short."""
    first = day_of(window.start)
    start = proven_from_start(first, answers) or day_start(first)
    cut = [
        answer.window.end - answer.window.start
        for answer in answers
        if answer.outcome is Outcome.TRUNCATED and answer.window.start <= start < answer.window.end
    ]
    longest = _half(min(cut), start) if cut else window.end - start
    return Window(start, min(window.end, start + longest))


def _half(cut: timedelta, start: datetime) -> timedelta:
    """Return half the length in whole days, below a day in whole hours."""
    if cut <= SHORTEST_WINDOW:
        raise CutTooShortError(
            f"IndiaMART's answer for the hour from {start:%Y-%m-%d %H:%M} IST holds fewer records than it says there "
            "are, and an hour is the least that is asked for. What came is kept. Ask IndiaMART's support why "
            "TOTAL_RECORDS and the records differ; then pull the day again."
        )
    unit = ONE_DAY if cut >= 2 * ONE_DAY else SHORTEST_WINDOW
    return max(cut / 2 // unit * unit, SHORTEST_WINDOW)
