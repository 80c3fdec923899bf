"""The real `leads` command as a process that may be killed, and what Dagster's storage says of its runs."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from leads_pipeline_tests.end_to_end.driver import KEY, Installation, Week
from leads_pipeline_tests.end_to_end.warm_starts import WarmStarts

DEFAULT_ACCOUNT = "indiamart"
POOL = f"indiamart_api_{DEFAULT_ACCOUNT}"
_MAIN = "from leads_pipeline.cli import main; main()"
_GIVE_UP_SECONDS = 90.0


@dataclass(frozen=True)
class Command:
    """The command in a folder that only this installation is in, set up by its environment alone."""

    folder: Path
    installation: Installation
    starts: WarmStarts

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        for marker in ("workspace.yaml", "dagster.yaml"):  # a project's root: no other folder's .env is read
            (self.folder / marker).touch()

    def start_pull(self, week: Week) -> "subprocess.Popen[str]":
        """Start a process group that pulls the week."""
        return subprocess.Popen(
            [sys.executable, "-c", _MAIN, *_pull_arguments(week)],
            cwd=self.folder,
            env=self._environment(""),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    def pull(self, week: Week, kill_at: str = "") -> int:
        """Pull the week and return the exit code, which is printed with all the words."""
        code, out, err = self.starts.run(_pull_arguments(week), self.folder, self._environment(kill_at))
        print(out, err, f"exit code {code}")
        return code

    def _environment(self, kill_at: str) -> dict[str, str]:
        account = self.installation.account
        others = {name: value for name, value in os.environ.items() if not name.startswith(("LEADS_", "INDIAMART_"))}
        return others | {
            "LEADS_DATA_DIR": str(self.installation.data_dir),
            "LEADS_KILL_AT": kill_at,
            "INDIAMART_CRM_KEY": KEY,
            "INDIAMART_API_URL": account.api_url,
            "INDIAMART_CALL_INTERVAL_SECONDS": str(account.call_interval_seconds),
            "INDIAMART_BLOCK_SECONDS": str(account.block_seconds),
            "INDIAMART_TIMEOUT_SECONDS": str(account.timeout_seconds),
        }


def _pull_arguments(week: Week) -> tuple[str, ...]:
    return ("pull", "--from", f"{week.first}", "--to", f"{week.last}")


def kill_group(process: "subprocess.Popen[str]") -> int:
    """Kill the command with everything that it started; return its exit code."""
    os.killpg(process.pid, signal.SIGKILL)
    return process.wait(_GIVE_UP_SECONDS)


@contextmanager
def instance_of(data_dir: Path) -> Iterator[dg.DagsterInstance]:
    """Dagster's storage of the installation, opened without any of the program's own care for it."""
    with dg.DagsterInstance.from_config(str(data_dir / "dagster")) as instance:
        yield instance


def run_statuses(data_dir: Path) -> list[str]:
    """The statuses of all runs, oldest run first."""
    with instance_of(data_dir) as instance:
        return [run.status.value for run in reversed(instance.get_runs())]


def claimed_slots(data_dir: Path) -> int:
    """How many steps hold a place in the pool of the account's calls."""
    with instance_of(data_dir) as instance:
        return len(instance.event_log_storage.get_concurrency_info(POOL).claimed_slots)
