"""`leads alerts`: what is wrong now, and whether messages about it arrive. Neither makes a call."""

import json
import sqlite3

import typer
from rich.console import Console
from rich.table import Table

from leads_pipeline.alerts.causes import State
from leads_pipeline.alerts.channels import Channel, NotDeliveredError, open_channels
from leads_pipeline.alerts.due import Stage
from leads_pipeline.alerts.ledger import AlertRecord, Ledger
from leads_pipeline.cli.errors import FAILED, CommandError
from leads_pipeline.cli.moments import ago, in_india, iso
from leads_pipeline.days import utc_now
from leads_pipeline.settings import Settings, load_settings


def send_test(as_json: bool) -> None:
    """Send one test message to every channel; exit with 1 if one does not take it."""
    settings = load_settings()
    channels = open_channels(settings.alert_urls, frozenset(account.name for account in settings.accounts))
    if not channels:
        raise CommandError(
            "No channel is set: put LEADS_ALERT_URLS=... into .env. .env.example shows how addresses are written."
        )
    problems = {channel.address.label: _problem(channel, settings) for channel in channels}
    if as_json:
        print(json.dumps([{"channel": label, "delivered": not why, "problem": why} for label, why in problems.items()]))
    else:
        for label, why in problems.items():
            print(f"{label}: not delivered: {why}" if why else f"{label}: delivered")
    if any(problems.values()):
        raise typer.Exit(FAILED)


def _problem(channel: Channel, settings: Settings) -> str:
    address = channel.address
    whose = f"account {address.account}" if address.account else "all accounts"
    body = (
        f"This is a test: alerts of leads_pipeline arrive here. Those of {whose} from level {address.level} up will. "
        "Nothing is wrong, and nothing need be done."
    )
    if settings.ui_url:
        body += f"\n\nDagster's UI: {settings.ui_url}"
    try:
        channel.send("[leads] Test of the alerts", body, address.level, Stage.FIRST)
    except NotDeliveredError as error:
        return str(error)
    return ""


def list_alerts(*, everything: bool, as_json: bool) -> None:
    """Print the open causes, oldest first; with `everything` also those that are over."""
    settings = load_settings()
    try:
        records = Ledger(settings.state_dir).records()
    except (OSError, sqlite3.Error) as error:
        raise CommandError(
            f"The alerts can't be read ({type(error).__name__}). Run this as the user who runs the pipeline."
        ) from None
    shown = [record for record in records if everything or record.cause.state is State.OPEN]
    if as_json:
        print(json.dumps([_facts(record) for record in shown], indent=1, ensure_ascii=False))
        return
    if not shown:
        print("Nothing is wrong now, as far as the alert sensors know (they run with `leads ui`).")
        return
    _print(shown)


def _facts(record: AlertRecord) -> dict[str, object]:
    cause = record.cause
    return {
        "alert": cause.cause_id,
        "account": cause.account,
        "cause": cause.kind_name,
        "detail": cause.detail,
        "title": cause.kind.title,
        "level": cause.level.value,
        "state": cause.state.value,
        "what": cause.what,
        "since": iso(cause.first_event_at),
        "last_event": iso(cause.last_event_at),
        "resolved": iso(cause.resolved_at),
        "events": cause.count,
        "first_day": cause.first_day and cause.first_day.isoformat(),
        "last_day": cause.last_day and cause.last_day.isoformat(),
        "run": cause.run_id or None,
        "messages": record.messages,
        "last_message": iso(record.last_sent_at),
    }


def _print(records: list[AlertRecord]) -> None:
    now = utc_now()
    table = Table("Alert", "Account", "Level", "Since", "What, and what to do", "Messages")
    for record in records:
        cause = record.cause
        over = f"\nOver since {in_india(cause.resolved_at)}." if cause.resolved_at else ""
        sent = f"{record.messages}, last {ago(record.last_sent_at, now)}" if record.last_sent_at else "none"
        table.add_row(
            str(cause.cause_id),
            cause.account,
            cause.level.value,
            f"{in_india(cause.first_event_at)}\n{cause.count} time(s)",
            f"{cause.kind.title}. {cause.what}{over}",
            sent,
        )
    Console(highlight=False, markup=False, emoji=False).print(table)
