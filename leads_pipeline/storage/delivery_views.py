"""The views over deliveries to CRMs: what arrived, how fast, and why the rest did not."""

from leads_pipeline.storage.view import View

_WHERE = {"account": "Seller account", "destination": "The CRM account, as the accounts file calls it"}
_DONE = "('created', 'updated', 'unchanged', 'kept', 'superseded')"

DELIVERIES_PER_DAY = View(
    "deliveries_per_day",
    "Leads per day in India and CRM: how many arrived, wait, are held or parked, and how fast they arrived",
    {
        **_WHERE,
        "lead_date": "Day in India",
        "leads": "Leads of the day that go there",
        "in_the_crm": "Those that the CRM has as it should",
        "to_be_tried_again": "Those that failed and are tried again",
        "held": "Those that can't be sent as they are",
        "parked": "Those that were given up",
        "median_minutes_after_seen": "Half arrived within so many minutes after the program first saw them",
        "median_minutes_after_query": "Half arrived within so many minutes after the buyer asked: the speed to lead",
        "most_minutes_after_query": "Nine of ten arrived within so many minutes after the buyer asked",
    },
    f"""
SELECT
  account,
  destination,
  lead_date,
  count(*) AS leads,
  count(*) FILTER (state IN {_DONE}) AS in_the_crm,
  count(*) FILTER (state IN ('failed', 'unsure')) AS to_be_tried_again,
  count(*) FILTER (state = 'held') AS held,
  count(*) FILTER (state = 'parked') AS parked,
  round(median(delivered_after_seconds) / 60, 1) AS median_minutes_after_seen,
  round(median(epoch(first_delivered_at - query_time)) / 60, 1) AS median_minutes_after_query,
  round(quantile_cont(epoch(first_delivered_at - query_time), 0.9) / 60, 1) AS most_minutes_after_query
FROM deliveries GROUP BY ALL ORDER BY ALL
""",  # noqa: S608 - constants
)

DELIVERIES_NOT_ARRIVED = View(
    "deliveries_not_arrived",
    "Leads that a CRM lacks, by reason",
    {
        **_WHERE,
        "state": "failed or unsure (to be tried again), held (can't be sent as it is), parked (given up)",
        "reason": "Why, in words",
        "leads": "Leads",
        "oldest_query_time": "When the first of them was asked",
    },
    f"""
SELECT account, destination, state, last_error AS reason, count(*) AS leads, min(query_time) AS oldest_query_time
FROM deliveries WHERE state NOT IN {_DONE} GROUP BY ALL ORDER BY leads DESC, account, destination, state, reason
""",  # noqa: S608 - constants
)

DELIVERY_VIEWS = (DELIVERIES_PER_DAY, DELIVERIES_NOT_ARRIVED)
