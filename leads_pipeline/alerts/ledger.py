"""The ledger of alerts: causes, what each channel was told of them, messages, and how far the sources were read.

One SQLite file, `data/state/alerts.sqlite`. What an event does to the causes is committed together with the place
in its source, so an event is neither lost nor counted twice, wherever the process dies. A message is written down
before it is sent, and counts as told once that is written down too.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from leads_pipeline.alerts.causes import Cause, State
from leads_pipeline.alerts.due import Due, Stage, Told
from leads_pipeline.alerts.events import CauseBook
from leads_pipeline.alerts.wording import Message
from leads_pipeline.indiamart.outcomes import AlertLevel
from leads_pipeline.sqlite_files import from_epoch, immediate, sqlite_file

FILE_NAME = "alerts.sqlite"
KEPT = timedelta(days=400)
"""How long resolved causes and their messages are kept."""
_TELLABLE = timedelta(days=30)  # what was resolved longer ago is told to nobody
_VERSION = 1
_TABLES = """
CREATE TABLE IF NOT EXISTS cause (
  cause_id INTEGER PRIMARY KEY AUTOINCREMENT,
  account TEXT NOT NULL, kind_name TEXT NOT NULL, detail TEXT NOT NULL, state TEXT NOT NULL, level TEXT NOT NULL,
  what TEXT NOT NULL, first_event_at REAL NOT NULL, last_event_at REAL NOT NULL, count INTEGER NOT NULL,
  opened_at REAL, last_success_at REAL, resolved_at REAL, first_day TEXT, last_day TEXT,
  run_id TEXT NOT NULL, http_status INTEGER, code INTEGER, recent TEXT NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS one_unresolved ON cause (account, kind_name, detail) WHERE state <> 'resolved';
CREATE INDEX IF NOT EXISTS cause_by_end ON cause (resolved_at);
CREATE TABLE IF NOT EXISTS told (
  cause_id INTEGER NOT NULL, channel TEXT NOT NULL, level TEXT NOT NULL, messages INTEGER NOT NULL,
  last_sent_at REAL NOT NULL, count INTEGER NOT NULL, told_over INTEGER NOT NULL,
  PRIMARY KEY (cause_id, channel)
);
CREATE TABLE IF NOT EXISTS message (
  message_id INTEGER PRIMARY KEY AUTOINCREMENT,
  channel TEXT NOT NULL, stage TEXT NOT NULL, level TEXT NOT NULL, subject TEXT NOT NULL, body TEXT NOT NULL,
  about TEXT NOT NULL, composed_at REAL NOT NULL, state TEXT NOT NULL, sent_at REAL
);
CREATE INDEX IF NOT EXISTS message_unfinished ON message (channel) WHERE state = 'sending';
CREATE TABLE IF NOT EXISTS channel (
  channel TEXT PRIMARY KEY, first_seen_at REAL NOT NULL, failures INTEGER NOT NULL, next_try_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS place (source TEXT PRIMARY KEY, place TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS handled_run (run_id TEXT PRIMARY KEY, handled_at REAL NOT NULL);
"""

_ABOUT_THE_ACCOUNT = """
EXISTS (SELECT 1 FROM json_each(message.about) AS part
        JOIN cause ON cause.cause_id = json_extract(part.value, '$.cause_id') WHERE cause.account = ?)
"""

_COLUMNS = tuple(field.name for field in fields(Cause) if field.name != "cause_id")
_MOMENTS = frozenset({"first_event_at", "last_event_at", "opened_at", "last_success_at", "resolved_at"})
_DAYS = frozenset({"first_day", "last_day"})
_INSERT = f"INSERT INTO cause ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' for _ in _COLUMNS)})"  # noqa: S608 - own names
_UPDATE = f"UPDATE cause SET {', '.join(f'{name} = ?' for name in _COLUMNS)} WHERE cause_id = ?"  # noqa: S608 - own names


def watched(account: str) -> str:
    """Return the source whose place is the moment since when the account is watched."""
    return f"watched/{account}"


@dataclass(frozen=True)
class SentMessage:
    """A message that was written down to be sent."""

    message_id: int
    stage: Stage
    level: AlertLevel
    subject: str
    body: str


@dataclass(frozen=True)
class ChannelState:
    """What is known of a channel."""

    first_seen_at: datetime
    failures: int
    """Attempts in a row that did not deliver."""
    next_try_at: datetime
    told: Mapping[int, Told]
    """What it was told, by the cause's number."""
    unfinished: tuple[SentMessage, ...]
    """Messages whose sending began and has no result: their process died."""


@dataclass(frozen=True)
class View:
    """How things stand."""

    causes: tuple[Cause, ...]
    """Those that are unresolved, and those resolved lately, oldest first."""
    channels: Mapping[str, ChannelState]


@dataclass(frozen=True)
class AlertRecord:
    """A cause that people were, or would have been, told of, with its messages."""

    cause: Cause
    messages: int
    """Messages that went out about it, over all channels."""
    last_sent_at: datetime | None


class Page:
    """The ledger inside one transaction: causes change together with the places in their sources."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._before = {cause.key: cause for cause in _causes(connection, "state <> 'resolved'")}
        self.book = CauseBook(self._before.values())

    def place(self, source: str) -> str | None:
        """Return how far the source was read; None if never."""
        row = self._connection.execute("SELECT place FROM place WHERE source = ?", (source,)).fetchone()
        return None if row is None else str(row["place"])

    def move(self, source: str, place: str) -> None:
        """Note how far the source was read; a tick that finds nothing new writes nothing."""
        if self.place(source) != place:
            self._connection.execute("INSERT OR REPLACE INTO place VALUES (?, ?)", (source, place))

    def take_run(self, run_id: str, now: datetime) -> bool:
        """Note that the run was handled; False if it was before."""
        done = self._connection.execute("INSERT OR IGNORE INTO handled_run VALUES (?, ?)", (run_id, now.timestamp()))
        return done.rowcount > 0

    def forget_before(self, moment: datetime) -> None:
        """Drop what is so old that nobody asks for it."""
        old = moment.timestamp()
        self._connection.execute("DELETE FROM handled_run WHERE handled_at < ?", (old,))
        self._connection.execute("DELETE FROM message WHERE composed_at < ? AND state <> 'sending'", (old,))
        self._connection.execute("DELETE FROM cause WHERE resolved_at < ?", (old,))
        self._connection.execute("DELETE FROM told WHERE cause_id NOT IN (SELECT cause_id FROM cause)")

    def save(self) -> None:
        """Write down what changed in the book; what was only watched and passed leaves no trace."""
        for cause in self.book.resolved:
            if cause.opened_at is not None:
                self._write(cause)
            elif cause.cause_id:
                self._connection.execute("DELETE FROM cause WHERE cause_id = ?", (cause.cause_id,))
        for cause in self.book.unresolved:
            if cause is not self._before.get(cause.key):
                self._write(cause)

    def _write(self, cause: Cause) -> None:
        values = [_to_sql(getattr(cause, name)) for name in _COLUMNS]
        if cause.cause_id:
            self._connection.execute(_UPDATE, (*values, cause.cause_id))
        else:
            self._connection.execute(_INSERT, values)


class Ledger:
    """Reads and writes the ledger of alerts."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / FILE_NAME

    @contextmanager
    def page(self) -> Iterator[Page]:
        """Open the ledger for changes; they are committed as one step at the end of the block, or not at all."""
        with self._open() as connection, immediate(connection):
            page = Page(connection)
            yield page
            page.save()

    def view(self, channels: Iterable[str], now: datetime) -> View:
        """Return how things stand for these channels; those that are new are known from now on."""
        recent = (now - _TELLABLE).timestamp()
        with self._open() as connection:
            causes = _causes(connection, "state <> 'resolved' OR resolved_at >= ?", (recent,))
            states = {channel: _channel(connection, channel, now) for channel in channels}
        return View(tuple(causes), states)

    def records(self) -> list[AlertRecord]:
        """Return all causes that ever opened with their messages, oldest first; none where nothing was kept yet."""
        if not self._path.exists():
            return []
        with self._open() as connection:
            causes = _causes(connection, "opened_at IS NOT NULL")
            rows = connection.execute(
                "SELECT cause_id, sum(messages) AS messages, max(last_sent_at) AS last_sent_at FROM told GROUP BY 1"
            )
            told = {row["cause_id"]: (row["messages"], from_epoch(row["last_sent_at"])) for row in rows}
        return [AlertRecord(cause, *told.get(cause.cause_id, (0, None))) for cause in causes]

    def intend(self, channel: str, message: Message, dues: Iterable[Due], now: datetime) -> SentMessage:
        """Write the message down before it is sent."""
        about = [
            {
                "cause_id": due.cause.cause_id,
                "level": due.cause.level.value,
                "count": due.cause.count,
                "over": due.stage in (Stage.RECOVERY, Stage.MISSED),
            }
            for due in dues
        ]
        with self._open() as connection, immediate(connection):
            done = connection.execute(
                "INSERT INTO message (channel, stage, level, subject, body, about, composed_at, state) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, 'sending')",
                (
                    channel,
                    message.stage.value,
                    message.level.value,
                    message.subject,
                    message.body,
                    json.dumps(about),
                    now.timestamp(),
                ),
            )
        return SentMessage(done.lastrowid or 0, message.stage, message.level, message.subject, message.body)

    def delivered(self, channel: str, message: SentMessage, now: datetime) -> None:
        """Note that the message went out: from now on its causes are told, and what follows is held back."""
        at = now.timestamp()
        with self._open() as connection, immediate(connection):
            row = connection.execute("SELECT about FROM message WHERE message_id = ?", (message.message_id,)).fetchone()
            for about in json.loads(row["about"]) if row else []:  # none if its account was forgotten meanwhile
                connection.execute(
                    "INSERT INTO told VALUES (?, ?, ?, 1, ?, ?, ?) ON CONFLICT (cause_id, channel) DO UPDATE SET "
                    "level = excluded.level, messages = messages + 1, last_sent_at = excluded.last_sent_at, "
                    "count = excluded.count, told_over = excluded.told_over",
                    (about["cause_id"], channel, about["level"], at, about["count"], about["over"]),
                )
            connection.execute(
                "UPDATE message SET state = 'sent', sent_at = ? WHERE message_id = ?", (at, message.message_id)
            )
            connection.execute("UPDATE channel SET failures = 0, next_try_at = 0 WHERE channel = ?", (channel,))

    def refused(self, channel: str, message: SentMessage, next_try_at: datetime) -> None:
        """Note that the message did not go out: nothing is told, and a new one is made at the next try."""
        with self._open() as connection, immediate(connection):
            connection.execute("UPDATE message SET state = 'failed' WHERE message_id = ?", (message.message_id,))
            connection.execute(
                "UPDATE channel SET failures = failures + 1, next_try_at = ? WHERE channel = ?",
                (next_try_at.timestamp(), channel),
            )

    def forget(self, account: str) -> None:
        """Drop everything of the account: its causes, what was told of them, and every message that names it.

        What channels were told of other accounts stays, also where one message told of both.
        """
        if not self._path.exists():
            return
        with self._open() as connection, immediate(connection):
            connection.execute(f"DELETE FROM message WHERE {_ABOUT_THE_ACCOUNT}", (account,))  # noqa: S608 - constant
            connection.execute(
                "DELETE FROM told WHERE cause_id IN (SELECT cause_id FROM cause WHERE account = ?)", (account,)
            )
            connection.execute("DELETE FROM cause WHERE account = ?", (account,))
            connection.execute("DELETE FROM place WHERE source = ?", (watched(account),))

    def _open(self) -> AbstractContextManager[sqlite3.Connection]:
        return sqlite_file(self._path, _TABLES, _VERSION)


def _causes(connection: sqlite3.Connection, condition: str, parameters: tuple[object, ...] = ()) -> list[Cause]:
    rows = connection.execute(f"SELECT * FROM cause WHERE {condition} ORDER BY cause_id", parameters)  # noqa: S608 - constants
    return [_to_cause(row) for row in rows]


def _channel(connection: sqlite3.Connection, channel: str, now: datetime) -> ChannelState:
    row = connection.execute("SELECT * FROM channel WHERE channel = ?", (channel,)).fetchone()
    if row is None:
        connection.execute("INSERT OR IGNORE INTO channel VALUES (?, ?, 0, 0)", (channel, now.timestamp()))
        row = connection.execute("SELECT * FROM channel WHERE channel = ?", (channel,)).fetchone()
    told = connection.execute("SELECT * FROM told WHERE channel = ?", (channel,))
    unfinished = connection.execute(
        "SELECT * FROM message WHERE channel = ? AND state = 'sending' ORDER BY message_id", (channel,)
    )
    return ChannelState(
        from_epoch(row["first_seen_at"]),
        row["failures"],
        from_epoch(row["next_try_at"]),
        {each["cause_id"]: _to_told(each) for each in told},
        tuple(
            SentMessage(
                each["message_id"], Stage(each["stage"]), AlertLevel(each["level"]), each["subject"], each["body"]
            )
            for each in unfinished
        ),
    )


def _to_cause(row: sqlite3.Row) -> Cause:
    values: dict[str, Any] = {name: _from_sql(name, row[name]) for name in (*_COLUMNS, "cause_id")}
    recent = tuple(from_epoch(moment) for moment in json.loads(row["recent"]))
    typed = {"state": State(row["state"]), "level": AlertLevel(row["level"]), "recent": recent}
    return Cause(**values | typed)


def _to_told(row: sqlite3.Row) -> Told:
    return Told(
        AlertLevel(row["level"]),
        row["messages"],
        from_epoch(row["last_sent_at"]),
        row["count"],
        bool(row["told_over"]),
    )


def _from_sql(name: str, value: Any) -> object:
    if value is None:
        return None
    if name in _MOMENTS:
        return from_epoch(value)
    return date.fromisoformat(value) if name in _DAYS else value


def _to_sql(value: object) -> object:
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, date):
        return value.isoformat()
    return json.dumps([moment.timestamp() for moment in value]) if isinstance(value, tuple) else value
