"""The README tells what the program does: what can be derived from the program is held equal to it here."""

import re
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from leads_pipeline.cli import app
from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline.settings import load_settings, setting_names
from leads_pipeline.storage.tables import TABLES
from leads_pipeline.storage.views import VIEWS
from leads_pipeline_tests.end_to_end.runs import folder_in_memory
from leads_pipeline_tests.published_demo import publish_demo

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = "".join(re.findall(r"```sql\n(.+?)```", README, re.DOTALL)).strip().removesuffix(";").split(";\n\n")
QUERIES = [*EXAMPLES, *re.findall(r'leads query "(select [^"]+)"', README)]


def outcome_table() -> str:
    lines = ["| outcome | what it means, what to do | who acts | asked again |", "|---|---|---|---|"]
    lines += [
        f"| `{outcome}` | {outcome.rule.sentence} | {outcome.rule.actor} | {outcome.rule.retry} |"
        for outcome in Outcome
    ]
    return "\n".join(lines)


def test_the_outcomes_in_the_readme_are_those_of_the_program() -> None:
    assert outcome_table() in README


def test_every_setting_is_in_the_readme_and_in_the_example_file() -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")

    assert set(re.findall(r"^\| `((?:LEADS|INDIAMART)_[A-Z_]+)` \|", README, re.MULTILINE)) == setting_names()
    assert set(re.findall(r"^#?([A-Z_]+)=", example, re.MULTILINE)) == setting_names()


def test_every_command_in_the_readme_exists() -> None:
    known = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    known |= {str(group.name) for group in app.registered_groups}

    told = set(re.findall(r"`leads ([a-z-]+)", README)) | set(re.findall(r"\.venv/bin/leads ([a-z-]+)", README))

    assert told == known


def test_the_deliveries_in_the_readme_are_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in setting_names():
        monkeypatch.delenv(name, raising=False)
    tables = README.partition("<!-- deliveries -->\n```toml\n")[2].partition("```")[0]
    (tmp_path / "accounts.toml").write_text(f'[accounts.acme]\nkey_env = "ACME_CRM_KEY"\n\n{tables}')

    leadsquared, sharpspring = load_settings(tmp_path).destinations

    fields = {source.field: source for source in leadsquared.fields}
    assert (leadsquared.crm, leadsquared.search_key, leadsquared.phone_form) == ("leadsquared", "Phone", "dashed")
    assert fields["mx_Product"].source == "query_product_name"
    assert fields["mx_City"].default == "not given"
    assert "Mobile" not in fields
    assert (sharpspring.crm, sharpspring.has_keys) == ("sharpspring", False)


def test_the_accounts_file_in_the_readme_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in setting_names():
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "accounts.toml").write_text(README.partition("<!-- accounts -->\n```toml\n")[2].partition("```")[0])
    monkeypatch.setenv("ACME_ALERT_URLS", "json://127.0.0.1:9/acme")

    acme, bharat = load_settings(tmp_path).accounts

    assert (acme.name, acme.intraday_minutes, acme.lead_source) == ("acme", 60, "IndiaMART Acme")
    assert [(access.api_version, access.key_place) for access in bharat.versions] == [
        ("v1", str(tmp_path / "secrets" / "bharat.key")),
        ("v2", "BHARAT_V2_KEY"),
    ]


def test_every_outcome_has_words_for_people() -> None:
    for outcome in Outcome:
        assert outcome.rule.sentence.endswith("."), outcome
        assert "error code" not in outcome.rule.sentence.lower(), outcome


@pytest.fixture(scope="module")
def demo() -> Iterator[duckdb.DuckDBPyConnection]:
    with folder_in_memory() as folder, duckdb.connect(str(publish_demo(folder).path), read_only=True) as connection:
        yield connection


def test_the_readme_has_queries_and_each_example_says_what_it_answers() -> None:
    assert len(QUERIES) >= 10
    assert all(example.startswith("-- ") for example in EXAMPLES)


@pytest.mark.parametrize("query", QUERIES)
def test_each_query_in_the_readme_brings_rows_of_the_demo(demo: duckdb.DuckDBPyConnection, query: str) -> None:
    assert demo.execute(query).fetchall() != []


def test_every_table_and_view_is_in_the_readme() -> None:
    told = set(re.findall(r"`([a-z_]+)`", README.partition("## Querying")[2].partition("```sql")[0]))

    assert told >= {table.name for table in TABLES if "." not in table.name} | {view.name for view in VIEWS}
