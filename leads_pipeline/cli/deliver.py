"""`leads deliver`: what is due goes to the CRMs, or is only shown (--dry-run); and `leads deliver check`."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from rich.console import Console
from rich.table import Table

from leads_pipeline.cli.day_range import day_range
from leads_pipeline.cli.errors import FAILED, NEEDS_A_PERSON, USAGE, CommandError
from leads_pipeline.days import days_between, utc_now
from leads_pipeline.delivery.crm import Crm, CrmStopError, RemoteLead, Stop, StopKind
from leads_pipeline.delivery.destination import Destination
from leads_pipeline.delivery.due import Verdict
from leads_pipeline.delivery.mapping_check import check_mapping
from leads_pipeline.delivery.outbox_rows import DeliveryState
from leads_pipeline.delivery.sending import Sent
from leads_pipeline.settings import Settings, load_settings
from leads_pipeline.stages.deliver_leads import DeliveryError, LeadDelivery, Planned, days_due, destinations_of
from leads_pipeline.stages.publish_tables import publish_tables
from leads_pipeline.stages.workspace import Workspace

_BY_HAND = "command"
"""The run id of deliveries that a command makes."""
_MOST_LOOKED_UP = 50
_RETRIED = (DeliveryState.PARKED, DeliveryState.FAILED, DeliveryState.HELD, DeliveryState.UNSURE)
_WIDEST_VALUE = 60


def run_deliver(
    first: str | None,
    last: str | None,
    *,
    account: str | None,
    destination: str | None,
    dry_run: bool,
    retry: bool,
) -> None:
    """Deliver what is due, or all of some days; CommandError if a destination stops before its end."""
    settings = load_settings()
    days = _days(first, last)
    chosen = _chosen(settings, account, destination)
    workspace = Workspace(settings)
    workspace.prepare()
    console = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
    stopped: list[Stop] = []
    for one in chosen:
        try:
            delivery = LeadDelivery(workspace, one, _BY_HAND)
        except DeliveryError as error:  # the others go on
            stopped.append(Stop(StopKind.MISCONFIGURED, str(error)))
            continue
        if dry_run:
            wanted = days_due(workspace, one, utc_now()) if days is None else days
            show_plan(delivery, one, wanted, by_hand=days is not None)
            continue
        sent = _deliver(delivery, one, workspace, days, console, retry=retry)
        if sent.stop:
            stopped.append(replace(sent.stop, reason=f"{one.label}: {sent.stop.reason}"))
    if not dry_run:
        publish_tables(workspace, lambda _: None)
    if stopped:
        raise _stopped(stopped)


def _stopped(stops: Sequence[Stop]) -> CommandError:
    """Return what the command ends with after these stops."""
    needs_a_person = any(stop.kind in (StopKind.BAD_KEYS, StopKind.MISCONFIGURED) for stop in stops)
    return CommandError(" ".join(stop.reason for stop in stops), NEEDS_A_PERSON if needs_a_person else FAILED)


def _deliver(
    delivery: LeadDelivery,
    destination: Destination,
    workspace: Workspace,
    days: list[date] | None,
    console: Console,
    *,
    retry: bool,
) -> Sent:
    if retry:
        again = delivery.outbox.try_again(destination.account, destination.name, _RETRIED, days)
        return delivery.deliver(again, console.print)
    if days is None:
        return delivery.deliver(days_due(workspace, destination, utc_now()), console.print)
    return delivery.deliver(days, console.print, by_hand=True)


def _days(first: str | None, last: str | None) -> list[date] | None:
    if first is None and last is None:
        return None
    return days_between(*day_range(first, last, "Nothing was sent."))


def _chosen(settings: Settings, account: str | None, name: str | None) -> list[Destination]:
    accounts = [account] if account else sorted({one.account for one in settings.destinations})
    if account:
        settings.account(account)
    if not accounts:
        raise CommandError(
            "No account delivers to a CRM yet. Deliveries are set up in the accounts file, in a table "
            "[accounts.NAME.deliver.leadsquared] or .sharpspring; the README shows one.",
            USAGE,
        )
    try:
        found = [one for each in accounts for one in _named(settings, each, name, strict=account is not None)]
    except DeliveryError as error:
        raise CommandError(str(error), USAGE) from None
    if not found:
        known = ", ".join(sorted({one.name for one in settings.destinations}))
        raise CommandError(f"There is no destination {name!r}. Destinations: {known}.", USAGE)
    return found


def _named(settings: Settings, account: str, name: str | None, *, strict: bool) -> list[Destination]:
    if strict or name is None:
        return destinations_of(settings.destinations, account, name)
    return [one for one in settings.destinations if (one.account, one.name) == (account, name)]


def show_plan(
    delivery: LeadDelivery,
    destination: Destination,
    days: Sequence[date],
    *,
    by_hand: bool,
    most: int = _MOST_LOOKED_UP,
) -> None:
    """Print what would be created, changed field by field, or held of the days' leads; nothing is sent.

    The first `most` leads are looked up in the CRM; of the rest only the number is told.
    """
    plans = list(delivery.plan(days, by_hand=by_hand))
    due = [plan for plan in plans if plan.verdict is Verdict.SEND]
    looked_up = due[:most]
    try:
        found = delivery.crm.find([plan.candidate.lead for plan in looked_up]) if looked_up else {}
        kept = _kept_fields(destination, delivery.crm) if found else frozenset()
    except CrmStopError as error:
        raise _stopped([error.stop]) from None
    table = Table("Day", "QUERY_ID", "What", "Field", "In the CRM", "From the lead", title=destination.label)
    table.title_justify = "left"
    for plan in looked_up:
        standing = found.get(plan.candidate.lead.query_id)
        if standing is not None:
            _add_standing(table, plan, standing, _changes(plan, standing, destination, kept))
        else:
            _add_new(table, plan, destination, delivery.crm)
    console = Console(soft_wrap=True, highlight=False, markup=False)
    if table.row_count:
        console.print(table)
    counts = Counter(plan.verdict for plan in plans)
    console.print(
        f"{destination.label}: {len(due)} lead(s) would be sent, {counts[Verdict.SUPERSEDE]} are older than what "
        f"their record holds, {counts[Verdict.WAIT]} wait for their next attempt, {counts[Verdict.SKIP]} stand as "
        f"they should.{_rest(len(due), most)} Nothing was sent."
    )


def _rest(due: int, looked_up: int) -> str:
    rest = due - looked_up
    return f" The first {looked_up} were looked up; {rest} more would be sent." if rest > 0 else ""


def _kept_fields(destination: Destination, crm: Crm) -> frozenset[str]:
    """Return the fields, by name and label, that no update touches."""
    if destination.update != "not_unique_fields":
        return frozenset()
    return frozenset(name for field in crm.fields() if field.is_unique for name in (field.name, field.label))


def _changes(
    plan: Planned, standing: RemoteLead, destination: Destination, kept: frozenset[str]
) -> dict[str, str] | None:
    """Return the texts that the record would get, by field; None if it is to be left as it is."""
    if destination.sync in ("create_only", "nothing"):
        return None
    only_empty = destination.update == "only_empty_fields"
    return {
        name: value
        for name, value in plan.candidate.lead.values.items()
        if name not in kept
        and (not standing.values.get(name) if only_empty else standing.values.get(name, "") != value)
    }


def _add_new(table: Table, plan: Planned, destination: Destination, crm: Crm) -> None:
    lead = plan.candidate.lead
    start = (plan.candidate.lead_date.isoformat(), lead.query_id)
    if crm.key_of(lead) is None:
        table.add_row(*start, "held", "", "", "nothing that the CRM could know it by")
        return
    what = "create" if destination.sync in ("create_and_update", "create_only") else "held"
    for name, value in lead.values.items():
        table.add_row(*start, what, name, "", _shortened(value))
        start, what = ("", ""), ""


def _add_standing(table: Table, plan: Planned, standing: RemoteLead, changes: dict[str, str] | None) -> None:
    start = (plan.candidate.lead_date.isoformat(), plan.candidate.lead.query_id)
    if not changes:
        what = "keep" if changes is None else "same"
        table.add_row(*start, what, "", f"record {standing.remote_id}", "")
        return
    what = "change"
    for name, value in changes.items():
        table.add_row(*start, what, name, _shortened(standing.values.get(name, "")), _shortened(value))
        start, what = ("", ""), ""


def _shortened(value: str) -> str:
    text = " ".join(value.split())
    return text if len(text) <= _WIDEST_VALUE else f"{text[:_WIDEST_VALUE]}…"


def run_deliver_check(account: str | None, destination: str | None) -> None:
    """Ask each CRM who the keys belong to and which fields it has, and compare the mapping with them."""
    settings = load_settings()
    chosen = _chosen(settings, account, destination)
    workspace = Workspace(settings)
    workspace.prepare()
    console = Console(soft_wrap=True, highlight=False, markup=False)
    errors = 0
    for one in chosen:
        try:
            crm = LeadDelivery(workspace, one, _BY_HAND).crm
            console.print(f"{one.label}: {crm.check()}")
            findings = check_mapping(one, crm.fields())
        except DeliveryError as error:
            raise CommandError(str(error), NEEDS_A_PERSON) from None
        except CrmStopError as error:
            raise _stopped([replace(error.stop, reason=f"{one.label}: {error.stop.reason}")]) from None
        for finding in findings:
            console.print(f"  {'error' if finding.is_error else 'note'}: {finding.field}: {finding.text}")
            errors += finding.is_error
        if not findings:
            console.print(f"  all {len(one.fields)} mapped fields are there.")
    if errors:
        raise CommandError(f"{errors} field(s) of the mapping don't fit; correct them in the accounts file.", FAILED)
