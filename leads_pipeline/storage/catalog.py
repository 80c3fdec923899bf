"""The catalogue of stored answers and the merge ledger, in one SQLite file; derived from the raw responses.

It answers, without reading a year of folders: which answers can cover a day, and which are not in the tables yet.
An answer is announced before its bytes are written, so that one whose process died is found by name. If the file
is lost it is rebuilt from the sidecars; then every answer counts as unmerged, and merging again changes nothing.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import NamedTuple

from leads_pipeline.days import ONE_DAY, day_end, day_start, utc_now
from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline.indiamart.windows import MAX_WINDOW, Span
from leads_pipeline.sqlite_files import from_epoch, immediate, sqlite_file
from leads_pipeline.storage import told_days_sql
from leads_pipeline.storage.raw import IMPORT_MARK, RawResponse, RawStore, is_import, window_of

_SCHEMA_VERSION = 2

_SPEAKING = (Outcome.LEADS, Outcome.NO_LEADS, Outcome.TRUNCATED, Outcome.NOT_YET_AVAILABLE)

_OF_A_CALL = f"instr(response_id, '{IMPORT_MARK}') = 0"
"""Imports prove nothing, and may span years: what a call's window can reach is found without them."""

_ABOUT_DAYS = (
    f"account = ? AND {_OF_A_CALL} AND outcome IN ({', '.join('?' for _ in _SPEAKING)}) "
    "AND window_start < ? AND window_start > ? AND window_end > ?"
)
_OLDEST_FIRST = "ORDER BY fetched_at, response_id"
_COUNTS = "SELECT response_id, received, leads, duplicates, quarantined FROM response WHERE merged_at IS NOT NULL"
_TIMES = (
    "SELECT response_id, source_api, window_start, window_end, proven_until, fetched_at, outcome, "  # noqa: S608 - constants
    f"merged_at IS NOT NULL OR NOT has_records FROM response WHERE {_ABOUT_DAYS} {_OLDEST_FIRST}"
)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS announced (response_id TEXT PRIMARY KEY, announced_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS response (
  response_id TEXT PRIMARY KEY, account TEXT NOT NULL, source_api TEXT NOT NULL, origin TEXT NOT NULL,
  window_start REAL NOT NULL, window_end REAL NOT NULL, proven_until REAL NOT NULL, fetched_at REAL NOT NULL,
  outcome TEXT NOT NULL, records INTEGER NOT NULL, has_records INTEGER NOT NULL,
  merged_at REAL, received INTEGER, leads INTEGER, duplicates INTEGER, quarantined INTEGER
);
CREATE INDEX IF NOT EXISTS response_by_window ON response (account, window_start);
CREATE INDEX IF NOT EXISTS response_unmerged ON response (account) WHERE merged_at IS NULL AND has_records = 1;
"""
_BY_ORIGIN = f"CREATE INDEX IF NOT EXISTS response_by_origin ON response (account, origin) WHERE {_OF_A_CALL};\n"
_TABLES = _SCHEMA + _BY_ORIGIN + told_days_sql.TABLES


def _each(column: str, condition: str) -> str:
    """Return the query for the column's values: it leaps from one to the next in the index, past their many rows."""
    smallest = f"SELECT min({column}) FROM response WHERE {condition}"  # noqa: S608 - constants
    return (
        f"WITH RECURSIVE found (one) AS ({smallest} UNION ALL "  # noqa: S608 - constants
        f"SELECT ({smallest} AND {column} > one) FROM found WHERE one IS NOT NULL) "
        "SELECT one FROM found WHERE one IS NOT NULL"
    )


_ACCOUNTS = _each("account", "TRUE")
_ORIGINS = _each("origin", f"account = ?1 AND {_OF_A_CALL}")


@dataclass(frozen=True)
class StoredAnswer:
    """What planning and merging need to know of one stored answer."""

    response_id: str
    account: str
    source_api: str
    window: Span
    proven_until: datetime
    """Days that ended by then are proven by it, if it covers."""
    fetched_at: datetime
    outcome: Outcome
    records: int
    merged: bool
    """Whether its leads are in the tables; true for one that has none."""

    @property
    def is_import(self) -> bool:
        """Tell whether it was imported: its leads count, but it never proves anything of a day."""
        return is_import(self.response_id)


@dataclass(frozen=True)
class MergedCounts:
    """What became of the records of one merged answer."""

    response_id: str
    received: int
    leads: int
    duplicates: int
    quarantined: int


class AnswerTimes(NamedTuple):
    """What one answer says of days, without what it takes to make a StoredAnswer of each of very many.

    Times are in seconds since 1970.
    """

    response_id: str
    source_api: str
    start: float
    end: float
    proven_until: float
    fetched_at: float
    outcome: str
    merged: int
    """As of a stored answer; 0 or 1."""


class Catalog:
    """Finds stored answers by day and by whether they are merged."""

    def __init__(self, path: Path, raw: RawStore) -> None:
        self._path = path
        self._raw = raw

    def announce(self, response_id: str) -> None:
        """Write down that an answer of that name is about to be stored."""
        with self.opened() as connection, immediate(connection):
            _announce(connection, response_id)

    def add(self, response: RawResponse) -> None:
        """Enter a stored answer; entering it again changes nothing."""
        with self.opened() as connection, immediate(connection):
            _insert(connection, response)
            connection.execute("DELETE FROM announced WHERE response_id = ?", (response.response_id,))

    def announced(self) -> list[str]:
        """Return the answers that were announced and not entered: under way, or of a process that died."""
        with self.opened() as connection:
            rows = connection.execute("SELECT response_id FROM announced ORDER BY response_id")
            return [row[0] for row in rows]

    def withdraw(self, response_id: str) -> None:
        """Forget an announced answer that never came."""
        with self.opened() as connection, immediate(connection):
            connection.execute("DELETE FROM announced WHERE response_id = ?", (response_id,))

    def answer(self, response_id: str) -> StoredAnswer | None:
        """Return the answer of that name; None if there is none."""
        return next(iter(self._answers("response_id = ?", (response_id,))), None)

    def about(self, account: str, days: Iterable[date]) -> list[StoredAnswer]:
        """Return the answers that say something of any of the days, oldest first; refusals and imports don't."""
        wanted = sorted(set(days))
        return self._answers(_ABOUT_DAYS, _about_days(account, wanted)) if wanted else []

    def ambiguous_empties(self, account: str, window: Span) -> list[StoredAnswer]:
        """Return the answers that were empty without saying why and whose windows overlap this one, oldest first."""
        return self._answers(
            f"account = ? AND {_OF_A_CALL} AND outcome = ? "
            "AND window_start < ? AND window_start > ? AND window_end > ?",
            (
                account,
                Outcome.AMBIGUOUS_EMPTY.value,
                window.end.timestamp(),
                (window.start - MAX_WINDOW - ONE_DAY).timestamp(),
                window.start.timestamp(),
            ),
        )

    def unmerged(self, account: str) -> list[StoredAnswer]:
        """Return the account's answers whose leads are not in the tables yet, oldest answer first."""
        return self._answers("account = ? AND merged_at IS NULL AND has_records = 1", (account,))

    def all_of(self, account: str) -> list[StoredAnswer]:
        """Return all of the account's answers, refusals too, oldest answer first."""
        return self._answers("account = ?", (account,))

    def merged_counts(self, account: str) -> dict[str, MergedCounts]:
        """Return the merge ledger: what became of each merged answer's records, by response."""
        with self.opened() as connection:
            rows = connection.execute(f"{_COUNTS} AND account = ?", (account,)).fetchall()
        return {row[0]: MergedCounts(*row) for row in rows}

    def merged_counts_of(self, response_ids: Iterable[str]) -> dict[str, MergedCounts]:
        """Return what became of the records of those answers that are merged, by response."""
        with self.opened() as connection:
            rows = [connection.execute(f"{_COUNTS} AND response_id = ?", (one,)).fetchone() for one in response_ids]
        return {row[0]: MergedCounts(*row) for row in rows if row is not None}

    def touching(self, account: str, days: Iterable[date]) -> list[StoredAnswer]:
        """Return the answers with leads whose windows touch any of the days, oldest answer first."""
        wanted = set(days)
        if not wanted:
            return []
        answers = self._answers(
            "account = ? AND has_records = 1 AND window_start < ? AND window_end > ?",
            (account, day_end(max(wanted)).timestamp(), day_start(min(wanted)).timestamp()),
        )
        return [answer for answer in answers if wanted & {*answer.window.days}]

    def accounts(self) -> list[str]:
        """Return the accounts that have stored answers, sorted."""
        with self.opened() as connection:
            return [row[0] for row in connection.execute(_ACCOUNTS)]

    def origins(self, account: str) -> set[str]:
        """Return where the account's answers came from, imports aside."""
        with self.opened() as connection:
            return {row[0] for row in connection.execute(_ORIGINS, (account,))}

    def first_day(self, account: str) -> datetime | None:
        """Return the earliest window start of the account's answers, imports aside, or None if it has none."""
        with self.opened() as connection:
            row = connection.execute(
                f"SELECT min(window_start) FROM response WHERE account = ? AND {_OF_A_CALL} AND outcome IN (?, ?)",  # noqa: S608 - constant
                (account, Outcome.LEADS, Outcome.NO_LEADS),
            ).fetchone()
        return None if row[0] is None else from_epoch(row[0])

    def mark_merged(self, counts: Iterable[MergedCounts]) -> None:
        """Enter in the merge ledger that the answers' leads are in the tables, all of them as one step."""
        with self.opened() as connection, immediate(connection):
            connection.executemany(
                "UPDATE response SET merged_at = ?, received = ?, leads = ?, duplicates = ?, quarantined = ? "
                "WHERE response_id = ?",
                [
                    (
                        utc_now().timestamp(),
                        count.received,
                        count.leads,
                        count.duplicates,
                        count.quarantined,
                        count.response_id,
                    )
                    for count in counts
                ],
            )

    def forget(self, account: str) -> None:
        """Drop everything that is known of the account's answers."""
        with self.opened() as connection, immediate(connection):
            connection.execute("DELETE FROM response WHERE account = ?", (account,))
            connection.execute(
                "DELETE FROM announced WHERE substr(response_id, 1, ?) = ?", (len(account) + 1, f"{account}.")
            )

    def _answers(self, condition: str, parameters: tuple[object, ...]) -> list[StoredAnswer]:
        with self.opened() as connection:
            rows = connection.execute(
                f"SELECT * FROM response WHERE {condition} {_OLDEST_FIRST}",  # noqa: S608 - constants
                parameters,
            ).fetchall()
        return [_to_answer(row) for row in rows]

    def opened(self) -> AbstractContextManager[sqlite3.Connection]:
        """Open the file, made at first use."""
        return sqlite_file(self._path, _TABLES, _SCHEMA_VERSION, self._rebuild)

    def _rebuild(self, connection: sqlite3.Connection) -> None:
        """Enter every stored answer; one without a sidecar counts as announced."""
        if connection.execute("SELECT 1 FROM response LIMIT 1").fetchone():
            return  # of an earlier version, which entered them as they came
        for response_id in self._raw.response_ids():
            response = self._raw.read_sidecar(response_id)
            if response is not None:
                _insert(connection, response)
            else:
                _announce(connection, response_id)


def times_about(connection: sqlite3.Connection, account: str, days: Iterable[date]) -> list[AnswerTimes]:
    """Return the times of the answers that `Catalog.about` returns, in the same order, from its opened file."""
    wanted = sorted(set(days))
    return [AnswerTimes(*row) for row in connection.execute(_TIMES, _about_days(account, wanted))] if wanted else []


def _about_days(account: str, wanted: Sequence[date]) -> tuple[object, ...]:
    """Return the parameters of _ABOUT_DAYS for days that are sorted."""
    return (
        account,
        *_SPEAKING,
        day_end(wanted[-1]).timestamp(),
        (day_start(wanted[0]) - MAX_WINDOW - ONE_DAY).timestamp(),
        day_start(wanted[0]).timestamp(),
    )


def _announce(connection: sqlite3.Connection, response_id: str) -> None:
    connection.execute("INSERT OR IGNORE INTO announced VALUES (?, ?)", (response_id, utc_now().timestamp()))


def _insert(connection: sqlite3.Connection, response: RawResponse) -> None:
    connection.execute(
        "INSERT OR IGNORE INTO response (response_id, account, source_api, origin, window_start, window_end, "
        "proven_until, fetched_at, outcome, records, has_records) VALUES (?,?,?,?,?,?,?,?,?,?,?)",
        (
            response.response_id,
            response.account,
            response.source_api,
            response.origin,
            response.window_start.timestamp(),
            response.window_end.timestamp(),
            response.proven_until.timestamp(),
            response.received_at.timestamp(),
            response.outcome.value,
            response.records,
            response.outcome.rule.has_records,
        ),
    )


def _to_answer(row: sqlite3.Row) -> StoredAnswer:
    return StoredAnswer(
        row["response_id"],
        row["account"],
        row["source_api"],
        window_of(row["response_id"], from_epoch(row["window_start"]), from_epoch(row["window_end"])),
        from_epoch(row["proven_until"]),
        from_epoch(row["fetched_at"]),
        Outcome(row["outcome"]),
        row["records"],
        merged=row["merged_at"] is not None or not row["has_records"],
    )
