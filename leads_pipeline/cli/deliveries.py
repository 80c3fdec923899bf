"""`leads deliveries`: how many leads stand where on their way to each CRM, and which failed, and why."""

import json
from collections import Counter

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from leads_pipeline.cli.moments import ago, in_india, iso
from leads_pipeline.days import utc_now
from leads_pipeline.delivery.delivery_log import DeliveryLog
from leads_pipeline.delivery.outbox import Outbox
from leads_pipeline.delivery.outbox_rows import Delivery, DeliveryState
from leads_pipeline.settings import load_settings
from leads_pipeline.stages.deliver_leads import paused_until

_NOT_THERE = (DeliveryState.FAILED, DeliveryState.UNSURE, DeliveryState.PARKED, DeliveryState.HELD)
_MOST_LISTED = 200


def show_deliveries(account: str | None, destination: str | None, *, failed: bool, as_json: bool) -> None:
    """Print the counts by destination, or the leads that did not arrive with the reason of each."""
    settings = load_settings()
    if account is not None:
        settings.account(account)
    outbox, log = Outbox(settings.state_dir), DeliveryLog(settings.state_dir)
    if failed:
        rows = outbox.in_states(_NOT_THERE, account, destination) if outbox.exists else []
        _print_json(rows) if as_json else _print_failed(rows)
        return
    counts = outbox.counts() if outbox.exists else {}
    by_destination: dict[tuple[str, str], Counter[DeliveryState]] = {
        (one.account, one.name): Counter() for one in settings.destinations
    }
    for (owner, name, state), count in counts.items():
        by_destination.setdefault((owner, name), Counter())[state] += count
    chosen = {
        key: states
        for key, states in sorted(by_destination.items())
        if account in (None, key[0]) and destination in (None, key[1])
    }
    if as_json:
        facts = [{"account": key[0], "destination": key[1], **states} for key, states in chosen.items()]
        print(json.dumps(facts))
        return
    console = Console(soft_wrap=True, highlight=False, markup=False)
    if not chosen:
        console.print("No account delivers to a CRM yet; the README shows how to set it up.")
        return
    table = Table("Account", "Destination", box=SIMPLE_HEAD)
    for name in ("In the CRM", "To be tried again", "Held", "Parked"):
        table.add_column(name, justify="right")
    table.add_column("Last run")
    for (owner, name), states in chosen.items():
        done = sum(count for state, count in states.items() if state.is_done)
        waiting = states[DeliveryState.FAILED] + states[DeliveryState.UNSURE]
        table.add_row(
            *(owner, name, str(done), str(waiting), str(states[DeliveryState.HELD])),
            *(str(states[DeliveryState.PARKED]), _last_run(log, owner, name)),
        )
    console.print(table)
    for one in settings.destinations:
        pause = paused_until(log, one) if log.exists and (one.account, one.name) in chosen else None
        if pause is not None and pause > utc_now():
            console.print(
                f"{one.label} rests until {in_india(pause)}: {log.last_runs(one.account, one.name, 1)[0].reason} "
                "`leads deliver --retry` tries it at once."
            )


def _last_run(log: DeliveryLog, account: str, destination: str) -> str:
    runs = log.last_runs(account, destination, 1) if log.exists else []
    if not runs:
        return "never"
    return f"{ago(runs[0].ended_at, utc_now())}{': ' + runs[0].stop if runs[0].stop else ''}"


def _print_failed(rows: list[Delivery]) -> None:
    console = Console(soft_wrap=True, highlight=False, markup=False)
    if not rows:
        console.print("Every lead that was sent has arrived.")
        return
    table = Table("Day", "Destination", "QUERY_ID", "State", "Attempts", "Why", "Next try", box=SIMPLE_HEAD)
    now = utc_now()
    for row in rows[:_MOST_LISTED]:
        table.add_row(
            row.lead_date.isoformat(),
            f"{row.account}.{row.destination}",
            row.query_id,
            row.state.value,
            str(row.attempts),
            row.last_error,
            ago(row.next_try_at, now) if row.next_try_at else "",
        )
    console.print(table)
    if len(rows) > _MOST_LISTED:
        console.print(f"and {len(rows) - _MOST_LISTED} more; the table `deliveries` has them all.")
    console.print("Parked and held leads go out again when their content changes, or with `leads deliver --retry`.")


def _print_json(rows: list[Delivery]) -> None:
    facts = [
        {
            "account": row.account,
            "destination": row.destination,
            "query_id": row.query_id,
            "lead_date": row.lead_date.isoformat(),
            "state": row.state.value,
            "attempts": row.attempts,
            "last_error": row.last_error,
            "next_try_at": iso(row.next_try_at),
        }
        for row in rows
    ]
    print(json.dumps(facts))
