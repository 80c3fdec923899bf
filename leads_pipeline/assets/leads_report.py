"""`leads_report`: one HTML page about the leads of all accounts, made from the published database.

It is no part of the chain, for two reasons: it has no days of its own, and the chain works only while all its assets
share one partitions definition; and a year's backfill would write it 53 times to be read once. A schedule writes it
at most once an hour, if anything new was published.
"""

from collections.abc import Sequence

import dagster as dg

from leads_pipeline.assets.border import stage_border
from leads_pipeline.report.queries import NothingToReportError
from leads_pipeline.settings import Account
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.stages.write_report import REPORT_NAME, ReportError, write_report
from leads_pipeline.storage.errors import StorageError

REPORT_GROUP = "reports"
"""A group of its own: the accounts' jobs take their groups."""


def build_leads_report(accounts: Sequence[Account]) -> dg.AssetsDefinition:
    """Return the asset that follows every account's database."""

    @dg.asset(
        name=REPORT_NAME,
        group_name=REPORT_GROUP,
        deps=[dg.AssetKey([account.name, "leads_database"]) for account in accounts],
        kinds={"html", "matplotlib"},
        tags={"leads/layer": "reports"},
        description=(
            "data/reports/leads_report.html: leads per day, kinds, hours, products, places, repeat buyers, lateness "
            "and the state of the data, as one file that needs nothing else and holds no personal data. The schedule "
            "`report` writes it when something new was published; materialize it to have it now."
        ),
    )
    def leads_report(
        context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]
    ) -> dg.MaterializeResult[None]:
        try:
            with stage_border():
                report = write_report(workspace.settings)
        except (ReportError, NothingToReportError, StorageError) as error:
            raise dg.Failure(str(error), allow_retries=False) from None
        context.log.info(f"Wrote {report.path.name}: {report.leads} lead(s) on {report.days} day(s).")
        return dg.MaterializeResult(
            metadata={
                "path": dg.MetadataValue.path(f"reports/{report.path.name}"),
                "version": report.version,
                "accounts": ", ".join(report.accounts),
                "days": report.days,
                "leads": report.leads,
                "bytes": report.size,
            }
        )

    return leads_report
