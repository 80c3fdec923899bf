"""Making the store's rows those of the Parquet files: which files are new, changed or gone, and what follows of it.

One account at a time, leads or quarantined records, inside the transaction of a refresh (store.py). How the rows of
a day change is lead_rows.py's.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa

from leads_pipeline.storage import following_sql as sql
from leads_pipeline.storage.arrow_queries import insert
from leads_pipeline.storage.coming_days import are_many, by_columns, look_at, refuse_unreadable
from leads_pipeline.storage.day_changes import DayChanges
from leads_pipeline.storage.followed_files import (
    FileContent,
    FileStamp,
    FollowedFile,
    Kind,
    ReadFile,
    content_of,
    followed,
    lead_files,
    quarantine_files,
    stamp_of,
)
from leads_pipeline.storage.lead_rows import LeadRows
from leads_pipeline.storage.merge_journal import DayReplacement, merge_lock
from leads_pipeline.storage.parquet import (
    FILE_SCHEMA,
    LeadFiles,
    from_parquet,
    rows_in,
    rows_with_ids,
    with_partition,
)
from leads_pipeline.storage.quarantine_files import read_quarantine_file

_MOST_SEEN_BYTES = 4 * 2**20
"""Quarantined records kept in memory until they are inserted, those of many small files together."""


@dataclass(frozen=True)
class AccountDay:
    """One day of one account."""

    account: str
    day: date


@dataclass
class FileFollower:
    """Follows the files of all accounts during one refresh of the store, inside its transaction.

    StorageError from its methods when a file can't be read.
    """

    connection: duckdb.DuckDBPyConnection
    data_dir: Path
    is_new: bool
    """Whether the store was never finished yet."""
    changed: bool = False
    """Whether rows changed, or files whose rows stay the same."""
    restamped: bool = False
    """Whether a file was found to be the same in spite of another stamp."""
    changed_days: set[AccountDay] = field(default_factory=set)
    _leads: LeadRows = field(init=False)
    _read: list[ReadFile] = field(default_factory=list)
    _seen: list[pa.Table] = field(default_factory=list)
    _seen_bytes: int = 0

    def __post_init__(self) -> None:
        self._leads = LeadRows(self.connection)

    def known_accounts(self) -> set[str]:
        """Return the accounts of which the store has followed files."""
        return {row[0] for row in self.connection.execute(sql.KNOWN_ACCOUNTS).fetchall()}

    def follow_leads(self, account: str) -> None:
        """Follow the account's day files under its merge lock, so that no half of a merge is read."""
        with merge_lock(self.data_dir, account):
            DayReplacement(LeadFiles(self.data_dir, account)).redo()
            coming = self._follow_known("leads", account, lead_files(self.data_dir, account))
            if are_many(coming):
                self._leads.buyers.settle(account)
                coming = self._read_many(account, coming)
            for file in coming:
                self._read_new(file)
            self._note_read()
        if self.is_new and self._leads.buyers.are_open:
            # Rows are updated four times as fast once committed. Whoever finds a store that died before it was first
            # finished rebuilds it, for it says of no version that it is that one.
            self.connection.execute("COMMIT").fetchall()
            self.connection.execute("BEGIN").fetchall()
        self._leads.buyers.settle(account)

    def follow_quarantine(self, accounts: Iterable[str]) -> None:
        """Follow the files of quarantined records of these accounts."""
        changed_before, self.changed = self.changed, False
        for account in accounts:
            for file in self._follow_known("quarantine", account, quarantine_files(self.data_dir, account)):
                self._read_new(file)
        self._add_seen()
        self._note_read()
        if self.changed:
            self.connection.execute(sql.CLEAR_QUARANTINE).fetchall()
            self.connection.execute(sql.FILL_QUARANTINE).fetchall()
        self.changed |= changed_before

    def _follow_known(self, kind: Kind, account: str, listed: Iterable[FollowedFile]) -> list[FollowedFile]:
        """Follow the files that the store knows; return those that it does not."""
        rows = self.connection.execute(sql.KNOWN_FILES, [kind, account]).fetchall()
        known = {row[0]: (FileStamp(*row[1:4]), str(row[4])) for row in rows}
        days = {row[0]: row[5] for row in rows}
        coming = []
        for file in listed:
            if file.name not in known:
                coming.append(file)
                continue
            stamp, sha256 = known.pop(file.name)
            if stamp == stamp_of(file.path):
                continue
            content = content_of(file.path)
            if content is None:
                known[file.name] = (stamp, sha256)
            elif content.sha256 == sha256:
                self._restamp(file, content.stamp)
            else:
                self._read_anew(file, content, sha256)
        for name in known:
            self._drop(kind, account, name, days.get(name))
        return coming

    def _read_many(self, account: str, files: Sequence[FollowedFile]) -> list[FollowedFile]:
        """Take in new day files at once; return those that have to be read one by one."""
        days = look_at(files)
        for lacking, alike in by_columns(days).items():
            try:
                self._leads.add_days(account, alike, lacking)
            except duckdb.Error:
                refuse_unreadable(alike)
                raise
            self._read += [coming.read for coming in alike]
            self.changed_days.update(AccountDay(account, coming.day) for coming in alike)
            self.changed = True
        return [coming.read.file for coming in days if coming.lacking is None]

    def _read_new(self, file: FollowedFile) -> None:
        content = content_of(file.path)
        if content is not None:
            self._read_anew(file, content, "")

    def _read_anew(self, file: FollowedFile, content: FileContent, known_sha256: str) -> None:
        """Read a file whose content is not the one with that hash, which is empty for a file that is new."""
        if known_sha256:
            self.connection.execute(sql.DROP_FILE, [file.name]).fetchall()
        rows = (
            self._read_day(file, content, file.lead_date, known_sha256)
            if file.lead_date
            else self._read_seen(file, content, bool(known_sha256))
        )
        self._read.append(ReadFile(file, content.stamp, content.sha256, rows))
        self.changed = True

    def _note_read(self) -> None:
        """Note all files that were read, in one statement: one for each would take longer than their rows."""
        if self._read:
            insert(self.connection, sql.ADD_FILES, followed(self._read))
            self._read = []

    def _read_day(self, file: FollowedFile, content: FileContent, day: date, known_sha256: str) -> int:
        touched = None
        if known_sha256:
            noted = DayChanges(LeadFiles(self.data_dir, file.account))
            touched = noted.touched(day, known_sha256, content.sha256)
        if touched is not None:
            ids = pa.array(sorted(touched), pa.string())
            rows = rows_with_ids(content.data, ids, file.what)
            self._leads.replace_some(file.account, day, ids, with_partition(rows, file.account, day))
        else:
            leads = with_partition(from_parquet(content.data, FILE_SCHEMA, file.what), file.account, day)
            if known_sha256:
                self._leads.replace_day(file.account, day, leads)
            else:
                self._leads.add_day(day, leads)
        self.changed_days.add(AccountDay(file.account, day))
        return rows_in(content.data, file.what)

    def _read_seen(self, file: FollowedFile, content: FileContent, is_known: bool) -> int:
        if is_known:
            self._drop_seen(file.account, file.name)
        seen = read_quarantine_file(content.data, file.account, str(file.response_id))
        self._seen.append(seen)
        self._seen_bytes += seen.nbytes
        if self._seen_bytes >= _MOST_SEEN_BYTES:
            self._add_seen()
        return int(seen.num_rows)

    def _add_seen(self) -> None:
        """Insert the quarantined records that were read, of several files at once for the same reason."""
        if self._seen:
            insert(self.connection, sql.ADD_QUARANTINE_SEEN, pa.concat_tables(self._seen))
            self._seen, self._seen_bytes = [], 0

    def _restamp(self, file: FollowedFile, stamp: FileStamp) -> None:
        values = [stamp.size, stamp.mtime_ns, stamp.inode, file.name]
        self.connection.execute(sql.RESTAMP_FILE, values).fetchall()
        self.restamped = True

    def _drop(self, kind: Kind, account: str, name: str, day: date | None) -> None:
        if kind == "leads" and day is not None:
            self._leads.drop_day(account, day)
            self.changed_days.add(AccountDay(account, day))
        else:
            self._drop_seen(account, name)
        self.connection.execute(sql.DROP_FILE, [name]).fetchall()
        self.changed = True

    def _drop_seen(self, account: str, name: str) -> None:
        self.connection.execute(sql.DROP_QUARANTINE_SEEN, [account, Path(name).stem]).fetchall()
