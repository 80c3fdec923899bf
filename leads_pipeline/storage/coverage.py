"""Coverage: what the stored answers prove of each day. Pure; the answers come from the catalogue."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from operator import attrgetter

from leads_pipeline.days import ONE_DAY, day_start
from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline.indiamart.windows import first_day_in_reach
from leads_pipeline.sqlite_files import from_epoch
from leads_pipeline.storage.catalog import AnswerTimes, StoredAnswer
from leads_pipeline.storage.raw import is_import

_SECONDS_PER_DAY = ONE_DAY.total_seconds()
_IST_AHEAD = 5.5 * 60 * 60
_FIRST_DAY = date(1970, 1, 1).toordinal()
_MICROSECOND = 1e-6  # what moments are exact to
_COVERING = frozenset(outcome.value for outcome in Outcome if outcome.rule.covers)
_WINDOW, _FETCHED = attrgetter("start", "end"), attrgetter("fetched_at")


class DayState(StrEnum):
    """What is known of a day."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    MISSING = "missing"
    NOT_YET_AVAILABLE = "not_yet_available"
    OUT_OF_REACH = "out_of_reach"


@dataclass(frozen=True)
class DayCoverage:
    """One day's coverage, with the answers that prove it."""

    day: date
    state: DayState
    fetched: bool
    """Whether answers prove that all of the day was asked for after it ended."""
    merged: bool
    """Whether every one of those answers is in the tables."""
    fetched_until: datetime | None
    """Up to when the day was asked for without a gap from its start; None if not at all."""
    proofs: tuple[str, ...]
    """The answers that prove it, oldest first."""
    first_complete_at: datetime | None = None
    """When the answer was received that first completed the proof; None while the day is not fetched."""


@dataclass(frozen=True)
class ToldDay:
    """What the stored answers alone tell of one day: the same at any moment, and whatever the tables hold."""

    day: date
    last_outcome: str | None
    """What the newest answer about the day was; None if there is none."""
    all_merged: bool
    """Whether every one of the proofs is in the tables."""
    proofs: tuple[str, ...]
    """As of the coverage."""
    asked_until: float | None
    """The coverage's `fetched_until`, in seconds since 1970."""
    first_complete_at: float | None
    """As of the coverage, in seconds since 1970."""


def coverage_of(
    days: Iterable[date], answers: Iterable[AnswerTimes], days_in_tables: Collection[date], now: datetime
) -> list[DayCoverage]:
    """Return the coverage of each day, in order; `days_in_tables` are those that have a Parquet file."""
    earliest = first_day_in_reach(now)
    return [judged(day, day.day in days_in_tables, earliest) for day in told_days(days, answers)]


def told_days(days: Iterable[date], answers: Iterable[AnswerTimes]) -> list[ToldDay]:
    """Return what the answers, given oldest first, tell of each day, in order.

    Imports are passed over: what they hold may be any part of a day.
    """
    touching: defaultdict[int, list[AnswerTimes]] = defaultdict(list)
    for answer in answers:  # by day once: a year of polling is tens of thousands of answers
        if is_import(answer.response_id):
            continue
        for number in range(_day_number(answer.start), _day_number(answer.end - _MICROSECOND) + 1):
            touching[number].append(answer)
    return [_told(day, touching[day_number(day)]) for day in sorted(set(days))]


def judged(told: ToldDay, in_tables: bool, earliest: date) -> DayCoverage:
    """Return the day's coverage; `in_tables` if it has a Parquet file, `earliest` is the first day within reach."""
    fetched = told.first_complete_at is not None
    merged = fetched and in_tables and told.all_merged
    return DayCoverage(
        day=told.day,
        state=_state(told, fetched, merged, too_old=told.day < earliest),
        fetched=fetched,
        merged=merged,
        fetched_until=None if told.asked_until is None else from_epoch(told.asked_until),
        proofs=told.proofs,
        first_complete_at=None if told.first_complete_at is None else from_epoch(told.first_complete_at),
    )


def times_of(answer: StoredAnswer) -> AnswerTimes:
    """Return what the answer says of days."""
    return AnswerTimes(
        answer.response_id,
        answer.source_api,
        start=answer.window.start.timestamp(),
        end=answer.window.end.timestamp(),
        proven_until=answer.proven_until.timestamp(),
        fetched_at=answer.fetched_at.timestamp(),
        outcome=answer.outcome.value,
        merged=int(answer.merged),
    )


def day_number(day: date) -> int:
    """Return the number of the day in India, counted from 1970."""
    return day.toordinal() - _FIRST_DAY


def _day_number(moment: float) -> int:
    """Return the number of the day that the moment lies in; India's clocks have been 5:30 ahead since 1945."""
    return int((moment + _IST_AHEAD) // _SECONDS_PER_DAY)


def _told(day: date, touching: Sequence[AnswerTimes]) -> ToldDay:
    start = day_start(day).timestamp()
    end = start + _SECONDS_PER_DAY
    full = [answer for answer in touching if answer.outcome in _COVERING]
    proofs = [answer for answer in full if answer.proven_until >= end]
    fetched = _asked_until(start, proofs) == end
    return ToldDay(
        day=day,
        last_outcome=touching[-1].outcome if touching else None,
        all_merged=all(answer.merged for answer in proofs),
        proofs=tuple([answer.response_id for answer in proofs]),
        asked_until=_asked_until(start, full),
        first_complete_at=_first_complete_at(day, start, proofs) if fetched else None,
    )


def proven_from_start(day: date, answers: Iterable[StoredAnswer]) -> datetime | None:
    """Return up to when answers prove the day without a gap from its start, or None if not at all."""
    start = day_start(day).timestamp()
    times = [times_of(answer) for answer in answers if answer.outcome.rule.covers]
    proven = [answer for answer in times if answer.proven_until >= start + _SECONDS_PER_DAY]
    asked_until = _asked_until(start, proven)
    return None if asked_until is None else from_epoch(asked_until)


def _asked_until(start: float, answers: Sequence[AnswerTimes]) -> float | None:
    """Return up to when the windows cover the day that starts then without a gap from its start, or None."""
    end = start + _SECONDS_PER_DAY
    if any(answer.start <= start and answer.end >= end <= answer.fetched_at for answer in answers):
        return end
    reached = start
    for answer in sorted(answers, key=_WINDOW):
        if answer.start > reached:
            break
        reached = max(reached, min(answer.end, answer.fetched_at, end))
    return reached if reached > start else None


def _first_complete_at(day: date, start: float, proofs: Sequence[AnswerTimes]) -> float:
    """Return when the answers, taken in the order in which they came, first proved all of the day."""
    oldest_first = sorted(proofs, key=_FETCHED)
    for known, answer in enumerate(oldest_first, 1):
        if _asked_until(start, oldest_first[:known]) == start + _SECONDS_PER_DAY:
            return answer.fetched_at
    raise ValueError(f"{len(proofs)} answers do not prove {day}")


def _state(told: ToldDay, fetched: bool, merged: bool, too_old: bool) -> DayState:
    if merged:
        return DayState.COMPLETE
    if fetched:
        return DayState.PARTIAL
    if too_old:
        return DayState.OUT_OF_REACH
    if told.last_outcome == Outcome.NOT_YET_AVAILABLE:
        return DayState.NOT_YET_AVAILABLE
    return DayState.MISSING if told.last_outcome is None else DayState.PARTIAL
