"""The rows of `leads` and `lead_versions` in the store: a day's are made those of its file by the fewest changes.

Rows that the file holds as they stand are not touched: a pull that brings a few leads of a day with tens of thousands
writes those few, and the rest of the database's blocks stay what they were.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date
from glob import escape

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from leads_pipeline.leads.schema import LEADS_ARROW_SCHEMA
from leads_pipeline.leads.versions import lead_versions
from leads_pipeline.storage import lead_rows_sql as sql
from leads_pipeline.storage.arrow_queries import insert
from leads_pipeline.storage.buyers import BuyerUpkeep
from leads_pipeline.storage.coming_days import ComingDay, runs
from leads_pipeline.storage.memory import memory_limited

_MOST_LOOKED_THROUGH = 100_000
"""New leads of which those with several versions are kept in memory together."""
_MOST_TOLD = 10_000
"""Leads with several versions that are told at once: each takes some 20 kB as Python's values."""
_MOST_BYTES, _MOST_BYTES_EACH = 6 * 10**8, 300
"""What DuckDB may hold in memory while it takes in many new leads: the rows on their way to the file, and what of each
lead tells of buyers. With more it would keep what it has written, too.
"""


@dataclass
class LeadRows:
    """Keeps the rows in step with the day files during one refresh of the store, inside its transaction.

    After all days of an account, the caller settles its `buyers`.
    """

    connection: duckdb.DuckDBPyConnection
    buyers: BuyerUpkeep = field(init=False)

    def __post_init__(self) -> None:
        self.buyers = BuyerUpkeep(self.connection)

    def add_day(self, day: date, leads: pa.Table) -> None:
        """Insert the leads (LEADS_ARROW_SCHEMA) of a day that has no rows."""
        self._add(sql.ADD_LEADS, self.buyers.day_enters(day, leads))
        self._add(sql.ADD_LEAD_VERSIONS, lead_versions(leads))

    def add_days(self, account: str, days: Sequence[ComingDay], lacking: Collection[str]) -> None:
        """Insert the leads of days that have no rows, with their buyers; the days' files lack these columns.

        All that was held before is settled. duckdb.Error when a file can't be read.
        """
        self._run(sql.USE_THREADS)
        self._run(sql.NOTE_ACCOUNT, account)
        self._note_coming(days)
        leads = sql.coming(lacking)
        most_bytes = _MOST_BYTES + _MOST_BYTES_EACH * sum(coming.read.rows for coming in days)
        with memory_limited(self.connection, most_bytes), self.buyers.settled(account, leads):
            self._run(sql.add_coming(leads))
        for some in runs(days, _MOST_LOOKED_THROUGH):
            self._note_coming(some)
            told = self.connection.sql(sql.told_of_versions(leads)).to_arrow_table()
            for start in range(0, told.num_rows, _MOST_TOLD):
                self._add(sql.ADD_LEAD_VERSIONS, lead_versions(told.slice(start, _MOST_TOLD)))

    def replace_day(self, account: str, day: date, leads: pa.Table) -> None:
        """Make the day's rows those leads (LEADS_ARROW_SCHEMA); the buyers are left to be settled."""
        self._note(account, day)
        self._replace(day, leads, sql.WHOLE_DAY, sql.DROP_LEAD_VERSIONS)

    def replace_some(self, account: str, day: date, query_ids: pa.Array, leads: pa.Table) -> None:
        """Make the day's rows with one of these ids those leads; all other rows of the day are those of its file."""
        self._note(account, day)
        insert(self.connection, sql.MAKE_TOUCHED_ID, pa.table({"query_id": query_ids}))
        self._run(sql.MAKE_LOOKED_AT)
        self._replace(day, leads, sql.LOOKED_AT, sql.DROP_SOME_LEAD_VERSIONS)
        self._run(sql.DROP_LOOKED_AT)

    def _note(self, account: str, day: date) -> None:
        self._run(sql.NOTE_ACCOUNT, account)
        self._run(sql.NOTE_DAY, day)

    def _replace(self, day: date, leads: pa.Table, compared: str, drop_versions: str) -> None:
        insert(self.connection, sql.make_staying(compared), leads)
        staying = self.connection.sql(sql.STAYING_IDS).to_arrow_table()["query_id"].combine_chunks()
        self.buyers.day_leaves(day, sql.leaving(compared))
        for statement in (sql.drop_leads(compared), drop_versions, sql.DROP_STAYING):
            self._run(statement)
        self._add(
            sql.ADD_LEADS,
            self.buyers.day_enters(day, leads.filter(pc.invert(pc.is_in(leads["query_id"], value_set=staying)))),
        )
        self._add(sql.ADD_LEAD_VERSIONS, lead_versions(leads))

    def drop_day(self, account: str, day: date) -> None:
        """Delete the day's rows; the buyers are left to be settled."""
        self.replace_day(account, day, LEADS_ARROW_SCHEMA.empty_table())

    def _note_coming(self, days: Sequence[ComingDay]) -> None:
        self._run(sql.NOTE_COMING, [escape(str(coming.read.file.path.absolute())) for coming in days])

    def _add(self, statement: str, rows: pa.Table) -> None:
        """Insert the rows; a statement over none takes as long as one over hundreds."""
        if rows.num_rows:
            insert(self.connection, statement, rows)

    def _run(self, statement: str, *values: object) -> None:
        self.connection.execute(statement, values).fetchall()
