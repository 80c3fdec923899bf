"""Checks of the leads' files and of the published database: ids, columns, times, and that both say the same."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from leads_pipeline.days import IST, day_end, day_start
from leads_pipeline.indiamart.windows import CLOCK_MARGIN
from leads_pipeline.stages.checking.findings import Finding, Scope
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.storage.errors import without_values
from leads_pipeline.storage.followed_files import stamp_of
from leads_pipeline.storage.lead_ids import LeadIds
from leads_pipeline.storage.parquet import FILE_SCHEMA, LeadFiles
from leads_pipeline.storage.published_reader import open_published

_WALL_CLOCK_AHEAD = timedelta(hours=5, minutes=30)
_EXAMPLES = 3
_MICROSECONDS_PER_HOUR = 3_600_000_000

_ROWS_PER_DAY = "SELECT lead_date, count(*) FROM leads WHERE account = ? GROUP BY lead_date"
_DIGEST_IN_DATABASE = """
SELECT count(*), coalesce(sum(hash(query_id || chr(0) || content_hash)), 0)
FROM leads WHERE account = ? AND lead_date = ?
"""
_DIGEST_IN_FILE = "SELECT count(*), coalesce(sum(hash(query_id || chr(0) || content_hash)), 0) FROM day_file"
_FOLLOWED_FILE = "SELECT mtime_ns, size, inode FROM pipeline.followed_files WHERE account = ? AND lead_date = ?"


@dataclass(frozen=True)
class DayTimes:
    """What the times of one day's leads say."""

    day: date
    leads: int
    outside: int
    """Leads whose query_time or query_time_ist is not of the day, or of which the two differ."""
    in_future: int
    newest: datetime | None


def check_ids(workspace: Workspace, account: str, scope: Scope) -> Finding:
    """Look for the ids of the touched days in all days: each must stand in one row only."""
    files = workspace.lead_files(account)
    days = scope.among(sorted(files.days()))
    ids = pa.chunked_array([files.read_columns(day, ("query_id",))["query_id"] for day in days], pa.string())
    rows = len(ids) if scope.run_days is None else LeadIds(files).rows_with(ids)
    distinct = int(pc.count_distinct(ids).as_py()) if len(ids) else 0
    return ids_finding(rows, distinct, len(days))


def ids_finding(rows: int, distinct: int, days: int) -> Finding:
    """Judge how many rows, in all days, hold the distinct ids of some days."""
    facts = {"ids": distinct, "rows_that_hold_them": rows, "days": days}
    if rows == distinct:
        return Finding(True, f"{distinct} id(s) of {days} day(s): each stands in one row of all days.", facts)
    return Finding(
        False,
        f"{rows} rows hold {distinct} ids: some leads stand in the tables twice. `leads replay` makes the tables anew "
        "from the raw responses; if this stays red, report it.",
        facts,
    )


def check_columns(workspace: Workspace, account: str, scope: Scope) -> Finding:
    """Compare the columns of each touched day's file with the contract."""
    files = workspace.lead_files(account)
    days = scope.among(sorted(files.days()))
    return columns_finding({day: files.schema(day) for day in days})


def columns_finding(schemas: Mapping[date, pa.Schema]) -> Finding:
    """Judge the files' columns; a nullable one that an earlier version of the program did not know only warns."""
    older = {day for day, schema in schemas.items() if _lacks_only_nullable(schema)}
    other = {day for day, schema in schemas.items() if not schema.equals(FILE_SCHEMA)} - older
    facts: dict[str, int | str] = {"files": len(schemas), "of_earlier_versions": len(older), "other": len(other)}
    if not older and not other:
        return Finding(True, f"{len(schemas)} day file(s) have exactly the columns of a lead.", facts)
    days = other or older
    facts |= {"examples": _days(days)}
    if other:
        sentence = (
            f"{len(other)} day file(s) have other columns or types than a lead has: something else wrote them. "
            "`leads replay` makes them anew from the raw responses."
        )
        return Finding(False, sentence, facts)
    sentence = f"{len(older)} day file(s) were written by an earlier version. `leads replay` writes them anew."
    return Finding(False, sentence, facts, is_warning=True)


def _lacks_only_nullable(schema: pa.Schema) -> bool:
    lacking = [field for field in FILE_SCHEMA if field.name not in schema.names]
    kept = pa.schema([field for field in FILE_SCHEMA if field.name in schema.names])
    return bool(lacking) and all(field.nullable for field in lacking) and schema.equals(kept)


def times_of(workspace: Workspace, account: str, scope: Scope, now: datetime) -> list[DayTimes]:
    """Return what the times of each touched day's leads say; later than now and 5 minutes counts as the future."""
    files = workspace.lead_files(account)
    return [_times_of_day(files, day, now) for day in scope.among(sorted(files.days()))]


def _times_of_day(files: LeadFiles, day: date, now: datetime) -> DayTimes:
    table = files.read_columns(day, ("query_time", "query_time_ist"))
    with without_values(f"looking at the times of {table.num_rows} leads"):
        instants, wall_clocks = table["query_time"], table["query_time_ist"]
        type_ = instants.type
        start, end, limit = (pa.scalar(one, type_) for one in (day_start(day), day_end(day), now + CLOCK_MARGIN))
        inside = pc.and_(pc.greater_equal(instants, start), pc.less(instants, end))
        ist = pc.add(instants.cast(pa.timestamp("us")), pa.scalar(_WALL_CLOCK_AHEAD, pa.duration("us")))
        good = pc.and_(inside, pc.equal(ist, wall_clocks))
        return DayTimes(
            day,
            table.num_rows,
            table.num_rows - int(pc.sum(good).as_py() or 0),
            int(pc.sum(pc.greater(instants, limit)).as_py() or 0),
            pc.max(instants).as_py(),
        )


def times_finding(days: Sequence[DayTimes]) -> Finding:
    """Judge that leads stand in the day in which they were asked."""
    wrong = [one for one in days if one.outside]
    leads, outside = sum(one.leads for one in days), sum(one.outside for one in days)
    facts: dict[str, int | str] = {"leads": leads, "days": len(days), "outside_their_day": outside}
    if not wrong:
        return Finding(True, f"{leads} lead(s) of {len(days)} day(s): each stands in the day of its enquiry.", facts)
    return Finding(
        False,
        f"{outside} lead(s) stand in another day than that of their enquiry, so counts per day are wrong. "
        "`leads replay` makes the tables anew; if this stays red, report it.",
        facts | {"examples": _days(one.day for one in wrong)},
    )


def future_finding(days: Sequence[DayTimes], now: datetime) -> Finding:
    """Judge that no lead was asked after now."""
    count = sum(one.in_future for one in days)
    facts: dict[str, int | float | str] = {"leads": sum(one.leads for one in days), "in_the_future": count}
    if not count:
        return Finding(True, "No lead is of the future.", facts)
    newest = max(one.newest for one in days if one.newest is not None)
    hours = (newest - now).total_seconds() * 1_000_000 / _MICROSECONDS_PER_HOUR
    facts |= {"hours_ahead": round(hours, 1)}
    return Finding(
        False,
        f"{count} lead(s) were asked in the future, up to {hours:.1f} hours from now ({now.astimezone(IST):%H:%M} IST "
        "by this machine). Check this machine's clock; if it is right, IndiaMART's times have changed (5.5 hours would "
        "be a time zone): report it.",
        facts,
        is_warning=True,
    )


def check_database(workspace: Workspace, account: str, scope: Scope) -> Finding:
    """Compare the published database with the files: rows of all days, and contents of the touched ones.

    A file that changed since it was read belongs to a run that is about to publish: it is counted, not judged.
    """
    files, database = workspace.lead_files(account), workspace.settings.database
    days = sorted(files.days())
    if not database.exists():
        return database_finding(days, 0, 0, 0)
    in_files = files.counts(days)
    with open_published(database) as connection, without_values("comparing the published database with the files"):
        in_database = dict(connection.execute(_ROWS_PER_DAY, [account]).fetchall())
        differing = {day for day in {*days, *in_database} if in_database.get(day, 0) != in_files.get(day, 0)}
        same_rows = [day for day in scope.among(days) if day not in differing]
        differing |= {day for day in same_rows if not _is_same(connection, files, day)}
        changed = {day for day in differing if _changed_since(connection, files, day)}
    return database_finding(differing - changed, len(changed), len(same_rows), sum(in_database.values()))


def _is_same(connection: duckdb.DuckDBPyConnection, files: LeadFiles, day: date) -> bool:
    connection.register("day_file", files.read_columns(day, ("query_id", "content_hash")))
    in_file = connection.execute(_DIGEST_IN_FILE).fetchall()
    connection.unregister("day_file")
    return in_file == connection.execute(_DIGEST_IN_DATABASE, [files.account, day]).fetchall()


def _changed_since(connection: duckdb.DuckDBPyConnection, files: LeadFiles, day: date) -> bool:
    row = connection.execute(_FOLLOWED_FILE, [files.account, day]).fetchone()
    stamp = stamp_of(files.path(day)) if files.exists(day) else None
    followed = None if row is None else (row[0], row[1], row[2])
    return followed != (None if stamp is None else (stamp.mtime_ns, stamp.size, stamp.inode))


def database_finding(differing: Iterable[date], changed: int, looked_into: int, leads: int) -> Finding:
    """Judge the days in which the published database and the files differ."""
    days = sorted(differing)
    facts: dict[str, int | str] = {
        "leads": leads,
        "days_compared_by_content": looked_into,
        "days_that_differ": len(days),
        "days_about_to_be_published": changed,
    }
    if not days:
        return Finding(True, f"The published database holds what the files hold: {leads} lead(s).", facts)
    return Finding(
        False,
        f"{len(days)} day(s) in leads.duckdb differ from the files, so analysts see other leads than were merged. "
        "`leads replay` makes the database anew; if this stays red, report it.",
        facts | {"examples": _days(days)},
    )


def _days(days: Iterable[date]) -> str:
    return ", ".join(day.isoformat() for day in sorted(days)[:_EXAMPLES])
