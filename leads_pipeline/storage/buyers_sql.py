"""The SQL by which buyers follow the leads of one account, values bound. buyers.py says in which order and why.

Temporary tables of one settling: `fresh` (leads whose buyer is open), `touched` (buyers that may change), `recalled`
(their leads), `scope` (all these leads, numbered from 0 in the order in which they were first seen: `lead`; `enquiry`
is their order of query_time), `lead_key` and `first_lead` (which of them has which identifier), `settled` (what each
of them shall say), `asked` (what those with a buyer hold), `said` (names and identifiers in that, each once),
`met` (buyers of identifiers of fresh leads), `standing` (identifiers as noted), `outdated` (which of them no longer
hold). The caller registers `gone` (leads as they stood before they changed or went),
`held` (leads that are still to be inserted) and `joined`. `place` is a lead's rowid; below zero in `held`.
"""

import duckdb

from leads_pipeline.storage.tables import LEADS

OPEN = "00000000-0000-0000-0000-000000000000"
"""What buyer_id says in a lead that was inserted or changed, until the same transaction settles it."""

# A number whose last eight digits are all the same, or run up or down, was typed to pass a form.
_RUNS = ("01234567890123456", "98765432109876543")
_TYPED_TO_PASS = "|".join(
    (
        *(f"{digit}{{8}}" for digit in range(10)),
        *(run[start : start + 8] for run in _RUNS for start in range(10)),
    )
)
_NOBODYS_MAILBOX = (
    "no[._-]?reply|do[._-]?not[._-]?reply|n[.]?a|nil|none|null|no[._-]?e?mail|no[._-]?id|not[._-]?available|unknown|"
    "test|testing|abcd?|xyz|dummy"
)

# Landlines are no identifiers: the people of one office or house share them.
TELLS = {
    column: f"NOT regexp_matches({column}, '{pattern}')"
    for pattern, columns in (
        (f"({_TYPED_TO_PASS})$", ("sender_mobile", "sender_mobile_alt")),
        (f"^({_NOBODYS_MAILBOX})@", ("sender_email", "sender_email_alt")),
    )
    for column in columns
}
"""Whether the value of each of these columns tells who asked; NULL where there is none."""

KEYS = ", ".join(f"CASE WHEN {tells} THEN hash({column}) END AS {column}_key" for column, tells in TELLS.items())
EACH_KEY = f"unnest([{', '.join(f'{column}_key' for column in TELLS)}]) AS key"
_SCOPED = f"place, query_id, query_time, first_seen_at, buyer_id::UUID AS buyer_id, is_repeat, {KEYS}"
_OPEN_LEADS = f"(SELECT rowid AS place, * FROM leads WHERE account = ? AND buyer_id = '{OPEN}') AS leads"  # noqa: S608

MAKE_FRESH = f"""
CREATE TEMP TABLE fresh AS SELECT {_SCOPED} FROM {_OPEN_LEADS} UNION ALL SELECT {_SCOPED} FROM held
"""  # noqa: S608 - constants, as in all that follows
MAKE_MET = f"""
CREATE TEMP TABLE met AS
SELECT key, buyer_id FROM pipeline.buyer_identifiers WHERE account = ? AND key IN (SELECT {EACH_KEY} FROM fresh)
"""  # noqa: S608
"""Needed unless growing_buyers.py has made it, for more leads than are fresh now."""
MAKE_TOUCHED = f"""
CREATE TEMP TABLE touched AS
SELECT DISTINCT buyer_id FROM (
  SELECT buyer_id::UUID AS buyer_id FROM gone WHERE buyer_id IS NOT NULL
  UNION ALL
  SELECT buyer_id FROM met WHERE key IN (SELECT {EACH_KEY} FROM fresh)
)
"""  # noqa: S608
MAKE_RECALLED = f"""
CREATE TEMP TABLE recalled AS
SELECT
  rowid AS place, query_id, query_type, query_time, lead_date, first_seen_at, sender_name, sender_company, sender_city,
  sender_state, sender_country_iso, {", ".join(TELLS)}, buyer_id, is_repeat
FROM leads WHERE rowid IN (
  SELECT rowid FROM leads WHERE account = ? AND buyer_id IN (SELECT buyer_id FROM touched)
)
"""  # noqa: S608
MAKE_SCOPE = f"""
CREATE TEMP TABLE scope AS
SELECT
  *,
  row_number() OVER (ORDER BY first_seen_at, query_id) - 1 AS lead,
  row_number() OVER (ORDER BY query_time, query_id) AS enquiry
FROM (SELECT * FROM fresh UNION ALL SELECT {_SCOPED} FROM recalled)
"""  # noqa: S608
MAKE_LEAD_KEY = f"""
CREATE TEMP TABLE lead_key AS SELECT * FROM (SELECT lead, {EACH_KEY} FROM scope) WHERE key IS NOT NULL
"""  # noqa: S608
MAKE_FIRST_LEAD = "CREATE TEMP TABLE first_lead AS SELECT key, min(lead) AS lead FROM lead_key GROUP BY key"

ENQUIRIES = "SELECT enquiry FROM scope ORDER BY lead"
SHARED = """
SELECT lead_key.lead AS one, first_lead.lead AS other FROM lead_key JOIN first_lead USING (key)
WHERE lead_key.lead <> first_lead.lead
"""

MAKE_SETTLED = f"""
CREATE TEMP TABLE settled AS
SELECT
  lead, place, enquiry, joined.first_lead, scope.buyer_id AS old_buyer_id, scope.is_repeat AS old_is_repeat,
  {", ".join(f"{column}_key IS NOT NULL AS {column}_tells" for column in TELLS)},
  CASE WHEN {" OR ".join(f"{column}_tells" for column in TELLS)} THEN founder.buyer_id END AS buyer_id,
  CASE WHEN {" OR ".join(f"{column}_tells" for column in TELLS)} THEN joined.is_repeat END AS is_repeat
FROM scope
JOIN joined USING (lead)
JOIN (
  SELECT lead AS first_lead, md5(? || chr(0) || query_id)::UUID AS buyer_id
  FROM scope WHERE lead IN (SELECT first_lead FROM joined)
) AS founder USING (first_lead)
"""  # noqa: S608
ASKED = f"""
  first_lead AS buyer, settled.buyer_id, enquiry, query_type, query_time, lead_date, first_seen_at, sender_name,
  sender_company, sender_city, sender_state, sender_country_iso,
  {", ".join(f"CASE WHEN {column}_tells THEN {column} END AS {column}" for column in TELLS)},
  enquiry + 1000000000000 * CASE
    WHEN sender_city IS NOT NULL THEN 3 WHEN sender_state IS NOT NULL THEN 2 WHEN sender_country_iso IS NOT NULL THEN 1
    ELSE 0
  END AS told_place
"""
MAKE_ASKED = "CREATE TEMP TABLE asked AS " + " UNION ALL ".join(  # noqa: S608
    f"SELECT {ASKED} FROM {leads} JOIN settled USING (place) WHERE settled.buyer_id IS NOT NULL"  # noqa: S608
    for leads in (_OPEN_LEADS, "held", "recalled")
)
MAKE_SAID = """
CREATE TEMP TABLE said AS
SELECT buyer, 'name' AS kind, sender_name AS value FROM asked WHERE sender_name IS NOT NULL
UNION SELECT buyer, 'company', sender_company FROM asked WHERE sender_company IS NOT NULL
UNION SELECT buyer, 'mobile', sender_mobile FROM asked WHERE sender_mobile IS NOT NULL
UNION SELECT buyer, 'mobile', sender_mobile_alt FROM asked WHERE sender_mobile_alt IS NOT NULL
UNION SELECT buyer, 'email', sender_email FROM asked WHERE sender_email IS NOT NULL
UNION SELECT buyer, 'email', sender_email_alt FROM asked WHERE sender_email_alt IS NOT NULL
"""

CLEAR_BUYERS = "DELETE FROM buyers WHERE buyer_id IN (SELECT buyer_id FROM touched)"
TOLD = """
SELECT asked.* EXCLUDE (buyer), said.* EXCLUDE (buyer)
FROM (
  SELECT
    buyer,
    any_value(buyer_id) AS buyer_id,
    arg_max(sender_name, enquiry) AS name,
    arg_max(sender_company, enquiry) AS company,
    arg_max_null(sender_city, told_place) AS city,
    arg_max_null(sender_state, told_place) AS state,
    arg_max_null(sender_country_iso, told_place) AS country_iso,
    count(*) AS enquiries,
    count(*) FILTER (query_type = 'W') AS web_enquiries,
    count(*) FILTER (query_type = 'B') AS buy_leads,
    count(*) FILTER (query_type = 'P') AS calls,
    count(*) FILTER (query_type = 'WA') AS whatsapp_enquiries,
    count(*) FILTER (query_type = 'BIZ') AS catalogue_views,
    min(query_time) AS first_query_time,
    max(query_time) AS last_query_time,
    min(lead_date) AS first_lead_date,
    max(lead_date) AS last_lead_date,
    min(first_seen_at) AS first_seen_at
  FROM asked GROUP BY buyer
) AS asked
JOIN (
  SELECT
    buyer,
    coalesce(list_sort(list(value) FILTER (kind = 'name')), []) AS names,
    coalesce(list_sort(list(value) FILTER (kind = 'company')), []) AS companies,
    coalesce(list_sort(list(value) FILTER (kind = 'mobile')), []) AS mobiles,
    coalesce(list_sort(list(value) FILTER (kind = 'email')), []) AS emails
  FROM said GROUP BY buyer
) AS said USING (buyer)
"""
"""What the leads in `asked` and `said` tell of each buyer, in the columns of buyers without the account."""
ADD_BUYERS = f"INSERT INTO buyers BY NAME SELECT ? AS account, * FROM ({TOLD}) ORDER BY last_query_time"  # noqa: S608
"""Who asked last comes last, here as when buyers grow: people ask again soon, so few blocks hold whom a pull meets."""
SET_BUYERS = """
UPDATE leads SET buyer_id = settled.buyer_id, is_repeat = settled.is_repeat FROM settled
WHERE leads.rowid = settled.place
AND (settled.buyer_id IS DISTINCT FROM old_buyer_id OR settled.is_repeat IS DISTINCT FROM old_is_repeat)
"""


def held_in(coming: str) -> str:
    """Return the SQL that holds leads which another SQL gives, in the columns of leads and `place`."""
    columns = ", ".join(column.name for column in LEADS.columns)
    return f"CREATE TEMP VIEW held AS SELECT {columns}, place FROM ({coming})"  # noqa: S608


DROP_HELD = "DROP VIEW held"
ADD_HELD = """
INSERT INTO leads BY NAME
SELECT held.* EXCLUDE (place) REPLACE (settled.buyer_id AS buyer_id, settled.is_repeat AS is_repeat)
FROM held JOIN settled USING (place)
"""

MAKE_STANDING = f"""
CREATE TEMP TABLE standing AS
SELECT key, buyer_id FROM met WHERE key IN (SELECT {EACH_KEY} FROM fresh)
UNION SELECT key, buyer_id FROM (
  SELECT buyer_id, {EACH_KEY} FROM (
    SELECT buyer_id::UUID AS buyer_id, {KEYS} FROM recalled
    UNION ALL SELECT buyer_id::UUID AS buyer_id, {KEYS} FROM gone WHERE buyer_id IS NOT NULL
  )
) WHERE key IS NOT NULL
"""  # noqa: S608
"""What is noted of these identifiers follows from the leads that had them: to look it up would read all notes."""
_SETTLED_KEYS = "SELECT key, buyer_id, lead FROM first_lead JOIN settled USING (lead)"
MAKE_OUTDATED = f"""
CREATE TEMP TABLE outdated AS SELECT key FROM standing ANTI JOIN ({_SETTLED_KEYS}) USING (key, buyer_id)
"""  # noqa: S608
ANY_OUTDATED = "SELECT 1 FROM outdated LIMIT 1"
CLEAR_IDENTIFIERS = """
DELETE FROM pipeline.buyer_identifiers WHERE rowid IN (
  SELECT rowid FROM pipeline.buyer_identifiers WHERE account = ? AND key IN (SELECT key FROM outdated)
)
"""
ADD_IDENTIFIERS = f"""
INSERT INTO pipeline.buyer_identifiers BY NAME
SELECT ? AS account, key, buyer_id FROM ({_SETTLED_KEYS}) ANTI JOIN standing USING (key, buyer_id) ORDER BY lead
"""  # noqa: S608

DROP_MET = "DROP TABLE met"
DROP_SCOPE = """
DROP TABLE fresh; DROP TABLE met; DROP TABLE scope; DROP TABLE lead_key; DROP TABLE first_lead; DROP TABLE standing;
DROP TABLE outdated
"""
DROP_ASKED = "DROP TABLE touched; DROP TABLE recalled; DROP TABLE asked; DROP TABLE said"
DROP_SETTLED = "DROP TABLE settled"
"""Each is dropped as soon as may be: of a million leads, all of them together take half a gigabyte."""

BUYER_RULES = (duckdb.__version__, KEYS, MAKE_SETTLED, MAKE_ASKED, MAKE_SAID, ADD_BUYERS)
"""What decides who is one buyer and what is told of them; when it changes, what stands in a store is of no use.

The keys are DuckDB's own hashes, which another version of it may make otherwise.
"""
