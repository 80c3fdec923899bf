"""A small installation to run the DAG in: accounts on a fake IndiaMART, a Dagster instance, runs over days."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import yaml

from leads_pipeline.days import day_of, days_between, utc_now
from leads_pipeline.definitions import build_definitions
from leads_pipeline.fake_indiamart.server import FakeIndiaMart
from leads_pipeline.settings import Account, Settings
from leads_pipeline.stages.publish_tables import publish_tables
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.storage.coverage import DayCoverage

STAGES = ("raw_responses", "normalized_leads", "leads", "leads_database")
ACME_KEY = "acme/Key+of-the-tests=="
BHARAT_KEY = "bharat/Key+of-the-tests=="
DEAD_KEY = "dead/Key+of-the-tests=="
INTERVAL_SECONDS = 0.25
_CLOCK_SLACK = 0.9  # the server's interval against the client's, so that a call at the right time is never refused
_INSTANCE_SETTINGS = Path(__file__).parents[2] / "leads_pipeline" / "cli" / "instance.yaml"


def days_ago(first: int, last: int) -> tuple[date, ...]:
    """Return the days from `first` days ago to `last` days ago, both included."""
    today = day_of(utc_now())
    return tuple(days_between(today - timedelta(days=first), today - timedelta(days=last)))


WEEK = days_ago(16, 10)
"""Seven complete days; the days after them are complete too, so that a window can widen."""


def keys_of(days: Sequence[date]) -> list[str]:
    return [day.isoformat() for day in days]


def strict_server(interval: float = INTERVAL_SECONDS, keys: Sequence[str] = (ACME_KEY, BHARAT_KEY)) -> FakeIndiaMart:
    """Return a server that refuses calls which are closer together than the client's interval allows."""
    return FakeIndiaMart(keys=keys, interval_seconds=interval * _CLOCK_SLACK, block_seconds=interval * _CLOCK_SLACK)


def account(
    server: FakeIndiaMart, name: str = "acme", key: str = ACME_KEY, interval: float = INTERVAL_SECONDS
) -> Account:
    return Account(
        name=name,
        api_url=server.url,
        key=key,
        call_interval_seconds=interval,
        block_seconds=interval,
        timeout_seconds=5.0,
        origin=server.origin,
    )


def settings_of(folder: Path, *accounts: Account) -> Settings:
    return Settings(
        root=folder, data_dir=folder / "data", start_date=None, published_group=None, accounts=tuple(accounts)
    )


@contextmanager
def stored_instance(folder: Path) -> Iterator[dg.DagsterInstance]:
    """Open an instance on disk with the limits and pools that an installation has."""
    shipped = yaml.safe_load(_INSTANCE_SETTINGS.read_text(encoding="utf-8"))
    folder.mkdir(parents=True, exist_ok=True)
    with dg.DagsterInstance.local_temp(str(folder), overrides=shipped) as instance:
        yield instance


@dataclass(frozen=True)
class Installation:
    """Definitions over a data folder, with the instance that runs are recorded in."""

    settings: Settings
    instance: dg.DagsterInstance

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.settings)

    @property
    def definitions(self) -> dg.Definitions:
        return build_definitions(self.settings)

    def run(
        self, days: Sequence[date], *, account: str = "acme", again: bool = False, run_id: str | None = None
    ) -> dg.ExecuteInProcessResult:
        """Run the account's job over the days, as a backfill of that range does."""
        return self._execute(self.definitions.resolve_job_def(f"pull_{account}"), days, [account], again, run_id)

    def run_all_accounts(self, days: Sequence[date]) -> dg.ExecuteInProcessResult:
        """Run every account's assets in one run, as a backfill of several accounts does."""
        names = [account.name for account in self.settings.accounts]
        chains = {dg.AssetKey([name, stage]) for name in names for stage in STAGES}
        job = self.definitions.resolve_implicit_global_asset_job_def().get_subset(asset_selection=chains)
        return self._execute(job, days, names, False, None)

    def copied_to(self, folder: Path, server: FakeIndiaMart, instance: dg.DagsterInstance) -> "Installation":
        """Return an installation with the same data that asks the server; the instance knows nothing of its runs."""
        accounts = tuple(replace(account, api_url=server.url) for account in self.settings.accounts)
        settings = replace(settings_of(folder, *accounts), start_date=self.settings.start_date)
        published = shutil.ignore_patterns("published", "leads.duckdb")  # it names the files' inodes
        shutil.copytree(self.settings.data_dir, settings.data_dir, ignore=published)
        publish_tables(Workspace(settings), print)
        return Installation(settings, instance)

    def coverage(self, days: Sequence[date], account: str = "acme") -> list[DayCoverage]:
        return self.workspace.coverage(account, days, utc_now())

    def materialized(self, stage: str, account: str = "acme") -> list[str]:
        """Return the partition keys that the UI shows as materialized, in order."""
        return sorted(self.instance.get_materialized_partitions(dg.AssetKey([account, stage])))

    def times_of(self, run_id: str, kind: dg.DagsterEventType, step: str) -> list[float]:
        """Return when (seconds since 1970) events of that kind happened to the step, oldest first."""
        entries = self.instance.all_logs(run_id, of_type=kind)
        return sorted(entry.timestamp for entry in entries if entry.step_key == step)

    def _execute(
        self, job: dg.JobDefinition, days: Sequence[date], accounts: Sequence[str], again: bool, run_id: str | None
    ) -> dg.ExecuteInProcessResult:
        ops = {f"{account}__raw_responses": {"config": {"again": again}} for account in accounts}
        return job.execute_in_process(
            instance=self.instance,
            raise_on_error=False,
            run_id=run_id,
            run_config={"ops": ops, "loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            tags={
                "dagster/asset_partition_range_start": min(days).isoformat(),
                "dagster/asset_partition_range_end": max(days).isoformat(),
            },
        )


@dataclass(frozen=True)
class PulledWeek:
    """An installation after one run over WEEK, to be read and copied only."""

    server: FakeIndiaMart
    installation: Installation
    result: dg.ExecuteInProcessResult


@contextmanager
def pulled_week(folder: Path) -> Iterator[PulledWeek]:
    """Make the run in the folder."""
    with strict_server() as server, dg.DagsterInstance.ephemeral() as instance:
        installation = Installation(settings_of(folder, account(server)), instance)
        yield PulledWeek(server, installation, installation.run(WEEK))


def materializations(result: dg.ExecuteInProcessResult, stage: str) -> dict[str, dict[str, Any]]:
    """Return the run's materializations of that stage: partition key to metadata values."""
    events = result.get_asset_materialization_events()
    found = [event.materialization for event in events if event.materialization.asset_key.path[-1] == stage]
    return {str(event.partition): {name: value.value for name, value in event.metadata.items()} for event in found}


def failure_of(result: dg.ExecuteInProcessResult, account: str = "acme") -> tuple[str, dict[str, Any]]:
    """Return the sentence and the metadata with which the account's first step failed."""
    for event in result.all_events:
        if event.is_step_failure and event.step_key == f"{account}__raw_responses":
            failure = event.step_failure_data.user_failure_data
            assert failure is not None
            return str(failure.description), {name: value.value for name, value in failure.metadata.items()}
    raise AssertionError(f"raw_responses of {account} did not fail")
