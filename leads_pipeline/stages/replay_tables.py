"""The published tables against the files that they follow, row for row: the last layer that a replay compares."""

import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa

from leads_pipeline.leads.schema import QUARANTINE_ARROW_SCHEMA, VERSIONS
from leads_pipeline.leads.versions import lead_versions
from leads_pipeline.stages.replay_compare import DayDifference, RowDifference, bytes_of, compare_rows, window_day
from leads_pipeline.storage.errors import without_values
from leads_pipeline.storage.parquet import LeadFiles
from leads_pipeline.storage.published_reader import open_published
from leads_pipeline.storage.quarantine_files import QuarantineFiles
from leads_pipeline.storage.raw import ResponseName

NOT_PUBLISHED = "not published yet"
OTHER_VERSIONS = "other lead_versions"
_PUBLISHING_SECONDS = 10.0  # a run that has just merged publishes a second later
_POLL_SECONDS = 0.5

_FOLLOWED = "SELECT path, sha256 FROM pipeline.followed_files WHERE account = ?"
_LEADS_OF_DAY = "SELECT * FROM leads WHERE account = ? AND lead_date = ?"
_VERSIONS_OF_DAY = "SELECT * FROM lead_versions WHERE account = ? AND lead_date = ? ORDER BY query_id, version"
_QUARANTINE_OF_ANSWER = "SELECT * FROM pipeline.quarantine_seen WHERE account = ? AND response_id = ?"


@dataclass(frozen=True)
class FollowedFiles:
    """Files of one account as they stand, which the published tables must hold.

    Each is known by its path under the data folder.
    """

    data_dir: Path
    account: str
    days: Mapping[str, date]
    """The day of each file of leads."""
    answers: Mapping[str, str]
    """The response of each file of quarantined records."""
    sha256: Mapping[str, str]
    """The hash of the bytes of each file that exists."""

    @classmethod
    def of(cls, data_dir: Path, account: str, days: Iterable[date], response_ids: Iterable[str]) -> "FollowedFiles":
        """Return the files of these days and answers; the caller holds the account's merge lock."""
        leads, quarantine = LeadFiles(data_dir, account), QuarantineFiles(data_dir, account)
        day_files = {_name(data_dir, leads.path(day)): day for day in days}
        answers = {
            _name(data_dir, quarantine.path(one, ResponseName.parse(one).window.start)): one for one in response_ids
        }
        hashes = {name: _sha256_of(data_dir / name) for name in (*day_files, *answers)}
        found = {name: sha256 for name, sha256 in hashes.items() if sha256 is not None}
        return cls(data_dir, account, day_files, answers, found)


def compare_published(database: Path, files: FollowedFiles, rebuilt: Path) -> Iterator[DayDifference]:
    """Yield where the published tables differ from these files, whose rows are those in the folder `rebuilt`.

    A file that changed while this waited for its publication is passed over: somebody merges at the same time.
    """
    followed = _followed(database, files)
    unchanged = [name for name, sha256 in sorted(files.sha256.items()) if _sha256_of(files.data_dir / name) == sha256]
    published = [name for name in unchanged if followed.get(name) == files.sha256[name]]
    for name in sorted({*unchanged} - {*published}):
        yield _difference(files, name, RowDifference(note=NOT_PUBLISHED))
    if published:
        with open_published(database) as connection:
            for name in published:
                rows = _compare(connection, files, name, rebuilt)
                if not rows.is_none:
                    yield _difference(files, name, rows)


def _followed(database: Path, files: FollowedFiles) -> dict[str, str]:
    """Return the hashes of the files that the published tables were made from, once they are the standing ones."""
    deadline = time.monotonic() + _PUBLISHING_SECONDS
    while True:
        found: dict[str, str] = {}
        if database.exists():
            with open_published(database) as connection:
                found = dict(connection.execute(_FOLLOWED, [files.account]).fetchall())
        lagging = (name for name, sha256 in files.sha256.items() if found.get(name) != sha256)
        is_waiting = any(_sha256_of(files.data_dir / name) == files.sha256[name] for name in lagging)
        if not is_waiting or time.monotonic() >= deadline:
            return found
        time.sleep(_POLL_SECONDS)


def _compare(connection: duckdb.DuckDBPyConnection, files: FollowedFiles, name: str, rebuilt: Path) -> RowDifference:
    account = files.account
    if name in files.days:
        return _compare_leads(connection, account, files.days[name], rebuilt)
    response_id = files.answers[name]
    table = connection.sql(_QUARANTINE_OF_ANSWER, params=[account, response_id]).to_arrow_table()
    records = QuarantineFiles(rebuilt, account).read(rebuilt / name)
    return compare_rows(_typed(table, QUARANTINE_ARROW_SCHEMA), records, "response_position")


def _compare_leads(connection: duckdb.DuckDBPyConnection, account: str, day: date, rebuilt: Path) -> RowDifference:
    leads = LeadFiles(rebuilt, account).read([day])
    versions = lead_versions(leads).sort_by([("query_id", "ascending"), ("version", "ascending")])
    leads = leads.drop_columns([VERSIONS])
    published = connection.sql(_LEADS_OF_DAY, params=[account, day]).to_arrow_table()
    published_versions = connection.sql(_VERSIONS_OF_DAY, params=[account, day]).to_arrow_table()
    difference = compare_rows(_typed(published, leads.schema), leads, "query_id")
    if not _typed(published_versions, versions.schema).equals(versions):
        difference += RowDifference(note=OTHER_VERSIONS)
    return difference


def _typed(table: pa.Table, schema: pa.Schema) -> pa.Table:
    with without_values(f"reading {table.num_rows} published rows"):
        return table.select(schema.names).cast(schema)


def _difference(files: FollowedFiles, name: str, rows: RowDifference) -> DayDifference:
    if name in files.days:
        return DayDifference(files.account, "published leads", files.days[name], rows)
    return DayDifference(files.account, "published quarantine", window_day(files.answers[name]), rows)


def _sha256_of(path: Path) -> str | None:
    data = bytes_of(path)
    return None if data is None else hashlib.sha256(data).hexdigest()


def _name(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()
