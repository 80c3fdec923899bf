"""The persistent Dagster instance of an installation, the same from any folder."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files

import dagster as dg

from leads_pipeline.cli.run_history import BATCH_VARIABLE, open_history
from leads_pipeline.run_queue import end_dead_runs
from leads_pipeline.settings import Settings
from leads_pipeline.storage.atomic import make_private_folder, write_atomically

WORKSPACE_FILE = "leads_workspace.yaml"
"""Names the code location; not called workspace.yaml, which would make the folder look like a project's root."""

_EVENTS_AT_ONCE = "1000"

_WORKSPACE = """load_from:
  - python_module:
      module_name: leads_pipeline.definitions
      location_name: leads_pipeline
"""


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
    with _batches(), open_history(settings.dagster_home) as instance:
        end_dead_runs(instance, settings.state_dir)
        yield instance


@contextmanager
def _batches() -> Iterator[None]:
    """Let Dagster hand over events together, in this process alone: whatever it starts inherits the environment."""
    before = os.environ.get(BATCH_VARIABLE)
    os.environ[BATCH_VARIABLE] = before or _EVENTS_AT_ONCE
    try:
        yield
    finally:
        if before is None:
            del os.environ[BATCH_VARIABLE]
