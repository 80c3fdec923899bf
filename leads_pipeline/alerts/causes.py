"""Causes: what alerts are about, one per account and kind until it is resolved; and when each kind counts as real.

Pure: the table of kinds, and the steps that one event takes a cause through. Where causes are kept is ledger.py's.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum

from leads_pipeline.indiamart.outcomes import AlertLevel, Outcome

LOUDNESS = {level: loudness for loudness, level in enumerate(AlertLevel)}
"""The levels in rising order."""
RUN_FAILED, REPLAY_FAILED, DELIVERY_FAILED = "run_failed", "replay_failed", "delivery_failed"
"""The kinds that runs tell of; a run that goes through ends those of its own kind alone."""
_PERSISTENT_CALLS = 5
"""So many failed calls in a row are no passing trouble; a run gives up after as many."""
_PERSISTENT_TIME = timedelta(minutes=30)


class State(StrEnum):
    """Where a cause stands."""

    WATCHING = "watching"
    """Something happened that may pass by itself; nobody is told."""
    OPEN = "open"
    RESOLVED = "resolved"


class Source(StrEnum):
    """What tells of a cause."""

    CALLS = "calls"
    RUNS = "runs"
    SILENCE = "silence"
    DELIVERIES = "deliveries"


@dataclass(frozen=True)
class Kind:
    """One row of the table of kinds."""

    name: str
    title: str
    source: Source
    outcomes: frozenset[Outcome] = frozenset()
    opens_after: int = 1
    """How many events open it: in a row, or within `within` where that is set."""
    within: timedelta | None = None
    persists: timedelta | None = None
    """It also opens when two or more events in a row lie so far apart."""
    quiet: timedelta = timedelta(0)
    """It is over only after so long without an event; zero: with the first success."""
    is_shared: bool = False
    """It usually hits all accounts together, so its message waits a little for the others."""


def _api(outcome: Outcome, title: str, *others: Outcome, **rules: object) -> Kind:
    return replace(Kind(outcome.value, title, Source.CALLS, frozenset({outcome, *others})), **rules)  # type: ignore[arg-type]


_PASSING: dict[str, object] = {"opens_after": _PERSISTENT_CALLS, "persists": _PERSISTENT_TIME}

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        _api(Outcome.KEY_REJECTED, "IndiaMART rejects the CRM key"),
        _api(Outcome.BAD_REQUEST, "IndiaMART refuses the dates asked for"),
        # Another tool's calls come and go: a success in between does not end it.
        _api(Outcome.KEY_BLOCKED, "IndiaMART blocked the key", quiet=timedelta(hours=6)),
        _api(
            Outcome.RATE_LIMITED,
            "Another tool uses the same key",
            opens_after=3,
            within=timedelta(hours=24),
            quiet=timedelta(hours=24),
        ),
        _api(Outcome.SERVER_ERROR, "IndiaMART's API does not answer", Outcome.UNREACHABLE, is_shared=True, **_PASSING),
        _api(Outcome.UNREADABLE, "IndiaMART's answers are unreadable", is_shared=True, **_PASSING),
        _api(Outcome.AMBIGUOUS_EMPTY, "IndiaMART's answers are empty without a reason", **_PASSING),
        _api(Outcome.TRUNCATED, "IndiaMART's answers are cut short", **_PASSING),
        _api(Outcome.NOT_YET_AVAILABLE, "Older leads are not available yet"),
        Kind(RUN_FAILED, "A run failed", Source.RUNS),
        Kind(REPLAY_FAILED, "A replay failed", Source.RUNS),
        Kind(DELIVERY_FAILED, "A delivery broke off", Source.RUNS),
        Kind("delivery_keys", "A CRM can't be delivered to", Source.DELIVERIES),
        Kind("delivery_quota", "A CRM's calls are used up", Source.DELIVERIES),
        Kind("delivery_runs_failed", "Deliveries to a CRM keep failing", Source.DELIVERIES),
        Kind("delivery_rows_failed", "Many leads don't arrive in a CRM", Source.DELIVERIES),
        Kind("delivery_parked", "Leads for a CRM were given up", Source.DELIVERIES),
        Kind("no_success", "No call has succeeded for days", Source.SILENCE),
        Kind("few_leads", "Improbably few leads", Source.SILENCE),
        Kind("coverage_gap", "Days are lacking", Source.SILENCE),
    )
}
"""Every kind of cause, by name. The levels and sentences of calls come from the table of outcomes."""

_KIND_OF_OUTCOME = {outcome: kind for kind in KINDS.values() for outcome in kind.outcomes}


def kind_of(outcome: Outcome) -> Kind | None:
    """Return the kind that a call of this outcome tells of; None for one that did what it should."""
    return _KIND_OF_OUTCOME.get(outcome)


@dataclass(frozen=True)
class Cause:
    """One thing that is, or was, wrong with one account. Holds neither keys nor personal data nor answers."""

    account: str
    kind_name: str
    state: State
    level: AlertLevel
    what: str
    """What happened, what it means, what to do."""
    first_event_at: datetime
    last_event_at: datetime
    count: int = 1
    """How many events told of it."""
    detail: str = ""
    """Tells causes of one kind and account apart: where a run failed, and of what."""
    opened_at: datetime | None = None
    last_success_at: datetime | None = None
    """When something last went as it should."""
    resolved_at: datetime | None = None
    first_day: date | None = None
    """The days concerned, both included."""
    last_day: date | None = None
    run_id: str = ""
    """The newest run that met it."""
    http_status: int | None = None
    code: int | None = None
    recent: tuple[datetime, ...] = ()
    """When its last events were, as far as a kind that counts within a time needs them."""
    cause_id: int = 0
    """0 before it is kept."""

    @property
    def kind(self) -> Kind:
        """Return the row of the table of kinds."""
        return KINDS[self.kind_name]

    @property
    def key(self) -> "CauseKey":
        """Return what at most one unresolved cause has."""
        return CauseKey(self.account, self.kind_name, self.detail)

    @property
    def lasted(self) -> timedelta:
        """Return how long it went on: to the success that ended it, or to its last event if it had to be quiet."""
        end = self.last_event_at if self.kind.quiet or self.last_success_at is None else self.last_success_at
        return max(end - self.first_event_at, timedelta(0))


@dataclass(frozen=True)
class CauseKey:
    """What at most one unresolved cause has."""

    account: str
    kind_name: str
    detail: str = ""


@dataclass(frozen=True)
class Event:
    """Something that tells of a cause."""

    key: CauseKey
    at: datetime
    level: AlertLevel
    what: str
    first_day: date | None = None
    last_day: date | None = None
    run_id: str = ""
    http_status: int | None = None
    code: int | None = None


def louder(one: AlertLevel, other: AlertLevel) -> AlertLevel:
    """Return the louder of the levels."""
    return max(one, other, key=LOUDNESS.__getitem__)


def with_event(cause: Cause | None, event: Event) -> Cause:
    """Return the cause, begun if there was none, after one more event; it opens if that makes it real."""
    kind = KINDS[event.key.kind_name]
    if cause is None:
        key = event.key
        cause = Cause(
            key.account, key.kind_name, State.WATCHING, event.level, event.what, event.at, event.at, 0, key.detail
        )
    recent = (*cause.recent, event.at)[-kind.opens_after :] if kind.within else ()
    cause = replace(
        cause,
        what=event.what,
        level=louder(cause.level, event.level),
        count=cause.count + 1,
        last_event_at=max(cause.last_event_at, event.at),
        first_day=min(_known(cause.first_day, event.first_day), default=None),
        last_day=max(_known(cause.last_day, event.last_day), default=None),
        run_id=event.run_id or cause.run_id,
        http_status=event.http_status,
        code=event.code,
        recent=recent,
    )
    return opened(cause, event.at) if cause.state is State.WATCHING and _is_real(cause) else cause


def opened(cause: Cause, at: datetime) -> Cause:
    """Return the cause open since that moment, unless it was open already."""
    if cause.state is State.OPEN:
        return cause
    return replace(cause, state=State.OPEN, opened_at=at, recent=())


def with_success(cause: Cause, at: datetime) -> Cause:
    """Return the cause after something went as it should; whether it is over then, `settled` tells."""
    return replace(cause, last_success_at=max(_known_moments(cause.last_success_at, at)))


def settled(cause: Cause, now: datetime) -> Cause:
    """Return the cause, resolved if a success came after its last event and it has been quiet for long enough."""
    success = cause.last_success_at
    is_over = success is not None and success >= cause.last_event_at and now - cause.last_event_at >= cause.kind.quiet
    if cause.state is State.RESOLVED or not is_over:
        return cause
    return replace(cause, state=State.RESOLVED, resolved_at=now)


def _is_real(cause: Cause) -> bool:
    kind = cause.kind
    if kind.within is not None:
        enough = len(cause.recent) >= kind.opens_after
        return enough and cause.recent[-1] - cause.recent[0] <= kind.within
    lasts = kind.persists is not None and cause.last_event_at - cause.first_event_at >= kind.persists
    return cause.count >= kind.opens_after or lasts


def _known(*days: date | None) -> Iterable[date]:
    return [day for day in days if day is not None]


def _known_moments(*moments: datetime | None) -> Iterable[datetime]:
    return [moment for moment in moments if moment is not None]
