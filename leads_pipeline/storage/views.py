"""The views that answer analysts' usual questions, with comments, and the tables without personal data.

Days and times of day are India's whatever time zone the session has: they come from lead_date and query_time_ist.
Views that sum up are sorted as people want to read them: DuckDB filters before it sorts, and sorting few rows costs
next to nothing. The masked tables are not, for they have as many rows as the tables. Only what DuckDB 1.0 knows is
used, and no HUGEINT, which pandas reads as floats.
"""

from leads_pipeline.storage.delivery_views import DELIVERY_VIEWS
from leads_pipeline.storage.tables import API_CALLS, BUYERS, LEADS, Table
from leads_pipeline.storage.view import View


def _comments(table: Table, *names: str) -> dict[str, str]:
    comments = {column.name: column.comment for column in table.columns}
    return {name: comments[name] for name in names}


_ACCOUNT = {"account": "Seller account"}
_DAY = {"lead_date": "Day in India"}
_TYPE = _comments(LEADS, "query_type")
_LEADS = {"leads": "Leads"}
_REPEATS = {"repeat_leads": "Leads of buyers who had asked before"}
_REACH = {
    **_LEADS,
    "buyers": "Different buyers among them; a lead without number and address counts as none",
    **_REPEATS,
    "first_query_time": "When the first of them was asked",
    "last_query_time": "When the last of them was asked",
}
_REACH_OF_LEADS = """
  count(*) AS leads,
  count(DISTINCT buyer_id) AS buyers,
  count(*) FILTER (is_repeat) AS repeat_leads,
  min(query_time) AS first_query_time,
  max(query_time) AS last_query_time
FROM leads
"""

LEADS_PER_DAY = View(
    "leads_per_day",
    "Leads per day in India and query type; a day without leads has no row (the table coverage knows it)",
    {**_ACCOUNT, **_DAY, **_TYPE, **_LEADS, **_REPEATS},
    """
SELECT account, lead_date, query_type, count(*) AS leads, count(*) FILTER (is_repeat) AS repeat_leads
FROM leads GROUP BY ALL ORDER BY ALL
""",
)

LEADS_PER_WEEKDAY = View(
    "leads_per_weekday",
    "Leads per weekday in India and query type, of all days",
    {**_ACCOUNT, "weekday_number": "1 Monday to 7 Sunday", "weekday": "Name of the weekday", **_TYPE, **_LEADS},
    """
SELECT account, isodow(lead_date) AS weekday_number, dayname(lead_date) AS weekday, query_type, count(*) AS leads
FROM leads GROUP BY ALL ORDER BY ALL
""",
)

LEADS_PER_HOUR = View(
    "leads_per_hour",
    "Leads per weekday and hour of the day in India and query type, of all days",
    {
        **_ACCOUNT,
        "weekday_number": "1 Monday to 7 Sunday",
        "hour": "Hour of the day in India, 0 to 23",
        **_TYPE,
        **_LEADS,
    },
    """
SELECT account, isodow(lead_date) AS weekday_number, hour(query_time_ist) AS hour, query_type, count(*) AS leads
FROM leads GROUP BY ALL ORDER BY ALL
""",
)

LEADS_PER_PRODUCT = View(
    "leads_per_product",
    "Leads per product asked for and its category, most asked for first",
    {
        **_ACCOUNT,
        "product": "Product asked for; NULL where none was named, as in most calls",
        "category": "IndiaMART's category",
        **_REACH,
    },
    f"""
SELECT account, query_product_name AS product, query_mcat_name AS category, {_REACH_OF_LEADS}
GROUP BY ALL ORDER BY account, leads DESC, product, category
""",
)

LEADS_PER_CATEGORY = View(
    "leads_per_category",
    "Leads per category of the product asked for, most asked for first",
    {**_ACCOUNT, "category": "IndiaMART's category; NULL where none was named", **_REACH},
    f"""
SELECT account, query_mcat_name AS category, {_REACH_OF_LEADS}
GROUP BY ALL ORDER BY account, leads DESC, category
""",
)

LEADS_PER_CITY = View(
    "leads_per_city",
    "Leads per city of the buyer, most leads first",
    {**_ACCOUNT, "city": "Buyer's city", "state": "Buyer's state", "country_iso": "Buyer's country", **_REACH},
    f"""
SELECT account, sender_city AS city, sender_state AS state, sender_country_iso AS country_iso, {_REACH_OF_LEADS}
GROUP BY ALL ORDER BY account, leads DESC, city, state, country_iso
""",
)

LEADS_PER_STATE = View(
    "leads_per_state",
    "Leads per state of the buyer, most leads first",
    {**_ACCOUNT, "state": "Buyer's state", "country_iso": "Buyer's country", **_REACH},
    f"""
SELECT account, sender_state AS state, sender_country_iso AS country_iso, {_REACH_OF_LEADS}
GROUP BY ALL ORDER BY account, leads DESC, state, country_iso
""",
)

LEADS_PER_COUNTRY = View(
    "leads_per_country",
    "Leads per country of the buyer, most leads first",
    {**_ACCOUNT, "country_iso": "Buyer's country, two letters (ISO 3166)", **_REACH},
    f"""
SELECT account, sender_country_iso AS country_iso, {_REACH_OF_LEADS}
GROUP BY ALL ORDER BY account, leads DESC, country_iso
""",
)

CALLS_PER_DAY = View(
    "calls_per_day",
    "Buyers' calls (query type P) per day in India: answered when they lasted, else missed",
    {
        **_ACCOUNT,
        **_DAY,
        "calls": "Calls",
        "answered": "Calls that lasted",
        "missed": "Calls without a duration: IndiaMART says nothing else of them",
        "answered_share": "answered of calls, 0 to 1",
        "total_seconds": "Seconds of all calls together",
        "mean_seconds": "Mean seconds of an answered call; NULL if none was answered",
        "longest_seconds": "Seconds of the longest call; NULL if none was answered",
    },
    """
SELECT
  account,
  lead_date,
  count(*) AS calls,
  count(*) FILTER (call_duration > 0) AS answered,
  count(*) FILTER (coalesce(call_duration, 0) <= 0) AS missed,
  count(*) FILTER (call_duration > 0) / count(*) AS answered_share,
  coalesce(sum(call_duration), 0)::BIGINT AS total_seconds,
  avg(call_duration) FILTER (call_duration > 0) AS mean_seconds,
  max(call_duration) FILTER (call_duration > 0) AS longest_seconds
FROM leads WHERE query_type = 'P' GROUP BY ALL ORDER BY account, lead_date
""",
)

REPEAT_BUYERS = View(
    "repeat_buyers",
    "Buyers who asked more than once, most enquiries first",
    {column.name: column.comment for column in BUYERS.columns},
    "SELECT * FROM buyers WHERE enquiries > 1 ORDER BY account, enquiries DESC, last_query_time DESC, buyer_id",
)

ORDER_VALUE_PER_PRODUCT = View(
    "order_value_per_product",
    "What buyers say that their orders are worth, in rupees, per product of which some lead says it",
    {
        **_ACCOUNT,
        "product": "Product asked for",
        "leads": "Leads of the product",
        "leads_with_value": "Those of them that name an order value",
        "least_total_inr": "Sum of the least values; 'up to' counts as 0",
        "highest_total_inr": "Sum of the highest values; 'more than' counts with its least value",
        "median_inr": "Median of the middles of least and highest",
    },
    """
SELECT
  account,
  query_product_name AS product,
  count(*) AS leads,
  count(*) FILTER (order_value_min_inr IS NOT NULL OR order_value_max_inr IS NOT NULL) AS leads_with_value,
  coalesce(sum(order_value_min_inr), 0)::BIGINT AS least_total_inr,
  sum(coalesce(order_value_max_inr, order_value_min_inr))::BIGINT AS highest_total_inr,
  median((coalesce(order_value_min_inr, 0) + coalesce(order_value_max_inr, order_value_min_inr)) / 2) AS median_inr
FROM leads GROUP BY ALL HAVING leads_with_value > 0 ORDER BY account, highest_total_inr DESC, product
""",
)

FIRST_SEEN_PER_DAY = View(
    "first_seen_per_day",
    "How long after the enquiry leads were first seen, per day in India",
    {
        **_ACCOUNT,
        **_DAY,
        **_LEADS,
        "median_seconds": "Median seconds from query_time to first_seen_at, of leads that were not imported",
        "p90_seconds": "Nine in ten leads were seen within so many seconds",
        "most_seconds": "Seconds until the last was seen",
        "late_leads": "Leads first seen after the answer that first proved the whole day",
    },
    """
SELECT
  leads.account,
  leads.lead_date,
  count(*) AS leads,
  median(first_seen_after_seconds) FILTER (NOT is_imported) AS median_seconds,
  quantile_cont(first_seen_after_seconds, 0.9) FILTER (NOT is_imported) AS p90_seconds,
  max(first_seen_after_seconds) FILTER (NOT is_imported) AS most_seconds,
  count(*) FILTER (first_seen_at > first_complete_at AND NOT is_imported) AS late_leads
FROM (SELECT *, contains(response_id, '.import-') AS is_imported FROM leads) AS leads
LEFT JOIN coverage ON coverage.account = leads.account AND coverage.lead_date = leads.lead_date
GROUP BY ALL ORDER BY ALL
""",
)

_CALL = (
    *("call_id", "account", "source_api", "window_start", "window_end", "sent_at", "latency_seconds", "outcome"),
    *("code", "message", "records", "total_records", "response_id"),
)

LEADS_PER_API_CALL = View(
    "leads_per_api_call",
    "What came of each call to IndiaMART's API, newest first",
    {
        **_comments(API_CALLS, *_CALL),
        "leads_first_seen": "Leads that no earlier answer held",
        "leads_as_they_stand": "Leads whose content in the table leads is that of this answer",
    },
    f"""
SELECT
  {", ".join(f"api_calls.{name}" for name in _CALL)},
  coalesce(first_seen.leads, 0) AS leads_first_seen,
  coalesce(standing.leads, 0) AS leads_as_they_stand
FROM api_calls
LEFT JOIN (SELECT account, first_seen_at, count(*) AS leads FROM leads GROUP BY ALL) AS first_seen
  ON first_seen.account = api_calls.account
  AND first_seen.first_seen_at = coalesce(api_calls.received_at, api_calls.sent_at)
LEFT JOIN (SELECT response_id, count(*) AS leads FROM leads GROUP BY ALL) AS standing
  ON standing.response_id = api_calls.response_id
ORDER BY api_calls.call_id DESC
""",  # noqa: S608 - constants
)

_UNITS = (
    *("piece", "pieces", "pc", "pcs", "nos", "number", "unit", "units", "set", "sets", "pair", "pairs", "dozen"),
    *("kg", "kgs", "kilogram", "kilograms", "gram", "grams", "ton", "tons", "tonne", "tonnes", "metric ton"),
    *("metric tons", "quintal", "litre", "litres", "liter", "liters", "ml", "meter", "meters", "metre", "metres"),
    *("feet", "foot", "ft", "inch", "sq ft", "sqft", "square feet", "square foot", "square meter", "sq m"),
    *("cubic meter", "cubic feet", "bag", "bags", "bottle", "bottles", "box", "boxes", "carton", "cartons", "pack"),
    *("packs", "packet", "packets", "roll", "rolls", "sheet", "sheets", "bundle", "bundles", "barrel", "drum"),
    *("container", "truck", "acre", "hour", "day", "month", "year"),
)
_REQUIREMENT_TYPES = ("business use", "personal use", "reselling", "for reselling", "own use", "household use")
_LARGEST_MASKED = 1_000_000_000  # no mobile number of India's is below it, hardly any order above


def _if_known(column: str, known: tuple[str, ...]) -> str:
    """Return the SQL of a text that buyers can type themselves: as it is if it is known, else no more than 'other'."""
    texts = ", ".join(f"'{text}'" for text in known)
    return (
        f"CASE WHEN lower({column}) IN ({texts}) THEN {column} WHEN {column} IS NOT NULL THEN 'other' END AS {column}"
    )


def _if_no_number(column: str) -> str:
    """Return the SQL of an amount that a buyer may have typed a telephone number for."""
    return f"CASE WHEN {column} < {_LARGEST_MASKED} THEN {column} END AS {column}"


_ENQUIRY = (
    *("account", "query_id", "query_type", "query_time", "query_time_ist", "lead_date", "buyer_id", "is_repeat"),
    *("sender_city", "sender_state", "sender_country_iso", "query_product_name", "query_mcat_name", "call_duration"),
)
_AMOUNTS = ("quantity", "order_value_min_inr", "order_value_max_inr")
_SEEN = ("source_api", "first_seen_at", "last_seen_at", "first_seen_after_seconds", "fetched_at", "response_id")

LEADS_MASKED = View(
    "leads_masked",
    "Leads without personal data: no name, number, address, company, free text or unknown field",
    {
        **_comments(LEADS, *_ENQUIRY),
        **{
            column: f"{comment}; NULL from {_LARGEST_MASKED:,} on, which can be a telephone number"
            for column, comment in _comments(LEADS, *_AMOUNTS).items()
        },
        "quantity_unit": "Unit of quantity where it is a usual one (piece, kg, ...); other where it is none",
        "requirement_type": "What it is for where that is usual, such as Business Use; other where it is not",
        **_comments(LEADS, *_SEEN),
        "has_name": "Whether the buyer's name is known",
        "has_mobile": "Whether a mobile of the buyer is known",
        "has_phone": "Whether a landline of the buyer is known",
        "has_email": "Whether an e-mail address of the buyer is known",
        "has_company": "Whether the buyer's company is known",
        "has_address": "Whether the buyer's address is known",
        "has_message": "Whether the buyer wrote anything in their own words",
    },
    f"""
SELECT
  {", ".join(_ENQUIRY)},
  {", ".join(_if_no_number(column) for column in _AMOUNTS)},
  {_if_known("quantity_unit", _UNITS)},
  {_if_known("requirement_type", _REQUIREMENT_TYPES)},
  {", ".join(_SEEN)},
  sender_name IS NOT NULL AS has_name,
  coalesce(sender_mobile, sender_mobile_alt) IS NOT NULL AS has_mobile,
  coalesce(sender_phone, sender_phone_alt) IS NOT NULL AS has_phone,
  coalesce(sender_email, sender_email_alt) IS NOT NULL AS has_email,
  sender_company IS NOT NULL AS has_company,
  sender_address IS NOT NULL AS has_address,
  message_text IS NOT NULL AS has_message
FROM leads
""",  # noqa: S608 - constants
)

_PERSON = (
    *("account", "buyer_id", "city", "state", "country_iso", "enquiries", "web_enquiries", "buy_leads", "calls"),
    *("whatsapp_enquiries", "catalogue_views", "first_query_time", "last_query_time"),
    *("first_lead_date", "last_lead_date"),
)

BUYERS_MASKED = View(
    "buyers_masked",
    "Buyers without personal data: no name, number, address or company",
    {
        **_comments(BUYERS, *_PERSON),
        "has_name": "Whether a name of the buyer is known",
        "has_mobile": "Whether a mobile of the buyer is known",
        "has_email": "Whether an e-mail address of the buyer is known",
        "has_company": "Whether a company of the buyer is known",
    },
    f"""
SELECT
  {", ".join(_PERSON)},
  name IS NOT NULL AS has_name,
  len(mobiles) > 0 AS has_mobile,
  len(emails) > 0 AS has_email,
  company IS NOT NULL AS has_company
FROM buyers
""",  # noqa: S608 - constants
)

VIEWS = (
    *(LEADS_PER_DAY, LEADS_PER_WEEKDAY, LEADS_PER_HOUR, LEADS_PER_PRODUCT, LEADS_PER_CATEGORY),
    *(LEADS_PER_CITY, LEADS_PER_STATE, LEADS_PER_COUNTRY, CALLS_PER_DAY, REPEAT_BUYERS, ORDER_VALUE_PER_PRODUCT),
    *(FIRST_SEEN_PER_DAY, LEADS_PER_API_CALL, *DELIVERY_VIEWS, LEADS_MASKED, BUYERS_MASKED),
)
"""In the order in which people are shown them."""
