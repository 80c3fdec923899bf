"""The `leads` command. Imports stay inside the commands, so that `leads --help` answers at once."""

import gc
import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from leads_pipeline import __version__
from leads_pipeline.cli.errors import report_errors

app = typer.Typer(
    name="leads",
    help=(
        "Pull every IndiaMART lead exactly once, keep it, and query it.\n\n"
        "Start with `leads demo` (no key needed), then `leads ui` and "
        '`leads query "select * from leads limit 5"`. For your own leads put INDIAMART_CRM_KEY into .env '
        "and run `leads doctor`, then `leads pull`."
    ),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

alerts_app = typer.Typer(
    help="See what is wrong now, and try out whether alerts arrive.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(alerts_app, name="alerts")

accounts_app = typer.Typer(
    help="List the accounts, or ask IndiaMART once whether an account's key works.", rich_markup_mode=None
)
app.add_typer(accounts_app, name="accounts")

deliver_app = typer.Typer(help="Send leads to the sellers' CRMs, or check keys and mapping.", rich_markup_mode=None)
app.add_typer(deliver_app, name="deliver")

_GARBAGE_THRESHOLDS = 30_000, 3, 3  # Python's own are 700, 10, 10

AccountOption = Annotated[str, typer.Option("--account", "-a", help="Account to work on.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


@app.command()
def demo(
    again: Annotated[bool, typer.Option("--again", help="Ask for the days that are complete already.")] = False,
    reset: Annotated[
        bool, typer.Option("--reset", help="Remove everything of the demo: leads, answers, runs.")
    ] = False,
    crm: Annotated[
        str | None,
        typer.Option("--crm", metavar="NAME", help="Also deliver the leads to a fake leadsquared or sharpspring."),
    ] = None,
) -> None:
    """Show the whole pipeline in a minute, without a key.

    Starts a fake IndiaMART on this machine, pulls the last 30 complete days of account `demo` from it with real
    Dagster runs, and publishes data/leads.duckdb. Run it again: nothing is asked twice.
    """
    from leads_pipeline.cli.demo import remove_demo, run_demo

    if reset:
        remove_demo()
    else:
        run_demo(again=again, crm=crm)


@app.command()
def pull(
    first: Annotated[
        str | None, typer.Option("--from", metavar="DAY", help="First day, YYYY-MM-DD, in India. Default: a week.")
    ] = None,
    last: Annotated[
        str | None, typer.Option("--to", metavar="DAY", help="Last day, included. Default: yesterday.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Also ask for days that are complete already.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print the windows, calls and time.")] = False,
    account: AccountOption = "indiamart",
) -> None:
    """Pull the leads of some days, by default the last 7 complete ones, with the fewest calls that IndiaMART allows.

    IndiaMART takes one call per 5 minutes for at most 7 days: a month is 5 calls and 21 minutes, a year 53 calls
    and four and a half hours. Stop it with Ctrl-C at any time; the next pull continues where it stopped.
    """
    from leads_pipeline.cli.pull import run_pull

    run_pull(account, first, last, again=again, dry_run=dry_run)


@app.command("import")
def import_answers(
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Files or folders; - for standard input.")],
    account: Annotated[str, typer.Option("--account", "-a", help="Account that the answers belong to.")],
    fetched_at: Annotated[
        str | None,
        typer.Option("--fetched-at", metavar="TIME", help="When they were fetched. Default: each file's newest lead."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count; store nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Import answers of IndiaMART (v1, v2 or push) that other tools saved, and tell what became of each file.

    JSON or JSON lines, also packed (gzip, zstd), are known by their shape. The same file again brings nothing new.
    Imported leads count like any others, but never make a day complete. A file that is no answer is refused whole;
    the exit code is 1 then.
    """
    from leads_pipeline.cli.import_answers import run_import

    run_import(paths, account, fetched_at, dry_run=dry_run, as_json=as_json)


@app.command()
def replay(
    first: Annotated[
        str | None, typer.Option("--from", metavar="DAY", help="First day, YYYY-MM-DD, in India. Default: all days.")
    ] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="DAY", help="Last day, included.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Only compare; exit code 1 if anything differs.")] = False,
    account: Annotated[str | None, typer.Option("--account", "-a", help="Account. Default: every account.")] = None,
) -> None:
    """Rebuild leads, quarantine and tables from the raw responses, without any call, and replace what differs.

    What stands must equal what the raw responses give, row for row; --check only tells whether it does, and where
    not. Use it after an update of this program, or when files were lost or changed. No lead is ever given up: if
    raw responses are missing, nothing is replaced.
    """
    from leads_pipeline.cli.replay import run_replay

    run_replay(account, first, last, check=check)


@app.command("compare-versions")
def compare_versions(
    *,
    first: Annotated[
        str | None, typer.Option("--from", metavar="DAY", help="First day, YYYY-MM-DD, in India. Default: all days.")
    ] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="DAY", help="Last day, included.")] = None,
    show_values: Annotated[
        bool, typer.Option("--show-values", help="Also show the values that differ: they are buyers' data.")
    ] = False,
    account: AccountOption = "indiamart",
    as_json: JsonOption = False,
) -> None:
    """Compare what the v1 and the v2 API brought of the same days, lead by lead and field by field. Makes no call.

    For a seller who moves from v1 to v2. Exit code 0 if v2 lacks nothing that v1 has, 1 otherwise. Days that only
    one of them was asked for completely are named and left out.
    """
    from leads_pipeline.cli.compare_versions import run_compare_versions

    run_compare_versions(account, first, last, as_json=as_json, show_values=show_values)


@app.command()
def status(
    days: Annotated[int, typer.Option(help="Also list the coverage of so many last days.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Show each account: last call, next free call slot, who waits, and which days are complete."""
    from leads_pipeline.cli.status import show_status

    show_status(days=days, as_json=as_json)


@app.command()
def query(
    sql: Annotated[
        str, typer.Argument(help="The query, for example: select query_type, count(*) from leads group by 1")
    ],
    as_json: JsonOption = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """Query the published tables and views, read-only; `leads tables` lists them.

    Times are shown as the clock in India shows them.
    """
    from leads_pipeline.cli.query import run_query

    run_query(sql, as_json=as_json, as_csv=csv)


@app.command()
def tables(
    name: Annotated[str | None, typer.Argument(help="A table or view, to see its columns.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the published tables and views with their rows and what they hold, or the columns of one of them."""
    from leads_pipeline.cli.tables import show_tables

    show_tables(name, as_json=as_json)


@app.command()
def export(
    *,
    first: Annotated[
        str | None, typer.Option("--from", metavar="DAY", help="First day, YYYY-MM-DD, in India. Default: a week.")
    ] = None,
    last: Annotated[
        str | None, typer.Option("--to", metavar="DAY", help="Last day, included. Default: yesterday.")
    ] = None,
    format_name: Annotated[
        str, typer.Option("--format", "-f", metavar="FORMAT", help="csv, parquet, or json (one object per line).")
    ] = "csv",
    masked: Annotated[bool, typer.Option("--masked", help="Leave out all personal data (view leads_masked).")] = False,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE", help="File to write; - for standard output (csv and json)."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it exists.")] = False,
    account: Annotated[str | None, typer.Option("--account", "-a", help="Account. Default: every account.")] = None,
) -> None:
    """Write the leads of some days into a file for other programs, by default the last 7 complete days as CSV.

    The file is written for you alone, whole or not at all, into this folder unless --output says where. Values are
    exactly those of the table, also texts that begin with = or +: in a spreadsheet import all columns as text.
    """
    from leads_pipeline.cli.export import run_export

    run_export(first, last, format_name, account=account, masked=masked, output=output, overwrite=overwrite)


@app.command()
def report(
    first: Annotated[
        str | None, typer.Option("--from", metavar="DAY", help="First day, YYYY-MM-DD, in India. Default: a year.")
    ] = None,
    last: Annotated[
        str | None, typer.Option("--to", metavar="DAY", help="Last day, included. Default: the newest.")
    ] = None,
    account: Annotated[str | None, typer.Option("--account", "-a", help="Account. Default: every account.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="File to write. Default: in data/reports.")
    ] = None,
    open_it: Annotated[bool, typer.Option("--open", help="Also open it in the browser.")] = False,
) -> None:
    """Write a report of the published leads as one HTML file with plots, and print where it is.

    Leads per day, kinds, hours, products, places, repeat buyers, lateness, and the state of the data. The file needs
    no network, fits a phone, and holds no personal data.
    """
    from leads_pipeline.cli.report import run_report

    run_report(account, first, last, output, open_it=open_it)


@deliver_app.callback(invoke_without_command=True)
def deliver(
    context: typer.Context,
    *,
    first: Annotated[
        str | None, typer.Option("--from", metavar="DAY", help="First day, YYYY-MM-DD, in India. Default: what is due.")
    ] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="DAY", help="Last day, included.")] = None,
    destination: Annotated[str | None, typer.Option("--destination", "-d", help="Default: every one.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be created, changed or held.")
    ] = False,
    retry: Annotated[bool, typer.Option("--retry", help="Try again what failed, was held or was parked.")] = False,
    account: Annotated[str | None, typer.Option("--account", "-a", help="Account. Default: every account.")] = None,
) -> None:
    """Send new and changed leads to the sellers' CRMs, with a receipt for each; never twice.

    Without days: what is due. With --from and --to: all leads of these days that the CRM does not have as they are
    now. Exit codes: 0 done (`leads deliveries --failed` names single leads that did not arrive), 1 the CRM stopped
    it, 3 a person must act.
    """
    if context.invoked_subcommand is None:
        from leads_pipeline.cli.deliver import run_deliver

        run_deliver(first, last, account=account, destination=destination, dry_run=dry_run, retry=retry)


@deliver_app.command("check")
def deliver_check(
    account: Annotated[str | None, typer.Option("--account", "-a", help="Account. Default: every account.")] = None,
    destination: Annotated[str | None, typer.Option("--destination", "-d", help="Default: every one.")] = None,
) -> None:
    """Ask each CRM whether the keys work and which fields it has, and compare the mapping with them. Sends no lead."""
    from leads_pipeline.cli.deliver import run_deliver_check

    run_deliver_check(account, destination)


@app.command()
def deliveries(
    *,
    failed: Annotated[bool, typer.Option("--failed", help="List the leads that did not arrive, and why.")] = False,
    account: Annotated[str | None, typer.Option("--account", "-a", help="Account. Default: every account.")] = None,
    destination: Annotated[str | None, typer.Option("--destination", "-d", help="Default: every one.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show how many leads stand in each CRM, wait, or did not arrive. Makes no call."""
    from leads_pipeline.cli.deliveries import show_deliveries

    show_deliveries(account, destination, failed=failed, as_json=as_json)


@app.command()
def ui(
    port: Annotated[int, typer.Option(help="Port on this machine.")] = 3000,
    demo: Annotated[
        bool, typer.Option("--demo", help="Also run the fake IndiaMART, to backfill account `demo`.")
    ] = False,
) -> None:
    """Open Dagster's web UI (with its daemon) on this machine: runs, backfills, schedules. Stop it with Ctrl-C."""
    from leads_pipeline.cli.ui import run_ui

    run_ui(port, with_demo=demo)


@app.command("fake-api")
def fake_api(
    port: Annotated[int, typer.Option(help="Port on this machine.")] = 8765,
    seed: Annotated[int, typer.Option(help="Decides the leads.")] = 7,
    key: Annotated[str, typer.Option(help="The CRM key that it accepts.")] = "",
    interval: Annotated[float, typer.Option(help="Seconds between two calls (IndiaMART: 300).")] = 2.0,
) -> None:
    """Run a faithful fake of IndiaMART's API on this machine, to try things out. Stop it with Ctrl-C."""
    from leads_pipeline.cli.fake_api import run_fake_api

    run_fake_api(port, seed, key, interval)


@app.command()
def doctor(as_json: JsonOption = False) -> None:
    """Check settings, folders, key, clock, versions and locks; says what to do. Makes no call."""
    from leads_pipeline.cli.doctor import run_doctor

    run_doctor(as_json=as_json)


@accounts_app.callback(invoke_without_command=True)
def accounts(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the accounts: key, age of the key, last good call, next free slot, days, schedules. Makes no call."""
    if context.invoked_subcommand is None:
        from leads_pipeline.cli.accounts import show_accounts

        show_accounts(as_json=as_json)


@accounts_app.command("check")
def accounts_check(
    name: Annotated[str, typer.Argument(help="The account.")],
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the call slot, however long it is closed.")] = False,
) -> None:
    """Ask IndiaMART once for yesterday with each key of the account, and say what the answer means.

    It goes through the call slot, and the answer is stored as any other. Exit codes: 0 the key works, 1 failed,
    3 a person must act, 4 the slot is not free yet (nothing was asked).
    """
    from leads_pipeline.cli.account_check import check_account

    check_account(name, wait=wait)


@alerts_app.command("test")
def alerts_test(as_json: JsonOption = False) -> None:
    """Send one test message to every address of LEADS_ALERT_URLS, and say whether it was taken."""
    from leads_pipeline.cli.alerts import send_test

    send_test(as_json=as_json)


@alerts_app.command("list")
def alerts_list(
    everything: Annotated[bool, typer.Option("--all", help="Also what is over.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what is wrong now: since when, what it means, what to do, and how many messages went out about it."""
    from leads_pipeline.cli.alerts import list_alerts

    list_alerts(everything=everything, as_json=as_json)


def start_quickly() -> None:
    """Let Python look for young garbage less often: while libraries are imported there is none to find."""
    gc.set_threshold(*_GARBAGE_THRESHOLDS)


def main() -> None:
    """Run the command; turn the program's errors into one clear text and an exit code."""
    start_quickly()
    logging.getLogger("leads_pipeline").addHandler(logging.NullHandler())  # a command says in its own words what is up
    with report_errors():
        app()
    sys.exit(0)
