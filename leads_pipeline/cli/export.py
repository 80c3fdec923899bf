"""`leads export`: leads of some days into a file (or to standard output) that other programs read."""

import difflib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import duckdb
from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from leads_pipeline.cli.day_range import day_range
from leads_pipeline.cli.errors import FAILED, USAGE, CommandError
from leads_pipeline.days import days_between
from leads_pipeline.settings import load_settings
from leads_pipeline.stages.export_leads import (
    ExportFormat,
    ExportRequest,
    LeadExport,
    accounts_in_database,
    complete_days,
    held_days,
    plan_export,
)
from leads_pipeline.storage.atomic import atomic_file
from leads_pipeline.storage.published_reader import open_published

_STANDARD_OUTPUT = "-"
_PERSONAL = "This is personal data (names, numbers, addresses, messages): share it with care, or export --masked."


@dataclass(frozen=True)
class Target:
    """Where the leads go."""

    path: Path | None
    """None for standard output."""
    overwrite: bool

    def check(self) -> None:
        """Raise CommandError if there is something already that may not be replaced, or no folder to write into."""
        if self.path is None:
            return
        if self.path.is_dir():
            raise CommandError(f"{self.path} is a folder: name a file in it.", USAGE)
        if self.path.exists() and not self.overwrite:
            raise CommandError(f"{self.path} exists already: use --overwrite, or another name (--output).", FAILED)
        if not self.path.parent.is_dir():
            raise CommandError(f"There is no folder {self.path.parent}. Nothing was exported.", USAGE)

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Open it for writing; a file is whole, synced and for its owner only, or as it was before."""
        if self.path is not None:
            with atomic_file(self.path) as file:
                yield file
        else:
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()


def run_export(
    first: str | None,
    last: str | None,
    format_name: str,
    *,
    account: str | None,
    masked: bool,
    output: str | None,
    overwrite: bool,
) -> None:
    """Export the days' leads; CommandError with one clear text if that can't be."""
    start, end = day_range(first, last, "Nothing was exported.")
    request = ExportRequest(start, end, _format(format_name), account, masked)
    target = _target(request, output, overwrite=overwrite)
    target.check()
    console = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
    with open_published(load_settings().database) as connection:
        _check_account(connection, account)
        export = plan_export(connection, request)
        if not _write(export, target, console):
            return
        console.print(_summary(connection, export, target))
        for line in _incomplete(connection, request):
            console.print(line)
    if export.leads and not masked:
        console.print(_PERSONAL)


def _format(name: str) -> ExportFormat:
    try:
        return ExportFormat(name.lower())
    except ValueError:
        raise CommandError(f"--format {name}: choose one of {', '.join(ExportFormat)}.", USAGE) from None


def _target(request: ExportRequest, output: str | None, *, overwrite: bool) -> Target:
    if output == _STANDARD_OUTPUT:
        if request.format is ExportFormat.PARQUET:
            raise CommandError("Parquet can't go to standard output: name a file (--output).", USAGE)
        return Target(None, overwrite)
    if output:
        return Target(Path(output).expanduser(), overwrite)
    names = [request.table, request.account, str(request.first), str(request.last)]
    return Target(Path(f"{'_'.join(name for name in names if name)}.{request.format}"), overwrite)


def _check_account(connection: duckdb.DuckDBPyConnection, account: str | None) -> None:
    known = accounts_in_database(connection)
    if account is None or account in known:
        return
    near = difflib.get_close_matches(account, known, 1)
    hint = f"did you mean {near[0]}?" if near else f"it knows {', '.join(known) or 'none'}."
    raise CommandError(f"The database knows no account {account}: {hint}", USAGE)


def _write(export: LeadExport, target: Target, console: Console) -> bool:
    """Write the leads, with a progress bar; return False if the reader of standard output did not want them all."""
    bar = Progress(
        TextColumn("exporting"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    try:
        with bar, target.open() as file:
            task = bar.add_task("exporting", total=export.leads)
            export.write(file, lambda leads: bar.advance(task, leads))
    except BrokenPipeError:  # the reader, such as `head`, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True


def _summary(connection: duckdb.DuckDBPyConnection, export: LeadExport, target: Target) -> str:
    request, path = export.request, target.path
    days = str(request.first) if request.first == request.last else f"{request.first} to {request.last}"
    where = "standard output" if path is None else f"{path} ({decimal(path.stat().st_size)})"
    wrote = f"Wrote {export.leads:,} lead{'' if export.leads == 1 else 's'} of {days} to {where}."
    if export.leads:
        return wrote
    held = held_days(connection, request.account)
    whose = f"of account {request.account} " if request.account else ""
    has = f"has leads {whose}from {held.first} to {held.last}" if held.first else f"has no leads {whose}at all"
    return f"{wrote} The database {has.replace('  ', ' ')}."


def _incomplete(connection: duckdb.DuckDBPyConnection, request: ExportRequest) -> Iterator[str]:
    """Yield for each account with days that are not complete how many those are: the export may lack leads of them."""
    asked = len(days_between(request.first, request.last))
    complete = complete_days(connection, request.first, request.last)
    for account in accounts_in_database(connection):
        lacking = asked - complete.get(account, 0)
        if request.account in (None, account) and lacking:
            days = "day is" if asked == 1 else "days are"
            yield f"{account}: {lacking} of {asked} {days} not complete, so leads may lack (`leads status`)."
