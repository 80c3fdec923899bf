"""`leads demo`, again, `--again`, beside a real account, and away with it: told once, then looked at from all sides."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from leads_pipeline.alerts.events import Finding, heed_findings
from leads_pipeline.alerts.ledger import Ledger
from leads_pipeline.days import days_between, utc_now
from leads_pipeline.demo_setup import DemoSetup
from leads_pipeline.fake_indiamart.truth import TrueLead
from leads_pipeline.indiamart.outcomes import AlertLevel
from leads_pipeline_tests.end_to_end.command import instance_of
from leads_pipeline_tests.end_to_end.demo_server import Counts, demo_server, prepare_demo, served_by
from leads_pipeline_tests.end_to_end.error_runs import KEY, PULLED_WEEK, pull_arguments, server_with, shell_in
from leads_pipeline_tests.end_to_end.searching import texts_in
from leads_pipeline_tests.end_to_end.shell import Done, Shell
from leads_pipeline_tests.end_to_end.truth_rows import assert_is_truth, coverage_states, read_rows
from leads_pipeline_tests.end_to_end.warm_starts import WarmStarts

pytestmark = pytest.mark.timeout(600)

DEMO = "demo"


@dataclass(frozen=True)
class Chapter:
    """What a command said, what its server had counted by then, and a copy of the data folder as it left it."""

    done: Done
    counts: Counts
    data_dir: Path
    run_ids: frozenset[str]

    @property
    def database(self) -> Path:
        return self.data_dir / "leads.duckdb"


@dataclass
class Story:
    """One data folder's life with the demo."""

    setup: DemoSetup
    url: str
    folder: Path
    chapters: dict[str, Chapter] = field(default_factory=dict)
    first_leads: list[TrueLead] = field(default_factory=list)
    all_leads: list[TrueLead] = field(default_factory=list)

    def tell(self, name: str, shell: Shell, *arguments: str) -> None:
        done = shell.leads(*arguments)
        assert done.exit_code == 0, done.words
        copy = self.folder / name
        shutil.copytree(shell.data_dir, copy, symlinks=True)
        with instance_of(copy) as instance:
            run_ids = frozenset(run.run_id for run in instance.get_runs())
        self.chapters[name] = Chapter(done, Counts.at(self.url), copy, run_ids)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, starts: WarmStarts) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("demo")
    with demo_server() as url, server_with(KEY) as other_server:
        fresh = Shell(folder / "project", {})
        warm = Shell(folder / "project", {}, starts)
        story = Story(prepare_demo(fresh.data_dir, url), url, folder)
        story.tell("first", fresh, "demo")
        story.first_leads = served_by(url)
        story.tell("second", warm, "demo")
        story.tell("plan", shell_in(warm.folder, other_server, starts), *whole_demo(story.setup), "--dry-run")
        story.tell("status", warm, "status", "--json")
        story.tell("again", warm, "demo", "--again")
        story.all_leads = served_by(url)
        open_alerts(warm.data_dir / "state", DEMO, "indiamart")
        story.tell("real", shell_in(warm.folder, other_server, starts), *pull_arguments(PULLED_WEEK))
        story.tell("reset", warm, "demo", "--reset")
        yield story


def open_alerts(state_dir: Path, *accounts: str) -> None:
    """Open one alert about each account."""
    now = utc_now()
    found = Finding("no_success", AlertLevel.WARNING, "No call has succeeded.", now - timedelta(days=3))
    with Ledger(state_dir).page() as page:
        for account in accounts:
            heed_findings(page.book, account, [found], now)


def whole_demo(setup: DemoSetup) -> tuple[str, ...]:
    return ("pull", "--from", setup.first_day, "--to", setup.last_day)


def test_the_demo_brings_the_truth_of_30_days_with_five_calls(story: Story) -> None:
    first = story.chapters["first"]

    assert first.counts == Counts(calls=5, refused=0)
    assert_is_truth(first.database, DEMO, story.first_leads)
    days = [day.isoformat() for day in days_between(*story.setup.days)]
    assert len(days) == 30
    assert coverage_states(first.database, DEMO)["complete"] == days


def test_both_border_seconds_of_each_day_are_there(story: Story) -> None:
    with duckdb.connect(str(story.chapters["first"].database), read_only=True) as connection:
        borders = connection.execute(
            "SELECT lead_date, list(DISTINCT query_time_ist::TIME::VARCHAR ORDER BY query_time_ist::TIME::VARCHAR) "
            "FROM leads WHERE query_time_ist::TIME IN ('00:00:00', '23:59:59') GROUP BY ALL"
        ).fetchall()
        days = connection.execute("SELECT count(DISTINCT lead_date) FROM leads").fetchall()

    late = [lead for lead in story.first_leads if lead.available_from - lead.query_time > timedelta(0)]
    assert len(late) > 0
    assert days == [(len(borders),)]
    assert sum(times == ["00:00:00", "23:59:59"] for _, times in borders) >= len(borders) - 4  # some come late


def test_the_demo_ends_with_what_came_in_and_what_to_try(story: Story) -> None:
    out = story.chapters["first"].done.out

    assert f"{len(story.first_leads)} leads from {story.setup.first_day} to {story.setup.last_day}" in out
    assert len([line for line in out.partition("Try next:")[2].splitlines() if line.strip().startswith("leads ")]) == 5


def test_the_demo_again_makes_no_call_and_changes_nothing(story: Story) -> None:
    first, second = story.chapters["first"], story.chapters["second"]

    assert second.counts == first.counts
    assert "no call is needed" in second.done.err
    assert read_rows(second.database, DEMO) == read_rows(first.database, DEMO)
    assert second.database.readlink() == first.database.readlink()
    assert second.run_ids == first.run_ids


def test_asking_again_makes_five_more_calls_and_no_duplicates(story: Story) -> None:
    first, again = story.chapters["first"], story.chapters["again"]
    seen_before = {row["query_id"]: row["first_seen_at"] for row in read_rows(first.database, DEMO)}
    seen = {row["query_id"]: row["first_seen_at"] for row in read_rows(again.database, DEMO)}

    assert again.counts == Counts(calls=10, refused=0)
    assert_is_truth(again.database, DEMO, story.all_leads)
    assert {query_id: seen[query_id] for query_id in seen_before} == seen_before


def test_a_real_account_knows_nothing_of_the_demo(story: Story) -> None:
    status = json.loads(story.chapters["status"].done.out)
    with duckdb.connect(str(story.chapters["again"].database), read_only=True) as connection:
        accounts = connection.execute(
            "SELECT account FROM leads UNION SELECT account FROM coverage UNION SELECT account FROM api_calls"
        ).fetchall()

    assert "30 day(s): 5 call(s)" in story.chapters["plan"].done.out
    assert accounts == [(DEMO,)]
    (real,) = [account for account in status["accounts"] if account["account"] == "indiamart"]
    assert real["last_call"] is None


def test_the_reset_leaves_no_file_and_no_row_of_the_demo(story: Story) -> None:
    reset = story.chapters["reset"]
    named = [path.name for path in reset.data_dir.rglob("*") if DEMO in str(path.relative_to(reset.data_dir))]

    assert named == ["merge-demo.lock"]  # empty; who waits for a lock must find the same file
    for version in (reset.data_dir / "published").iterdir():
        with duckdb.connect(str(version), read_only=True) as connection:
            for table in ("leads", "quarantine", "api_calls", "coverage", "alerts"):
                accounts = connection.execute(f"SELECT DISTINCT account FROM {table}").fetchall()  # noqa: S608
                assert accounts in ([], [("indiamart",)])
    assert "The demo is removed." in reset.done.err


def test_the_reset_takes_the_demos_alerts_away_and_leaves_the_others(story: Story) -> None:
    before, after = (
        {record.cause.account for record in Ledger(story.chapters[name].data_dir / "state").records()}
        for name in ("real", "reset")
    )

    assert before == {DEMO, "indiamart"}
    assert after == {"indiamart"}


def test_the_reset_leaves_nothing_of_the_demo_in_dagster(story: Story) -> None:
    reset, before = story.chapters["reset"], story.chapters["again"]

    with instance_of(reset.data_dir) as instance:
        assert {key.path[0] for key in instance.all_asset_keys()} == {"indiamart"}
    assert before.run_ids
    assert reset.run_ids == story.chapters["real"].run_ids - before.run_ids
    for place, text in texts_in(reset.data_dir / "dagster"):
        assert not [run_id for run_id in before.run_ids if run_id in place], place
        rows = [line for line in text.splitlines() if line.startswith("INSERT") and DEMO in line]
        assert not [row for row in rows if any(run_id in row for run_id in before.run_ids)], place


def test_the_reset_leaves_the_real_account_as_it_was(story: Story) -> None:
    before, after = story.chapters["real"], story.chapters["reset"]

    assert len(read_rows(after.database, "indiamart")) > 20
    assert read_rows(after.database, "indiamart") == read_rows(before.database, "indiamart")
    assert coverage_states(after.database, "indiamart") == coverage_states(before.database, "indiamart")
