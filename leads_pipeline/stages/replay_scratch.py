"""Where a replay rebuilds: a folder of its own under `state/`, filled from the raw responses by any run's stages.

The folder is removed at the end of the replay and, after a kill, at the start of the next one.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property

import pyarrow as pa
from filelock import FileLock

from leads_pipeline.kill_points import reach
from leads_pipeline.stages.merge_answers import batches_of, merge_batch
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.storage.atomic import make_private_folder
from leads_pipeline.storage.catalog import StoredAnswer
from leads_pipeline.storage.day_paths import safe_name
from leads_pipeline.storage.parquet import LeadFiles
from leads_pipeline.storage.raw import RawStore


class ReplayError(RuntimeError):
    """The replay can't go on, and what stands was not touched; the text says why and what to do. Holds no values."""


@dataclass(frozen=True)
class Progress:
    """How far a replay has come."""

    step: str
    done: int
    total: int


@dataclass(frozen=True)
class Scratch(Workspace):
    """The workspace of a rebuild: files of its own, but the installation's raw responses."""

    account: str
    stored: RawStore

    @cached_property
    def raw(self) -> RawStore:
        """Return the installation's raw responses."""
        return self.stored


@contextmanager
def scratch_of(workspace: Workspace, account: str) -> Iterator[Scratch]:
    """Make the account's empty scratch folder, and remove it in the end; raise Timeout if another replay has it."""
    state = workspace.settings.state_dir
    make_private_folder(state)
    folder = state / f"replay-{safe_name(account)}"
    with FileLock(f"{folder}.lock", timeout=0, mode=0o600):
        shutil.rmtree(folder, ignore_errors=True)  # of a replay that was killed
        try:
            scratch = Scratch(replace(workspace.settings, data_dir=folder), account, workspace.raw)
            make_private_folder(scratch.settings.state_dir)
            yield scratch
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class RebuiltDays(Mapping[date, pa.Table]):
    """Rebuilt days, each read when it is wanted, so that any number of them can be replaced as one step."""

    files: LeadFiles
    days: Sequence[date]

    def __getitem__(self, day: date) -> pa.Table:
        return self.files.read([day])

    def __iter__(self) -> Iterator[date]:
        return iter(self.days)

    def __len__(self) -> int:
        return len(self.days)


def rebuild(
    scratch: Scratch,
    answers: Sequence[StoredAnswer],
    wants: Callable[[date], bool],
    progress: Callable[[Progress], None],
) -> None:
    """Bring the rebuild up to these answers, by the stages of any run.

    Raises ReplayError if an answer with leads that says something of a wanted day is gone from the disk.
    """
    _take_in(scratch, answers, wants)
    pending = scratch.catalog.unmerged(scratch.account)
    if not pending:
        return
    done = 0
    progress(Progress("rebuilding", done, len(pending)))
    for batch in batches_of(pending):
        merge_batch(scratch, scratch.account, batch)
        scratch.normalized_files(scratch.account).remove_all_but(())
        done += len(batch)
        progress(Progress("rebuilding", done, len(pending)))
        reach("replay:batch")


def _take_in(scratch: Scratch, answers: Sequence[StoredAnswer], wants: Callable[[date], bool]) -> None:
    account = scratch.account
    known = {answer.response_id for answer in scratch.catalog.all_of(account)}
    gone: list[StoredAnswer] = []
    for answer in answers:
        if answer.response_id in known:
            continue
        response = scratch.raw.read_sidecar(answer.response_id)
        if response is not None and scratch.raw.has_body(answer.response_id):
            scratch.catalog.add(response)
        elif answer.outcome.rule.has_records and any(wants(day) for day in answer.window.days):
            gone.append(answer)
    if gone:
        days = sorted({day for answer in gone for day in answer.window.days})
        raise ReplayError(
            f"{len(gone)} raw response(s) of account {account} are missing (the first: {gone[0].response_id}), so "
            f"leads of days from {days[0]} to {days[-1]} can't be rebuilt. {how_to_restore(account)}"
        )


def how_to_restore(account: str) -> str:
    """Return the sentences that say what to do when raw responses are missing."""
    return (
        f"Nothing was replaced. Restore raw/{account} in the data folder from a backup, then run the same command "
        "again; days that those responses say nothing of can be replayed meanwhile with --from and --to."
    )
