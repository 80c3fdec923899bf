"""SQLite files that many processes share: made once, for the owner only; what is committed is on the disk."""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

_BUSY_SECONDS = 60.0
_WAL_ATTEMPTS = 600
_WAL_PAUSE_SECONDS = 0.05


@contextmanager
def sqlite_file(
    path: Path, tables: str, version: int, fill: Callable[[sqlite3.Connection], None] | None = None
) -> Iterator[sqlite3.Connection]:
    """Open the file, made with its tables at first use, and close it afterwards.

    `tables` are statements that may run again (IF NOT EXISTS), divided by semicolons; they do when `version`
    is another than the file's. `fill` then enters what the tables must hold, in the same transaction. Waits up
    to a minute for other processes; raises sqlite3.Error.
    """
    with suppress(FileExistsError):  # never opened as bytes once it exists: closing it would drop SQLite's locks
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
    try:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA synchronous=FULL")
        if not _has_version(connection, version):
            _switch_to_wal(connection)
            _make(connection, tables, version, fill)
        yield connection
    finally:
        connection.close()


@contextmanager
def immediate(connection: sqlite3.Connection) -> Iterator[None]:
    """Hold the file's write lock for the block: read, decide and write as one step; commit at its end."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def from_epoch(seconds: float) -> datetime:
    """Return the moment in UTC that lies so many seconds after 1970."""
    return datetime.fromtimestamp(seconds, UTC)


def _has_version(connection: sqlite3.Connection, version: int) -> bool:
    return bool(connection.execute("PRAGMA user_version").fetchone()[0] == version)


def _make(
    connection: sqlite3.Connection,
    tables: str,
    version: int,
    fill: Callable[[sqlite3.Connection], None] | None,
) -> None:
    with immediate(connection):
        if _has_version(connection, version):
            return  # another process was first
        for statement in _statements(tables):
            connection.execute(statement)
        if fill is not None:
            fill(connection)
        connection.execute(f"PRAGMA user_version = {version:d}")


def _statements(script: str) -> Iterator[str]:
    """Yield the script's statements; a trigger's body has semicolons of its own."""
    statement = ""
    for part in script.split(";"):
        statement += f"{part};"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """Let readers and the writer work at once; SQLite does not wait by itself when several processes switch."""
    for attempt in range(_WAL_ATTEMPTS):
        try:
            connection.execute("PRAGMA journal_mode=WAL").fetchone()
            return
        except sqlite3.OperationalError:
            if attempt == _WAL_ATTEMPTS - 1:
                raise
            time.sleep(_WAL_PAUSE_SECONDS)
