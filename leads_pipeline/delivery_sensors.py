"""The sensors that start deliveries: after each merge, when a failed lead is due again, and never while a CRM rests."""

from collections.abc import Callable
from datetime import datetime, timedelta

import dagster as dg

from leads_pipeline.assets.deliveries import delivery_asset_key
from leads_pipeline.assets.partitions import ACCOUNT_TAG, WINDOW_TAG, window_tag
from leads_pipeline.days import IST, utc_now
from leads_pipeline.delivery.delivery_log import DeliveryLog
from leads_pipeline.delivery.destination import Destination
from leads_pipeline.jobs import delivery_job_name
from leads_pipeline.run_queue import RANGE_END_TAG, RANGE_START_TAG, unfinished_runs
from leads_pipeline.stages.deliver_leads import days_due, paused_until
from leads_pipeline.stages.workspace import Workspace

DELIVERY_TAG = "leads/delivery"
"""The tag of the runs that deliver to a destination."""
_SECONDS_BETWEEN_LOOKS = 30
_WIDEST = timedelta(days=31)


def build_delivery_job(destination: Destination) -> dg.JobDefinition:
    """Return the job that delivers to the destination."""
    return dg.define_asset_job(  # type: ignore[return-value]
        delivery_job_name(destination.account, destination.name),
        selection=dg.AssetSelection.assets(delivery_asset_key(destination)),
        description=f"Deliver days of account `{destination.account}` to `{destination.name}`; what stands is skipped.",
        tags={ACCOUNT_TAG: destination.account, DELIVERY_TAG: destination.label},
    )


def build_delivery_sensor(
    destination: Destination, job: dg.JobDefinition, workspace: Workspace, clock: Callable[[], datetime] = utc_now
) -> dg.SensorDefinition:
    """Return the sensor that requests a run when a lead may be due; switched on, for a destination is configured."""

    @dg.sensor(
        name=f"{destination.account}__{destination.name}_deliveries",
        job=job,
        minimum_interval_seconds=_SECONDS_BETWEEN_LOOKS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            f"Delivers the account's leads to {destination.crm} after each merge, and those that failed when their "
            "next attempt is due. Rests after bad keys, a used-up quota, or while the CRM does not answer."
        ),
    )
    def deliveries(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        return decide_delivery(context.instance, workspace, destination, clock())

    return deliveries


def decide_delivery(
    instance: dg.DagsterInstance, workspace: Workspace, destination: Destination, now: datetime
) -> dg.RunRequest | dg.SkipReason:
    """Return the run that is to be made now, or why none is."""
    if not destination.has_keys:
        return dg.SkipReason(f"The keys are not set ({' and '.join(destination.key_places)}).")
    if unfinished_runs(instance, {DELIVERY_TAG: destination.label}):
        return dg.SkipReason("A delivery is queued or running.")
    log = DeliveryLog(workspace.settings.state_dir)
    pause = paused_until(log, destination) if log.exists else None
    if pause is not None and pause > now:
        reason = log.last_runs(destination.account, destination.name, 1)[0].reason
        return dg.SkipReason(f"Rests until {pause.astimezone(IST):%Y-%m-%d %H:%M:%S} IST: {reason}")
    days = days_due(workspace, destination, now)
    if not days:
        return dg.SkipReason("Nothing is due.")
    first = days[0]
    last = max(day for day in days if day - first < _WIDEST)
    return dg.RunRequest(
        tags={
            RANGE_START_TAG: first.isoformat(),
            RANGE_END_TAG: last.isoformat(),
            ACCOUNT_TAG: destination.account,
            DELIVERY_TAG: destination.label,
            WINDOW_TAG: window_tag(first, last),
        }
    )
