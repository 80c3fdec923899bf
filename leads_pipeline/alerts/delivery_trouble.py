"""What an account's deliveries to a CRM tell: keys refused, quota used up, leads that don't arrive. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from leads_pipeline.alerts.events import Finding
from leads_pipeline.delivery.crm import StopKind
from leads_pipeline.delivery.outbox_rows import DeliveryRun
from leads_pipeline.indiamart.outcomes import AlertLevel

RUNS_LOOKED_AT = 5
"""So many runs in a row may fail; so many runs' leads are summed up (contract: LeadSquared, 1.7)."""
MOST_FAILED = 0.3
_FEWEST_ROWS = 5
_KEYS = frozenset({StopKind.BAD_KEYS.value, StopKind.MISCONFIGURED.value})


@dataclass(frozen=True)
class DeliveryFacts:
    """What one destination of an account is judged by."""

    destination: str
    last_runs: Sequence[DeliveryRun]
    """Its last runs, newest first, RUNS_LOOKED_AT at most."""
    parked: int
    """Leads that were given up."""
    parked_reasons: Mapping[str, int] = field(default_factory=dict)
    """Of those, how many for which reason."""


def find_delivery_trouble(facts: DeliveryFacts, now: datetime) -> list[Finding]:
    """Return what is wrong with the destination now."""
    runs = facts.last_runs[:RUNS_LOOKED_AT]
    found = [_stop(facts, runs), _runs_failed(facts, runs), _rows_failed(facts, runs), _parked(facts, now)]
    return [finding for finding in found if finding is not None]


def _stop(facts: DeliveryFacts, runs: Sequence[DeliveryRun]) -> Finding | None:
    newest = runs[0] if runs else None
    if newest is None or not newest.stop:
        return None
    if newest.stop in _KEYS:
        text = (
            f"{newest.reason} Until that is mended nothing goes there; nothing is lost. `leads deliver check` tries it."
        )
        return _finding("delivery_keys", AlertLevel.CRITICAL, facts, text, newest.ended_at)
    if newest.stop == StopKind.QUOTA_USED_UP:
        text = f"{newest.reason} Leads wait until the CRM takes calls again; nothing is lost."
        return _finding("delivery_quota", AlertLevel.WARNING, facts, text, newest.ended_at)
    return None


def _runs_failed(facts: DeliveryFacts, runs: Sequence[DeliveryRun]) -> Finding | None:
    if len(runs) < RUNS_LOOKED_AT or not all(run.has_failed for run in runs):
        return None
    reason = next((run.reason for run in runs if run.reason), "`leads deliveries --failed` shows why.")
    text = f"{len(runs)} deliveries in a row failed. {reason} They are tried again, ever more slowly; nothing is lost."
    return _finding("delivery_runs_failed", AlertLevel.CRITICAL, facts, text, runs[-1].ended_at)


def _rows_failed(facts: DeliveryFacts, runs: Sequence[DeliveryRun]) -> Finding | None:
    failed = sum(run.failed + run.parked for run in runs)
    tried = failed + sum(run.done + run.held for run in runs)
    if tried < _FEWEST_ROWS or failed / tried <= MOST_FAILED:
        return None
    text = (
        f"{failed} of the last {tried} leads did not arrive. `leads deliveries --failed` and the view "
        "deliveries_not_arrived say why; they are tried again."
    )
    return _finding("delivery_rows_failed", AlertLevel.WARNING, facts, text, runs[-1].ended_at)


def _parked(facts: DeliveryFacts, now: datetime) -> Finding | None:
    if not facts.parked:
        return None
    most = max(facts.parked_reasons, key=facts.parked_reasons.__getitem__, default="")
    text = (
        f"{facts.parked} lead(s) were given up{f', most because of: {most}' if most else ''}. Mend the reason, then "
        f"`leads deliver --retry --destination {facts.destination}`; `leads deliveries --failed` lists them."
    )
    return _finding("delivery_parked", AlertLevel.WARNING, facts, text, now)


def _finding(kind: str, level: AlertLevel, facts: DeliveryFacts, text: str, since: datetime) -> Finding:
    return Finding(kind, level, f"Destination {facts.destination}: {text}", since, detail=facts.destination)
