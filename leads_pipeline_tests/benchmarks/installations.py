"""Folders that are an installation by themselves, and the `leads` command in them as a process of its own."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from leads_pipeline_tests.support import KEY

LEADS = ("-c", "from leads_pipeline.cli import main; main()")


def make_installation(folder: Path) -> Path:
    """Make the folder one whose `.env` and accounts file alone are read, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    for marker in ("workspace.yaml", "dagster.yaml"):
        (folder / marker).touch()
    return folder


def environment_of(folder: Path, url: str) -> dict[str, str]:
    """Return the environment in which commands work on that installation and ask that address, without waiting."""
    dropped = ("LEADS_", "INDIAMART_", "PYTHONDONTWRITEBYTECODE")  # the last would compile the program in each process
    others = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return others | {
        "LEADS_DATA_DIR": str(folder / "data"),
        "DAGSTER_HOME": "",
        "INDIAMART_CRM_KEY": KEY,
        "INDIAMART_API_URL": url,
        "INDIAMART_CALL_INTERVAL_SECONDS": "0.01",
        "INDIAMART_BLOCK_SECONDS": "0.1",
        "INDIAMART_TIMEOUT_SECONDS": "30",
    }


def run_python(arguments: Sequence[str], folder: Path, environment: dict[str, str]) -> tuple[float, str]:
    """Run this Python in the folder; return the seconds from its start to its end, and its last line of output.

    Raises RuntimeError with its last words where it fails.
    """
    began = time.perf_counter()
    told = environment | {"BENCHMARK_BEGAN": f"{time.time():.6f}"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=told, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{arguments} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    lines = done.stdout.strip().splitlines()
    return time.perf_counter() - began, lines[-1] if lines else ""
