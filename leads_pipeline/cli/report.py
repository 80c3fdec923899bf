"""`leads report`: writes the HTML report and prints where it is."""

from datetime import date
from pathlib import Path

import typer
from rich.console import Console

from leads_pipeline.cli.errors import USAGE, CommandError
from leads_pipeline.report.queries import ReportRequest
from leads_pipeline.settings import load_settings
from leads_pipeline.stages.write_report import write_report


def run_report(account: str | None, first: str | None, last: str | None, output: Path | None, *, open_it: bool) -> None:
    """Write the report; print its path, and on standard error what is in it."""
    settings = load_settings()
    request = ReportRequest(account, _day("--from", first), _day("--to", last))
    if request.first and request.last and request.last < request.first:
        raise CommandError(f"--to {last} is before --from {first}. Nothing was written.", USAGE)
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    with console.status("Drawing the report"):
        report = write_report(settings, request, output)
    said = f"{report.leads} lead(s) on {report.days} day(s), account {', '.join(report.accounts)}."
    console.print(said if report.leads else f"No lead is known of these days. {said}")
    typer.echo(report.path)
    if open_it:
        typer.launch(report.path.absolute().as_uri())


def _day(option: str, text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise CommandError(f"{option} {text}: a day is written YYYY-MM-DD, for example 2026-04-01.", USAGE) from None
