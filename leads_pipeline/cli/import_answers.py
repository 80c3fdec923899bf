"""`leads import`: answers that other tools saved become leads, with a line per file and what became of its records."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date, datetime

import typer
from filelock import Timeout
from rich.console import Console
from rich.table import Column, Table

from leads_pipeline.cli.errors import FAILED, USAGE, CommandError
from leads_pipeline.days import IST, ONE_DAY, day_start, utc_now
from leads_pipeline.leads.normalize import RecordsDoNotAddUp
from leads_pipeline.settings import load_settings
from leads_pipeline.stages.import_answers import AnswerImport, ImportCounts, ImportedFile
from leads_pipeline.stages.normalize_answers import RecordsLostError
from leads_pipeline.stages.saved_files import SavedFile, SavedFilesError, files_at
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.storage.raw import RawStoreError

_COLUMNS = ("received", "new", "updated", "duplicate", "quarantined")


def run_import(paths: Sequence[str], account: str, fetched_at: str | None, *, dry_run: bool, as_json: bool) -> None:
    """Import the files into the account; CommandError (1) at the end if any was refused."""
    moment = _moment(fetched_at) if fetched_at else None
    settings = load_settings()
    name = settings.account(account).name
    try:
        files = files_at(paths)
    except SavedFilesError as error:
        raise CommandError(str(error), USAGE) from None
    workspace = Workspace(settings)
    if not dry_run:
        workspace.prepare()
    console = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
    importing = AnswerImport(workspace, name, moment, lambda _: None, is_dry_run=dry_run)
    results = _take_all(importing, files, console)
    _print(results, as_json=as_json)
    if dry_run:
        console.print("Only counted: nothing was stored.")
    refused = sum(bool(result.refused) for result in results)
    if refused:
        raise CommandError(f"{refused} of {len(results)} file(s) were refused; the others were taken.", FAILED)


def _take_all(importing: AnswerImport, files: Sequence[SavedFile], console: Console) -> list[ImportedFile]:
    results: list[ImportedFile] = []
    try:
        for number, file in enumerate(files, 1):
            result = importing.take(file)
            console.print(f"[{number}/{len(files)}] {result.name}: {_in_words(result)}")
            results.append(result)
    except (RecordsLostError, RecordsDoNotAddUp, RawStoreError) as error:
        raise CommandError(f"{files[len(results)].name}: {error}", FAILED) from None
    except Timeout:
        raise CommandError(
            f"{files[len(results)].name}: another process has been merging or replaying leads of the account all the "
            "time. Wait until it is done (`leads status`), then run the same command again.",
            FAILED,
        ) from None
    finally:
        importing.publish()  # also what came before a file that stopped the command
    return results


def _in_words(result: ImportedFile) -> str:
    if result.refused:
        return f"refused: {result.refused}."
    if not result.source_apis:
        return f"{result.note}."
    counts = result.counts
    text = (
        f"{counts.received} record(s) ({', '.join(result.source_apis)}) = {counts.new} new + "
        f"{counts.updated} updated + {counts.duplicate} duplicate + {counts.quarantined} quarantined"
    )
    return f"{text}; {result.note}." if result.note else f"{text}."


def _print(results: Sequence[ImportedFile], *, as_json: bool) -> None:
    total = sum((result.counts for result in results), ImportCounts())
    if as_json:
        files = [
            {
                "file": result.name,
                "source_apis": list(result.source_apis),
                **asdict(result.counts),
                "note": result.note or None,
                "refused": result.refused or None,
            }
            for result in results
        ]
        typer.echo(json.dumps({"files": files, "total": asdict(total)}, indent=1, ensure_ascii=False))
        return
    table = Table(Column("File", overflow="fold"), "From")
    short = _short_names([result.name for result in results])
    for column in _COLUMNS:
        table.add_column(column.capitalize(), justify="right")
    for result in results:
        source = "refused" if result.refused else ", ".join(result.source_apis) or "no leads"
        table.add_row(short[result.name], source, *(str(getattr(result.counts, column)) for column in _COLUMNS))
    table.add_section()
    table.add_row(f"{len(results)} file(s)", "", *(str(getattr(total, column)) for column in _COLUMNS))
    Console(soft_wrap=True, highlight=False, markup=False).print(table)


def _moment(text: str) -> datetime:
    """Return the moment that the text names: a day alone is its end, a time without a zone is India's."""
    try:
        day = date.fromisoformat(text) if len(text) == len("2026-04-01") else None
        moment = day_start(day + ONE_DAY) if day else datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(
            f'--fetched-at {text}: expected a day or a time such as 2026-04-01 or "2026-04-01 09:30" (in India). '
            "Nothing was imported.",
            USAGE,
        ) from None
    moment, now = moment if moment.tzinfo else moment.replace(tzinfo=IST), utc_now()
    if day and day_start(day) <= now < moment:
        return now.replace(microsecond=0)
    if moment > now:
        raise CommandError(f"--fetched-at {text} is still to come. Nothing was imported.", USAGE)
    return moment


def _short_names(names: Sequence[str]) -> dict[str, str]:
    """Return for each path its last part, where no other has the same: the lines above the table tell the whole."""
    last = {name: name.rsplit("/", 1)[-1] for name in names}
    counts = Counter(last.values())
    return {name: short if counts[short] == 1 else name for name, short in last.items()}
