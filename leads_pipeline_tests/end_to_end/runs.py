"""Runs in this process, without Dagster: which days each run gets, and its stages one after the other."""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from leads_pipeline.days import contiguous_ranges, days_between, utc_now
from leads_pipeline.stages.merge_answers import merge_pending
from leads_pipeline.stages.normalize_answers import normalize_pending
from leads_pipeline.stages.pull import Pulled, PullRequest
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.storage.coverage import DayState
from leads_pipeline.storage.normalized_files import AnswerCounts
from leads_pipeline_tests.memory import memory_root
from leads_pipeline_tests.support import pull_to_the_end

Days = tuple[date, ...]

_RUN_NUMBERS = itertools.count(1)


@contextmanager
def folder_in_memory() -> Iterator[Path]:
    """A folder whose syncs cost nothing, where the machine has one."""
    with TemporaryDirectory(dir=memory_root()) as folder:
        yield Path(folder)


def quiet(_: str) -> None:
    """Runs say a lot; these tests look at what they did."""


def call_for(workspace: Workspace, days: Sequence[date], *, again: bool = False) -> Pulled:
    """The first stage of a run of these days, waits included."""
    account = workspace.settings.accounts[0]
    request = PullRequest(account, tuple(days), f"run-{next(_RUN_NUMBERS)}", again)
    return pull_to_the_end(workspace, request, quiet)


def merge(workspace: Workspace, days: Sequence[date]) -> AnswerCounts:
    """The second and third stage of a run of these days; returns what became of the answers' records."""
    account = workspace.settings.accounts[0].name
    normalized = normalize_pending(workspace, account, days, quiet)
    merge_pending(workspace, account, days, quiet)
    return normalized.counts


def pull_to_complete(workspace: Workspace, days: Sequence[date]) -> None:
    """What `leads pull` does: the runs of its plan, and then those of what still lacks."""
    while runs := runs_of_a_pull(workspace, days):
        for one in runs:
            call_for(workspace, one)
        merge(workspace, days)


def runs_of_a_pull(workspace: Workspace, days: Sequence[date], *, again: bool = False) -> list[Days]:
    """The runs that `leads pull` plans for the days, in its order."""
    from leads_pipeline.cli.pull import plan_pull  # brings Dagster, which children can do without

    plan = plan_pull(workspace, workspace.settings.accounts[0], days, again=again)
    return [tuple(days_between(first, last)) for first, last in plan.runs]


def runs_of_a_backfill(selected: Sequence[date]) -> list[Days]:
    """The runs that Dagster makes of days selected in its UI, oldest first.

    Each range of neighbouring days is cut, from its first day on, into pieces of at most 7.
    """
    ranges = [days_between(first, last) for first, last in contiguous_ranges([*selected])]
    return [tuple(days[start : start + 7]) for days in ranges for start in range(0, len(days), 7)]


def days_in(workspace: Workspace, days: Sequence[date], state: DayState) -> list[date]:
    """Those of the days that coverage gives this state."""
    account = workspace.settings.accounts[0].name
    return [day.day for day in workspace.coverage(account, days, utc_now()) if day.state is state]
