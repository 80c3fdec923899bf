"""Which messages a channel is due: from the causes as they stand and from what the channel was told before. Pure.

A message is made when it is sent, of what is true then. So a channel that could not be reached, or a sensor that was
off for a week, is told once how things stand, and never each thing that it missed.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from leads_pipeline.alerts.causes import LOUDNESS, Cause, Source, State
from leads_pipeline.indiamart.outcomes import AlertLevel

REMINDERS = (timedelta(hours=1), timedelta(hours=4), timedelta(hours=12), timedelta(hours=24))
"""How long after each message about an open cause the next one follows; the last span repeats."""
WAIT_FOR_OTHERS = timedelta(minutes=15)
"""How long a message about a cause that may hit all accounts waits for those that are on the way there."""
WAIT_FOR_COVERAGE = timedelta(minutes=30)
"""How long the message that a cause is over waits for its days to be fetched and merged."""
AFTERMATH = timedelta(hours=6)
"""So long after a cause of calls is over, days that lack because of it are no alert of their own."""
MOST_MESSAGES = 3
"""More than so many at once become one digest."""


class Stage(StrEnum):
    """What a message says of a cause."""

    FIRST = "first"
    WORSE = "worse"
    REMINDER = "reminder"
    RECOVERY = "recovery"
    MISSED = "missed"
    """It began and ended without the channel being told."""
    DIGEST = "digest"
    """Several of these; of messages only."""


@dataclass(frozen=True)
class Told:
    """What a channel was told of a cause."""

    level: AlertLevel
    messages: int
    last_sent_at: datetime
    count: int
    """How many events the last message knew of."""
    told_over: bool = False
    """Whether it was told that the cause is over."""


@dataclass(frozen=True)
class Audience:
    """One channel as planning sees it."""

    level: AlertLevel
    account: str | None
    known_since: datetime
    """When it was first seen in the settings; what was over by then is none of its business."""
    told: Mapping[int, Told]
    """By the cause's number."""


@dataclass(frozen=True)
class Due:
    """One thing that a channel is to be told."""

    stage: Stage
    cause: Cause
    held_back: int = 0
    """Events since the last message, or since the beginning before the first."""


LackingDays = Callable[[str, date, date], list[date]]
"""Returns the days of an account, from first to last, that could be had and are not complete."""


@dataclass(frozen=True)
class Outlook:
    """What is known at the moment when messages are made."""

    causes: tuple[Cause, ...]
    """All that are unresolved, and those resolved lately."""
    now: datetime
    lacking: LackingDays


def due_messages(outlook: Outlook, audience: Audience, never_told: Iterable[str] = ()) -> list[tuple[Due, ...]]:
    """Return what the channel is to be told now, each tuple in one message; never of accounts of `never_told`."""
    silent = set(never_told)
    dues = [
        due
        for cause in outlook.causes
        if cause.opened_at is not None and cause.account not in silent
        if audience.account in (None, cause.account)
        if LOUDNESS[cause.level] >= LOUDNESS[audience.level]
        if (due := _due(cause, outlook, audience)) is not None
    ]
    return _bundled(dues)


def _due(cause: Cause, outlook: Outlook, audience: Audience) -> Due | None:
    told = audience.told.get(cause.cause_id)
    if cause.state is State.RESOLVED:
        return _due_when_over(cause, told, outlook, audience)
    if told is None:
        waits = _is_explained(cause, outlook) or _others_on_the_way(cause, State.WATCHING, outlook)
        return None if waits else Due(Stage.FIRST, cause, cause.count - 1)
    held_back = max(cause.count - told.count, 0)
    if LOUDNESS[cause.level] > LOUDNESS[told.level]:
        return Due(Stage.WORSE, cause, held_back)
    pause = REMINDERS[min(told.messages, len(REMINDERS)) - 1]
    quiets_down = cause.kind.quiet and (not held_back or outlook.now - cause.last_event_at > cause.kind.quiet / 4)
    if outlook.now - told.last_sent_at < pause or quiets_down:
        return None
    return Due(Stage.REMINDER, cause, held_back)


def _due_when_over(cause: Cause, told: Told | None, outlook: Outlook, audience: Audience) -> Due | None:
    over_at = cause.resolved_at or outlook.now
    if told is None:
        is_news = over_at > audience.known_since and cause.kind.source is not Source.SILENCE
        return Due(Stage.MISSED, cause, cause.count) if is_news else None
    if told.told_over or _others_on_the_way(cause, State.OPEN, outlook):
        return None
    if outlook.now - over_at < WAIT_FOR_COVERAGE and days_still_lacking(cause, outlook.lacking):
        return None
    return Due(Stage.RECOVERY, cause, max(cause.count - told.count, 0))


def days_still_lacking(cause: Cause, lacking: LackingDays) -> list[date]:
    """Return the cause's days that are not complete yet."""
    if cause.first_day is None or cause.last_day is None:
        return []
    return lacking(cause.account, cause.first_day, cause.last_day)


def _is_explained(cause: Cause, outlook: Outlook) -> bool:
    """Tell whether a silence is but what a cause of calls, known or just over, brings with it."""
    if cause.kind.source is not Source.SILENCE:
        return False
    return any(
        other.account == cause.account
        and other.kind.source is Source.CALLS
        and other.opened_at is not None
        and LOUDNESS[other.level] >= LOUDNESS[cause.level]
        and (other.resolved_at is None or outlook.now - other.resolved_at < AFTERMATH)
        for other in outlook.causes
    )


def _others_on_the_way(cause: Cause, state: State, outlook: Outlook) -> bool:
    since = (cause.opened_at if state is State.WATCHING else cause.resolved_at) or outlook.now
    return (
        cause.kind.is_shared
        and outlook.now - since < WAIT_FOR_OTHERS
        and any(
            other.kind == cause.kind and other.state is state and other.account != cause.account
            for other in outlook.causes
        )
    )


def _bundled(dues: list[Due]) -> list[tuple[Due, ...]]:
    """Return one tuple per message: what is alike of several accounts together, and all of it when that is too much."""
    groups: dict[tuple[object, ...], list[Due]] = {}
    for due in dues:
        alike = (due.stage, due.cause.kind_name, due.cause.detail, due.cause.level)
        groups.setdefault(alike, []).append(due)
    if len(groups) > MOST_MESSAGES or (len(groups) > 1 and any(due.stage is Stage.MISSED for due in dues)):
        return [tuple(dues)]
    return [tuple(group) for group in groups.values()]
