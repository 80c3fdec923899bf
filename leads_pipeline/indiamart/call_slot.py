"""The call slot: one call per interval per key, across processes, restarts, crashes and clock steps.

A slot is closed before its call is sent, for the call's time limit and the interval together, and set to the
answer's time plus the interval when the answer came. So a process that dies mid-call has used up its slot, and
nobody has to notice its death. Who can't call yet reserves a turn: by priority, then by turn, then by arrival.
"""

import hashlib
import sqlite3
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from leads_pipeline.indiamart.call_log import CallRecord, calls_database, insert_call
from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline.indiamart.slot_clock import Deadline, SlotClock, SystemClock
from leads_pipeline.indiamart.windows import Window
from leads_pipeline.sqlite_files import from_epoch, immediate

_MAX_GRACE_SECONDS = 60.0
_MIN_GRACE_SECONDS = 5.0
_OVERDUE_SECONDS = 5.0
_FINGERPRINT_LENGTH = 16


def key_fingerprint(key: str) -> str:
    """Return the name that slots and sidecars know a key by; the key can't be had back from it."""
    return hashlib.sha256(key.encode()).hexdigest()[:_FINGERPRINT_LENGTH]


@dataclass(frozen=True)
class SlotTimes:
    """How long a key's slot stays closed, in seconds."""

    interval: float
    timeout: float
    block: float

    def closed_after(self, outcome: Outcome) -> float:
        """Return how long the slot is closed after an answer of that outcome."""
        return max(self.interval, self.block) if outcome is Outcome.KEY_BLOCKED else self.interval


@dataclass(frozen=True)
class Claim:
    """A wish to make the next call with a key."""

    key_fingerprint: str
    holder: str
    """Who asks: a run id, or a name for a process outside any run."""
    times: SlotTimes
    priority: int = 0
    """Higher goes first."""
    turn: str = ""
    """Among equal priorities the smaller goes first; the first day asked for, so that windows stay the fewest."""


@dataclass(frozen=True)
class Granted:
    """The slot is the holder's: make the call now, then release it; or give it back unused."""

    claim: Claim
    waited_seconds: float


@dataclass(frozen=True)
class Wait:
    """The slot is closed or others come first: ask again at `until`, where a turn is reserved."""

    until: datetime
    seconds: float
    ahead: int
    reason: str


@dataclass(frozen=True)
class Reservation:
    """One turn in a key's queue."""

    holder: str
    priority: int
    turn: str
    reserved_at: datetime
    due_at: datetime


@dataclass(frozen=True)
class SlotState:
    """What a key's slot looks like now."""

    next_free_at: datetime
    seconds_left: float
    reason: str
    holder: str | None
    queue: tuple[Reservation, ...]


@dataclass(frozen=True)
class CallInFlight:
    """A call that was begun and not released: its process is still at it, or died."""

    key_fingerprint: str
    holder: str
    account: str
    source_api: str
    window: Window
    response_id: str
    sent_at: datetime
    waited_seconds: float
    lapsed: bool
    """Whether its time is over, so that its process can only be dead."""


class CallSlots:
    """The slots of all keys, in one SQLite file that every process of this machine shares."""

    def __init__(self, path: Path, clock: SlotClock | None = None) -> None:
        self._path = path
        self._clock = clock or SystemClock()

    def request(self, claim: Claim) -> Granted | Wait:
        """Take the slot if it is free and nobody comes first; else reserve a turn and say when to ask again."""
        with calls_database(self._path) as connection, immediate(connection):
            self._heed_moved_clock(connection, claim)
            slot = _slot(connection, claim.key_fingerprint)
            left = self._seconds_left(slot)
            queue = self._live_queue(connection, claim.key_fingerprint)
            mine = next((row for row in queue if row["holder"] == claim.holder), None)
            ahead = sum(row["holder"] != claim.holder and _comes_before(row, claim, mine) for row in queue)
            if left > 0 or ahead:
                return self._reserve(connection, claim, slot, left, ahead)
            now = self._clock.wall()
            _leave_queue(connection, claim.key_fingerprint, claim.holder)
            self._close_for_call(connection, claim)
            connection.execute(
                "UPDATE slot SET holder = ?, held_since = ?, response_id = NULL WHERE key_fingerprint = ?",
                (claim.holder, now, claim.key_fingerprint),
            )
            return Granted(claim, max(now - mine["reserved_at"], 0.0) if mine else 0.0)

    def begin(self, granted: Granted, call: CallInFlight) -> bool:
        """Write down what the granted call asks for, and close the slot for it, before it is sent.

        Returns False, and then the call must not be made, if the process rested so long after the grant that
        the slot went to another.
        """
        claim = granted.claim
        with calls_database(self._path) as connection, immediate(connection):
            slot = _slot(connection, claim.key_fingerprint)
            if slot is None or slot["holder"] != claim.holder:
                return False
            self._close_for_call(connection, claim)
            connection.execute(
                "UPDATE slot SET response_id = ?, held_since = ? WHERE key_fingerprint = ?",
                (call.response_id, call.sent_at.timestamp(), claim.key_fingerprint),
            )
            connection.execute(
                "INSERT INTO call_in_flight (response_id, key_fingerprint, holder, account, source_api, "
                "window_start, window_end, sent_at, waited_seconds) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    call.response_id,
                    claim.key_fingerprint,
                    claim.holder,
                    call.account,
                    call.source_api,
                    call.window.start.timestamp(),
                    call.window.end.timestamp(),
                    call.sent_at.timestamp(),
                    call.waited_seconds,
                ),
            )
            return True

    def release(self, granted: Granted, call: CallRecord) -> None:
        """Log the call and set the slot's next free time by its outcome, as one step.

        A call that outlasted its slot's time never shortens what another one set meanwhile.
        """
        claim = granted.claim
        with calls_database(self._path) as connection, immediate(connection):
            insert_call(connection, call)
            closed = claim.times.closed_after(call.outcome)
            slot = _slot(connection, claim.key_fingerprint)
            is_ours = slot is not None and slot["response_id"] == call.response_id
            if is_ours or closed > self._seconds_left(slot):
                self._close(connection, claim.key_fingerprint, closed, f"the last call ended as {call.outcome}")
            _forget_call(connection, call.response_id)

    def give_back(self, granted: Granted) -> None:
        """Open the slot again: no call was made with it."""
        claim = granted.claim
        with calls_database(self._path) as connection, immediate(connection):
            slot = _slot(connection, claim.key_fingerprint)
            if slot is None or slot["holder"] != claim.holder:
                return  # the grant lapsed meanwhile, and the slot is somebody else's
            self._close(connection, claim.key_fingerprint, 0.0, "the last grant was given back unused")
            connection.execute(
                "UPDATE slot SET holder = NULL, held_since = NULL WHERE key_fingerprint = ?",
                (claim.key_fingerprint,),
            )

    def leave_queue(self, fingerprint: str, holder: str) -> None:
        """Drop the holder's reserved turn: it needs no call any more."""
        with calls_database(self._path) as connection, immediate(connection):
            _leave_queue(connection, fingerprint, holder)

    def in_flight(self) -> list[CallInFlight]:
        """Return the calls that were begun and neither released nor settled, of all keys, oldest first."""
        with calls_database(self._path) as connection:
            slots = {row["response_id"]: row for row in connection.execute("SELECT * FROM slot")}
            rows = connection.execute("SELECT * FROM call_in_flight ORDER BY sent_at").fetchall()
        return [
            CallInFlight(
                row["key_fingerprint"],
                row["holder"],
                row["account"],
                row["source_api"],
                Window(from_epoch(row["window_start"]), from_epoch(row["window_end"])),
                row["response_id"],
                from_epoch(row["sent_at"]),
                row["waited_seconds"],
                lapsed=self._seconds_left(slots.get(row["response_id"])) <= 0,
            )
            for row in rows
        ]

    def settle(self, call: CallInFlight, record: CallRecord) -> None:
        """Log a call whose process died before it could; its slot stays closed as long as it was.

        That is for whoever can tell what came of the call: its answer may be stored.
        """
        with calls_database(self._path) as connection, immediate(connection):
            insert_call(connection, record)
            _forget_call(connection, call.response_id)

    def state(self, fingerprint: str) -> SlotState:
        """Return when the key's next call may be made, why not earlier, and who waits."""
        with calls_database(self._path) as connection:
            slot = _slot(connection, fingerprint)
            queue = _queue(connection, fingerprint)
        left = max(self._seconds_left(slot), 0.0)
        return SlotState(
            next_free_at=from_epoch(self._clock.wall() + left),
            seconds_left=left,
            reason=slot["reason"] if slot else "no call was made yet",
            holder=slot["holder"] if slot else None,
            queue=tuple(
                Reservation(
                    row["holder"],
                    row["priority"],
                    row["turn"],
                    from_epoch(row["reserved_at"]),
                    from_epoch(row["due_at"]),
                )
                for row in queue
                if _lapses(row).seconds_left(self._clock) >= 0
            ),
        )

    def forget(self, account: str) -> None:
        """Drop the account's calls and its narrow windows; slots stay, for a key has used them."""
        with calls_database(self._path) as connection, immediate(connection):
            connection.execute("DELETE FROM api_call WHERE account = ?", (account,))
            connection.execute("DELETE FROM call_in_flight WHERE account = ?", (account,))
            connection.execute("DELETE FROM narrow_window WHERE account = ?", (account,))

    def remember_narrow_windows(self, account: str) -> None:
        """Remember that the API refused 7 times 24 hours for the account."""
        with calls_database(self._path) as connection, immediate(connection):
            connection.execute("INSERT OR IGNORE INTO narrow_window VALUES (?)", (account,))

    def has_narrow_windows(self, account: str) -> bool:
        """Tell whether the API once refused 7 times 24 hours for the account."""
        with calls_database(self._path) as connection:
            row = connection.execute("SELECT 1 FROM narrow_window WHERE account = ?", (account,)).fetchone()
        return row is not None

    def _seconds_left(self, slot: sqlite3.Row | None) -> float:
        return 0.0 if slot is None else _free(slot).seconds_left(self._clock)

    def _heed_moved_clock(self, connection: sqlite3.Connection, claim: Claim) -> None:
        """Close the slot anew if it waits for a wall clock that was set back, or it would for hours."""
        slot = _slot(connection, claim.key_fingerprint)
        if slot is not None and _free(slot).was_moved(self._clock):
            self._close(connection, claim.key_fingerprint, slot["closed_seconds"], slot["reason"])

    def _close_for_call(self, connection: sqlite3.Connection, claim: Claim) -> None:
        seconds = claim.times.timeout + claim.times.interval
        self._close(connection, claim.key_fingerprint, seconds, "a call is under way")

    def _close(self, connection: sqlite3.Connection, fingerprint: str, seconds: float, reason: str) -> None:
        free = Deadline.after(seconds, self._clock)
        connection.execute(
            "INSERT INTO slot (key_fingerprint, free_wall, free_boot, boot_id, closed_seconds, reason) "
            "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (key_fingerprint) DO UPDATE SET "
            "free_wall = excluded.free_wall, free_boot = excluded.free_boot, boot_id = excluded.boot_id, "
            "closed_seconds = excluded.closed_seconds, reason = excluded.reason",
            (fingerprint, free.wall, free.since_boot, free.boot_id, free.seconds, reason),
        )

    def _live_queue(self, connection: sqlite3.Connection, fingerprint: str) -> list[sqlite3.Row]:
        """Return the key's queue without the turns of those who did not come back for them."""
        queue = _queue(connection, fingerprint)
        live = [row for row in queue if _lapses(row).seconds_left(self._clock) >= 0]
        for row in queue:
            if row not in live:
                _leave_queue(connection, fingerprint, row["holder"])
        return live

    def _reserve(
        self, connection: sqlite3.Connection, claim: Claim, slot: sqlite3.Row | None, left: float, ahead: int
    ) -> Wait:
        now, interval = self._clock.wall(), claim.times.interval
        if slot is not None and slot["holder"] is not None and left > 0:
            answer_due = slot["held_since"] + interval - now
            left = min(left, answer_due if answer_due > 0 else min(interval, _OVERDUE_SECONDS))
        seconds = left + ahead * interval if left > 0 else min(interval, 1.0)  # those ahead are due now
        lapses = Deadline.after(seconds + min(max(interval, _MIN_GRACE_SECONDS), _MAX_GRACE_SECONDS), self._clock)
        connection.execute(
            "INSERT INTO turn (key_fingerprint, holder, priority, turn, reserved_at, due_at, lapse_wall, "
            "lapse_boot, boot_id, lapse_seconds) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (key_fingerprint, holder) DO UPDATE SET priority = excluded.priority, "
            "turn = excluded.turn, due_at = excluded.due_at, lapse_wall = excluded.lapse_wall, "
            "lapse_boot = excluded.lapse_boot, boot_id = excluded.boot_id, lapse_seconds = excluded.lapse_seconds",
            (
                claim.key_fingerprint,
                claim.holder,
                claim.priority,
                claim.turn,
                now,
                now + seconds,
                lapses.wall,
                lapses.since_boot,
                lapses.boot_id,
                lapses.seconds,
            ),
        )
        reason = slot["reason"] if slot is not None and left > 0 else "earlier turns come first"
        return Wait(from_epoch(now) + timedelta(seconds=seconds), seconds, ahead, reason)


def _slot(connection: sqlite3.Connection, fingerprint: str) -> sqlite3.Row | None:
    row: sqlite3.Row | None = connection.execute(
        "SELECT * FROM slot WHERE key_fingerprint = ?", (fingerprint,)
    ).fetchone()
    return row


def _free(slot: sqlite3.Row) -> Deadline:
    return Deadline(slot["free_wall"], slot["free_boot"], slot["boot_id"], slot["closed_seconds"])


def _lapses(turn: sqlite3.Row) -> Deadline:
    return Deadline(turn["lapse_wall"], turn["lapse_boot"], turn["boot_id"], turn["lapse_seconds"])


def _queue(connection: sqlite3.Connection, fingerprint: str) -> list[sqlite3.Row]:
    return connection.execute(
        "SELECT * FROM turn WHERE key_fingerprint = ? ORDER BY priority DESC, turn, turn_id", (fingerprint,)
    ).fetchall()


def _leave_queue(connection: sqlite3.Connection, fingerprint: str, holder: str) -> None:
    connection.execute("DELETE FROM turn WHERE key_fingerprint = ? AND holder = ?", (fingerprint, holder))


def _comes_before(row: sqlite3.Row, claim: Claim, mine: sqlite3.Row | None) -> bool:
    if row["priority"] != claim.priority:
        return bool(row["priority"] > claim.priority)
    if row["turn"] != claim.turn:
        return bool(row["turn"] < claim.turn)
    return mine is None or bool(row["turn_id"] < mine["turn_id"])


def _forget_call(connection: sqlite3.Connection, response_id: str) -> None:
    connection.execute("DELETE FROM call_in_flight WHERE response_id = ?", (response_id,))
    connection.execute(
        "UPDATE slot SET holder = NULL, held_since = NULL, response_id = NULL WHERE response_id = ?", (response_id,)
    )
