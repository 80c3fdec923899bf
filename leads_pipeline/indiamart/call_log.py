"""The call log: one row for every API call, in the SQLite file of the call slots.

Rows are inserted by the transaction that releases the call's slot; sensors read them by id, and the published
table `api_calls` shows them to analysts.
"""

import sqlite3
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline.indiamart.windows import Window
from leads_pipeline.sqlite_files import from_epoch, sqlite_file

_SCHEMA_VERSION = 4

_SCHEMA = """
CREATE TABLE IF NOT EXISTS api_call (
  call_id INTEGER PRIMARY KEY AUTOINCREMENT,
  account TEXT NOT NULL, source_api TEXT NOT NULL,
  window_start REAL NOT NULL, window_end REAL NOT NULL,
  sent_at REAL NOT NULL, received_at REAL,
  latency_seconds REAL, waited_seconds REAL NOT NULL,
  outcome TEXT NOT NULL, http_status INTEGER, code INTEGER, message TEXT NOT NULL,
  records INTEGER NOT NULL, total_records INTEGER,
  response_id TEXT NOT NULL UNIQUE, run_id TEXT NOT NULL, key_fingerprint TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS api_call_by_run ON api_call (run_id);
CREATE INDEX IF NOT EXISTS api_call_by_account ON api_call (account, call_id);
CREATE TABLE IF NOT EXISTS slot (
  key_fingerprint TEXT PRIMARY KEY,
  free_wall REAL NOT NULL, free_boot REAL NOT NULL, boot_id TEXT NOT NULL,
  closed_seconds REAL NOT NULL, reason TEXT NOT NULL,
  holder TEXT, held_since REAL, response_id TEXT
);
CREATE TABLE IF NOT EXISTS call_in_flight (
  response_id TEXT PRIMARY KEY, key_fingerprint TEXT NOT NULL, holder TEXT NOT NULL,
  account TEXT NOT NULL, source_api TEXT NOT NULL,
  window_start REAL NOT NULL, window_end REAL NOT NULL, sent_at REAL NOT NULL, waited_seconds REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS turn (
  turn_id INTEGER PRIMARY KEY AUTOINCREMENT,
  key_fingerprint TEXT NOT NULL, holder TEXT NOT NULL,
  priority INTEGER NOT NULL, turn TEXT NOT NULL,
  reserved_at REAL NOT NULL, due_at REAL NOT NULL,
  lapse_wall REAL NOT NULL, lapse_boot REAL NOT NULL, boot_id TEXT NOT NULL, lapse_seconds REAL NOT NULL,
  UNIQUE (key_fingerprint, holder)
);
CREATE TABLE IF NOT EXISTS narrow_window (account TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS crm_call (bucket TEXT NOT NULL, at REAL NOT NULL);
CREATE INDEX IF NOT EXISTS crm_call_by_bucket ON crm_call (bucket, at);
"""


@dataclass(frozen=True)
class CallRecord:
    """One API call: what was asked, what came back, how long it took. Holds neither key nor personal data."""

    account: str
    source_api: str
    window_start: datetime
    window_end: datetime
    sent_at: datetime
    received_at: datetime | None
    latency_seconds: float | None
    waited_seconds: float
    """How long the call waited for its slot, from its first request for it."""
    outcome: Outcome
    http_status: int | None
    code: int | None
    message: str
    records: int
    total_records: int | None
    response_id: str
    """Name of the raw response, or of the one that would have been stored had an answer come."""
    run_id: str
    call_id: int = 0
    """Position in the log, from 1; 0 before it is logged."""
    key_fingerprint: str = ""
    """Which key the call was made with; empty where that is not known. Analysts don't get it."""

    @property
    def window(self) -> Window:
        """Return the window that was asked for."""
        return Window(self.window_start, self.window_end)


@dataclass(frozen=True)
class KeyUse:
    """An account's calls with one key, as far as they tell of the key; None where there was none."""

    first: CallRecord | None
    last: CallRecord | None
    last_good: CallRecord | None
    """The newest that IndiaMART answered as it should: the key lives on from there."""


_COLUMNS = tuple(field.name for field in fields(CallRecord) if field.name != "call_id")
_MOMENTS = frozenset({"window_start", "window_end", "sent_at", "received_at"})
_INSERT = (
    f"INSERT INTO api_call ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' for _ in _COLUMNS)}) "  # noqa: S608 - own names
    "ON CONFLICT (response_id) DO NOTHING"
)


def calls_database(path: Path) -> AbstractContextManager[sqlite3.Connection]:
    """Open the SQLite file of slots and call log, made at first use; a slot that was used stays used."""
    return sqlite_file(path, _SCHEMA, _SCHEMA_VERSION, _add_key_fingerprint)


def _add_key_fingerprint(connection: sqlite3.Connection) -> None:
    """Add the column that files of version 1 lack."""
    columns = {row["name"] for row in connection.execute("PRAGMA table_info(api_call)")}
    if "key_fingerprint" not in columns:
        connection.execute("ALTER TABLE api_call ADD COLUMN key_fingerprint TEXT NOT NULL DEFAULT ''")


def insert_call(connection: sqlite3.Connection, call: CallRecord) -> None:
    """Add the call inside the caller's transaction; a call that is logged already stays as it is."""
    values = [getattr(call, name) for name in _COLUMNS]
    connection.execute(_INSERT, [_to_sql(value) for value in values])


class CallLog:
    """Reads the call log."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def after(self, call_id: int, limit: int = 100_000) -> list[CallRecord]:
        """Return the calls with a larger id, oldest first."""
        return self._read("WHERE call_id > ? ORDER BY call_id LIMIT ?", (call_id, limit))

    def newest_id(self) -> int:
        """Return the highest id that was ever given, 0 if none was; dropped calls keep theirs."""
        if not self._path.exists():
            return 0
        with calls_database(self._path) as connection:
            row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'api_call'").fetchone()
        return 0 if row is None else int(row["seq"])

    def first_of(self, account: str) -> CallRecord | None:
        """Return the account's oldest call."""
        calls = self._read("WHERE account = ? ORDER BY call_id LIMIT 1", (account,))
        return calls[0] if calls else None

    def of_run(self, run_id: str) -> list[CallRecord]:
        """Return the calls that a run made, oldest first."""
        return self._read("WHERE run_id = ? ORDER BY call_id", (run_id,))

    def of_outcome_since(self, account: str, outcome: Outcome, moment: datetime) -> list[CallRecord]:
        """Return the account's calls that were sent at the moment or later and ended so, oldest first."""
        return self._read(
            "WHERE account = ? AND outcome = ? AND sent_at >= ? ORDER BY call_id",
            (account, outcome.value, moment.timestamp()),
        )

    def has_brought_leads(
        self, account: str, key_fingerprint: str, *, from_before: datetime, sent_by: datetime
    ) -> bool:
        """Tell whether a call with the key brought leads of a window that ended by then, or any by that moment."""
        calls = self._read(
            "WHERE account = ? AND key_fingerprint = ? AND outcome IN (?, ?) AND (window_end <= ? OR sent_at <= ?) "
            "LIMIT 1",
            (
                account,
                key_fingerprint,
                Outcome.LEADS.value,
                Outcome.TRUNCATED.value,
                from_before.timestamp(),
                sent_by.timestamp(),
            ),
        )
        return bool(calls)

    def last_of(self, account: str, source_api: str | None = None) -> CallRecord | None:
        """Return the account's newest call, or its newest to that version of the API."""
        calls = self._read(
            "WHERE account = ? AND source_api = coalesce(?, source_api) ORDER BY call_id DESC LIMIT 1",
            (account, source_api),
        )
        return calls[0] if calls else None

    def last_success_of(self, account: str) -> CallRecord | None:
        """Return the account's newest call that IndiaMART answered as it should."""
        good = [outcome.value for outcome in Outcome if outcome.rule.is_success]
        places = ", ".join("?" for _ in good)
        calls = self._read(
            f"WHERE account = ? AND outcome IN ({places}) ORDER BY call_id DESC LIMIT 1",
            (account, *good),
        )
        return calls[0] if calls else None

    def use_of_key(self, account: str, key_fingerprint: str) -> KeyUse:
        """Return what the account's calls with the key tell of the key."""
        good = [outcome.value for outcome in Outcome if outcome.rule.is_success]
        condition, key = "WHERE account = ? AND key_fingerprint = ?", (account, key_fingerprint)
        places = ", ".join("?" for _ in good)
        first = self._read(f"{condition} ORDER BY call_id LIMIT 1", key)
        last = self._read(f"{condition} ORDER BY call_id DESC LIMIT 1", key)
        last_good = self._read(f"{condition} AND outcome IN ({places}) ORDER BY call_id DESC LIMIT 1", (*key, *good))
        return KeyUse(*(calls[0] if calls else None for calls in (first, last, last_good)))

    def _read(self, condition: str, parameters: tuple[object, ...]) -> list[CallRecord]:
        if not self._path.exists():
            return []
        with calls_database(self._path) as connection:
            rows = connection.execute(f"SELECT * FROM api_call {condition}", parameters)  # noqa: S608 - constants
            return [_from_row(row) for row in rows]


def _from_row(row: sqlite3.Row) -> CallRecord:
    values: dict[str, Any] = {name: _from_sql(name, row[name]) for name in (*_COLUMNS, "call_id")}
    return CallRecord(**values | {"outcome": Outcome(row["outcome"])})


def _from_sql(name: str, value: float | str | None) -> object:
    return from_epoch(value) if name in _MOMENTS and isinstance(value, float) else value


def _to_sql(value: object) -> object:
    return value.timestamp() if isinstance(value, datetime) else value
