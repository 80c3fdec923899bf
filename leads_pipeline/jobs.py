"""Jobs: what people, schedules, sensors and commands start.

Dagster can retry in three ways, and each has one use here:

- `RetryRequested`, raised by `raw_responses` alone, for **waiting**: for the call slot, and after an outcome that
  passes by itself (`OutcomeRule.is_transient`). Only it takes a time of its own (the next free slot), shows the wait
  in the UI, and leaves other accounts' steps and the pool alone meanwhile. It shares one count with failures, so its
  bound lies far above any queue, and failed calls are counted in the call log instead
  (`stages.pull.MAX_TRANSIENT_FAILURES`). A permanent outcome is a `Failure` without retries: the step fails at once.
- `RetryPolicy` is set **nowhere**: it can't tell a rejected key from a slow network, knows nothing of the slot, and
  shares the count of `RetryRequested`. What makes the later stages fail (a full disk, a fault of the program) is
  there a minute later too; their days stay unmerged, and the gap sensor requests them again, ever more slowly.
- `run_retries` (dagster.yaml), once and never after a failed step, for **processes that died**: killed, out of
  memory, a restarted machine. Nothing is lost by starting again, for every stage continues where it stopped, and the
  slot that the dead process used stays used.
"""

from collections.abc import Mapping
from datetime import date

import dagster as dg

from leads_pipeline.settings import Account

ACCOUNT_TAG = "leads/account"


def pull_job_name(account: str) -> str:
    """Return the name of the account's job."""
    return f"pull_{account}"


def build_pull_job(account: Account) -> dg.JobDefinition:
    """Return the job that takes days of the account all the way from the API to the published database."""
    return dg.define_asset_job(  # type: ignore[return-value]
        pull_job_name(account.name),
        selection=dg.AssetSelection.groups(account.name),
        description=f"Pull days of account `{account.name}`: one call at most, then normalise, merge and publish.",
    )


def pull_request(
    account: Account,
    first: date,
    last: date,
    *,
    again: bool = False,
    priority: int = 0,
    tags: Mapping[str, str] | None = None,
) -> dg.RunRequest:
    """Return the request for one run of the account's job over the days from first to last, both included.

    `priority` counts in Dagster's queue of runs and in the queue for the call slot alike.
    """
    config = {"again": again, "priority": priority}
    return dg.RunRequest(
        run_config={"ops": {f"{account.name}__raw_responses": {"config": config}}},
        tags={
            "dagster/asset_partition_range_start": first.isoformat(),
            "dagster/asset_partition_range_end": last.isoformat(),
            "dagster/priority": str(priority),
            ACCOUNT_TAG: account.name,
            **(tags or {}),
        },
    )
