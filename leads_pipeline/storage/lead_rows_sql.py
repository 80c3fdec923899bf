"""The SQL by which a day's rows follow its file. `incoming` is the Arrow table of the file's leads.

The day is noted in variables, and not bound: the same statement can then read an Arrow table.
"""

from leads_pipeline.storage.tables import LEAD_BUYER_COLUMNS, LEADS

_GIVEN = ", ".join(column.name for column in LEADS.columns if column not in LEAD_BUYER_COLUMNS)
_DIGESTED = f"query_id, hash({_GIVEN}) AS digest"

NOTE_ACCOUNT = "SET VARIABLE account_of_day = ?"
NOTE_DAY = "SET VARIABLE day = ?"
_OF_DAY = "account = getvariable('account_of_day') AND lead_date = getvariable('day')"

MAKE_STAYING = f"""
CREATE TEMP TABLE staying AS
SELECT place, query_id
FROM (SELECT rowid AS place, {_DIGESTED} FROM leads WHERE {_OF_DAY})
JOIN (SELECT {_DIGESTED} FROM incoming) USING (query_id, digest)
"""  # noqa: S608 - constants, as in all that follows
"""The rows of the day that its file has as they stand."""
STAYING_IDS = "SELECT query_id FROM staying"
DROP_STAYING = "DROP TABLE staying"
LEAVING = f"{_OF_DAY} AND rowid NOT IN (SELECT place FROM staying)"  # noqa: S608
"""Tells the rows that are about to be deleted."""

ADD_LEADS = "INSERT INTO leads BY NAME SELECT * EXCLUDE (versions) FROM incoming"
DROP_LEADS = f"DELETE FROM leads WHERE {LEAVING}"  # noqa: S608
ADD_LEAD_VERSIONS = "INSERT INTO lead_versions BY NAME SELECT * FROM incoming ORDER BY account, query_id, version"
DROP_LEAD_VERSIONS = f"DELETE FROM lead_versions WHERE {_OF_DAY}"  # noqa: S608
