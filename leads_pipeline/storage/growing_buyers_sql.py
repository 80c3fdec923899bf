"""The SQL by which new leads are added to buyers, values bound. growing_buyers.py says when.

Temporary tables: `arrived` (the leads that are held), `arrived_key` (their identifiers), `met` (which of those belong
to a buyer; it is left to buyers_sql.py), `met_buyer` (the rows of these buyers, numbered from 0), and for the leads
that are added `settled`, `asked` and `said` as in buyers_sql.py, and `grown` (the new rows of their buyers).
"""

from leads_pipeline.storage.buyers_sql import ASKED, EACH_KEY, KEYS, TELLS, TOLD

MAKE_ARRIVED = f"CREATE TEMP TABLE arrived AS SELECT place, query_id, query_time, first_seen_at, {KEYS} FROM held"  # noqa: S608 - constants, as in all that follows
MAKE_ARRIVED_KEY = f"""
CREATE TEMP TABLE arrived_key AS SELECT * FROM (SELECT place, {EACH_KEY} FROM arrived) WHERE key IS NOT NULL
"""  # noqa: S608
MAKE_MET = """
CREATE TEMP TABLE met AS
SELECT key, buyer_id FROM pipeline.buyer_identifiers WHERE rowid IN (
  SELECT rowid FROM pipeline.buyer_identifiers WHERE account = ? AND key IN (SELECT key FROM arrived_key)
)
"""
"""By rowid, here as below, so that of all rows only the keys are read."""
MAKE_MET_BUYER = """
CREATE TEMP TABLE met_buyer AS
SELECT
  row_number() OVER () - 1 AS number, rowid AS place, *,
  buyer_id IN (SELECT buyer_id::UUID FROM gone WHERE buyer_id IS NOT NULL) AS loses
FROM buyers WHERE rowid IN (SELECT rowid FROM buyers WHERE buyer_id IN (SELECT buyer_id FROM met))
"""

ARRIVALS = """
SELECT epoch_us(query_time) AS query_time, epoch_us(first_seen_at) AS first_seen_at FROM arrived ORDER BY place
"""
MET = """
SELECT epoch_us(last_query_time) AS last_query_time, epoch_us(first_seen_at) AS first_seen_at, loses
FROM met_buyer ORDER BY number
"""
SHARED_KEYS = "SELECT place AS one, min(place) OVER (PARTITION BY key) AS other FROM arrived_key"
MEETINGS = """
SELECT arrived_key.place AS one, met_buyer.number AS other
FROM arrived_key JOIN met USING (key) JOIN met_buyer USING (buyer_id)
"""

MAKE_SETTLED = f"""
CREATE TEMP TABLE settled AS
SELECT
  place, row_number() OVER (ORDER BY query_time, query_id) AS enquiry, number AS first_lead, met_buyer.buyer_id,
  true AS is_repeat, {", ".join(f"{column}_key IS NOT NULL AS {column}_tells" for column in TELLS)}
FROM arrived JOIN incoming USING (place) JOIN met_buyer USING (number)
"""  # noqa: S608
MAKE_ASKED = f"CREATE TEMP TABLE asked AS SELECT {ASKED} FROM held JOIN settled USING (place)"  # noqa: S608

_ADDED = ("enquiries", "web_enquiries", "buy_leads", "calls", "whatsapp_enquiries", "catalogue_views")
_LISTS = ("names", "companies", "mobiles", "emails")
_PLACE = ("city", "state", "country_iso")


def _told_of_place(of: str) -> str:
    """Return the SQL of how much a buyer's row says of their place."""
    told = [f"WHEN {of}.{column} IS NOT NULL THEN {3 - rank}" for rank, column in enumerate(_PLACE)]
    return f"CASE {' '.join(told)} ELSE 0 END"


_TELLS_PLACE = f"{_told_of_place('told')} >= {_told_of_place('stood')}"

MAKE_GROWN = f"""
CREATE TEMP TABLE grown AS
SELECT
  stood.account,
  stood.buyer_id,
  coalesce(told.name, stood.name) AS name,
  coalesce(told.company, stood.company) AS company,
  {", ".join(f"list_sort(list_distinct(stood.{name} || told.{name})) AS {name}" for name in _LISTS)},
  {", ".join(f"CASE WHEN {_TELLS_PLACE} THEN told.{name} ELSE stood.{name} END AS {name}" for name in _PLACE)},
  {", ".join(f"stood.{name} + told.{name} AS {name}" for name in _ADDED)},
  stood.first_query_time,
  told.last_query_time,
  least(stood.first_lead_date, told.first_lead_date) AS first_lead_date,
  greatest(stood.last_lead_date, told.last_lead_date) AS last_lead_date,
  stood.first_seen_at
FROM met_buyer AS stood
JOIN ({TOLD}) AS told USING (buyer_id)
"""  # noqa: S608
CLEAR_GROWN = """
DELETE FROM buyers WHERE rowid IN (SELECT place FROM met_buyer WHERE buyer_id IN (SELECT buyer_id FROM grown))
"""
ADD_GROWN = "INSERT INTO buyers BY NAME SELECT * FROM grown"
ADD_IDENTIFIERS = """
INSERT INTO pipeline.buyer_identifiers BY NAME
SELECT DISTINCT grown.account, key, settled.buyer_id
FROM arrived_key JOIN settled USING (place) JOIN grown USING (buyer_id)
WHERE key NOT IN (SELECT key FROM met)
"""

DROP_SETTLED = "DROP TABLE settled; DROP TABLE asked; DROP TABLE said; DROP TABLE grown"
DROP_TEMPORARY = "DROP TABLE arrived; DROP TABLE arrived_key; DROP TABLE met_buyer"
