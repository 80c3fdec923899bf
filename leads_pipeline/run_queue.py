"""What is queued or running in a Dagster instance, whoever started it; and the end of runs whose process died."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path

import dagster as dg
from dagster import DagsterRunStatus, RunsFilter

# Dagster has no public way to ask for backfills; these names were there in 1.13, which the dependencies are capped at.
from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus, PartitionBackfill
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

from leads_pipeline.assets.deliveries import DELIVERIES_SUFFIX
from leads_pipeline.days import days_between
from leads_pipeline.jobs import accounts_of, is_delivery, pull_job_name
from leads_pipeline.storage.process_locks import PROCESS_TAG, is_alive

RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"
_PARTITION_TAG = "dagster/partition"
_HAS_A_PROCESS = [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]
_UNFINISHED_BACKFILLS = [BulkActionStatus.REQUESTED, BulkActionStatus.CANCELING, BulkActionStatus.FAILING]


def unfinished_runs(instance: dg.DagsterInstance, tags: dict[str, str] | None = None) -> list[dg.DagsterRun]:
    """Return the runs with those tags that are queued or running."""
    return list(instance.get_runs(RunsFilter(statuses=NOT_FINISHED_STATUSES, tags=tags)))


def days_in_progress(instance: dg.DagsterInstance, account: str) -> frozenset[date]:
    """Return the days of the account that unfinished runs and backfills are for."""
    runs = [
        run for run in unfinished_runs(instance) if not is_delivery(run) and account in (accounts_of(run) or [account])
    ]
    days = {day for run in runs for day in days_of_tags(run.tags)}
    backfills = instance.get_backfills(filters=BulkActionsFilter(statuses=_UNFINISHED_BACKFILLS))
    keys = {key for backfill in backfills for key in _keys_of_backfill(backfill, account)}
    return frozenset(days | {*_days(keys)})


def days_of_tags(tags: Mapping[str, str]) -> list[date]:
    """Return the days that a run is for by its tags: one partition or a range of them; none if neither is set."""
    first = tags.get(RANGE_START_TAG, tags.get(_PARTITION_TAG))
    last = tags.get(RANGE_END_TAG, first)
    return days_between(*_days([first, last])) if first and last else []


def end_dead_runs(instance: dg.DagsterInstance, state_dir: Path) -> None:
    """Mark the runs of dead processes as failed and free what they held, as nothing else may do it for a day."""
    for run in instance.get_runs(RunsFilter(statuses=_HAS_A_PROCESS)):
        process = _own_process(instance, run)
        if process is not None and not is_alive(state_dir, process):
            instance.report_run_failed(run, "The run's process ended without finishing it; pull its days again.")
    storage = instance.event_log_storage
    if not storage.supports_global_concurrency_limits:
        return
    for run_id in storage.get_concurrency_run_ids():
        holder = instance.get_run_by_id(run_id)
        if holder is None or holder.is_finished:
            storage.free_concurrency_slots_for_run(run_id)


def _own_process(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str | None:
    """Return the process that said it executes the run; None if only the run that it repeats has said so."""
    process = run.tags.get(PROCESS_TAG)
    parent = instance.get_run_by_id(run.parent_run_id) if process and run.parent_run_id else None
    return None if parent is not None and parent.tags.get(PROCESS_TAG) == process else process


def _keys_of_backfill(backfill: PartitionBackfill, account: str) -> Iterator[str]:
    if backfill.asset_backfill_data is not None:
        subsets = backfill.asset_backfill_data.target_subset.partitions_subsets_by_asset_key
        for key, subset in subsets.items():
            if key.path[0] == account and not key.path[-1].endswith(DELIVERIES_SUFFIX):
                yield from subset.get_partition_keys()
    elif backfill.job_name == pull_job_name(account):
        yield from backfill.partition_names or ()


def _days(keys: Iterable[str | None]) -> Iterator[date]:
    return (date.fromisoformat(key) for key in keys if key is not None)
