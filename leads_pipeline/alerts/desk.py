"""The desk: takes in what calls, runs and looks at the silence tell, and sends what the channels are due.

Taking in and sending are two things: an event is in the ledger before anybody is told, and a channel that fails
keeps nothing from being taken in. One process sends at a time; the others leave it to that one.

What a kill does: an event is counted once, wherever it falls, for it is committed together with the place in its
source. A message is written down, sent, and then noted as sent. If the process dies between the first and the last,
nobody can know whether it went out; it is sent again, once, with a line that says so. So a message is never lost, and
is repeated only if the process died, or the channel failed to confirm, after it had taken the message.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from filelock import FileLock, Timeout

from leads_pipeline.alerts.causes import Cause, Source, State
from leads_pipeline.alerts.channels import Channel, NotDeliveredError
from leads_pipeline.alerts.delivery_trouble import DeliveryFacts, find_delivery_trouble
from leads_pipeline.alerts.due import Audience, LackingDays, Outlook, due_messages
from leads_pipeline.alerts.events import (
    RunFailure,
    RunSuccess,
    drop_other_accounts,
    drop_other_versions,
    heed_call,
    heed_findings,
    heed_run_failure,
    heed_run_success,
)
from leads_pipeline.alerts.ledger import KEPT, ChannelState, Ledger, Page, SentMessage, View, watched
from leads_pipeline.alerts.silence import SilenceFacts, find_silence
from leads_pipeline.alerts.wording import REPEATED, Circumstances, compose
from leads_pipeline.indiamart.call_log import CallLog
from leads_pipeline.kill_points import reach
from leads_pipeline.settings import DEMO_ACCOUNT

LONG_AWAY = timedelta(hours=1)
_CALLS, _RUNS, _LOOKED = "calls", "runs", "looked"
_BATCH = 2_000
_LOOK_STEP = timedelta(minutes=10)
_SEND_SECONDS = 30.0  # Dagster gives a sensor's tick 60 s
_FIRST_PAUSE = timedelta(minutes=1)
_LONGEST_PAUSE = timedelta(minutes=15)


@dataclass(frozen=True)
class RunReport:
    """What one finished run tells of its accounts."""

    run_id: str
    events: tuple[RunFailure | RunSuccess, ...]


@dataclass(frozen=True)
class Intake:
    """What was taken in at the beginning of a look."""

    calls: int
    away_since: datetime | None
    """When alerts were last looked after, if that is an hour ago or more: then everything is taken in before anything
    is sent, for one digest."""


@dataclass(frozen=True)
class Delivery:
    """What sending did."""

    sent: tuple[str, ...] = ()
    """One line for each message that went out."""
    failed: tuple[str, ...] = ()
    """One line for each channel that did not take its message."""
    open: tuple[Cause, ...] = ()
    """What is wrong now."""


@dataclass(frozen=True)
class AlertDesk:
    """Everything that alerts of one installation need."""

    state_dir: Path
    call_log: CallLog
    accounts: frozenset[str]
    channels: tuple[Channel, ...]
    lacking: LackingDays
    ui_url: str | None = None
    key_hints: Mapping[str, str] = field(default_factory=dict)
    """By account what to put where for it to have its key."""
    other_versions: Mapping[str, str] = field(default_factory=dict)
    """By account the version of the API that it is asked with beside its main one."""

    @property
    def ledger(self) -> Ledger:
        """Return the ledger."""
        return Ledger(self.state_dir)

    def take_in_calls(self, now: datetime) -> Intake:
        """Take in what the call log has new. Comes first at each look: runs are judged by their calls."""
        taken = 0
        while True:
            with self.ledger.page() as page:
                away_since = _away_since(page, now)
                count = self._take_in_batch(page)
                if count < _BATCH:
                    page.book.settle(now)
                    drop_other_accounts(page.book, self.accounts, now)
                    drop_other_versions(page.book, self.other_versions, now)
                    page.forget_before(now - KEPT)
                reach("alerts:calls")
            taken += count
            if count < _BATCH:
                return Intake(taken, away_since)

    def _take_in_batch(self, page: Page) -> int:
        place = int(page.place(_CALLS) or 0)
        calls = self.call_log.after(place, _BATCH)
        if not calls and place > self.call_log.newest_id():  # the call log was lost and began anew
            place = 0
            calls = self.call_log.after(place, _BATCH)
        for call in calls:
            heed_call(page.book, call, self.other_versions.get(call.account, ""))
            place = call.call_id
        page.move(_CALLS, str(place))
        return len(calls)

    def runs_read_until(self) -> datetime | None:
        """Return how far finished runs were taken in; None before the first time."""
        with self.ledger.page() as page:
            place = page.place(_RUNS)
        return datetime.fromisoformat(place) if place else None

    def take_in_runs(self, reports: Iterable[RunReport], read_until: datetime, now: datetime) -> int:
        """Take in finished runs, oldest first, each once however often it is reported; return how many were new.

        Their calls must be taken in first.
        """
        taken = 0
        with self.ledger.page() as page:
            for report in reports:
                if not page.take_run(report.run_id, now):
                    continue
                taken += 1
                for event in report.events:
                    if event.account in self.accounts:
                        self._heed_run(page, event)
            page.move(_RUNS, read_until.isoformat())
        return taken

    def _heed_run(self, page: Page, event: RunFailure | RunSuccess) -> None:
        if isinstance(event, RunSuccess):
            heed_run_success(page.book, event)
            return
        success = self.call_log.last_success_of(event.account)
        heed_run_failure(page.book, event, success.sent_at if success else None)

    def watched_since(self, account: str, now: datetime) -> datetime:
        """Return when alerts first saw the account with a key: now, at the first time."""
        source = watched(account)
        with self.ledger.page() as page:
            place = page.place(source) or now.isoformat()
            page.move(source, place)
        return datetime.fromisoformat(place)

    def take_in_silence(self, all_facts: Iterable[SilenceFacts]) -> None:
        """Take in one look at the silence of each account that has a key."""
        with self.ledger.page() as page:
            for facts in all_facts:
                heed_findings(page.book, facts.account, find_silence(facts), facts.now)

    def take_in_deliveries(self, facts: Mapping[str, Sequence[DeliveryFacts]], now: datetime) -> None:
        """Take in one look at the deliveries, by account; an account that has none any more ends its alerts."""
        with self.ledger.page() as page:
            for account, destinations in facts.items():
                findings = [finding for one in destinations for finding in find_delivery_trouble(one, now)]
                heed_findings(page.book, account, findings, now, Source.DELIVERIES)

    def deliver(self, now: datetime, away_since: datetime | None = None) -> Delivery:
        """Send each channel what it is due; leave that to the process that is at it already, if there is one.

        `away_since` is what the look's intake said.
        """
        with _sole_sender(self.state_dir) as alone:
            view = self.ledger.view([channel.name for channel in self.channels], now)
            still_open = tuple(cause for cause in view.causes if cause.state is State.OPEN)
            if not alone:
                return Delivery(open=still_open)
            sending = _Sending(self, view, Circumstances(now, self.lacking, self.ui_url, away_since, self.key_hints))
            for channel in self.channels:
                sending.serve(channel)
            self._note_look(now)
            return Delivery(tuple(sending.sent), tuple(sending.failed), still_open)

    def _note_look(self, now: datetime) -> None:
        with self.ledger.page() as page:
            last = _last_look(page)
            if last is None or abs(now - last) >= _LOOK_STEP:
                page.move(_LOOKED, now.isoformat())


@dataclass
class _Sending:
    """One turn of sending, by the one process that sends."""

    desk: AlertDesk
    view: View
    around: Circumstances
    sent: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    deadline: float = field(default_factory=lambda: time.monotonic() + _SEND_SECONDS)

    def serve(self, channel: Channel) -> None:
        """Send the channel what it is due, unless it rests after a failure or time is up."""
        state = self.view.channels[channel.name]
        if state.next_try_at > self.around.now:
            return
        try:
            if state.unfinished:  # what else is due is made at the next look, by what these have told
                self._send_again(channel, state)
            else:
                self._send_due(channel, state)
        except NotDeliveredError as error:
            self.failed.append(f"Channel {channel.address.label}: {error}")

    def _send_again(self, channel: Channel, state: ChannelState) -> None:
        for message in state.unfinished:
            self._send(channel, state, message, f"{REPEATED}\n\n{message.body}")
            self.sent.append(f"Sent again to {channel.address.label}: {message.subject}")

    def _send_due(self, channel: Channel, state: ChannelState) -> None:
        address, now = channel.address, self.around.now
        audience = Audience(address.level, address.account, state.first_seen_at, state.told)
        known = tuple(cause for cause in self.view.causes if cause.account in self.desk.accounts)
        outlook = Outlook(known, now, self.around.lacking)
        for dues in due_messages(outlook, audience, never_told=[DEMO_ACCOUNT]):
            if time.monotonic() > self.deadline:
                return
            message = self.desk.ledger.intend(channel.name, compose(dues, self.around), dues, now)
            reach("alerts:intended")
            self._send(channel, state, message, message.body)
            self.sent.append(f"Sent to {address.label}: {message.subject}")

    def _send(self, channel: Channel, state: ChannelState, message: SentMessage, body: str) -> None:
        try:
            channel.send(message.subject, body, message.level, message.stage)
        except NotDeliveredError:
            pause = min(_FIRST_PAUSE * 2 ** min(state.failures, 10), _LONGEST_PAUSE)
            self.desk.ledger.refused(channel.name, message, self.around.now + pause)
            raise
        reach("alerts:sent")
        self.desk.ledger.delivered(channel.name, message, self.around.now)


def _last_look(page: Page) -> datetime | None:
    place = page.place(_LOOKED)
    return datetime.fromisoformat(place) if place else None


def _away_since(page: Page, now: datetime) -> datetime | None:
    last = _last_look(page)
    return last if last is not None and now - last >= LONG_AWAY else None


def in_words(causes: Sequence[Cause]) -> str:
    """Return one line that names the causes."""
    return "; ".join(f"{cause.kind.title} ({cause.account}, {cause.level}, {cause.count}x)" for cause in causes)


@contextmanager
def _sole_sender(state_dir: Path) -> Iterator[bool]:
    lock = FileLock(state_dir / "alerts-sending.lock", mode=0o600)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
