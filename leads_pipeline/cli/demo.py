"""`leads demo`: the whole way on a fake IndiaMART, and its removal."""

import shutil
from dataclasses import replace

from rich.console import Console
from rich.table import Table

from leads_pipeline.alerts.ledger import Ledger
from leads_pipeline.cli.demo_crm import crm_name, run_crm_demo
from leads_pipeline.cli.fake_api import demo_api
from leads_pipeline.cli.instance import open_instance
from leads_pipeline.cli.pull import pull_days
from leads_pipeline.days import days_between
from leads_pipeline.delivery.outbox import Outbox
from leads_pipeline.demo_setup import DemoSetup, setup_file
from leads_pipeline.jobs import accounts_of
from leads_pipeline.settings import DEMO_ACCOUNT, Settings, demo_account, load_settings
from leads_pipeline.stages.checking.new_names import known_names_file
from leads_pipeline.stages.publish_tables import publish_tables
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.stages.write_report import remove_reports_of
from leads_pipeline.storage.published_reader import open_published

_SUMMARY = """
SELECT query_type AS type, count(*) AS leads, count(DISTINCT sender_mobile) AS buyers,
       min(query_time_ist)::VARCHAR AS first, max(query_time_ist)::VARCHAR AS last
FROM leads WHERE account = ? GROUP BY ALL ORDER BY leads DESC
"""
_NEXT = """Try next:
  leads query "select query_product_name, count(*) n from leads group by 1 order by n desc limit 10"
  leads ui --demo     (the runs, the assets and a backfill of the demo at http://127.0.0.1:3000)
  leads report        (one page with plots)
  leads status
  leads demo --crm leadsquared   (the way on to a CRM; or sharpspring)"""


def run_demo(*, again: bool, crm: str | None = None) -> None:
    """Pull the demo's days and show what came in; with a CRM's name also deliver them to a fake of it."""
    settings = load_settings()
    chosen = crm_name(crm) if crm else None
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    with demo_api(settings) as setup:
        console.print(f"A fake IndiaMART answers on this machine ({setup.url}).", highlight=False)
        account = demo_account(setup)
        others = tuple(other for other in settings.accounts if other.name != account.name)
        with_demo = replace(settings, accounts=(*others, account))
        pull_days(with_demo, account, days_between(*setup.days), again=again, console=console)
    _summarise(with_demo, setup)
    if chosen:
        run_crm_demo(with_demo, setup, chosen, console)
    else:
        Console(soft_wrap=True, highlight=False).print(_NEXT)


def _summarise(settings: Settings, setup: DemoSetup) -> None:
    first, last = setup.days
    with open_published(settings.database) as connection:
        result = connection.execute(_SUMMARY, [DEMO_ACCOUNT])
        columns, rows = [column[0] for column in result.description], result.fetchall()
    total = sum(row[1] for row in rows)
    table = Table(title=f"{total} leads from {first} to {last} in {settings.database.name}", title_justify="left")
    for column in columns:
        table.add_column(column, justify="right" if column in ("leads", "buyers") else "left")
    for row in rows:
        table.add_row(*(str(value) for value in row))
    console = Console(soft_wrap=True, highlight=False)
    console.print(table)


def remove_demo() -> None:
    """Remove the demo's answers, leads, runs, alerts and settings; the other accounts keep theirs."""
    settings = load_settings()
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    if not settings.data_dir.exists():
        console.print("There is no demo to remove.")
        return
    workspace = Workspace(settings)
    workspace.prepare()
    _remove_runs(settings)
    data = settings.data_dir
    for folder in (
        data / "raw" / DEMO_ACCOUNT,
        data / "leads" / f"account={DEMO_ACCOUNT}",
        data / "quarantine" / f"account={DEMO_ACCOUNT}",
        settings.state_dir / "normalized" / DEMO_ACCOUNT,
        settings.state_dir / "lead_ids" / DEMO_ACCOUNT,
        settings.state_dir / "day_changes" / DEMO_ACCOUNT,
        settings.state_dir / f"replay-{DEMO_ACCOUNT}",
    ):
        shutil.rmtree(folder, ignore_errors=True)
    workspace.catalog.forget(DEMO_ACCOUNT)
    workspace.slots.forget(DEMO_ACCOUNT)
    if (outbox := Outbox(settings.state_dir)).exists:
        outbox.forget(DEMO_ACCOUNT)
    Ledger(settings.state_dir).forget(DEMO_ACCOUNT)  # after the runs and calls, which a sensor would take in again
    remove_reports_of(settings, DEMO_ACCOUNT)
    for file in (known_names_file(settings.state_dir, DEMO_ACCOUNT), setup_file(settings.state_dir)):
        file.unlink(missing_ok=True)
    if settings.database.exists():
        publish_tables(workspace, lambda _: None, rebuild=True)
        _remove_old_versions(settings)
    console.print("The demo is removed.")


def _remove_old_versions(settings: Settings) -> None:
    """Remove the published versions from before the removal; who has one open keeps it until they close it."""
    current = settings.database.resolve()
    for path in (settings.data_dir / "published").glob("*.duckdb*"):  # with what a client left beside it
        if not path.name.startswith(current.name):
            path.unlink()


def _remove_runs(settings: Settings) -> None:
    with open_instance(settings) as instance:
        for run in instance.get_runs():
            if accounts_of(run) == frozenset([DEMO_ACCOUNT]):
                instance.delete_run(run.run_id)
                instance.compute_log_manager.delete_logs(prefix=[run.run_id])
                for path in (settings.dagster_home / "history" / "runs").glob(f"{run.run_id}.db*"):
                    path.unlink()  # deleting a run's events leaves its empty database
        keys = [key for key in instance.all_asset_keys() if key.path[0] == DEMO_ACCOUNT]
        if keys:
            instance.wipe_assets(keys)
