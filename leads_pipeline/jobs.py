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

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import dagster as dg

from leads_pipeline.assets.border import stage_border
from leads_pipeline.assets.deliveries import DELIVERIES_SUFFIX
from leads_pipeline.assets.leads_report import REPORT_GROUP
from leads_pipeline.assets.partitions import ACCOUNT_TAG as ACCOUNT_TAG  # noqa: PLC0414 - the jobs' tag, for whoever looks at their runs
from leads_pipeline.assets.partitions import WINDOW_TAG, window_tag
from leads_pipeline.settings import Account, SettingsError
from leads_pipeline.stages.replay import (
    Replayed,
    ReplayRequest,
    accounts_to_replay,
    days_to_replay,
    replay,
)
from leads_pipeline.stages.replay_scratch import ReplayError
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.storage.errors import StorageError
from leads_pipeline.storage.process_locks import PROCESS_TAG, this_process

REPLAY_JOB = "replay"
REPORT_JOB = "report"
_DELIVERY_PREFIX = "deliver_"
_COUNTS = frozenset({"missing", "extra", "changed"})


def pull_job_name(account: str) -> str:
    """Return the name of the account's job."""
    return f"pull_{account}"


def delivery_job_name(account: str, destination: str) -> str:
    """Return the name of the job that delivers the account's leads to one of its destinations."""
    return f"{_DELIVERY_PREFIX}{account}__{destination}"


def is_delivery(run: dg.DagsterRun) -> bool:
    """Tell whether the run delivers leads and pulls none."""
    if run.asset_selection:  # of a run that a backfill made
        return all(key.path[-1].endswith(DELIVERIES_SUFFIX) for key in run.asset_selection)
    return run.job_name.startswith(_DELIVERY_PREFIX)


def build_pull_job(account: Account) -> dg.JobDefinition:
    """Return the job that takes days of the account all the way from the API to the published database."""
    return dg.define_asset_job(  # type: ignore[return-value]
        pull_job_name(account.name),
        selection=dg.AssetSelection.groups(account.name),
        description=f"Pull days of account `{account.name}`: one call at most, then normalise, merge and publish.",
    )


def build_report_job() -> dg.JobDefinition:
    """Return the job that writes the report of all accounts."""
    return dg.define_asset_job(  # type: ignore[return-value]
        REPORT_JOB,
        selection=dg.AssetSelection.groups(REPORT_GROUP),
        description="Write data/reports/leads_report.html from the published database; no call is made.",
    )


class ReplayConfig(dg.Config):
    """What an operator may decide for one replay."""

    account: str = ""
    """The account to replay; empty for every account."""
    first: str = ""
    """The first day, YYYY-MM-DD, in India; empty for all days."""
    last: str = ""
    """The last day, included."""
    check: bool = False
    """Only compare; the run fails if anything differs."""


@dg.op(
    description=(
        "Rebuild leads, quarantine and tables from the raw responses, without any call, compare them with what "
        "stands, row for row, and replace what differs."
    )
)
def replay_raw_responses(
    context: dg.OpExecutionContext, config: ReplayConfig, workspace: dg.ResourceParam[Workspace]
) -> None:
    """Replay one account after the other; fail without a retry, for what is in the way is there a minute later too."""
    context.instance.add_run_tags(context.run.run_id, {PROCESS_TAG: this_process(workspace.settings.state_dir)})
    try:
        with stage_border():
            first, last = days_to_replay(config.first, config.last)
            names = accounts_to_replay(workspace, config.account or None)
            requests = [ReplayRequest(name, first, last, config.check) for name in names]
            results = [replay(workspace, request, context.log.info) for request in requests]
    except (ReplayError, StorageError, SettingsError) as error:
        raise dg.Failure(str(error), allow_retries=False) from None
    metadata = _replay_metadata(results)
    if config.check and any(result.differences for result in results):
        text = "What stands is not what the raw responses give. A replay without `check` replaces it."
        raise dg.Failure(text, metadata=metadata, allow_retries=False)
    context.add_output_metadata(metadata)


def accounts_of(run: dg.DagsterRun) -> frozenset[str] | None:
    """Return the accounts that the run works for; None if it does not say, such as a replay of every account."""
    if run.asset_selection:  # of a run that a backfill made
        return frozenset(key.path[0] for key in run.asset_selection)
    if run.job_name.startswith(pull_job_name("")):
        return frozenset([run.job_name.removeprefix(pull_job_name(""))])
    if run.job_name == REPLAY_JOB:
        whole: Mapping[str, Any] = run.run_config
        config = whole.get("ops", {}).get(replay_raw_responses.name, {}).get("config", {})
        return frozenset([config["account"]]) if config.get("account") else None
    tag = run.tags.get(ACCOUNT_TAG)
    return frozenset(tag.split(", ")) if tag else None


def _replay_metadata(results: Sequence[Replayed]) -> dict[str, dg.MetadataValue]:
    """Return the counts of a replay, and the days that differed: rows and names of columns, never a value."""
    columns = ("account", "where", "day", "missing", "extra", "changed", "columns")
    records = [
        dg.TableRecord(
            {
                "account": one.account,
                "where": one.layer,
                "day": one.day.isoformat(),
                "missing": one.rows.missing,
                "extra": one.rows.extra,
                "changed": one.rows.changed,
                "columns": ", ".join((*one.rows.columns, *filter(None, [one.rows.note]))),
            }
        )
        for result in results
        for one in result.differences
    ]
    return {
        "answers": dg.MetadataValue.int(sum(result.answers for result in results)),
        "leads": dg.MetadataValue.int(sum(result.leads for result in results)),
        "days_replaced": dg.MetadataValue.int(sum(len(result.days_replaced) for result in results)),
        "differences": dg.MetadataValue.table(
            records, dg.TableSchema([dg.TableColumn(name, "int" if name in _COUNTS else "string") for name in columns])
        ),
    }


@dg.job(
    name=REPLAY_JOB,
    description="Rebuild the tables of every account, or of one, from the raw responses, and replace what differs.",
)
def replay_job() -> None:
    """Replay; its one op takes `account`, `first`, `last` and `check`."""
    replay_raw_responses()


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
            WINDOW_TAG: window_tag(first, last),
            **(tags or {}),
        },
    )
