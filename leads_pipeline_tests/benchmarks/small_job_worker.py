"""The children of small_job.py: one `leads pull` that tells where its time went, and a bare run of four empty assets.

    python -m leads_pipeline_tests.benchmarks.small_job_worker pull FIRST LAST | bare

Both print one JSON object of seconds as their last line. `BENCHMARK_BEGAN` tells when the process was started.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from functools import wraps
from types import ModuleType
from typing import Any

_spent: dict[str, float] = {}


def _timed(owner: Any, name: str, part: str, *, within: str = "") -> None:
    """Count the seconds of that function for the part, and no longer for the part that it is within."""
    function: Callable[..., object] = getattr(owner, name)

    @wraps(function)
    def timed(*arguments: Any, **options: Any) -> object:
        began = time.perf_counter()
        try:
            return function(*arguments, **options)
        finally:
            seconds = time.perf_counter() - began
            _spent[part] = _spent.get(part, 0.0) + seconds
            if within:
                _spent[within] = _spent.get(within, 0.0) - seconds

    setattr(owner, name, timed)


def _assets() -> dict[str, ModuleType]:
    from leads_pipeline.assets import leads, leads_database, normalized_leads, raw_responses

    return {
        "pull_versions": raw_responses,
        "normalize_pending": normalized_leads,
        "merge_pending": leads,
        "publish_tables": leads_database,
    }


def pull(first: str, last: str) -> dict[str, float]:
    """Pull the days; return the seconds of imports, network, data, and Dagster with what is around it."""
    began = float(os.environ["BENCHMARK_BEGAN"])
    from leads_pipeline.cli import start_quickly

    start_quickly()
    from leads_pipeline.cli.pull import run_pull
    from leads_pipeline.indiamart.client import IndiaMartClient

    assets = _assets()
    _spent["imports"] = time.time() - began
    for name, module in assets.items():
        _timed(module, name, "data")
    _timed(IndiaMartClient, "ask", "network", within="data")
    run_pull("indiamart", first, last, again=False, dry_run=False)
    whole = time.time() - began
    return {**_spent, "dagster": whole - sum(_spent.values()), "whole": whole, "cpu": time.process_time()}


def bare() -> dict[str, float]:
    """Run four empty assets in a persistent instance, one after the other, as `leads pull` runs its own."""
    began = float(os.environ["BENCHMARK_BEGAN"])
    import dagster as dg

    imported = time.time() - began

    def empty(name: str, before: str | None) -> dg.AssetsDefinition:
        @dg.asset(name=name, deps=[before] if before else [])
        def nothing() -> None:
            """Do nothing."""

        return nothing

    names = ("one", "two", "three", "four")
    assets = [empty(name, before) for name, before in zip(names, (None, *names), strict=False)]
    job = dg.define_asset_job("all", selection="*")
    definitions = dg.Definitions(assets=assets, jobs=[job], executor=dg.in_process_executor)
    with dg.DagsterInstance.get() as instance:
        definitions.resolve_job_def("all").execute_in_process(instance=instance)
    whole = time.time() - began
    return {"imports": imported, "dagster": whole - imported, "whole": whole, "cpu": time.process_time()}


def main(arguments: Sequence[str]) -> int:
    """Run one of the two and print its seconds."""
    name, *days = arguments
    print(json.dumps(pull(*days) if name == "pull" else bare()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
