"""Replays after kills, and when raw responses or day files are gone or damaged."""

import shutil

import pyarrow.parquet as pq
import pytest

from leads_pipeline.days import ONE_DAY
from leads_pipeline.stages.replay import accounts_to_replay
from leads_pipeline.stages.replay_compare import UNREADABLE
from leads_pipeline.stages.replay_scratch import ReplayError
from leads_pipeline.storage.errors import StorageError
from leads_pipeline_tests.stages.replays import (
    ACCOUNT,
    CHANGED,
    DAYS,
    FADED,
    HISTORY,
    LATE,
    MOVED,
    SECRET,
    Answer,
    History,
    day_file,
    differing,
    noon,
    other_rules,
    record,
    replay_killed,
    rewrite,
    run_killed,
    window,
)
from leads_pipeline_tests.storage.children import exit_code

pytestmark = pytest.mark.usefixtures("no_patience")


KILL_POINTS = (
    "replay:batch",
    "replay:quarantine",
    "merge:staged:2",  # of the real files: the first is that of the rebuild
    "replay:ledger",
    "publish:copied",
)


@pytest.mark.parametrize("kill_at", KILL_POINTS)
def test_a_replay_that_was_killed_anywhere_is_done_by_the_next_one(history: History, kill_at: str) -> None:
    assert exit_code(replay_killed, history.settings, kill_at) == -9
    with other_rules():
        history.replay()
    assert history.left_over() == []
    assert {row["sender_name"] for row in history.rows()} == {SECRET.upper()}
    assert len(history.rows()) == 17
    assert history.quarantined() == [(ACCOUNT, "no_query_id")]


@pytest.mark.parametrize("kill_at", ["merge:journal:2", "merge:rename:20"])
def test_a_normal_run_finishes_what_a_killed_replay_had_begun_to_replace(history: History, kill_at: str) -> None:
    assert exit_code(replay_killed, history.settings, kill_at) == -9
    history.merge()
    history.publish()
    assert {row["sender_name"] for row in history.rows()} == {SECRET.upper()}
    assert {row["query_id"] for row in history.rows()} >= {MOVED, CHANGED, LATE, FADED, "70000001"}
    assert [path.name for path in history.settings.state_dir.glob("*.journal.json")] == []


def test_a_replay_finishes_a_merge_that_was_killed(history: History) -> None:
    history.store(Answer(window(0, 3), HISTORY[2].sent_at + ONE_DAY, [record("80000001", noon(3))]))
    assert exit_code(run_killed, history.settings, "merge:rename:2") == -9
    assert history.check().differences[0].layer == "published leads"  # nothing published it yet
    assert history.replay().differences == ()
    assert "80000001" in {row["query_id"] for row in history.rows()}


def test_a_missing_raw_response_stops_the_replay_before_anything_is_replaced(history: History) -> None:
    gone = history.workspace.catalog.all_of(ACCOUNT)[-1]
    [body] = (history.data_dir / "raw").rglob(f"{gone.response_id}.zst")
    body.unlink()
    day_file(history, 1).unlink()
    before = history.files("leads", "quarantine", "published")
    for check in (False, True):
        with pytest.raises(ReplayError, match=r"1 raw response\(s\) of account acme are missing.*Restore raw/acme"):
            history.replay(check=check)
    assert history.files("leads", "quarantine", "published") == before


def test_a_missing_sidecar_stops_it_too(history: History) -> None:
    gone = history.workspace.catalog.all_of(ACCOUNT)[-1]
    [sidecar] = (history.data_dir / "raw").rglob(f"{gone.response_id}.json")
    sidecar.unlink()
    with pytest.raises(ReplayError, match="missing"):
        history.replay()


def test_days_that_a_missing_raw_response_says_nothing_of_can_be_replayed(history: History) -> None:
    before = history.files()
    answers = history.workspace.catalog.all_of(ACCOUNT)
    [gone] = [one for one in answers if one.window == window(4, 7)]
    for path in (history.data_dir / "raw").rglob(f"{gone.response_id}.*"):
        path.unlink()
    day_file(history, 2).unlink()
    assert history.replay(first=DAYS[2], last=DAYS[3]).days_replaced == (DAYS[2],)
    assert history.files() == before
    with pytest.raises(ReplayError, match="are missing"):
        history.replay(first=DAYS[4], last=DAYS[4])
    with pytest.raises(ReplayError, match="that would change or go came from"):
        history.replay(first=DAYS[1], last=DAYS[1])  # a lead of that day has moved to a day that it tells of


def test_leads_whose_raw_responses_are_gone_stay_even_if_nothing_is_known_of_them(history: History) -> None:
    before, rows = history.files(), history.rows()
    shutil.rmtree(history.data_dir / "raw")
    shutil.rmtree(history.settings.state_dir)
    check = history.check()
    assert len(check.lost_responses) == 3
    assert sum(one.rows.extra for one in check.differences if one.layer == "leads") == 16
    with pytest.raises(ReplayError, match=r"came from 3 raw response\(s\) that are missing"):
        history.replay()
    assert history.files() == before
    assert history.rows() == rows
    assert accounts_to_replay(history.workspace) == [ACCOUNT]


def test_newer_content_whose_raw_response_is_gone_is_not_put_back_to_older(history: History) -> None:
    before = history.files()
    newest = history.workspace.catalog.all_of(ACCOUNT)[-1]
    for path in (history.data_dir / "raw").rglob(f"{newest.response_id}.*"):
        path.unlink()
    shutil.rmtree(history.settings.state_dir)
    with pytest.raises(ReplayError, match="missing"):
        history.replay()
    assert history.files() == before


def test_raw_responses_that_were_restored_are_taken_in(history: History) -> None:
    before, rows = history.files(), history.rows()
    backup = history.data_dir.with_name("backup")
    shutil.move(history.data_dir / "raw", backup)
    for name in ("state", "leads", "quarantine"):
        shutil.rmtree(history.data_dir / name)
    history.workspace.prepare()
    assert history.workspace.catalog.all_of(ACCOUNT) == []
    shutil.move(backup, history.data_dir / "raw")
    history.replay()
    assert history.files() == before
    assert history.rows() == rows


def test_an_answer_whose_run_died_before_its_sidecar_is_taken_in(history: History) -> None:
    late = Answer(window(0, 3), HISTORY[2].sent_at + ONE_DAY, [record("80000002", noon(3))])
    response_id = history.store(late)
    [sidecar] = (history.data_dir / "raw").rglob(f"{response_id}.json")
    sidecar.unlink()
    history.workspace.catalog.forget(ACCOUNT)
    history.replay()
    assert "80000002" in {row["query_id"] for row in history.rows()}
    assert sidecar.exists()


def test_a_damaged_raw_response_is_named_and_nothing_is_replaced(history: History) -> None:
    [body] = (history.data_dir / "raw").rglob(f"{history.workspace.catalog.all_of(ACCOUNT)[-1].response_id}.zst")
    body.write_bytes(body.read_bytes()[:-3])
    day_file(history, 1).unlink()
    before = history.files("leads", "quarantine", "published")
    with pytest.raises(ReplayError, match="Restore it from a backup"):
        history.replay()
    assert history.files("leads", "quarantine", "published") == before
    assert history.left_over() == []


@pytest.mark.parametrize("damage", ["bytes", "column"])
def test_a_day_file_that_cannot_be_read_is_made_anew_though_a_merge_needs_it(history: History, damage: str) -> None:
    before = history.files()
    table = pq.ParquetFile(day_file(history, 0)).read()
    if damage == "bytes":
        day_file(history, 0).write_bytes(b"PAR1 and nothing more")
    else:
        rewrite(history, 0, table.drop_columns(["first_seen_after_seconds"]))
    assert differing(history)[("leads", DAYS[0])].note == UNREADABLE
    history.store(Answer(window(0, 3), HISTORY[2].sent_at + ONE_DAY, [record(FADED, noon(0))]))
    with pytest.raises(StorageError, match="run `leads replay` without --check"):
        history.check()
    history.replay()
    assert history.files().keys() == before.keys()
    assert {row["query_id"]: row for row in history.rows()}[FADED]["last_seen_at"] == HISTORY[2].sent_at + ONE_DAY
    assert differing(history) == {}


def test_a_merge_whose_staged_files_were_removed_is_given_up_and_made_anew(history: History) -> None:
    history.store(Answer(window(0, 3), HISTORY[2].sent_at + ONE_DAY, [record("80000004", noon(3))]))
    assert exit_code(run_killed, history.settings, "merge:journal") == -9
    for path in (*history.data_dir.rglob(".leads.parquet.staged"), day_file(history, 3)):
        path.unlink()
    with pytest.raises(StorageError, match="were removed during a merge"):
        history.check()
    history.replay()
    assert history.left_over() == []
    assert differing(history) == {}
    assert "80000004" in {row["query_id"] for row in history.rows()}
