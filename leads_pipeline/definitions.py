"""Everything that Dagster loads. Loads without a key and without a network; what needs a key says so when it runs."""

import warnings

import dagster as dg

from leads_pipeline.account_definitions import account_assets
from leads_pipeline.alert_sensors import build_alert_sensors
from leads_pipeline.assets.deliveries import build_deliveries
from leads_pipeline.assets.leads_report import build_leads_report
from leads_pipeline.assets.partitions import lead_days
from leads_pipeline.checks import build_account_checks
from leads_pipeline.delivery_sensors import build_delivery_job, build_delivery_sensor
from leads_pipeline.jobs import build_pull_job, build_report_job, replay_job
from leads_pipeline.schedules import build_report_schedule, build_schedules
from leads_pipeline.sensors import build_gap_sensor
from leads_pipeline.settings import Settings, load_settings
from leads_pipeline.stages.workspace import Workspace


def build_definitions(settings: Settings) -> dg.Definitions:
    """Return the definitions of an installation, over one workspace.

    Per account: four assets with their checks, a job, two schedules and a gap sensor; per destination an asset, a
    job and a sensor; for all the replay, the report with its schedule, and the sensors that alert people.
    """
    workspace = Workspace(settings)
    workspace.prepare()
    start = workspace.start_date()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # backfill policies; tests hold what we need of them
        others = dg.with_source_code_references(
            [build_deliveries(destination, lead_days(start)) for destination in settings.destinations]
            + [build_leads_report(settings.accounts)]
        )
    report_job = build_report_job()
    jobs = [(account, build_pull_job(account)) for account in settings.accounts]
    deliveries = [(destination, build_delivery_job(destination)) for destination in settings.destinations]
    return dg.Definitions(
        assets=[*(asset for account in settings.accounts for asset in account_assets(account, start)), *others],
        asset_checks=[check for account in settings.accounts for check in build_account_checks(account)],
        jobs=[*(job for _, job in jobs), *(job for _, job in deliveries), replay_job, report_job],
        schedules=[
            *(schedule for account, job in jobs for schedule in build_schedules(account, job, workspace)),
            build_report_schedule(report_job, workspace),
        ],
        sensors=[
            *(build_gap_sensor(account, job, workspace) for account, job in jobs),
            *(build_delivery_sensor(destination, job, workspace) for destination, job in deliveries),
            *build_alert_sensors(workspace),
        ],
        resources={"workspace": workspace},
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """Return the definitions of the installation that this folder and environment name."""
    return build_definitions(load_settings())
