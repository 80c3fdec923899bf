"""The report: what the published database tells, as one HTML file beside it, for its owner only."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from leads_pipeline.report.facts import ReportFacts
from leads_pipeline.report.queries import ReportRequest, read_facts
from leads_pipeline.settings import Settings
from leads_pipeline.storage.atomic import make_private_folder, write_atomically
from leads_pipeline.storage.publish import PublishedVersions

REPORT_NAME = "leads_report"
EVERYTHING = ReportRequest()
_HEAD_BYTES = 2000
_VERSION = re.compile(r'<meta name="leads-database-version" content="(\d+)">')
_ACCOUNTS = re.compile(r'<meta name="leads-accounts" content="([^"]*)">')


class ReportError(RuntimeError):
    """The report can't be written; the text says what to do."""


@dataclass(frozen=True)
class WrittenReport:
    """The report as it was written."""

    path: Path
    version: int
    """Version of the published database that it tells of."""
    accounts: tuple[str, ...]
    days: int
    leads: int
    size: int
    """Bytes of the file."""


def report_path(settings: Settings, request: ReportRequest = EVERYTHING) -> Path:
    """Return where a report is written; one of some days or one account is named after them."""
    span = [f"from-{request.first}"] if request.first else []
    span += [f"to-{request.last}"] if request.last else []
    parts = [REPORT_NAME, *([request.account] if request.account else []), *span]
    return settings.data_dir / "reports" / f"{'-'.join(parts)}.html"


def write_report(settings: Settings, request: ReportRequest = EVERYTHING, path: Path | None = None) -> WrittenReport:
    """Write the report so that a reader sees the old one or all of the new.

    ReportError if matplotlib is not installed or the folder of `path` is missing, NothingToReportError if the
    database holds nothing of what is asked for, StorageError if there is no database.
    """
    problem = why_not_drawn()
    if problem:
        raise ReportError(problem)
    if path is not None and (path.is_dir() or not path.absolute().parent.is_dir()):
        raise ReportError(f"{path} is no file in a folder that is there: name a file, such as report.html.")
    facts = read_facts(settings.database, request)
    page = _rendered(settings, facts).encode()
    target = path or report_path(settings, request)
    if path is None:
        make_private_folder(target.parent)
    write_atomically(target, page)
    whole = facts.sections[0]
    return WrittenReport(target, facts.version, whole.accounts, len(whole.days), whole.leads, len(page))


def why_not_drawn() -> str | None:
    """Return what keeps reports from being drawn, and what to do; None if nothing does."""
    if find_spec("matplotlib") is not None:
        return None
    return (
        "The report is drawn with matplotlib, which is not installed. In the project's folder run: "
        "pip install -c constraints.txt '.[report]'"
    )


def unreported_version(settings: Settings) -> int | None:
    """Return the published version if the report of everything does not tell of it yet; None if it does."""
    live = PublishedVersions(settings.data_dir).live()
    found = _VERSION.search(_head(report_path(settings)))
    return None if found is not None and int(found[1]) == live else live


def remove_reports_of(settings: Settings, account: str) -> None:
    """Remove the reports in their folder that tell of the account."""
    for path in _reports(settings):
        found = _ACCOUNTS.search(_head(path))
        if found is not None and account in found[1].split():
            path.unlink(missing_ok=True)


def _reports(settings: Settings) -> Iterator[Path]:
    return report_path(settings).parent.glob(f"{REPORT_NAME}*.html")


def _head(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_HEAD_BYTES).decode(errors="replace")
    except FileNotFoundError:
        return ""


def _rendered(settings: Settings, facts: ReportFacts) -> str:
    """Return the page; matplotlib keeps its list of this machine's fonts with the rest of the state, not at home."""
    folder = settings.state_dir / "matplotlib"
    make_private_folder(folder)
    os.environ.setdefault("MPLCONFIGDIR", str(folder))
    from leads_pipeline.report.page import render_page

    return render_page(facts, {account.name: account.lead_source for account in settings.accounts})
