"""One process of the soak: run after run over today and yesterday, and once a day over the last 7 complete days.

Started as a program of its own, because the fast clock must stand in for the real one before the stages are imported.
Each run leaves a line in the report: the worker's name, what the run was, how it ended, and its peak of memory.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from leads_pipeline import days
from leads_pipeline_tests.benchmarks.fast_clock import FastClock

if TYPE_CHECKING:
    from leads_pipeline.stages.workspace import Workspace

ACCOUNT = "soak"
KEY = "soak/Key+that-opens-the-fake-server-only=="
TWO_RUNS = "clean"
"""The worker of this name makes a daily and an intraday run and ends."""
DAILY_AFTER = timedelta(minutes=20)
GRACE_SECONDS = 1.0
_STATUS, _CLEAR_REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class WorkerSettings:
    """Where a worker works, and how fast. Times are in real seconds."""

    folder: Path
    url: str
    interval: float
    timeout: float
    block: float
    clock: FastClock

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"

    @property
    def stop(self) -> Path:
        """The file whose being there ends every worker after its run."""
        return self.folder / "stop"

    @property
    def report(self) -> Path:
        return self.folder / "runs.jsonl"

    def to_arguments(self) -> list[str]:
        numbers = [str(number) for number in (self.interval, self.timeout, self.block)]
        return [str(self.folder), self.url, *numbers, *self.clock.to_arguments()]

    @classmethod
    def from_arguments(cls, folder: str, url: str, *rest: str) -> "WorkerSettings":
        interval, timeout, block = (float(number) for number in rest[:3])
        return cls(Path(folder), url, interval, timeout, block, FastClock.from_arguments(*rest[3:]))


@dataclass(frozen=True)
class RunReport:
    """What one run was. `peak_kib` is the most memory that the process had in it; 0 where the system can't tell."""

    worker: str
    kind: str
    outcome: str
    peak_kib: int


def main(name: str, *arguments: str) -> None:
    """Run until told to stop; with the name TWO_RUNS, make the two runs that bring everything up to the end."""
    settings = WorkerSettings.from_arguments(*arguments)
    days.utc_now = settings.clock.now
    work = Work(name, settings)
    if name == TWO_RUNS:
        work.run("daily")
        work.run("intraday")
        return
    while not settings.stop.exists():
        work.run("daily" if work.daily_is_due() else "intraday")


class Work:
    """The runs of one worker."""

    def __init__(self, name: str, settings: WorkerSettings) -> None:
        from leads_pipeline.indiamart import call_slot

        call_slot._MIN_GRACE_SECONDS = GRACE_SECONDS  # a dead process keeps its turn for seconds: too long at this pace
        self._name = name
        self._settings = settings
        self._workspace = workspace_of(settings)
        self._number = 0

    def daily_is_due(self) -> bool:
        now = self._settings.clock.now()
        today = days.day_of(now)
        return now >= days.day_start(today) + DAILY_AFTER and not self._daily_done().exists()

    def run(self, kind: str) -> None:
        """Make one run of the chain, as Dagster would; a run that fails leaves the rest to the next one."""
        from leads_pipeline.stages.pull import PullFailedError

        self._number += 1
        try:
            outcome = self._chain(kind)
        except PullFailedError as error:
            outcome = str(error.outcome)
        report = RunReport(self._name, kind, outcome, _peak_kib())
        with self._settings.report.open("a") as file:
            file.write(f"{json.dumps(asdict(report))}\n")

    def _chain(self, kind: str) -> str:
        from leads_pipeline.stages.merge_answers import merge_pending
        from leads_pipeline.stages.normalize_answers import normalize_pending
        from leads_pipeline.stages.publish_tables import publish_tables
        from leads_pipeline.stages.pull import PullLater, PullRequest, pull

        today = days.day_of(days.utc_now())
        marker = self._daily_done()
        first, last = (7, 1) if kind == "daily" else (1, 0)
        own = tuple(days.days_between(today - first * days.ONE_DAY, today - last * days.ONE_DAY))
        run_id = f"{self._name}-{self._number}-{time.time_ns()}"
        request = PullRequest(self._workspace.settings.accounts[0], own, run_id, again=True)
        while isinstance(result := pull(self._workspace, request, _quiet), PullLater):
            time.sleep(result.seconds)
        normalize_pending(self._workspace, ACCOUNT, own, _quiet)
        merge_pending(self._workspace, ACCOUNT, own, _quiet)
        publish_tables(self._workspace, _quiet)
        if kind == "daily" and result.response is not None and result.response.outcome.rule.covers:
            marker.touch()
        return "done"

    def _daily_done(self) -> Path:
        return self._settings.folder / f"daily-{days.day_of(self._settings.clock.now())}"


def workspace_of(settings: WorkerSettings) -> "Workspace":
    """The installation that all workers share."""
    from leads_pipeline.settings import Account, Settings
    from leads_pipeline.stages.workspace import Workspace

    account = Account(
        name=ACCOUNT,
        api_url=settings.url,
        key=KEY,
        call_interval_seconds=settings.interval,
        block_seconds=settings.block,
        timeout_seconds=settings.timeout,
        origin="fake-indiamart",
    )
    workspace = Workspace(Settings(settings.folder, settings.data_dir, None, None, (account,)))
    workspace.prepare()
    return workspace


def _peak_kib() -> int:
    """The most memory since the last look."""
    try:
        lines = _STATUS.read_text().splitlines()
        _CLEAR_REFS.write_text("5")
    except OSError:
        return 0
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


_quiet: Callable[[str], None] = lambda _: None  # noqa: E731 - runs say a lot; the soak looks at what they did

if __name__ == "__main__":
    main(*sys.argv[1:])
