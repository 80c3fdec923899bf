"""What one account's silence tells: no successful call while the key dies, too few leads, days that lack. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from leads_pipeline.alerts.events import Finding
from leads_pipeline.alerts.few_leads import find_few_leads
from leads_pipeline.alerts.wording import length, moment
from leads_pipeline.days import ONE_DAY, day_end, day_of, day_start
from leads_pipeline.indiamart.outcomes import AlertLevel

WARN_AFTER = timedelta(days=3)
CRITICAL_AFTER = timedelta(days=5)
GAP_AGE = timedelta(days=1)
"""A past day may lack for so long before anybody is told."""


@dataclass(frozen=True)
class SilenceFacts:
    """Everything that one account's silence is judged by."""

    account: str
    now: datetime
    watched_since: datetime
    """When alerts first saw the account with a key."""
    last_success_at: datetime | None = None
    first_call_at: datetime | None = None
    """The account's first call of all."""
    lacking: tuple[date, ...] = ()
    """Past days that the account should have, could be had, are not complete and not in progress; in order."""
    counts: Mapping[date, int] = field(default_factory=dict)
    """Leads of each complete day of the last weeks."""
    key_life: timedelta = timedelta(days=7)
    """A key that no call succeeds with for so long expires."""


def find_silence(facts: SilenceFacts) -> list[Finding]:
    """Return what is found; for accounts with a key only."""
    found = [_no_success(facts), _few_leads(facts), _coverage_gap(facts)]
    return [finding for finding in found if finding is not None]


def _no_success(facts: SilenceFacts) -> Finding | None:
    since = facts.last_success_at or facts.first_call_at or facts.watched_since
    silent = facts.now - since
    if silent < WARN_AFTER:
        return None
    level = AlertLevel.CRITICAL if silent >= CRITICAL_AFTER else AlertLevel.WARNING
    before = "The last call that succeeded was" if facts.last_success_at else "No call has succeeded since"
    left = since + facts.key_life - facts.now
    end = f"in {length(left)}" if left > timedelta(0) else "by now, perhaps"
    return Finding(
        "no_success",
        level,
        f"{before} {moment(since)}, {length(silent)} ago. A key that is not used for {facts.key_life.days} days "
        f"expires: {end}. See that the daemon runs (`leads ui`), that schedules are on (LEADS_SCHEDULES_ON, or the "
        "UI's Automation page), and what `leads status` and `leads doctor` say; `leads pull` makes a call at once.",
        since,
    )


def _few_leads(facts: SilenceFacts) -> Finding | None:
    few = find_few_leads(facts.counts, day_of(facts.now) - ONE_DAY)
    if few is None:
        return None
    return Finding(
        "few_leads",
        AlertLevel.WARNING,
        f"{few.leads} lead(s) came where the weeks before let expect about {few.expected:.0f}: by the account's own "
        f"history the chance of so few is {few.chance:.2g}. It can be a holiday. If not, compare with the seller "
        "panel's Lead Manager: are leads there that are not here, are products switched off, is the key of another "
        "seller account?",
        day_start(few.first),
        few.first,
        few.last,
    )


def _coverage_gap(facts: SilenceFacts) -> Finding | None:
    old = [day for day in facts.lacking if facts.now - day_end(day) >= GAP_AGE]
    if not old or facts.now - facts.watched_since < GAP_AGE:
        return None
    days = "1 past day lacks" if len(old) == 1 else f"{len(old)} past days lack"
    return Finding(
        "coverage_gap",
        AlertLevel.WARNING,
        f"{days} for more than a day, so reports of them are not complete. `leads pull --account {facts.account} "
        f"--from {old[0]} --to {old[-1]}` asks for them with the fewest calls; the sensor {facts.account}_gaps does so "
        "by itself when it is on (the UI's Automation page). IndiaMART serves a day for a year.",
        day_end(old[0]),
        old[0],
        old[-1],
    )
