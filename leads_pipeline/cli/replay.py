"""`leads replay`: the tables from the raw responses again, compared with what stands, with a progress bar."""

import time
from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from leads_pipeline.cli.errors import FAILED, USAGE, CommandError
from leads_pipeline.settings import load_settings
from leads_pipeline.stages.replay import Replayed, ReplayRequest, accounts_to_replay, days_to_replay, replay
from leads_pipeline.stages.replay_compare import DayDifference
from leads_pipeline.stages.replay_scratch import Progress as Step
from leads_pipeline.stages.replay_scratch import ReplayError
from leads_pipeline.stages.workspace import Workspace

_MOST_LISTED = 100


def run_replay(account: str | None, first: str | None, last: str | None, *, check: bool) -> None:
    """Replay the account, or all of them; print what differed. Exits with 1 if a check found a difference."""
    settings = load_settings()
    try:
        start, end = days_to_replay(first, last)
    except ReplayError as error:
        raise CommandError(str(error), USAGE) from None
    workspace = Workspace(settings)
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    names: list[str] = []
    if settings.data_dir.exists():
        workspace.prepare()
        names = accounts_to_replay(workspace, account)
    if not names:
        console.print("There is nothing to replay: no answer is stored yet.")
        return
    results: list[Replayed] = []
    for name in names:
        began = time.monotonic()
        result = _replay(workspace, ReplayRequest(name, start, end, check), console)
        console.print(f"{_summary(result, check=check)} ({time.monotonic() - began:.1f} s)")
        results.append(result)
    differences = [difference for result in results for difference in result.differences]
    if differences:
        Console(soft_wrap=True, highlight=False).print(_table(differences))
    lost = [response for result in results for response in result.lost_responses]
    if lost:
        console.print(
            f"{len(lost)} raw response(s) that such rows came from are missing (the first: {lost[0]}). Restore them "
            "from a backup: as long as they are missing, `leads replay` replaces nothing."
        )
    if check and differences:
        raise CommandError("What stands is not what the raw responses give. `leads replay` replaces it.", FAILED)


def _replay(workspace: Workspace, request: ReplayRequest, console: Console) -> Replayed:
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task(request.account, total=None)
        return replay(workspace, request, lambda _: None, lambda step: _show(bar, task, request.account, step))


def _show(bar: Progress, task: TaskID, account: str, step: Step) -> None:
    bar.update(task, description=f"{account}: {step.step}", completed=step.done, total=step.total)


def _summary(result: Replayed, *, check: bool) -> str:
    text = f"{result.account}: {result.answers} answer(s) give {result.leads} leads on {result.days} day(s)"
    if not result.differences:
        return f"{text}; what stands is equal, row for row."
    if check:
        return f"{text}; what stands differs."
    return (
        f"{text}; replaced {len(result.days_replaced)} day file(s), the quarantine of "
        f"{len(result.answers_replaced)} answer(s), and the tables."
    )


def _table(differences: Sequence[DayDifference]) -> Table:
    """Return the days that differ: counts of rows and names of columns, never a value."""
    table = Table("Account", "Where", "Day", title="What differed from the raw responses", title_justify="left")
    for name in ("Missing", "Extra", "Changed"):
        table.add_column(name, justify="right")
    table.add_column("Columns", overflow="fold")
    for one in differences[:_MOST_LISTED]:
        rows = one.rows
        columns = ", ".join((*rows.columns, *([rows.note] if rows.note else [])))
        table.add_row(
            one.account, one.layer, one.day.isoformat(), str(rows.missing), str(rows.extra), str(rows.changed), columns
        )
    if len(differences) > _MOST_LISTED:
        table.caption = f"and {len(differences) - _MOST_LISTED} more"
    return table
