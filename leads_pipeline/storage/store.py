"""The pipeline's own DuckDB file, `state/store.duckdb`: it follows the Parquet files and the call log.

Everything in it can be made anew from them, so whatever is wrong with it is answered by a rebuild. Nobody but this
program opens it; analysts get copies (publish.py). The caller holds the store's lock.
"""

import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pyarrow as pa

from leads_pipeline import __version__
from leads_pipeline.days import utc_now
from leads_pipeline.kill_points import reach
from leads_pipeline.storage import store_sql as sql
from leads_pipeline.storage.arrow_queries import ask, insert
from leads_pipeline.storage.atomic import make_private_folder
from leads_pipeline.storage.day_changes import DayChanges
from leads_pipeline.storage.day_paths import accounts_in
from leads_pipeline.storage.errors import StorageError, without_values
from leads_pipeline.storage.following import AccountDay, FileFollower
from leads_pipeline.storage.memory import limit_memory
from leads_pipeline.storage.parquet import LeadFiles, without_columns
from leads_pipeline.storage.store_schema import CREATE_STATEMENTS, SCHEMA_SHA256
from leads_pipeline.storage.tables import ALERTS, API_CALLS, COVERAGE, DELIVERIES, DELIVERY_ATTEMPTS

log = logging.getLogger(__name__)

COVERAGE_INPUT_SCHEMA = without_columns(COVERAGE.schema, ["leads"])
"""What the caller gives of coverage; the store counts the leads itself."""

_LARGE_BYTES = 256 * 2**20
_THREADS_OF_LARGE = 2
"""Stores from this size on are looked through by so many threads.

A refresh of smaller ones gains nothing from a second: each connection starts it anew, and memory that it freed stays.
"""

_MOST_MEMORY_BYTES = 4 * 10**9
"""What DuckDB may hold in memory; what is more goes to the state folder for the time. By itself it takes 80 % of what
the machine has: making a store of 10M leads anew takes 14 GB then, and 4.6 GB with this limit.
"""

_BLOATED_BLOCKS = 256  # 64 MiB; smaller files are not worth a rebuild
_BLOAT = 3  # steady refreshes of random days level off at 1.8 (1M leads) to 2.7 times the used blocks (120k)


@dataclass(frozen=True)
class Sources:
    """Where the tables that are no Parquet files come from."""

    calls_after: Callable[[int], pa.Table]
    """Returns the call log's rows with a higher call_id (columns of api_calls)."""
    coverage: Callable[[], pa.Table]
    """Returns all of coverage as it is now (COVERAGE_INPUT_SCHEMA; further columns are ignored).

    It is called before the files are looked at, so that coverage never claims more than the tables hold.
    """
    alerts: Callable[[], pa.Table]
    """Returns all alerts as they are now (columns of alerts)."""
    deliveries_after: Callable[[int], pa.Table] = lambda _: DELIVERIES.schema.empty_table()
    """Returns the deliveries that changed later than that change_number, one row each (columns of deliveries)."""
    delivery_attempts_after: Callable[[int], pa.Table] = lambda _: DELIVERY_ATTEMPTS.schema.empty_table()
    """Returns the calls to CRMs with a higher attempt_id (columns of delivery_attempts)."""


@dataclass(frozen=True)
class StoreState:
    """What a refresh left in the store."""

    needs_publishing: bool
    changed_days: tuple[AccountDay, ...]
    """Days whose leads were read anew, or dropped because their file is gone."""
    leads: int
    quarantined: int
    api_calls: int


class _RebuildNeeded(Exception):
    """The store is of no use as it is."""


def store_path(data_dir: Path) -> Path:
    """Return the path of the store."""
    return data_dir / "state" / "store.duckdb"


def refresh(data_dir: Path, sources: Sources, live: int | None, following: int, *, rebuild: bool) -> StoreState:
    """Bring the store up to date in one transaction; rebuild it if it is broken, bloated or of another schema.

    `live` is the published version that readers get now, `following` the number that the store takes if it has
    to be published. With `rebuild` everything is read anew. StorageError when a source cannot be read.
    """
    path = store_path(data_dir)
    make_private_folder(path.parent)
    if rebuild:
        remove_store(data_dir)
    try:
        return _refresh(data_dir, sources, live, following)
    except duckdb.ConstraintException as error:
        raise StorageError(f"the store refused rows ({type(error).__name__})") from None
    except (duckdb.Error, _RebuildNeeded) as error:
        log.warning("rebuilding the store kind=%s", type(error).__name__)
    remove_store(data_dir)
    try:
        return _refresh(data_dir, sources, live, following)
    except duckdb.Error as error:
        raise StorageError(f"rebuilding the store failed ({type(error).__name__})") from None


def remove_store(data_dir: Path) -> None:
    """Remove the store, so that the next refresh reads everything anew; the caller holds the store's lock."""
    path = store_path(data_dir)
    for file in (path, path.with_name(f"{path.name}.wal")):
        file.unlink(missing_ok=True)


def _refresh(data_dir: Path, sources: Sources, live: int | None, following: int) -> StoreState:
    with _open_store(store_path(data_dir)) as connection:
        connection.execute("BEGIN").fetchall()
        refreshing = _Refresh(connection, data_dir)
        refreshing.follow(sources)
        (known_version,) = connection.execute(sql.PUBLISHED_VERSION).fetchone() or (None,)
        needs_publishing = refreshing.changed or known_version is None or known_version != live
        if needs_publishing:
            connection.execute(sql.CLEAR_PUBLICATION).fetchall()
            row = [following, utc_now(), __version__, SCHEMA_SHA256]
            connection.execute(sql.ADD_PUBLICATION, row).fetchall()
        leads, quarantined, api_calls = connection.execute(sql.COUNTS).fetchall()[0]
        _finish(connection, commit=needs_publishing or refreshing.files.restamped)
    for changed in refreshing.files.changed_days:
        DayChanges(LeadFiles(data_dir, changed.account)).forget(changed.day)
    days = tuple(sorted(refreshing.files.changed_days, key=lambda changed: (changed.account, changed.day)))
    return StoreState(needs_publishing, days, leads, quarantined, api_calls)


def _finish(connection: duckdb.DuckDBPyConnection, *, commit: bool) -> None:
    if not commit:
        connection.execute("ROLLBACK").fetchall()
        return
    reach("store:before_commit")
    connection.execute("COMMIT").fetchall()
    reach("store:committed")


@contextmanager
def _open_store(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the store, created if it is missing, and leave it checkpointed and closed, without a `.wal`."""
    is_new = not path.exists()
    is_large = not is_new and path.stat().st_size >= _LARGE_BYTES
    threads = _THREADS_OF_LARGE if is_large else 1
    spilled = path.with_name("store.tmp")
    shutil.rmtree(spilled, ignore_errors=True)  # whoever was killed while it held the store left it
    connection = duckdb.connect(config={"temp_directory": str(spilled), "threads": threads})
    try:
        limit_memory(connection, _MOST_MEMORY_BYTES)
        connection.execute(sql.ATTACH, [str(path.absolute())]).fetchall()
        path.chmod(0o600)
        connection.execute("USE store").fetchall()
        if is_new:
            _create(connection)
        else:
            _check(connection)
        yield connection
        connection.execute("CHECKPOINT store").fetchall()
        connection.execute("USE memory").fetchall()
        connection.execute("DETACH store").fetchall()
    finally:
        connection.close()


def _create(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("BEGIN").fetchall()
    for statement in CREATE_STATEMENTS:
        connection.execute(statement).fetchall()
    connection.execute("COMMIT").fetchall()


def _check(connection: duckdb.DuckDBPyConnection) -> None:
    found = connection.execute(sql.SCHEMA_DIGEST).fetchone()
    if found is None or found[0] != SCHEMA_SHA256:
        raise _RebuildNeeded
    total, used = connection.execute(sql.BLOCKS).fetchall()[0]
    if total > _BLOATED_BLOCKS and total > _BLOAT * used:
        raise _RebuildNeeded


@dataclass
class _Refresh:
    """One refresh under way, inside its transaction."""

    connection: duckdb.DuckDBPyConnection
    data_dir: Path
    changed: bool = False
    files: FileFollower = field(init=False)

    def __post_init__(self) -> None:
        is_new = self.connection.execute(sql.PUBLISHED_VERSION).fetchone() is None
        self.files = FileFollower(self.connection, self.data_dir, is_new)

    def follow(self, sources: Sources) -> None:
        coverage = conform(sources.coverage(), COVERAGE_INPUT_SCHEMA, "coverage")
        known_accounts = self.files.known_accounts()
        for account in sorted(known_accounts | set(accounts_in(self.data_dir / "leads"))):
            self.files.follow_leads(account)
        self.files.follow_quarantine(sorted(known_accounts | set(accounts_in(self.data_dir / "quarantine"))))
        self._append_calls(sources.calls_after)
        self._replace_coverage(coverage)
        self._replace_alerts(conform(sources.alerts(), ALERTS.schema, "alerts"))
        self._follow_deliveries(sources)
        self.changed |= self.files.changed

    def _append_calls(self, calls_after: Callable[[int], pa.Table]) -> None:
        newest = self.connection.execute(sql.NEWEST_CALL).fetchall()[0][0]
        calls = conform(calls_after(newest), API_CALLS.schema, "the call log")
        if calls.num_rows:
            insert(self.connection, sql.ADD_CALLS, calls)
            self.changed = True

    def _replace_coverage(self, given: pa.Table) -> None:
        counts = {(row[0], row[1]): row[2] for row in self.connection.execute(sql.LEADS_PER_DAY).fetchall()}
        days = zip(given["account"].to_pylist(), given["lead_date"].to_pylist(), strict=True)
        leads = pa.array([counts.get(day, 0) for day in days], pa.int64())
        coverage = given.append_column("leads", leads).select(COVERAGE.schema.names)
        if self._differs(sql.COVERAGE_DIFFERENCES, coverage):
            self.connection.execute(sql.CLEAR_COVERAGE).fetchall()
            insert(self.connection, sql.ADD_COVERAGE, coverage)
            self.changed = True

    def _replace_alerts(self, alerts: pa.Table) -> None:
        if self._differs(sql.ALERTS_DIFFERENCES, alerts):
            self.connection.execute(sql.CLEAR_ALERTS).fetchall()
            insert(self.connection, sql.ADD_ALERTS, alerts)
            self.changed = True

    def _follow_deliveries(self, sources: Sources) -> None:
        (newest,) = self.connection.execute(sql.NEWEST_DELIVERY_CHANGE).fetchall()[0]
        deliveries = conform(sources.deliveries_after(newest), DELIVERIES.schema, "deliveries")
        if deliveries.num_rows:
            insert(self.connection, sql.DROP_CHANGED_DELIVERIES, deliveries)
            insert(self.connection, sql.ADD_DELIVERIES, deliveries)
        (newest,) = self.connection.execute(sql.NEWEST_DELIVERY_ATTEMPT).fetchall()[0]
        attempts = conform(sources.delivery_attempts_after(newest), DELIVERY_ATTEMPTS.schema, "delivery attempts")
        if attempts.num_rows:
            insert(self.connection, sql.ADD_DELIVERY_ATTEMPTS, attempts)
        self.changed |= bool(deliveries.num_rows or attempts.num_rows)

    def _differs(self, statement: str, rows: pa.Table) -> bool:
        (differing,) = ask(self.connection, statement, rows)[0]
        return bool(differing)


def conform(table: pa.Table, schema: pa.Schema, what: str) -> pa.Table:
    """Return the schema's columns of the table in its types; StorageError, without values, if they do not fit."""
    with without_values(f"taking {table.num_rows} rows of {what}"):
        return table.select(schema.names).cast(schema)
