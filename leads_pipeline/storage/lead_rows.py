"""The rows of `leads` and `lead_versions` in the store: a day's are made those of its file by the fewest changes.

Rows that the file holds as they stand are not touched: a pull that brings a few leads of a day with tens of thousands
writes those few, and the rest of the database's blocks stay what they were.
"""

from dataclasses import dataclass, field
from datetime import date

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from leads_pipeline.leads.schema import LEADS_ARROW_SCHEMA
from leads_pipeline.leads.versions import lead_versions
from leads_pipeline.storage import lead_rows_sql as sql
from leads_pipeline.storage.arrow_queries import insert
from leads_pipeline.storage.buyers import BuyerUpkeep


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
        insert(self.connection, sql.ADD_LEADS, self.buyers.day_enters(day, leads))
        insert(self.connection, sql.ADD_LEAD_VERSIONS, lead_versions(leads))

    def replace_day(self, account: str, day: date, leads: pa.Table) -> None:
        """Make the day's rows those leads (LEADS_ARROW_SCHEMA); the buyers are left to be settled."""
        self._note(account, day)
        self._replace(day, leads, sql.WHOLE_DAY, sql.DROP_LEAD_VERSIONS)

    def replace_some(self, account: str, day: date, query_ids: pa.Array, leads: pa.Table) -> None:
        """Make the day's rows with one of these ids those leads; all other rows of the day are those of its file."""
        self._note(account, day)
        insert(self.connection, sql.MAKE_TOUCHED_ID, pa.table({"query_id": query_ids}))
        self.connection.execute(sql.MAKE_LOOKED_AT).fetchall()
        self._replace(day, leads, sql.LOOKED_AT, sql.DROP_SOME_LEAD_VERSIONS)
        self.connection.execute(sql.DROP_LOOKED_AT).fetchall()

    def _note(self, account: str, day: date) -> None:
        self.connection.execute(sql.NOTE_ACCOUNT, [account]).fetchall()
        self.connection.execute(sql.NOTE_DAY, [day]).fetchall()

    def _replace(self, day: date, leads: pa.Table, compared: str, drop_versions: str) -> None:
        insert(self.connection, sql.make_staying(compared), leads)
        staying = self.connection.sql(sql.STAYING_IDS).to_arrow_table()["query_id"].combine_chunks()
        self.buyers.day_leaves(day, sql.leaving(compared))
        for statement in (sql.drop_leads(compared), drop_versions, sql.DROP_STAYING):
            self.connection.execute(statement).fetchall()
        insert(
            self.connection,
            sql.ADD_LEADS,
            self.buyers.day_enters(day, leads.filter(pc.invert(pc.is_in(leads["query_id"], value_set=staying)))),
        )
        insert(self.connection, sql.ADD_LEAD_VERSIONS, lead_versions(leads))

    def drop_day(self, account: str, day: date) -> None:
        """Delete the day's rows; the buyers are left to be settled."""
        self.replace_day(account, day, LEADS_ARROW_SCHEMA.empty_table())
