"""`<destination>_deliveries`: an account's leads in one CRM, with a receipt for each."""

import dagster as dg

from leads_pipeline.assets.border import stage_border
from leads_pipeline.assets.partitions import ACCOUNT_TAG, BACKFILL_POLICY, report_days, run_days
from leads_pipeline.delivery.destination import Destination
from leads_pipeline.delivery.sending import Sent
from leads_pipeline.stages.deliver_leads import DeliveryError, LeadDelivery
from leads_pipeline.stages.publish_tables import publish_tables
from leads_pipeline.stages.workspace import Workspace

DELIVERY_GROUP = "deliveries"
"""A group of its own: the accounts' jobs take their groups, and a pull must not wait for a CRM."""
DELIVERIES_SUFFIX = "_deliveries"
"""What the names of these assets end in."""
STOP_LABEL = "stop"
"""The metadata of a failure that names why the CRM could not be told more."""


def delivery_asset_key(destination: Destination) -> dg.AssetKey:
    """Return the key of the destination's asset."""
    return dg.AssetKey([destination.account, f"{destination.name}{DELIVERIES_SUFFIX}"])


def build_deliveries(destination: Destination, days: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """Return the asset that delivers the account's leads to the destination."""
    key = delivery_asset_key(destination)

    @dg.asset(
        key=key,
        group_name=DELIVERY_GROUP,
        partitions_def=days,
        backfill_policy=BACKFILL_POLICY,
        deps=[dg.AssetKey([destination.account, "leads"])],
        kinds={destination.crm},
        tags={ACCOUNT_TAG: destination.account, "leads/layer": "deliveries"},
        description=(
            f"The account's new and changed leads in {destination.crm} (destination `{destination.label}`). What "
            "stands there as it should is not sent again; receipts are in the tables deliveries and "
            "delivery_attempts. The sensor starts it after each merge."
        ),
    )
    def deliveries(
        context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]
    ) -> dg.MaterializeResult[None]:
        try:
            with stage_border():
                delivery = LeadDelivery(workspace, destination, context.run.run_id)
                sent = delivery.deliver(run_days(context), context.log.info)
                publish_tables(workspace, context.log.info)
        except DeliveryError as error:
            raise dg.Failure(str(error), metadata={STOP_LABEL: "no_keys"}, allow_retries=False) from None
        if sent.stop is not None:
            raise dg.Failure(
                sent.stop.reason, metadata={STOP_LABEL: sent.stop.kind.value, **_facts(sent)}, allow_retries=False
            )
        report_days(context, {}, run_facts=_facts(sent))
        return dg.MaterializeResult()

    return deliveries


def _facts(sent: Sent) -> dict[str, int]:
    return {
        "in_the_crm": sent.done,
        "waiting": sent.waiting,
        **{state.value: count for state, count in sorted(sent.states.items())},
    }
