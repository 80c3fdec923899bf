"""Dagster's instance for a process that makes runs itself: the same files, opened once, and no process beside it.

Dagster opens and closes a database several times for each of a run's hundred events, and each closing copies what was
written from one file into another. Here a connection stays open for as long as the instance does, and events that
Dagster hands over together (the days of an asset) are one transaction. The classes below are Dagster's own for 1.13,
which the dependencies are capped at; what is written is the same, and other processes read and write beside it.

What is printed during a run stays where the command prints: to capture it as well Dagster starts four processes a run,
two of them Python, which bring it back to the terminal; and the stages print nothing, they log to the run.
"""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster._core.instance.ref import InstanceRef, compute_logs_directory
from dagster._core.storage.compute_log_manager import CapturedLogContext
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME, SqliteEventLogStorage
from dagster._core.storage.local_compute_log_manager import IO_TYPE_EXTENSION, LocalComputeLogManager
from dagster._core.storage.runs.sqlite.sqlite_run_storage import SqliteRunStorage
from dagster._core.storage.sql import create_engine
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._utils import ensure_file, touch_file

from leads_pipeline.sqlite_files import immediate

if TYPE_CHECKING:
    from dagster._core.events.log import EventLogEntry
    from dagster._serdes import ConfigurableClassData
    from sqlalchemy.engine import Connection, Engine

BATCH_VARIABLE = "DAGSTER_EVENT_BATCH_SIZE"
"""Dagster hands over up to so many events together, if this environment variable says so."""
_RUNS_KEPT_OPEN = 3  # the run's own database, that of events without a run, and one more

_TABLES_FIRST = (
    "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' "
    "ORDER BY type = 'table' DESC, rowid"
)


def open_history(home: Path) -> dg.DagsterInstance:
    """Return the instance of that home, its databases opened once; disposing of it closes them."""
    storage = {"module": __name__, "class": HeldStorage.__name__, "config": {"base_dir": str(home)}}
    printed = {
        "module": __name__,
        "class": PrintedLogs.__name__,
        "config": {"base_dir": compute_logs_directory(str(home))},
    }
    overrides = {"storage": {"custom": storage}, "compute_logs": printed}
    return dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(home), overrides=overrides))


class HeldRunStorage(SqliteRunStorage):
    """The runs and their tags."""

    def __init__(self, conn_string: str, inst_data: "ConfigurableClassData | None" = None) -> None:
        super().__init__(conn_string, inst_data)
        self._engine = _engine(conn_string)

    @contextmanager
    def connect(self) -> "Iterator[Connection]":
        """Yield a connection in a transaction."""
        with self._engine.connect() as connection, connection.begin():
            yield connection

    def dispose(self) -> None:
        """Close the database."""
        super().dispose()
        self._engine.dispose()


class HeldEventLog(SqliteEventLogStorage):
    """The events: a database for each run, and an index over all of them."""

    def __init__(self, base_dir: str, inst_data: "ConfigurableClassData | None" = None) -> None:
        self._engines: dict[str, Engine] = {}
        self._in_transaction: dict[str, Connection] = {}
        self._columns: set[str] = set()
        self._tables: set[str] = set()
        super().__init__(base_dir, inst_data)
        self._db_lock = threading.RLock()  # type: ignore[assignment]  # a batch holds it around each event's own use

    @contextmanager
    def _connect(self, shard: str) -> "Iterator[Connection]":
        """Yield a connection in a transaction; within one of this thread, that same one."""
        with self._db_lock:
            held = self._in_transaction.get(shard)
            if held is not None:
                yield held
                return
            with self._engine_of(shard).connect() as connection, connection.begin():
                self._in_transaction[shard] = connection
                try:
                    yield connection
                finally:
                    del self._in_transaction[shard]

    def _engine_of(self, shard: str) -> "Engine":
        engine = self._engines.pop(shard, None)
        if engine is None:
            engine = _engine(self.conn_string_for_shard(shard))
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
        self._engines[shard] = engine  # the last used is the last
        runs = [name for name in self._engines if name != INDEX_SHARD_NAME and name not in self._in_transaction]
        for name in runs[:-_RUNS_KEPT_OPEN]:
            self._engines.pop(name).dispose()
        return engine

    def _initdb(self, engine: "Engine", for_index_shard: bool = False) -> None:
        """Make the tables: of a run as the index has them, which takes a moment; Dagster reads 90 migrations for it."""
        index, path = Path(self.path_for_shard(INDEX_SHARD_NAME)), Path(str(engine.url.database))
        if for_index_shard or path == index:
            super()._initdb(engine, for_index_shard)
        else:
            _make_alike(path, index)

    def has_table(self, table_name: str) -> bool:
        """Tell whether the index has the table; once it has, it keeps it."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def store_event_batch(self, events: "Sequence[EventLogEntry]") -> None:
        """Store one run's events as Dagster does, all of them in one transaction of each database."""
        with self.run_connection(events[0].run_id), self.index_connection():
            super().store_event_batch(events)

    def _has_asset_key_col_on_connection(self, conn: "Connection", column_name: str) -> bool:
        """Tell whether the database has the column; once it has, it keeps it."""
        if column_name not in self._columns and super()._has_asset_key_col_on_connection(conn, column_name):
            self._columns.add(column_name)
        return column_name in self._columns

    def dispose(self) -> None:
        """Close the databases."""
        super().dispose()
        with self._db_lock:
            while self._engines:
                self._engines.popitem()[1].dispose()


class HeldStorage(DagsterSqliteStorage):
    """All that Dagster keeps of an installation."""

    def __init__(self, base_dir: str, inst_data: "ConfigurableClassData | None" = None) -> None:
        super().__init__(base_dir, inst_data)
        own = self._run_storage, self._event_log_storage
        self._run_storage = HeldRunStorage(own[0]._conn_string)
        self._event_log_storage = HeldEventLog(own[1]._base_dir)

    @classmethod
    def from_config_value(cls, inst_data: "ConfigurableClassData | None", config_value: Any) -> "HeldStorage":
        """Return the storage that the instance's settings name."""
        return cls.from_local(inst_data=inst_data, **config_value)


class PrintedLogs(LocalComputeLogManager):
    """What runs print: read as ever where other processes captured it, and here left to the terminal."""

    @classmethod
    def from_config_value(cls, inst_data: "ConfigurableClassData | None", config_value: Any) -> "PrintedLogs":
        """Return the manager that the instance's settings name."""
        return cls(inst_data=inst_data, **config_value)

    @contextmanager
    def capture_logs(self, log_key: Sequence[str]) -> Iterator[CapturedLogContext]:
        """Keep empty logs of the run, for the UI to find."""
        for kind in IO_TYPE_EXTENSION.values():
            ensure_file(self.get_captured_local_path(log_key, kind))
        yield CapturedLogContext(log_key)
        touch_file(self.complete_artifact_path(log_key))  # type: ignore[no-untyped-call]  # Dagster gives it no types


def _engine(address: str) -> "Engine":
    return create_engine(address, connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS, "check_same_thread": False})


def _make_alike(path: Path, model: Path) -> None:
    """Give a database that is new, or was left empty, the tables and the revision of the other one, in one step."""
    with closing(sqlite3.connect(model, timeout=SQLITE_BUSY_TIMEOUT_SECONDS)) as connection:
        tables = connection.execute(_TABLES_FIRST).fetchall()
        revisions = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    with closing(sqlite3.connect(path, timeout=SQLITE_BUSY_TIMEOUT_SECONDS, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL").fetchone()
        with immediate(connection):
            if not connection.execute(_TABLES_FIRST).fetchone():
                for (statement,) in tables:
                    connection.execute(statement)
                connection.executemany("INSERT INTO alembic_version (version_num) VALUES (?)", revisions)
