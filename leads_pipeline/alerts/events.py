"""What calls, runs and looks at the silence do to the causes that are not resolved yet. Pure."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime

from leads_pipeline.alerts.causes import (
    RUN_FAILED,
    Cause,
    CauseKey,
    Event,
    Source,
    State,
    kind_of,
    louder,
    opened,
    settled,
    with_event,
    with_success,
)
from leads_pipeline.indiamart.call_log import CallRecord
from leads_pipeline.indiamart.outcomes import AlertLevel, Outcome
from leads_pipeline.indiamart.reading import is_window_too_wide


@dataclass(frozen=True)
class RunFailure:
    """One account's part in a failed run that nobody repeats by itself."""

    run_id: str
    account: str
    ended_at: datetime
    outcome: Outcome | None
    """The answer it failed of, if it was one."""
    detail: str
    """Where and of what, in a few words that are the same each time."""
    what: str
    first_day: date | None = None
    last_day: date | None = None
    kind_name: str = RUN_FAILED
    """Of which kind it is if no answer is to blame."""


@dataclass(frozen=True)
class RunSuccess:
    """A run of the account that went through."""

    account: str
    ended_at: datetime
    kind_name: str = RUN_FAILED
    """Which kind it ends."""


@dataclass(frozen=True)
class Finding:
    """What one look at an account's silence found."""

    kind_name: str
    level: AlertLevel
    what: str
    since: datetime
    first_day: date | None = None
    last_day: date | None = None
    detail: str = ""
    """Tells findings of one kind and account apart: the destination of a delivery."""


class CauseBook:
    """The causes that are watched or open, and those that were resolved meanwhile."""

    def __init__(self, unresolved: Iterable[Cause]) -> None:
        self._unresolved = {cause.key: cause for cause in unresolved}
        self.resolved: list[Cause] = []
        """Those that were resolved since the book was opened, oldest first."""

    @property
    def unresolved(self) -> list[Cause]:
        """Return the causes that are watched or open."""
        return list(self._unresolved.values())

    def find(self, key: CauseKey) -> Cause | None:
        """Return the unresolved cause of that key."""
        return self._unresolved.get(key)

    def of(self, account: str, source: Source) -> list[Cause]:
        """Return the account's unresolved causes that such a source tells of."""
        return [cause for cause in self.unresolved if cause.account == account and cause.kind.source is source]

    def put(self, cause: Cause) -> None:
        """Enter the cause as it is now."""
        if cause.state is State.RESOLVED:
            self._unresolved.pop(cause.key, None)
            self.resolved.append(cause)
        else:
            self._unresolved[cause.key] = cause

    def settle(self, now: datetime) -> None:
        """Resolve what is over at that moment."""
        for cause in self.unresolved:
            self.put(settled(cause, now))


def heed_call(book: CauseBook, call: CallRecord, other_version: str = "") -> None:
    """Take in one call of the log.

    `other_version` is the version of the API that the account is asked with beside its main one, if it is; a
    cause of its calls has it as detail, and only its own calls end that.
    """
    detail = call.source_api if call.source_api == other_version else ""
    book.settle(call.sent_at)
    kind = kind_of(call.outcome)
    if call.outcome.rule.is_success:
        for cause in book.of(call.account, Source.CALLS):
            if cause.detail == detail and (kind is None or cause.kind_name != kind.name):
                book.put(settled(with_success(cause, call.sent_at), call.sent_at))
    if kind is None or is_window_too_wide(call.outcome, call.message):
        return
    sentence = call.outcome.rule.sentence
    event = Event(
        CauseKey(call.account, kind.name, detail),
        call.sent_at,
        call.outcome.rule.level,
        f"With the account's other version, {detail}: {sentence}" if detail else sentence,
        call.window.days[0],
        call.window.days[-1],
        call.run_id,
        call.http_status,
        call.code,
    )
    _add(book, event)


def heed_run_failure(book: CauseBook, failure: RunFailure, last_success_at: datetime | None) -> None:
    """Take in a failed run: it adds to the cause of the answer that it failed of, or is a cause of its own.

    `last_success_at` is the account's newest successful call: a failure before it that has no cause any more is
    over as well. Its calls must be taken in first.
    """
    kind = kind_of(failure.outcome) if failure.outcome else None
    if kind is None or failure.outcome is None:
        key = CauseKey(failure.account, failure.kind_name, failure.detail)
        days = (failure.first_day, failure.last_day)
        _add(book, Event(key, failure.ended_at, AlertLevel.WARNING, failure.what, *days, failure.run_id))
        return
    key, rule = CauseKey(failure.account, kind.name), failure.outcome.rule
    cause = book.find(key)
    if cause is None:
        if last_success_at is not None and last_success_at > failure.ended_at:
            return
        event = Event(
            key, failure.ended_at, rule.level, rule.sentence, failure.first_day, failure.last_day, failure.run_id
        )
        cause = with_event(None, event)
    if failure.outcome is not Outcome.NOT_YET_AVAILABLE:  # that one passes by itself, a day later
        cause = replace(cause, level=louder(cause.level, AlertLevel.WARNING))
    book.put(replace(opened(cause, failure.ended_at), run_id=failure.run_id))


def heed_run_success(book: CauseBook, success: RunSuccess) -> None:
    """Take in a run that went through: it ends the failures of the account's earlier runs of that kind."""
    for cause in book.of(success.account, Source.RUNS):
        if cause.kind_name == success.kind_name:
            book.put(settled(with_success(cause, success.ended_at), success.ended_at))


def heed_findings(
    book: CauseBook, account: str, findings: Iterable[Finding], now: datetime, source: Source = Source.SILENCE
) -> None:
    """Take in one look at the account's silence, or deliveries: what is not found any more is over."""
    found = {CauseKey(account, finding.kind_name, finding.detail): finding for finding in findings}
    for known in book.of(account, source):
        if known.key not in found:
            book.put(settled(with_success(known, now), now))
    for key, finding in found.items():
        cause = book.find(key)
        days = (finding.first_day, finding.last_day)
        if cause is None:
            begun = with_event(None, Event(key, finding.since, finding.level, finding.what, *days))
            book.put(replace(begun, opened_at=now, last_event_at=now))
        else:
            level = louder(cause.level, finding.level)
            book.put(
                replace(cause, what=finding.what, level=level, last_event_at=now, first_day=days[0], last_day=days[1])
            )


def drop_other_accounts(book: CauseBook, accounts: Collection[str], now: datetime) -> None:
    """End the causes of accounts that the settings don't name any more; nobody can be told anything of use."""
    for cause in book.unresolved:
        if cause.account not in accounts:
            book.put(replace(cause, state=State.RESOLVED, resolved_at=now))


def drop_other_versions(book: CauseBook, other_versions: Mapping[str, str], now: datetime) -> None:
    """End the causes of calls to versions that accounts are not asked with any more."""
    for cause in book.unresolved:
        is_of_version = cause.kind.source is Source.CALLS and cause.detail
        if is_of_version and cause.detail != other_versions.get(cause.account):
            book.put(replace(cause, state=State.RESOLVED, resolved_at=now))


def _add(book: CauseBook, event: Event) -> None:
    book.put(with_event(book.find(event.key), event))
