"""Delivering: what is due of an account's leads goes to one of its CRMs, day by day, with a receipt for each."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from leads_pipeline.days import day_of, utc_now
from leads_pipeline.delivery.crm import Crm, OutgoingLead, StopKind
from leads_pipeline.delivery.crms import build_crm
from leads_pipeline.delivery.delivery_log import DeliveryLog
from leads_pipeline.delivery.destination import Destination
from leads_pipeline.delivery.due import Candidate, Verdict, pause_after
from leads_pipeline.delivery.mapping import LeadMapping, payload_hash, text_of
from leads_pipeline.delivery.outbox import Outbox
from leads_pipeline.delivery.outbox_rows import DeliveryRun, DeliveryState
from leads_pipeline.delivery.sending import Sender, Sent
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.storage.atomic import make_private_folder
from leads_pipeline.storage.day_paths import days_with_file, leads_file, safe_name

if TYPE_CHECKING:
    from leads_pipeline.storage.parquet import LeadFiles

_LOCK_SECONDS = 600.0
_AT_ONCE = 2_500
"""So many due leads are in memory at once; a multiple of each CRM's batch size, so that no call is half empty."""
_NOTE_COLUMNS = ("query_type", "subject", "query_product_name", "query_message")
_OWN_COLUMNS = ("query_id", "query_time", "first_seen_at", "content_hash", *_NOTE_COLUMNS)
_OF_THE_FOLDER = frozenset({"account", "lead_date"})
_FIRST_PAUSES = {
    StopKind.BAD_KEYS: timedelta(hours=1),
    StopKind.MISCONFIGURED: timedelta(hours=1),
    StopKind.QUOTA_USED_UP: timedelta(hours=1),
    StopKind.UNREACHABLE: timedelta(0),
}
_RUNS_LOOKED_AT = 10
_DUE = frozenset({Verdict.SEND, Verdict.SUPERSEDE, Verdict.NOTE})


class DeliveryError(RuntimeError):
    """Nothing can be delivered; the text says why and what to do."""


@dataclass(frozen=True)
class Planned:
    """A lead with what would be done about it."""

    candidate: Candidate
    verdict: Verdict


class LeadDelivery:
    """Delivers one account's leads to one destination."""

    def __init__(
        self,
        workspace: Workspace,
        destination: Destination,
        run_id: str,
        crm: Crm | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """Raise DeliveryError if the destination's keys are not set; `crm` takes the real one's place in tests."""
        self.outbox = Outbox(workspace.settings.state_dir)
        self._log = DeliveryLog(workspace.settings.state_dir)
        if crm is None:
            _refuse_without_keys(destination)
            record = partial(self._log.log_call, destination.account, destination.name, run_id)
            crm = build_crm(destination, workspace.settings.state_dir / "calls.sqlite", record)
        self._workspace, self._destination, self._run_id, self._clock = workspace, destination, run_id, clock
        self.crm = crm
        self._mapping = LeadMapping(destination.fields, destination.phone_form, destination.lead_source)
        self._sender = Sender(destination, crm, self.outbox, clock)

    def deliver(self, days: Iterable[date], log: Callable[[str], None], *, by_hand: bool = False) -> Sent:
        """Send what is due of these days' leads, oldest first, and return what became of it.

        Safe to kill and to repeat. DeliveryError if another process has been delivering there for 10 minutes.
        """
        destination, total = self._destination, Sent()
        with delivery_lock(self._workspace.settings.state_dir, destination):
            for plans in self._chunks(days, by_hand=by_hand):
                sent = self._sender.send([plan.candidate for plan in plans], by_hand=by_hand)
                total.states.update(sent.states)
                total.noted += sent.noted
                total.stop = sent.stop
                if total.stop is not None:
                    break
            if (
                total.states or total.noted or total.stop
            ):  # a run that tried nothing does not tell that the CRM answers again
                self._log.end_run(self._run_record(total))
        total.waiting = self.outbox.waiting(destination.account, destination.name, self._clock())
        log(_in_words(destination, total))
        if self.crm.unknown_fields:
            names = ", ".join(sorted(self.crm.unknown_fields))
            log(f"Left out, for {destination.label} has no such field: {names} (`leads deliver check`).")
        return total

    def plan(self, days: Iterable[date], *, by_hand: bool) -> Iterator[Planned]:
        """Yield what would be done with each lead of the days, day by day; sends and writes nothing."""
        files = self._workspace.lead_files(self._destination.account)
        for day in sorted(set(days)):
            if files.exists(day):
                candidates = self._candidates(files, day)
                yield from (Planned(*pair) for pair in self._sender.due(candidates, by_hand=by_hand))

    def _chunks(self, days: Iterable[date], *, by_hand: bool) -> Iterator[list[Planned]]:
        """Yield the due leads in chunks; days of which nothing was due or left are remembered as looked at."""
        account, name = self._destination.account, self._destination.name
        known = {} if by_hand else self.outbox.looked_at(account, name)
        started_at, days = self._clock(), sorted(set(days))
        again = set(self.outbox.days_to_try_again(account, name, started_at))
        stamps: dict[date, str] = {}
        due: list[Planned] = []
        for day in days:
            stamp = day_stamp(self._workspace.settings.data_dir, self._destination, day)
            if stamp is None or (known.get(day) == stamp and day not in again):
                continue
            due += [plan for plan in self.plan([day], by_hand=by_hand) if plan.verdict in _DUE]
            stamps[day] = stamp
            while len(due) >= _AT_ONCE:
                chunk, due = due[:_AT_ONCE], due[_AT_ONCE:]
                yield chunk
        if due:
            yield due
        # not reached after a stop: those days are looked at again
        self.outbox.set_looked_at(account, name, stamps)
        self.outbox.set_aside(account, name, days, started_at)

    def _candidates(self, files: "LeadFiles", day: date) -> list[Candidate]:
        columns = sorted(({*self._mapping.columns} - _OF_THE_FOLDER) | {*_OWN_COLUMNS})
        folder = {"account": self._destination.account, "lead_date": day}
        return [self._candidate({**row, **folder}, day) for row in files.read_columns(day, columns).to_pylist()]

    def _candidate(self, row: dict[str, object], day: date) -> Candidate:
        values = self._mapping.values(row)
        lead = OutgoingLead(str(row["query_id"]), values)
        key = self.crm.key_of(lead)
        query_time, first_seen_at = row["query_time"], row["first_seen_at"]
        if not isinstance(query_time, datetime) or not isinstance(first_seen_at, datetime):
            raise TypeError("a lead without its times")
        return Candidate(
            lead=lead,
            lead_date=day,
            query_time=query_time,
            first_seen_at=first_seen_at,
            content_hash=str(row["content_hash"]),
            payload_hash=payload_hash(values),
            record_key=None if key is None else _digest(f"{self._destination.label}\n{key}"),
            note=_note(row),
        )

    def _run_record(self, sent: Sent) -> DeliveryRun:
        return DeliveryRun(
            account=self._destination.account,
            destination=self._destination.name,
            run_id=self._run_id,
            ended_at=self._clock(),
            stop=sent.stop.kind.value if sent.stop else "",
            reason=sent.stop.reason if sent.stop else "",
            done=sent.done,
            failed=sent.states[DeliveryState.FAILED] + sent.states[DeliveryState.UNSURE],
            held=sent.states[DeliveryState.HELD],
            parked=sent.states[DeliveryState.PARKED],
        )


def days_due(workspace: Workspace, destination: Destination, now: datetime) -> list[date]:
    """Return the days with leads that the destination may not have yet, from its start on. Reads no lead."""
    outbox = Outbox(workspace.settings.state_dir)
    account, name = destination.account, destination.name
    start = destination.start or outbox.first_seen_on(account, name, day_of(now))
    known = outbox.looked_at(account, name)
    data_dir = workspace.settings.data_dir
    files = workspace.lead_files(account)
    changed = {
        day
        for day in days_with_file(data_dir, account, (day for day in files.days() if day >= start))
        if known.get(day) != day_stamp(data_dir, destination, day)
    }
    return sorted(changed | set(outbox.days_to_try_again(account, name, now)))


def paused_until(log: DeliveryLog, destination: Destination) -> datetime | None:
    """Return until when runs that nobody asked for make no sense, or None: after keys, quota or answers failed."""
    runs = log.last_runs(destination.account, destination.name, _RUNS_LOOKED_AT)
    stops = []
    for run in runs:
        if not run.stop:
            break
        stops.append(run)
    if not stops:
        return None
    newest = stops[0]
    return newest.ended_at + max(_FIRST_PAUSES[StopKind(newest.stop)], pause_after(len(stops)))


def day_stamp(data_dir: Path, destination: Destination, day: date) -> str | None:
    """Return what changes when the day's leads or the destination's mapping do; None for a day without a file."""
    try:
        status = leads_file(data_dir, destination.account, day).stat()
    except FileNotFoundError:
        return None
    return f"{status.st_size}.{status.st_mtime_ns}.{status.st_ino}.{mapping_digest(destination)}"


def mapping_digest(destination: Destination) -> str:
    """Return a hash of all that decides what is sent; keys are no part of it."""
    plain = replace(destination, key_id="", secret_key="", key_places=("", ""), limits={}, start=None)
    return _digest(json.dumps(repr(plain)))[:16]


def delivery_lock(state_dir: Path, destination: Destination) -> "_DeliveryLock":
    """Return the lock under which alone anything is sent to the destination; whoever dies gives it back."""
    make_private_folder(state_dir)
    return _DeliveryLock(state_dir / f"delivery-{safe_name(destination.label)}.lock", destination.label)


class _DeliveryLock:
    def __init__(self, path: Path, label: str) -> None:
        self._lock, self._label = FileLock(path, timeout=_LOCK_SECONDS, mode=0o600), label

    def __enter__(self) -> None:
        try:
            self._lock.acquire()
        except Timeout:
            raise DeliveryError(
                f"Another process has been delivering to {self._label} for {_LOCK_SECONDS / 60:g} minutes; nothing "
                "was sent by this one. Wait for it, or end it: it is safe to kill."
            ) from None

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def _refuse_without_keys(destination: Destination) -> None:
    if not destination.has_keys:
        places = " and ".join(destination.key_places)
        raise DeliveryError(f"The keys of {destination.label} are not set ({places}); nothing was sent. Set both.")


def _in_words(destination: Destination, sent: Sent) -> str:
    counts = [f"{count} {state.value}" for state, count in sorted(sent.states.items())]
    states = ", ".join([*counts, *([f"{sent.noted} noted as activity"] if sent.noted and not counts else [])])
    text = f"Delivered to {destination.label}: {states or 'nothing was due'}."
    if sent.waiting:
        text += f" {sent.waiting} wait for their next attempt; `leads deliver --retry` makes it at once."
    return f"{text} Stopped: {sent.stop.reason}" if sent.stop else text


def _note(row: dict[str, object]) -> str:
    kind, subject, product, message = (text_of(row[name]) for name in _NOTE_COLUMNS)
    lines = [f"IndiaMART enquiry {row['query_id']} ({kind})", subject, product, message]
    return "\n".join(line for line in lines if line)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def destinations_of(destinations: Sequence[Destination], account: str, name: str | None) -> list[Destination]:
    """Return the account's destinations, or the one of that name; raise DeliveryError if there is none."""
    own = [one for one in destinations if one.account == account]
    chosen = [one for one in own if name in (None, one.name)]
    if not chosen:
        known = ", ".join(one.name for one in own) or "none"
        what = f"no destination {name!r}" if name else "no destination yet"
        raise DeliveryError(
            f"Account {account} has {what} (it has: {known}). Deliveries are set up in the accounts file: "
            f"[accounts.{account}.deliver.leadsquared] or .sharpspring."
        )
    return chosen
