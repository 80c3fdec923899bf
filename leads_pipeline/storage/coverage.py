"""Coverage: what the stored answers prove of each day. Pure; the answers come from the catalogue."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from leads_pipeline.days import day_end, day_start
from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline.indiamart.windows import first_day_in_reach
from leads_pipeline.storage.catalog import StoredAnswer


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


def coverage_of(
    days: Iterable[date], answers: Sequence[StoredAnswer], days_in_tables: Collection[date], now: datetime
) -> list[DayCoverage]:
    """Return the coverage of each day, in order; `days_in_tables` are those that have a Parquet file.

    Imports are passed over: what they hold may be any part of a day.
    """
    earliest = first_day_in_reach(now)
    touching: defaultdict[date, list[StoredAnswer]] = defaultdict(list)
    for answer in answers:  # by day once: a year of polling is thousands of answers
        if answer.is_import:
            continue
        for day in answer.window.days:
            touching[day].append(answer)
    return [_coverage(day, touching[day], day in days_in_tables, day < earliest) for day in sorted(set(days))]


def _coverage(day: date, touching: Sequence[StoredAnswer], in_tables: bool, too_old: bool) -> DayCoverage:
    full = [answer for answer in touching if answer.outcome.rule.covers]
    proofs = [answer for answer in full if _proves(day, answer)]
    fetched = _asked_until(day, proofs) == day_end(day)
    merged = fetched and in_tables and all(answer.merged for answer in proofs)
    return DayCoverage(
        day=day,
        state=_state(touching, fetched, merged, too_old),
        fetched=fetched,
        merged=merged,
        fetched_until=_asked_until(day, full),
        proofs=tuple(answer.response_id for answer in proofs),
        first_complete_at=_first_complete_at(day, proofs) if fetched else None,
    )


def proven_from_start(day: date, answers: Iterable[StoredAnswer]) -> datetime | None:
    """Return up to when answers prove the day without a gap from its start, or None if not at all."""
    return _asked_until(day, [answer for answer in answers if _proves(day, answer)])


def _proves(day: date, answer: StoredAnswer) -> bool:
    return answer.outcome.rule.covers and answer.proven_until >= day_end(day)


def _asked_until(day: date, answers: Sequence[StoredAnswer]) -> datetime | None:
    """Return up to when the answers' windows cover the day without a gap from its start, or None."""
    reached = day_start(day)
    for answer in sorted(answers, key=lambda answer: answer.window):
        if answer.window.start > reached:
            break
        reached = max(reached, min(answer.window.end, answer.fetched_at, day_end(day)))
    return reached if reached > day_start(day) else None


def _first_complete_at(day: date, proofs: Sequence[StoredAnswer]) -> datetime:
    """Return when the answers, taken in the order in which they came, first proved all of the day."""
    oldest_first = sorted(proofs, key=lambda answer: answer.fetched_at)
    for known, answer in enumerate(oldest_first, 1):
        if _asked_until(day, oldest_first[:known]) == day_end(day):
            return answer.fetched_at
    raise ValueError(f"{len(proofs)} answers do not prove {day}")


def _state(touching: Sequence[StoredAnswer], fetched: bool, merged: bool, too_old: bool) -> DayState:
    if merged:
        return DayState.COMPLETE
    if fetched:
        return DayState.PARTIAL
    if too_old:
        return DayState.OUT_OF_REACH
    if touching and touching[-1].outcome is Outcome.NOT_YET_AVAILABLE:
        return DayState.NOT_YET_AVAILABLE
    return DayState.PARTIAL if touching else DayState.MISSING
