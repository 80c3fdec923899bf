"""Replays beside runs that store, merge and publish, and beside people who change what is published."""

import duckdb
import pytest

from leads_pipeline.days import ONE_DAY
from leads_pipeline.stages import replay_tables
from leads_pipeline.stages.normalize_answers import normalize_pending
from leads_pipeline.stages.replay import ReplayRequest, replay
from leads_pipeline.stages.replay_compare import RowDifference
from leads_pipeline.stages.replay_scratch import Progress, ReplayError, scratch_of
from leads_pipeline_tests.end_to_end.runs import quiet
from leads_pipeline_tests.stages.replays import (
    ACCOUNT,
    CHANGED,
    DAYS,
    HISTORY,
    LATE,
    Answer,
    History,
    day_file,
    differing,
    noon,
    record,
    window,
)

pytestmark = pytest.mark.usefixtures("no_patience")


def test_answers_that_wait_are_merged_first_also_by_a_check(history: History) -> None:
    history.store(Answer(window(0, 3), HISTORY[2].sent_at + ONE_DAY, [record("80000003", noon(3))]))
    assert {one.layer for one in history.check().differences} == {"published leads"}
    history.publish()
    assert differing(history) == {}


def test_answers_that_are_merged_during_the_rebuild_are_neither_a_difference_nor_put_back(history: History) -> None:
    newer = Answer(window(0, 3), HISTORY[2].sent_at + ONE_DAY, [record("80000005", noon(3)), {"QUERY_TYPE": "W"}])

    def meanwhile(progress: Progress) -> None:
        if progress == Progress("rebuilding", 0, 4):
            history.store(newer)
            history.merge()
            history.publish()

    result = replay(history.workspace, ReplayRequest(ACCOUNT), quiet, meanwhile)
    assert (result.differences, result.answers) == ((), 5)
    assert "80000005" in {row["query_id"] for row in history.rows()}
    assert len(history.quarantined()) == 3


def test_an_answer_that_is_stored_during_the_comparison_is_left_to_its_own_run(history: History) -> None:
    newer = Answer(window(0, 3), HISTORY[2].sent_at + ONE_DAY, [record("80000006", noon(3)), {"QUERY_TYPE": "W"}])

    def meanwhile(progress: Progress) -> None:
        if progress.step == "comparing" and progress.done == 1:
            history.store(newer)
            normalize_pending(history.workspace, ACCOUNT, DAYS, quiet)

    day_file(history, 1).unlink()
    result = replay(history.workspace, ReplayRequest(ACCOUNT), quiet, meanwhile)
    assert (result.days_replaced, result.answers_replaced) == ((DAYS[1],), ())
    assert [one.records for one in history.workspace.catalog.unmerged(ACCOUNT)] == [2]
    history.merge()
    history.publish()
    assert len(history.quarantined()) == 3
    assert differing(history) == {}


def test_two_replays_of_one_account_are_never_at_work_at_once(history: History) -> None:
    with scratch_of(history.workspace, ACCOUNT), pytest.raises(ReplayError, match="run the same command again"):
        history.check()
    assert history.check().differences == ()


def test_published_tables_that_somebody_changed_are_reported_and_made_again(history: History) -> None:
    rows = history.rows()
    version = (history.data_dir / "leads.duckdb").resolve()
    version.chmod(0o600)
    with duckdb.connect(str(version), config={"threads": 1}) as connection:
        connection.execute("UPDATE leads SET subject = 'mine' WHERE query_id = ?", [CHANGED]).fetchall()
        connection.execute("DELETE FROM leads WHERE query_id = ?", [LATE]).fetchall()
        connection.execute("DELETE FROM pipeline.quarantine_seen WHERE reason = 'no_query_id'").fetchall()
    assert differing(history) == {
        ("published leads", DAYS[2]): RowDifference(changed=1, columns=("subject",)),
        ("published leads", DAYS[1]): RowDifference(missing=1),
        ("published quarantine", DAYS[0]): RowDifference(missing=1),
    }
    assert len(history.replay().differences) == 3
    assert history.rows() == rows
    assert differing(history) == {}


def test_tables_that_lag_behind_are_reported_by_a_check_and_published_by_a_replay(history: History) -> None:
    history.store(Answer(window(0, 3), HISTORY[2].sent_at + ONE_DAY, [record("80000007", noon(3))]))
    history.merge()
    lagging = {("published leads", DAYS[3]): RowDifference(note=replay_tables.NOT_PUBLISHED)}
    assert differing(history) == lagging
    assert history.replay().differences == ()
    assert differing(history) == {}


def test_a_check_waits_for_a_run_that_is_about_to_publish(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    history.store(Answer(window(0, 3), HISTORY[2].sent_at + ONE_DAY, [record("80000008", noon(3))]))
    history.merge()
    monkeypatch.setattr(replay_tables, "_PUBLISHING_SECONDS", 60.0)
    monkeypatch.setattr(replay_tables.time, "sleep", lambda _: history.publish())
    assert differing(history) == {}
