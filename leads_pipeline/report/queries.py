"""The facts from the published database: a few queries, values bound, over columns without personal data alone.

Leads are read through the view leads_masked, which has no personal column; of calls and alerts no words are read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from leads_pipeline.alerts.causes import KINDS
from leads_pipeline.countries import country_name
from leads_pipeline.days import days_between
from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline.report.facts import (
    COMPLETE,
    UNASKED,
    WAITS,
    Buyers,
    Counted,
    Day,
    DeliveredTo,
    Health,
    Lateness,
    OpenAlert,
    Period,
    Ranking,
    ReportFacts,
    SectionFacts,
)
from leads_pipeline.settings import DEMO_ACCOUNT
from leads_pipeline.storage.errors import StorageError
from leads_pipeline.storage.published_reader import open_published

LONGEST_DEFAULT = timedelta(days=364)
"""How long before its last day a report begins at the earliest, if nobody says: both days are in it."""
_TOP = 25
_MOST_ENQUIRIES = 5
_CALLS_SINCE = timedelta(days=30)
_WORST_FIRST = (UNASKED, "partial", "not_yet_available", "out_of_reach", COMPLETE)

_PUBLICATION = "SELECT version, published_at FROM publication"

_ACCOUNTS = """
SELECT account, min(lead_date), max(lead_date)
FROM (SELECT account, lead_date FROM coverage UNION ALL SELECT account, lead_date FROM leads_masked)
GROUP BY account ORDER BY account
"""

_LEADS_OF_DAYS = """
SELECT lead_date, coalesce(query_type, ''), sum(leads)::BIGINT
FROM leads_per_day
WHERE list_contains($accounts, account) AND lead_date BETWEEN $first AND $last
GROUP BY ALL ORDER BY ALL
"""

_STATES_OF_DAYS = """
SELECT DISTINCT lead_date, state FROM coverage
WHERE list_contains($accounts, account) AND lead_date BETWEEN $first AND $last
"""

_HOURS = """
SELECT isodow(lead_date) - 1, hour(query_time_ist), count(*)
FROM leads_masked
WHERE list_contains($accounts, account) AND lead_date BETWEEN $first AND $last
GROUP BY ALL
"""

_RANKINGS = """
WITH labelled AS (
  SELECT
    unnest(['product', 'state', 'city', 'country']) AS kind,
    unnest([
      query_product_name, sender_state, concat_ws(', ', sender_city, sender_state), sender_country_iso
    ]) AS label,
    sender_city IS NULL AS no_city
  FROM leads_masked
  WHERE list_contains($accounts, account) AND lead_date BETWEEN $first AND $last
), counted AS (
  SELECT kind, CASE WHEN kind = 'city' AND no_city THEN NULL ELSE label END AS label, count(*) AS leads
  FROM labelled GROUP BY ALL
)
SELECT
  kind, label, leads,
  count(label) OVER (PARTITION BY kind),
  coalesce(sum(leads) FILTER (label IS NOT NULL) OVER (PARTITION BY kind), 0)::BIGINT
FROM counted
QUALIFY row_number() OVER (PARTITION BY kind ORDER BY label IS NULL DESC, leads DESC, label) <= $most + 1
ORDER BY kind, leads DESC, label
"""

_BUYERS = """
WITH per_buyer AS (
  SELECT account, buyer_id, count(*) AS leads, count(*) FILTER (is_repeat) AS repeat_leads
  FROM leads_masked
  WHERE list_contains($accounts, account) AND lead_date BETWEEN $first AND $last AND buyer_id IS NOT NULL
  GROUP BY ALL
)
SELECT least(leads, $most) AS enquiries, count(*), sum(leads)::BIGINT, sum(repeat_leads)::BIGINT
FROM per_buyer GROUP BY ALL ORDER BY ALL
"""

_CALLS_OF_BUYERS = """
SELECT count(*), count(*) FILTER (call_duration > 0)
FROM leads_masked
WHERE list_contains($accounts, account) AND lead_date BETWEEN $first AND $last AND query_type = 'P'
"""

_SEEN = """
WITH seen AS (
  SELECT
    leads_masked.first_seen_after_seconds AS seconds,
    coverage.first_complete_at IS NOT NULL AS is_proven,
    leads_masked.first_seen_at > coverage.first_complete_at AS is_late,
    coalesce(
      coverage.first_complete_at > (leads_masked.lead_date + 2)::TIMESTAMP AT TIME ZONE 'Asia/Kolkata', false
    ) AS is_afterwards
  FROM leads_masked LEFT JOIN coverage USING (account, lead_date)
  WHERE list_contains($accounts, account) AND lead_date BETWEEN $first AND $last
    AND NOT contains(leads_masked.response_id, '.import-')
)
"""

_WAITS = f"""
{_SEEN}
SELECT
  is_afterwards,
  CASE WHEN seconds < 900 THEN 0 WHEN seconds < 3600 THEN 1 WHEN seconds < 10800 THEN 2 WHEN seconds < 21600 THEN 3
       WHEN seconds < 86400 THEN 4 WHEN seconds < 172800 THEN 5 WHEN seconds < 604800 THEN 6 ELSE 7 END AS wait,
  count(*)
FROM seen GROUP BY ALL
"""  # noqa: S608 - constants

_LATENESS = f"""
{_SEEN}
SELECT
  quantile_cont(seconds, 0.5) FILTER (NOT is_afterwards),
  quantile_cont(seconds, 0.9) FILTER (NOT is_afterwards),
  count(*) FILTER (is_proven),
  count(*) FILTER (is_late)
FROM seen
"""  # noqa: S608 - constants

_RECORDS = """
SELECT
  (SELECT count(*) FROM leads_masked WHERE list_contains($accounts, account)),
  (SELECT count(*) FROM quarantine WHERE list_contains($accounts, account))
"""

_API_CALLS = """
WITH per_account AS (
  SELECT
    max(sent_at) FILTER (list_contains($good, outcome)) AS last_good_call,
    count(*) FILTER (sent_at >= $since) AS calls,
    count(*) FILTER (sent_at >= $since AND list_contains($good, outcome)) AS good_calls
  FROM api_calls WHERE list_contains($accounts, account) GROUP BY account
)
SELECT min(last_good_call), coalesce(sum(calls), 0)::BIGINT, coalesce(sum(good_calls), 0)::BIGINT FROM per_account
"""

_OPEN_ALERTS = """
SELECT account, cause, level, first_event_at FROM alerts
WHERE list_contains($accounts, account) AND state = 'open'
ORDER BY level = 'critical' DESC, first_event_at, account, cause
"""


_DELIVERIES = """
SELECT
  account,
  destination,
  count(*) FILTER (delivered_at IS NOT NULL OR state = 'superseded'),
  count(*) FILTER (delivered_after_seconds > 3600),
  count(*) FILTER (delivered_at IS NULL AND state IN ('failed', 'unsure')),
  count(*) FILTER (delivered_at IS NULL AND state = 'held'),
  count(*) FILTER (delivered_at IS NULL AND state = 'parked'),
  median(epoch(first_delivered_at - query_time))
FROM deliveries WHERE list_contains($accounts, account) AND lead_date BETWEEN $first AND $last
GROUP BY ALL ORDER BY ALL
"""

_NOT_ARRIVED = """
SELECT account, destination, last_error, count(*) AS leads
FROM deliveries
WHERE list_contains($accounts, account) AND lead_date BETWEEN $first AND $last
  AND delivered_at IS NULL AND state IN ('failed', 'unsure', 'held', 'parked')
GROUP BY ALL ORDER BY leads DESC, last_error
"""


class NothingToReportError(RuntimeError):
    """There is nothing to write a report about; the text says why, and what to do."""


@dataclass(frozen=True)
class ReportRequest:
    """What to report: an account's days from `first` to `last`, both included; None for all accounts or no end."""

    account: str | None = None
    first: date | None = None
    last: date | None = None


def read_facts(database: Path, request: ReportRequest) -> ReportFacts:
    """Read the facts, all from one published version.

    Without an account they are of every account, the demo only if there is no other; without days of the last
    365 that are known. NothingToReportError if there is no such account or day, StorageError if there is no database
    or one of another version of the program.
    """
    with open_published(database) as connection:
        try:
            return _facts(connection, request)
        except duckdb.Error as error:
            raise StorageError(
                f"The database can't be read for a report ({type(error).__name__}): another version of the program "
                "wrote it. `leads replay` makes it again."
            ) from None


def _facts(connection: duckdb.DuckDBPyConnection, request: ReportRequest) -> ReportFacts:
    [(version, published_at)] = connection.execute(_PUBLICATION).fetchall()
    known = {row[0]: Period(row[1], row[2]) for row in connection.execute(_ACCOUNTS).fetchall()}
    chosen = _chosen(known, request.account)
    period = _period(request, [known[account] for account in chosen])
    accounts = tuple(account for account in chosen if known[account].within(period).days)
    if not accounts:
        spans = "; ".join(f"{account} {known[account].first} to {known[account].last}" for account in chosen)
        raise NothingToReportError(f"There is nothing of the days asked for; the database knows of {spans}.")
    groups = [accounts, *((account,) for account in accounts)] if len(accounts) > 1 else [accounts]
    sections = []
    for group in groups:
        first, last = min(known[account].first for account in group), max(known[account].last for account in group)
        sections.append(_Section(connection, group, Period(first, last).within(period), published_at).facts())
    return ReportFacts(version, published_at, period, tuple(sections))


def _chosen(known: Mapping[str, Period], account: str | None) -> list[str]:
    if account is None and known:
        return [name for name in known if name != DEMO_ACCOUNT] or [*known]  # made-up leads are no leads
    if account is None:
        raise NothingToReportError("No day was pulled yet. Pull some first (`leads pull --from DAY --to DAY`).")
    if account not in known:
        raise NothingToReportError(
            f"The database holds nothing of an account {account!r}. It has: {', '.join(known) or 'none yet'}."
        )
    return [account]


def _period(request: ReportRequest, known: Sequence[Period]) -> Period:
    """Return the days asked for, as far as there are any known ones; of all days the last year."""
    first, last = min(one.first for one in known), max(one.last for one in known)
    last = min(last, request.last or last)
    return Period(max(first, request.first or last - LONGEST_DEFAULT), last)


@dataclass(frozen=True)
class _Section:
    """Reads the facts of one account, or of several together."""

    connection: duckdb.DuckDBPyConnection
    accounts: tuple[str, ...]
    period: Period
    published_at: datetime

    def facts(self) -> SectionFacts:
        rankings = self._rankings()
        [(calls, answered_calls)] = self._in_period(_CALLS_OF_BUYERS)
        return SectionFacts(
            name=self.accounts[0] if len(self.accounts) == 1 else "",
            accounts=self.accounts,
            days=self._days(),
            hours=self._hours(),
            products=rankings["product"],
            states=rankings["state"],
            cities=rankings["city"],
            countries=rankings["country"],
            buyers=self._buyers(),
            calls=calls,
            answered_calls=answered_calls,
            lateness=self._lateness(),
            health=self._health(),
            published_at=self.published_at,
            deliveries=self._deliveries(),
        )

    def _rows(self, statement: str, **values: object) -> list[tuple[Any, ...]]:
        return self.connection.execute(statement, {"accounts": list(self.accounts), **values}).fetchall()

    def _in_period(self, statement: str, **values: object) -> list[tuple[Any, ...]]:
        return self._rows(statement, first=self.period.first, last=self.period.last, **values)

    def _days(self) -> tuple[Day, ...]:
        by_type: dict[date, dict[str, int]] = {}
        for day, query_type, leads in self._in_period(_LEADS_OF_DAYS):
            by_type.setdefault(day, {})[query_type] = leads
        states: dict[date, set[str]] = {}
        for day, state in self._in_period(_STATES_OF_DAYS):
            states.setdefault(day, set()).add(state)
        return tuple(
            Day(day, _worst(states.get(day, set())), by_type.get(day, {}))
            for day in days_between(self.period.first, self.period.last)
        )

    def _hours(self) -> tuple[tuple[int, ...], ...]:
        leads = {(weekday, hour): count for weekday, hour, count in self._in_period(_HOURS)}
        return tuple(tuple(leads.get((weekday, hour), 0) for hour in range(24)) for weekday in range(7))

    def _rankings(self) -> dict[str, Ranking]:
        rankings = {kind: Ranking(()) for kind in ("product", "state", "city", "country")}
        for kind, label, leads, labels, all_leads in self._in_period(_RANKINGS, most=_TOP):
            found = replace(rankings[kind], labels=labels, leads=all_leads)
            if label is None:
                rankings[kind] = replace(found, unnamed=leads)
            elif len(found.top) < _TOP:
                shown = country_name(label) if kind == "country" else label
                rankings[kind] = replace(found, top=(*found.top, Counted(shown, leads)))
        return rankings

    def _buyers(self) -> Buyers:
        rows = self._in_period(_BUYERS, most=_MOST_ENQUIRIES)
        return Buyers(
            leads=sum(row[2] for row in rows),
            repeat_leads=sum(row[3] for row in rows),
            by_enquiries=tuple(Counted(_enquiries(row[0]), row[1]) for row in rows),
        )

    def _lateness(self) -> Lateness:
        waits = {(is_afterwards, wait): leads for is_afterwards, wait, leads in self._in_period(_WAITS)}
        [(median, most, on_proven_days, late)] = self._in_period(_LATENESS)
        return Lateness(
            as_they_went=tuple(waits.get((False, wait), 0) for wait in range(len(WAITS))),
            afterwards=tuple(waits.get((True, wait), 0) for wait in range(len(WAITS))),
            median_seconds=median,
            most_seconds=most,
            on_proven_days=on_proven_days,
            late=late,
        )

    def _deliveries(self) -> tuple[DeliveredTo, ...]:
        reasons: dict[tuple[str, str], list[Counted]] = {}
        for account, destination, reason, leads in self._in_period(_NOT_ARRIVED):
            reasons.setdefault((account, destination), []).append(Counted(reason, leads))
        destinations = (DeliveredTo(*row) for row in self._in_period(_DELIVERIES))
        return tuple(
            replace(one, reasons=tuple(reasons.get((one.account, one.destination), ())[:_TOP])) for one in destinations
        )

    def _health(self) -> Health:
        [(leads, quarantined)] = self._rows(_RECORDS)
        good = [outcome.value for outcome in Outcome if outcome.rule.is_success]
        [(last_good_call, calls, good_calls)] = self._rows(
            _API_CALLS, good=good, since=self.published_at - _CALLS_SINCE
        )
        return Health(
            last_good_call=last_good_call,
            calls=calls,
            good_calls=good_calls,
            records=leads + quarantined,
            quarantined=quarantined,
            alerts=tuple(
                OpenAlert(account, KINDS[cause].title if cause in KINDS else cause.replace("_", " "), level, since)
                for account, cause, level, since in self._rows(_OPEN_ALERTS)
            ),
        )


def _worst(states: set[str]) -> str:
    """Return the state that most is lacking in; a day that coverage does not know was not asked for."""
    return next((state for state in _WORST_FIRST if state in states), UNASKED)


def _enquiries(number: int) -> str:
    if number == _MOST_ENQUIRIES:
        return f"{number} or more enquiries"
    return "1 enquiry" if number == 1 else f"{number} enquiries"
