"""The outbox: what was sent of each lead to each destination, and what became of it, in one SQLite file.

It is the only witness of what a CRM was told, so it is written before each call and after each answer, and never
made anew. It holds ids, hashes, states and times; no buyer's value, no message, no key.
"""

import sqlite3
from collections.abc import Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import date, datetime
from pathlib import Path
from typing import Any

from leads_pipeline.days import utc_now
from leads_pipeline.delivery.outbox_file import outbox_file, outbox_path
from leads_pipeline.delivery.outbox_rows import Delivery, DeliveryState, Standing
from leads_pipeline.sqlite_files import from_epoch, immediate

_NEW_CHANGE = "UPDATE change SET number = number + 1"  # a count of its own: rows that are forgotten lower no maximum
_CHANGE = "(SELECT number FROM change)"
_TRY_AGAIN = (
    "UPDATE delivery SET state = CASE state WHEN 'unsure' THEN state ELSE 'failed' END, attempts = 0, next_try_at = ?, "  # noqa: S608 - constant
    f"change = {_CHANGE} WHERE account = ? AND destination = ? AND query_id = ?"
)
_SET_ASIDE = (
    "UPDATE delivery SET next_try_at = NULL, last_error = 'no longer among the leads of its day', "  # noqa: S608 - constant
    f"change = {_CHANGE} WHERE account = ? AND destination = ? AND lead_date = ? AND next_try_at <= ?"
)
_TIMES = ("query_time", "first_seen_at", "first_delivered_at", "delivered_at", "last_attempt_at", "next_try_at")
_COLUMNS = (
    *("account", "destination", "query_id", "lead_date", "query_time", "first_seen_at", "state", "content_hash"),
    *("tried_hash", "sent_hash", "remote_id", "record_key", "attempts", "last_error", "first_delivered_at"),
    *("delivered_at", "last_attempt_at", "next_try_at", "activity", "activity_id"),
)
_PUT = (
    f"INSERT INTO delivery ({', '.join(_COLUMNS)}, change) "  # noqa: S608 - constants
    f"VALUES ({', '.join('?' * len(_COLUMNS))}, {_CHANGE}) "
    "ON CONFLICT (account, destination, query_id) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in (*_COLUMNS[3:], "change"))
)


class Outbox:
    """The rows of all destinations of an installation, shared by its processes."""

    def __init__(self, state_dir: Path) -> None:
        self._path = outbox_path(state_dir)

    @property
    def exists(self) -> bool:
        """Tell whether anything was ever delivered here; asking makes no file."""
        return self._path.exists()

    def put(self, rows: Iterable[Delivery]) -> None:
        """Write the rows, all of them as one step."""
        rows = list(rows)
        if not rows:
            return
        with self._open() as connection, immediate(connection):
            connection.execute(_NEW_CHANGE)
            for row in rows:
                connection.execute(_PUT, [_stored(row, name) for name in _COLUMNS])

    def of_leads(self, account: str, destination: str, query_ids: Iterable[str]) -> dict[str, Delivery]:
        """Return the rows of these leads that have one, by query_id."""
        found: dict[str, Delivery] = {}
        with self._open() as connection:
            for part in _parts(sorted(set(query_ids))):
                rows = connection.execute(
                    f"SELECT * FROM delivery WHERE account = ? AND destination = ? AND query_id IN ({_marks(part)})",  # noqa: S608 - marks
                    (account, destination, *part),
                )
                found.update((row["query_id"], _to_delivery(row)) for row in rows)
        return found

    def standing(self, account: str, destination: str, record_keys: Iterable[str]) -> dict[str, Standing]:
        """Return, by record key, the newest enquiry that the CRM's record holds."""
        found: dict[str, Standing] = {}
        with self._open() as connection:
            for part in _parts(sorted(set(record_keys))):
                rows = connection.execute(
                    "SELECT record_key, max(query_time) AS newest, remote_id, query_id FROM delivery WHERE account = ? "  # noqa: S608 - marks
                    f"AND destination = ? AND record_key IN ({_marks(part)}) AND sent_hash IS NOT NULL "
                    "AND remote_id IS NOT NULL GROUP BY record_key",
                    (account, destination, *part),
                )
                found.update(
                    (row["record_key"], Standing(row["query_id"], from_epoch(row["newest"]), row["remote_id"]))
                    for row in rows
                )
        return found

    def days_to_try_again(self, account: str, destination: str, now: datetime) -> list[date]:
        """Return the days of the leads that are to be tried again by now."""
        with self._open() as connection:
            rows = connection.execute(
                "SELECT DISTINCT lead_date FROM delivery WHERE account = ? AND destination = ? AND next_try_at <= ? "
                "ORDER BY lead_date",
                (account, destination, now.timestamp()),
            )
            return [date.fromisoformat(row["lead_date"]) for row in rows]

    def waiting(self, account: str, destination: str, now: datetime) -> int:
        """Return how many leads wait for their next attempt, which is not due yet."""
        with self._open() as connection:
            row = connection.execute(
                "SELECT count(*) FROM delivery WHERE account = ? AND destination = ? AND next_try_at > ?",
                (account, destination, now.timestamp()),
            ).fetchone()
            return int(row[0])

    def in_states(
        self, states: Sequence[DeliveryState], account: str | None = None, destination: str | None = None
    ) -> list[Delivery]:
        """Return the rows in these states, of one account or destination or of all, oldest day first."""
        with self._open() as connection:
            rows = connection.execute(
                f"SELECT * FROM delivery WHERE state IN ({_marks(states)}) AND account = COALESCE(?, account) "  # noqa: S608 - marks
                "AND destination = COALESCE(?, destination) ORDER BY lead_date, account, destination, query_id",
                (*states, account, destination),
            )
            return [_to_delivery(row) for row in rows]

    def counts(self) -> dict[tuple[str, str, DeliveryState], int]:
        """Return how many leads are in each state, by account and destination."""
        with self._open() as connection:
            rows = connection.execute(
                "SELECT account, destination, state, count(*) AS leads FROM delivery "
                "GROUP BY account, destination, state"
            )
            return {(row["account"], row["destination"], DeliveryState(row["state"])): row["leads"] for row in rows}

    def changes_after(self, change: int) -> list[Delivery]:
        """Return the rows that changed after that change, oldest change first."""
        with self._open() as connection:
            rows = connection.execute("SELECT * FROM delivery WHERE change > ? ORDER BY change", (change,))
            return [_to_delivery(row) for row in rows]

    def looked_at(self, account: str, destination: str) -> dict[date, str]:
        """Return the stamps of the day files that hold nothing new for the destination."""
        with self._open() as connection:
            rows = connection.execute(
                "SELECT lead_date, stamp FROM looked_at WHERE account = ? AND destination = ?", (account, destination)
            )
            return {date.fromisoformat(row["lead_date"]): row["stamp"] for row in rows}

    def set_looked_at(self, account: str, destination: str, stamps: dict[date, str]) -> None:
        """Remember that nothing of the day files with these stamps is new for the destination."""
        with self._open() as connection, immediate(connection):
            connection.executemany(
                "INSERT OR REPLACE INTO looked_at VALUES (?, ?, ?, ?)",
                [(account, destination, day.isoformat(), stamp) for day, stamp in stamps.items()],
            )

    def first_seen_on(self, account: str, destination: str, today: date) -> date:
        """Return the day on which the destination was first seen here: today, if it is now."""
        with self._open() as connection, immediate(connection):
            connection.execute(
                "INSERT OR IGNORE INTO destination VALUES (?, ?, ?)", (account, destination, today.isoformat())
            )
            row = connection.execute(
                "SELECT first_seen_on FROM destination WHERE account = ? AND destination = ?", (account, destination)
            ).fetchone()
            return date.fromisoformat(row["first_seen_on"])

    def try_again(
        self, account: str, destination: str, states: Sequence[DeliveryState], days: Collection[date] | None = None
    ) -> list[date]:
        """Make the rows in these states, of these days or of all, due now with all their attempts anew.

        Return their days.
        """
        with self._open() as connection, immediate(connection):
            found = connection.execute(
                f"SELECT query_id, lead_date FROM delivery WHERE account = ? AND destination = ? "  # noqa: S608 - marks
                f"AND state IN ({_marks(states)})",
                (account, destination, *states),
            )
            day_of = {row["query_id"]: date.fromisoformat(row["lead_date"]) for row in found}
            chosen = {query_id: day for query_id, day in day_of.items() if days is None or day in days}
            connection.execute(_NEW_CHANGE)
            connection.executemany(
                _TRY_AGAIN, [(utc_now().timestamp(), account, destination, query_id) for query_id in chosen]
            )
            return sorted({*chosen.values()})

    def set_aside(self, account: str, destination: str, days: Iterable[date], due_by: datetime) -> None:
        """Let rows that all leads of their days were looked through for, and that are due still, be due no more.

        Their leads are gone; should one come back, it is sent.
        """
        with self._open() as connection, immediate(connection):
            connection.execute(_NEW_CHANGE)
            connection.executemany(
                _SET_ASIDE,
                [(account, destination, day.isoformat(), due_by.timestamp()) for day in days],
            )

    def forget(self, account: str) -> None:
        """Drop everything that is known of the account's deliveries."""
        with self._open() as connection, immediate(connection):
            for table in ("delivery", "attempt", "looked_at", "destination", "delivery_run"):
                connection.execute(f"DELETE FROM {table} WHERE account = ?", (account,))  # noqa: S608 - constants

    def _open(self) -> AbstractContextManager[sqlite3.Connection]:
        return outbox_file(self._path)


_PART = 500  # SQLite takes at most 999 values in older builds


def _parts(values: Sequence[str]) -> Iterable[Sequence[str]]:
    return (values[start : start + _PART] for start in range(0, len(values), _PART))


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def _stored(row: Delivery, name: str) -> object:
    value = getattr(row, name)
    if name in _TIMES:
        return None if value is None else value.timestamp()
    return value.isoformat() if isinstance(value, date) else value


def _to_delivery(row: sqlite3.Row) -> Delivery:
    values: dict[str, Any] = {name: row[name] for name in (*_COLUMNS, "change")}
    values.update((name, None if row[name] is None else from_epoch(row[name])) for name in _TIMES)
    values["lead_date"] = date.fromisoformat(row["lead_date"])
    return Delivery(**{**values, "state": DeliveryState(row["state"])})
