from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from leads_pipeline.days import ONE_DAY, day_end, day_of, day_start, utc_now
from leads_pipeline.fake_indiamart.server import FakeIndiaMart
from leads_pipeline.fake_indiamart.truth import TrueLead
from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline.indiamart.windows import Window
from leads_pipeline.stages.merge_answers import merge_pending
from leads_pipeline.stages.publish_tables import publish_tables
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.storage.raw import RawResponse, ResponseName, sha256_of
from leads_pipeline_tests.end_to_end.driver import (
    ACCOUNT,
    BASE_WEEK,
    Installation,
    Week,
    fake_server,
    published_state,
    run_killed_at,
    run_to_the_end,
    true_state,
    watch,
)
from leads_pipeline_tests.end_to_end.truth_rows import assert_is_truth, assert_layers_agree, read_rows
from leads_pipeline_tests.storage.children import ONE_THREAD, running
from leads_pipeline_tests.support import answer_body, records_of


@dataclass
class ServerClock:
    """The server's clock, set by hand."""

    now: datetime

    def __call__(self) -> datetime:
        return self.now


def moving_server(clock: ServerClock) -> FakeIndiaMart:
    return fake_server(clock=clock, leads_per_day=12.0, moving_share=1.0)


@dataclass(frozen=True)
class Scene:
    """A week that is pulled soon after it ended, before its last leads moved, and once more today."""

    week: Week

    @property
    def soon(self) -> datetime:
        return day_end(self.week.last) + timedelta(hours=1)

    def truth_soon(self) -> dict[str, TrueLead]:
        server = moving_server(ServerClock(self.soon))
        return {lead.query_id: lead for lead in server.truth(self.week.first, self.week.last)}

    def truth_after_both(self) -> dict[str, TrueLead]:
        """What both pulls together can know: the newer answer's leads, and those that only the older one held."""
        server = moving_server(ServerClock(utc_now()))
        newer = {lead.query_id: lead for lead in server.truth(self.week.first, self.week.last)}
        return self.truth_soon() | newer

    @property
    def shows_moves(self) -> bool:
        """Whether enough leads move, and no day is without any, so that each day's file is replaced."""
        soon, after = self.truth_soon(), self.truth_after_both()
        moved = [key for key, lead in soon.items() if lead.query_time != after[key].query_time]
        days = {day_of(lead.query_time) for lead in after.values()}
        return len(moved) > 5 and days == {*self.week.days}


SCENE = next(scene for number in range(30) if (scene := Scene(Week(BASE_WEEK.first + number * ONE_DAY))).shows_moves)
WEEK = SCENE.week


@pytest.fixture(scope="session")
def pulled_soon(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """An installation whose one week was pulled before most of its moving leads moved."""
    with moving_server(ServerClock(SCENE.soon)) as server:
        installation = Installation(tmp_path_factory.mktemp("soon") / "data", server.url)
        run_to_the_end(installation, [WEEK])
    assert_is_truth(installation.database, ACCOUNT, SCENE.truth_soon().values())
    return installation


@pytest.fixture
def later() -> Iterator[FakeIndiaMart]:
    """The same server, today."""
    with moving_server(ServerClock(utc_now())) as server:
        yield server


def test_leads_that_come_back_with_another_day_move_in_every_layer(
    pulled_soon: Installation, later: FakeIndiaMart, data_dir: Path
) -> None:
    installation = pulled_soon.copied_to(data_dir, later.url)
    before = {row["query_id"]: row for row in read_rows(installation.database, ACCOUNT)}
    run_to_the_end(installation, [WEEK], again=True)
    assert_is_truth(installation.database, ACCOUNT, SCENE.truth_after_both().values())
    after = {row["query_id"]: row for row in read_rows(installation.database, ACCOUNT)}
    moved = [key for key in before if before[key]["lead_date"] != after[key]["lead_date"]]
    assert len(moved) > 5
    for key in moved:
        assert after[key]["first_seen_at"] == before[key]["first_seen_at"]
        assert after[key]["last_seen_at"] > before[key]["last_seen_at"]


@pytest.mark.parametrize(
    "kill_at",
    ["merge:journal", *(f"merge:rename:{number}" for number in (2, 3, 6, 7, 8, 11, 13)), "merge:ledger"],
)
def test_a_kill_between_the_renames_of_a_move_leaves_each_lead_exactly_once(
    pulled_soon: Installation, later: FakeIndiaMart, data_dir: Path, kill_at: str
) -> None:
    installation = pulled_soon.copied_to(data_dir, later.url)
    expected = SCENE.truth_after_both().values()
    with running(watch, installation.database) as reader:
        assert reader.recv() == "ready"
        run_killed_at(installation, [WEEK], kill_at, again=True)
        run_to_the_end(installation, [WEEK])
        reader.send("stop")
        observed = reader.recv()
    assert_is_truth(installation.database, ACCOUNT, expected)
    assert len(later.calls) == 1
    assert observed.errors == ()
    assert observed.states <= {published_state(pulled_soon.database), true_state(expected)}


def test_who_publishes_after_a_kill_between_the_renames_publishes_the_whole_move(
    pulled_soon: Installation, later: FakeIndiaMart, data_dir: Path
) -> None:
    installation = pulled_soon.copied_to(data_dir, later.url)
    run_killed_at(installation, [WEEK], "merge:rename:7", again=True)
    publish_tables(installation.workspace, print)
    expected = SCENE.truth_after_both().values()
    assert published_state(installation.database) == true_state(expected)
    assert_is_truth(installation.database, ACCOUNT, expected)
    run_to_the_end(installation, [WEEK])
    assert_is_truth(installation.database, ACCOUNT, expected)


# Answers made by hand, each of one day: a lead on the day before, then on the day itself.

DAY_BEFORE, DAY = date(2026, 3, 1), date(2026, 3, 2)
MARCH_5 = datetime(2026, 3, 5, 6, tzinfo=UTC)


@pytest.fixture
def installation(data_dir: Path) -> Installation:
    installation = Installation(data_dir, "http://127.0.0.1:9/")
    installation.workspace.prepare()
    return installation


def take_in(
    workspace: Workspace, day: date, records: Sequence[dict[str, str]], fetched_at: datetime, account: str = ACCOUNT
) -> str:
    """Store an answer as if a call for the day had brought it, merge and publish; return its name."""
    name = ResponseName(account, "v2", Window(day_start(day), day_end(day)), fetched_at)
    body = answer_body(records=records)
    response = RawResponse(
        response_id=name.response_id,
        account=account,
        source_api="v2",
        origin="by hand",
        window_start=name.window.start,
        window_end=name.window.end,
        sent_at=fetched_at,
        received_at=fetched_at,
        server_date=fetched_at,
        latency_seconds=0.1,
        http_status=200,
        code=200,
        message="",
        total_records=len(records),
        records=len(records),
        outcome=Outcome.LEADS,
        sha256=sha256_of(body),
        body_bytes=len(body),
        run_id="by-hand",
        key_fingerprint="0" * 16,
        key_masked=False,
    )
    workspace.raw.write_body(name, body)
    workspace.raw.write_sidecar(response)
    workspace.catalog.add(response)
    merge_pending(workspace, account, [day], print)
    publish_tables(workspace, print)
    return name.response_id


def rows_in_files(data_dir: Path, day: date, account: str = ACCOUNT) -> list[str]:
    """The ids in the day's Parquet file, which must exist."""
    path = data_dir / "leads" / f"account={account}" / f"lead_date={day}" / "leads.parquet"
    with duckdb.connect(config=ONE_THREAD) as connection:
        rows = connection.execute("SELECT query_id FROM read_parquet(?) ORDER BY 1", [str(path)]).fetchall()
    return [row[0] for row in rows]


def places(installation: Installation) -> dict[object, tuple[object, ...]]:
    """Where each lead is published, from which answer, when first and when last seen."""
    assert_layers_agree(installation.data_dir)
    columns = ("lead_date", "response_id", "first_seen_at", "last_seen_at")
    return {
        row["query_id"]: tuple(row[column] for column in columns) for row in read_rows(installation.database, ACCOUNT)
    }


def test_a_lead_of_another_day_s_answer_leaves_its_old_day(installation: Installation) -> None:
    workspace = installation.workspace
    one = take_in(workspace, DAY_BEFORE, records_of("701", "702", at=f"{DAY_BEFORE} 23:59:59"), MARCH_5)
    assert places(installation)["701"] == (DAY_BEFORE, one, MARCH_5, MARCH_5)

    friday = MARCH_5 + timedelta(days=1)
    two = take_in(workspace, DAY, records_of("701", "703", at=f"{DAY} 00:00:00"), friday)
    assert places(installation) == {
        "701": (DAY, two, MARCH_5, friday),
        "702": (DAY_BEFORE, one, MARCH_5, MARCH_5),
        "703": (DAY, two, friday, friday),
    }
    assert rows_in_files(installation.data_dir, DAY_BEFORE) == ["702"]
    assert rows_in_files(installation.data_dir, DAY) == ["701", "703"]


def test_the_last_lead_of_a_day_leaves_an_empty_file_behind(installation: Installation) -> None:
    take_in(installation.workspace, DAY_BEFORE, records_of("701", at=f"{DAY_BEFORE} 12:00:00"), MARCH_5)
    take_in(installation.workspace, DAY, records_of("701", at=f"{DAY} 12:00:00"), MARCH_5 + timedelta(hours=1))
    assert rows_in_files(installation.data_dir, DAY_BEFORE) == []
    assert [place[0] for place in places(installation).values()] == [DAY]


def test_an_older_answer_that_is_merged_late_moves_nothing_back(installation: Installation) -> None:
    workspace = installation.workspace
    newer = take_in(workspace, DAY, records_of("701", at=f"{DAY} 12:00:00"), MARCH_5)
    earlier = MARCH_5 - timedelta(days=2)
    take_in(workspace, DAY_BEFORE, records_of("701", at=f"{DAY_BEFORE} 12:00:00"), earlier)
    assert places(installation) == {"701": (DAY, newer, earlier, MARCH_5)}
    assert rows_in_files(installation.data_dir, DAY_BEFORE) == []


def test_a_lead_can_move_back(installation: Installation) -> None:
    workspace = installation.workspace
    times = [MARCH_5 + timedelta(hours=hours) for hours in range(3)]
    take_in(workspace, DAY_BEFORE, records_of("701", at=f"{DAY_BEFORE} 12:00:00"), times[0])
    take_in(workspace, DAY, records_of("701", at=f"{DAY} 12:00:00"), times[1])
    last = take_in(workspace, DAY_BEFORE, records_of("701", at=f"{DAY_BEFORE} 13:00:00"), times[2])
    assert places(installation) == {"701": (DAY_BEFORE, last, times[0], times[2])}
    assert rows_in_files(installation.data_dir, DAY) == []


def test_another_account_s_lead_of_the_same_id_stays_where_it_is(installation: Installation) -> None:
    account = installation.account
    settings = replace(installation.workspace.settings, accounts=(account, replace(account, name="other")))
    workspace = Workspace(settings)
    take_in(workspace, DAY_BEFORE, records_of("701", at=f"{DAY_BEFORE} 12:00:00"), MARCH_5)
    later = MARCH_5 + timedelta(hours=1)
    take_in(workspace, DAY, records_of("701", at=f"{DAY} 12:00:00"), later, account="other")
    assert rows_in_files(installation.data_dir, DAY_BEFORE) == ["701"]
    assert rows_in_files(installation.data_dir, DAY, "other") == ["701"]
    assert places(installation)["701"][0] == DAY_BEFORE
