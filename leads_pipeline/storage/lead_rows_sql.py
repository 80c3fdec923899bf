"""The SQL by which a day's rows follow its file. `incoming` is the Arrow table of the file's leads.

The day is noted in variables, and not bound: the same statement can then read an Arrow table.
"""

from collections.abc import Collection

from leads_pipeline.leads.schema import LEAD_COLUMNS
from leads_pipeline.storage.buyers_sql import OPEN
from leads_pipeline.storage.tables import LEAD_BUYER_COLUMNS, LEADS, sql_type

_GIVEN = ", ".join(column.name for column in LEADS.columns if column not in LEAD_BUYER_COLUMNS)
_DIGESTED = f"query_id, hash({_GIVEN}) AS digest"

NOTE_ACCOUNT = "SET VARIABLE account_of_day = ?"
NOTE_DAY = "SET VARIABLE day = ?"
_OF_DAY = "account = getvariable('account_of_day') AND lead_date = getvariable('day')"

MAKE_TOUCHED_ID = "CREATE TEMP TABLE touched_id AS SELECT query_id FROM incoming"
"""The ids of those leads of the day that are looked at, when it is not all of them."""
MAKE_LOOKED_AT = f"""
CREATE TEMP TABLE looked_at AS
SELECT rowid AS place FROM leads WHERE {_OF_DAY} AND query_id IN (SELECT query_id FROM touched_id)
"""  # noqa: S608 - constants, as in all that follows
DROP_LOOKED_AT = "DROP TABLE touched_id; DROP TABLE looked_at"

WHOLE_DAY = _OF_DAY
LOOKED_AT = "rowid IN (SELECT place FROM looked_at)"
"""Either tells the rows of the day that are compared with those of its file."""


def make_staying(compared: str) -> str:
    """Return the SQL that finds the rows that the file has as they stand."""
    return f"""
CREATE TEMP TABLE staying AS
SELECT place, query_id
FROM (SELECT rowid AS place, {_DIGESTED} FROM leads WHERE {compared})
JOIN (SELECT {_DIGESTED} FROM incoming) USING (query_id, digest)
"""  # noqa: S608


STAYING_IDS = "SELECT query_id FROM staying"
DROP_STAYING = "DROP TABLE staying"


def leaving(compared: str) -> str:
    """Return the condition that tells the rows that are about to be deleted."""
    return f"{compared} AND rowid NOT IN (SELECT place FROM staying)"  # noqa: S608


ADD_LEADS = "INSERT INTO leads BY NAME SELECT * EXCLUDE (versions) FROM incoming"
ADD_LEAD_VERSIONS = "INSERT INTO lead_versions BY NAME SELECT * FROM incoming ORDER BY lead_date, query_id, version"
DROP_LEAD_VERSIONS = f"DELETE FROM lead_versions WHERE {_OF_DAY}"  # noqa: S608
DROP_SOME_LEAD_VERSIONS = f"{DROP_LEAD_VERSIONS} AND query_id IN (SELECT query_id FROM touched_id)"  # noqa: S608


def drop_leads(compared: str) -> str:
    """Return the SQL that deletes the rows that the file does not have as they stand."""
    return f"DELETE FROM leads WHERE {leaving(compared)}"  # noqa: S608


USE_THREADS = "SET threads = 2"
"""Many leads are worth a second thread, also in a store that is new."""

NOTE_COMING = "SET VARIABLE coming_files = ?"
"""The paths of day files that DuckDB reads itself."""

_OF_FILE_NAME = "left(filename, -length('/leads.parquet'))"


def coming(lacking: Collection[str]) -> str:
    """Return the SQL of the leads in the noted files, which lack some columns: those of `leads`, versions and a place.

    The place is the same in each reading, below zero, and rises with the day and within its file.
    """
    told = ("account", "lead_date")
    columns = [
        f"CAST(NULL AS {sql_type(column)}) AS {column.name}" if column.name in lacking else column.name
        for column in LEAD_COLUMNS
        if column.name not in told
    ]
    return f"""
SELECT
  getvariable('account_of_day') AS account,
  {", ".join(columns)},
  '{OPEN}'::UUID AS buyer_id,
  NULL::BOOLEAN AS is_repeat,
  right({_OF_FILE_NAME}, length('YYYY-MM-DD'))::DATE AS lead_date,
  file_row_number - 4294967296 * (DATE '9999-12-31' - lead_date + 1) AS place
FROM read_parquet(
  getvariable('coming_files'), filename = true, file_row_number = true, hive_partitioning = false
)
"""  # noqa: S608


def add_coming(coming: str) -> str:
    """Return the SQL that inserts the coming leads with their buyers, which `settled` tells.

    It is one statement, since the next checkpoint would write anew what several have written.
    """
    return f"""
INSERT INTO leads BY NAME
SELECT {_GIVEN}, settled.buyer_id, settled.is_repeat FROM ({coming}) AS coming JOIN settled USING (place)
"""  # noqa: S608


def told_of_versions(coming: str) -> str:
    """Return the SQL of what `lead_versions` is made from, of those of the coming leads that have several."""
    columns = "account, query_id, lead_date, source_api, content_hash, versions"
    return f"SELECT {columns} FROM ({coming}) WHERE versions IS NOT NULL"  # noqa: S608
