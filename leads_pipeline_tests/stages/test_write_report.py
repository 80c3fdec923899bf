import stat
from pathlib import Path

import pytest

from leads_pipeline.report.queries import NothingToReportError, ReportRequest
from leads_pipeline.settings import Settings
from leads_pipeline.stages import write_report as stage
from leads_pipeline.stages.write_report import (
    ReportError,
    remove_reports_of,
    report_path,
    unreported_version,
    write_report,
)
from leads_pipeline.storage.errors import StorageError
from leads_pipeline_tests.report.databases import published_database
from leads_pipeline_tests.storage.lead_tables import DAY, day_after
from leads_pipeline_tests.support import make_settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return make_settings(tmp_path, "http://127.0.0.1:9/")


@pytest.fixture
def published(settings: Settings) -> Settings:
    folder = settings.data_dir / "published"
    folder.mkdir(parents=True)
    with published_database(folder / "7.duckdb") as database:
        database.add_leads(DAY, 2)
        database.add_leads(day_after(1), 3, account="bharat")
        database.add_leads(day_after(1), account="demo")
    settings.database.symlink_to("published/7.duckdb")
    return settings


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_report_is_one_file_for_its_owner_that_knows_its_version(published: Settings) -> None:
    assert unreported_version(published) == 7

    report = write_report(published)

    assert report.path == published.data_dir / "reports" / "leads_report.html"
    assert (mode(report.path), mode(report.path.parent)) == (0o600, 0o700)
    assert (report.version, report.accounts, report.days, report.leads) == (7, ("acme", "bharat"), 2, 5)
    assert report.size == report.path.stat().st_size
    assert report.path.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert [path.name for path in report.path.parent.iterdir()] == ["leads_report.html"]
    assert unreported_version(published) is None


@pytest.fixture
def undrawn(published: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings under which pages hold no more than whose they are."""

    def rendered(_: Settings, facts: object) -> str:
        names = " ".join(facts.sections[0].accounts)  # type: ignore[attr-defined]
        return f'<meta name="leads-database-version" content="7"><meta name="leads-accounts" content="{names}">'

    monkeypatch.setattr(stage, "_rendered", rendered)
    return published


def test_a_report_of_a_part_never_stands_for_the_whole(undrawn: Settings) -> None:
    parts = [
        write_report(undrawn, ReportRequest("bharat")),
        write_report(undrawn, ReportRequest("bharat", day_after(1), day_after(1))),
        write_report(undrawn, ReportRequest(last=DAY)),
    ]

    assert [report.path.name for report in parts] == [
        "leads_report-bharat.html",
        "leads_report-bharat-from-2026-03-02-to-2026-03-02.html",
        "leads_report-to-2026-03-01.html",
    ]
    assert [report.leads for report in parts] == [3, 3, 2]
    assert unreported_version(undrawn) == 7


def test_a_report_goes_where_it_is_wanted(undrawn: Settings, tmp_path: Path) -> None:
    report = write_report(undrawn, path=tmp_path / "mine.html")

    assert (report.path, mode(report.path)) == (tmp_path / "mine.html", 0o600)
    for wrong in (tmp_path, tmp_path / "nowhere" / "mine.html"):
        with pytest.raises(ReportError, match="name a file"):
            write_report(undrawn, path=wrong)
    assert not (tmp_path / "nowhere").exists()


def test_the_reports_of_an_account_can_be_removed(undrawn: Settings) -> None:
    write_report(undrawn)
    write_report(undrawn, ReportRequest("acme"))
    of_demo = write_report(undrawn, ReportRequest("demo"))

    remove_reports_of(undrawn, "demo")

    assert {path.name for path in of_demo.path.parent.iterdir()} == {"leads_report.html", "leads_report-acme.html"}


def test_without_matplotlib_it_says_what_to_install_and_writes_nothing(
    published: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "find_spec", lambda _: None)

    with pytest.raises(ReportError, match=r"pip install -c constraints.txt '\.\[report\]'"):
        write_report(published)

    assert not report_path(published).parent.exists()


def test_without_a_database_or_such_an_account_nothing_is_written(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="There is no database yet"):
        write_report(settings)
    assert unreported_version(settings) is None
    settings.data_dir.mkdir()
    with published_database(settings.database):
        pass

    with pytest.raises(NothingToReportError, match=r"nothing of an account '\.\./acme'"):
        write_report(settings, ReportRequest("../acme"))
    assert [path.name for path in tmp_path.rglob("*.html")] == []
