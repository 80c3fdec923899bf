from pathlib import Path

import pytest

from leads_pipeline.stages import write_report as stage
from leads_pipeline_tests.cli.installation import Installation
from leads_pipeline_tests.report.databases import published_database
from leads_pipeline_tests.storage.lead_tables import DAY, day_after


@pytest.fixture
def published(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> Installation:
    installation.data_dir.mkdir()
    with published_database(installation.data_dir / "leads.duckdb") as database:
        database.add_leads(DAY, 5)
        database.add_days(DAY, day_after(3))
    monkeypatch.setattr(stage, "_rendered", lambda *_: "<!doctype html>")
    return installation


def test_it_writes_the_report_and_prints_its_path_alone(published: Installation) -> None:
    printed = published.leads("report")

    path = published.data_dir / "reports" / "leads_report.html"
    assert (printed.code, printed.out) == (0, f"{path}\n")
    assert "5 lead(s) on 4 day(s), account acme." in printed.err
    assert path.read_text() == "<!doctype html>"


def test_days_an_account_and_a_file_can_be_chosen(published: Installation) -> None:
    arguments = ["--from", str(day_after(1)), "--to", str(day_after(2)), "--account", "acme", "--output", "my.html"]
    printed = published.leads("report", *arguments)

    assert (printed.code, printed.out) == (0, "my.html\n")
    assert "No lead is known of these days. 0 lead(s) on 2 day(s), account acme." in printed.text
    assert (published.root / "my.html").is_file()


def test_the_report_can_be_opened_at_once(published: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("typer.launch", opened.append)

    assert published.leads("report", "--open").code == 0

    assert opened == [(published.data_dir / "reports" / "leads_report.html").as_uri()]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--from", "1 March"], 2, "--from 1 March: a day is written YYYY-MM-DD"),
        (["--from", "2026-03-04", "--to", "2026-03-01"], 2, "--to 2026-03-01 is before --from 2026-03-04"),
        (["--from", "2027-01-01"], 1, "the database knows of acme 2026-03-01 to 2026-03-04"),
        (["--account", "nobody"], 1, "nothing of an account 'nobody'. It has: acme."),
        (["--output", "nowhere/my.html"], 1, "name a file, such as report.html"),
    ],
)
def test_what_cannot_be_reported_is_told_in_one_sentence(
    published: Installation, arguments: list[str], code: int, words: str
) -> None:
    printed = published.leads("report", *arguments)

    assert (printed.code, printed.out) == (code, "")
    assert words in printed.text
    assert not [*published.root.rglob("*.html")]


def test_without_a_database_it_says_how_to_get_one(installation: Installation) -> None:
    printed = installation.leads("report")

    assert printed.code == 1
    assert "There is no database yet" in printed.err
    assert not installation.data_dir.exists()


def test_without_matplotlib_it_says_what_to_install(published: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "find_spec", lambda _: None)

    printed = published.leads("report")

    assert printed.code == 1
    assert "pip install -c constraints.txt '.[report]'" in printed.err
    assert Path(published.data_dir / "reports").exists() is False
