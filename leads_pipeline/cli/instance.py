"""The persistent Dagster instance of an installation, the same from any folder."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files

import dagster as dg
from dagster import DagsterRunStatus, RunsFilter

from leads_pipeline.settings import Settings
from leads_pipeline.storage.atomic import make_private_folder, write_atomically
from leads_pipeline.storage.process_locks import PROCESS_TAG, is_alive

WORKSPACE_FILE = "leads_workspace.yaml"
"""Names the code location; not called workspace.yaml, which would make the folder look like a project's root."""

_WORKSPACE = """load_from:
  - python_module:
      module_name: leads_pipeline.definitions
      location_name: leads_pipeline
"""
_UNFINISHED = [
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]


def prepare_home(settings: Settings) -> None:
    """Write the instance's and the workspace's settings into its home, and name it in this process's environment."""
    make_private_folder(settings.dagster_home)
    config = files("leads_pipeline.cli").joinpath("instance.yaml").read_bytes()
    for name, content in (("dagster.yaml", config), (WORKSPACE_FILE, _WORKSPACE.encode())):
        path = settings.dagster_home / name
        if not path.exists() or path.read_bytes() != content:
            write_atomically(path, content)
    os.environ["DAGSTER_HOME"] = str(settings.dagster_home)


@contextmanager
def open_instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """Open the instance, after marking runs as failed whose processes died without a word."""
    prepare_home(settings)
    with dg.DagsterInstance.get() as instance:
        end_dead_runs(instance, settings)
        yield instance


def end_dead_runs(instance: dg.DagsterInstance, settings: Settings) -> None:
    """Mark the runs of dead processes as failed and free what they held, as no daemon may be there to do it."""
    for run in instance.get_runs(RunsFilter(statuses=_UNFINISHED)):
        process = run.tags.get(PROCESS_TAG)
        if process is not None and not is_alive(settings.state_dir, process):
            instance.report_run_failed(run, "The run's process ended without finishing it; pull its days again.")
    storage = instance.event_log_storage
    if not storage.supports_global_concurrency_limits:
        return
    for run_id in storage.get_concurrency_run_ids():
        holder = instance.get_run_by_id(run_id)
        if holder is None or holder.is_finished:
            storage.free_concurrency_slots_for_run(run_id)
