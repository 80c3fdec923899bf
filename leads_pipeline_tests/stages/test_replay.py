"""What a replay gives, and what it replaces."""

import random
import shutil
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from leads_pipeline.days import ONE_DAY, day_start
from leads_pipeline.stages import merge_answers
from leads_pipeline.stages.replay import ReplayRequest, accounts_to_replay, days_to_replay, replay
from leads_pipeline.stages.replay_compare import NO_FILE, RowDifference
from leads_pipeline.stages.replay_scratch import Progress, RebuiltDays, ReplayError
from leads_pipeline.storage.parquet import LeadFiles
from leads_pipeline_tests.end_to_end.runs import quiet
from leads_pipeline_tests.stages.replays import (
    ACCOUNT,
    CHANGED,
    DAYS,
    EMPTY_DAYS,
    FADED,
    HISTORY,
    LATE,
    MOVED,
    SECRET,
    Answer,
    History,
    day_file,
    differing,
    new_history,
    noon,
    other_rules,
    record,
    rewrite,
    window,
)

pytestmark = pytest.mark.usefixtures("no_patience")


def test_what_normal_runs_left_equals_what_a_replay_gives_and_a_check_writes_nothing(history: History) -> None:
    before = history.files("leads", "quarantine", "published", "raw")
    told: list[Progress] = []
    result = replay(history.workspace, ReplayRequest(ACCOUNT, check=True), quiet, told.append)
    assert result.differences == ()
    assert (result.answers, result.days) == (4, 10)
    assert result.leads == len(history.rows()) == 16
    assert history.files("leads", "quarantine", "published", "raw") == before
    assert history.left_over() == []
    assert told[0] == Progress("rebuilding", 0, 4)
    assert Progress("rebuilding", 4, 4) in told
    assert told[-1] == Progress("comparing", 10, 10)


def test_a_replay_of_what_is_equal_replaces_nothing_and_makes_no_call(history: History) -> None:
    stamps = {path: path.stat().st_mtime_ns for path in (history.data_dir / "leads").rglob("*.parquet")}
    versions = history.files("published")
    result = history.replay()
    assert (result.differences, result.days_replaced, result.answers_replaced) == ((), (), ())
    assert {path: path.stat().st_mtime_ns for path in (history.data_dir / "leads").rglob("*.parquet")} == stamps
    assert history.files("published") == versions
    assert history.workspace.call_log.after(0) == []
    assert history.workspace.slots.in_flight() == []


def test_the_history_has_what_makes_a_replay_hard(history: History) -> None:
    rows = {row["query_id"]: row for row in history.rows()}
    assert (rows[MOVED]["lead_date"], rows[MOVED]["subject"]) == (DAYS[5], "moved")
    assert rows[CHANGED]["subject"] == "new"
    assert rows[LATE]["lead_date"] == DAYS[1]
    assert rows[FADED]["last_seen_at"] == HISTORY[0].sent_at
    assert history.quarantined() == [(ACCOUNT, "no_query_id"), (ACCOUNT, "unreadable_query_time")]


def test_day_files_that_were_deleted_are_reported_and_made_again_byte_by_byte(history: History) -> None:
    numbers = (0, 2, 3, 5)  # among them a day that is empty, and the day that a lead moved to
    before = history.files()
    leads = {number: history.workspace.lead_files(ACCOUNT).read([DAYS[number]]).num_rows for number in numbers}
    for number in numbers:
        day_file(history, number).unlink()
    expected = {("leads", DAYS[number]): RowDifference(missing=leads[number], note=NO_FILE) for number in numbers}
    assert differing(history) == expected
    assert history.replay().days_replaced == tuple(DAYS[number] for number in numbers)
    assert history.files() == before
    assert differing(history) == {}


@pytest.mark.parametrize("gone", [("leads", "state"), ("leads", "state", "quarantine", "published")])
def test_everything_that_is_derived_can_be_deleted_and_comes_back_byte_by_byte(
    history: History, gone: tuple[str, ...]
) -> None:
    before, rows = history.files(), history.rows()
    for name in gone:
        shutil.rmtree(history.data_dir / name)
    if "published" in gone:
        (history.data_dir / "leads.duckdb").unlink()
    history.replay()
    assert history.files() == before
    assert history.rows() == rows
    assert len(history.quarantined()) == 2
    assert differing(history) == {}
    assert history.workspace.catalog.unmerged(ACCOUNT) == []


@pytest.mark.parametrize("seed", [1, 2])
def test_answers_merged_in_any_order_give_the_same_bytes_as_a_replay(
    filled: History, folder: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merge_answers, "_BATCH_RECORDS", {1: 1, 2: 20}[seed])
    answers = random.Random(seed).sample(HISTORY, len(HISTORY))
    history = new_history(folder).fill(answers)
    assert differing(history) == {}
    assert history.files() == filled.files()
    shutil.rmtree(history.data_dir / "leads")
    history.replay()
    assert history.files() == filled.files()


def test_other_rules_of_the_normaliser_reach_every_layer_and_the_check_names_columns_and_no_values(
    history: History,
) -> None:
    lines: list[str] = []
    with other_rules():
        check = history.check()
        assert {one.layer for one in check.differences} == {"leads", "quarantine"}
        changed = {column for one in check.differences for column in one.rows.columns}
        assert {"sender_name", "query_message", "sender_name_original", "requirement_details"} <= changed
        assert SECRET.lower() not in repr(check).lower()
        result = replay(history.workspace, ReplayRequest(ACCOUNT), lines.append)
    assert len(result.days_replaced) == 6
    assert SECRET.lower() not in repr((result, lines)).lower()
    rows = {row["query_id"]: row for row in history.rows()}
    assert {row["sender_name"] for row in rows.values()} == {SECRET.upper()}
    assert {one.day for one in history.replay().differences} >= {*result.days_replaced}  # the old rules differ again


def test_a_quarantined_record_that_can_be_read_now_becomes_a_lead_and_leaves_quarantine(history: History) -> None:
    first = HISTORY[0]
    ledger = history.workspace.catalog.merged_counts(ACCOUNT)
    with other_rules():
        result = history.replay()
    [response_id] = result.answers_replaced
    rows = {row["query_id"]: row for row in history.rows()}
    assert (rows["70000001"]["lead_date"], rows["70000001"]["first_seen_at"]) == (DAYS[2], first.sent_at)
    assert history.quarantined() == [(ACCOUNT, "no_query_id")]
    counts = history.workspace.catalog.merged_counts(ACCOUNT)
    assert (ledger[response_id].leads, ledger[response_id].quarantined) == (9, 2)
    assert (counts[response_id].leads, counts[response_id].quarantined) == (10, 1)
    assert {one: count for one, count in counts.items() if one != response_id} == {
        one: count for one, count in ledger.items() if one != response_id
    }


def test_the_last_record_to_leave_quarantine_takes_its_file_along(folder: Path) -> None:
    odd = Answer(window(0, 3), HISTORY[0].sent_at, [HISTORY[0].records[-1]])
    history = new_history(folder).fill([odd])
    assert history.quarantined() == [(ACCOUNT, "unreadable_query_time")]
    with other_rules():
        history.replay()
    assert history.files("quarantine") == {}
    assert history.quarantined() == []
    history.replay()  # and back
    assert history.quarantined() == [(ACCOUNT, "unreadable_query_time")]
    assert history.rows() == []


def test_a_replay_of_one_account_leaves_the_other_alone(folder: Path) -> None:
    both = new_history(folder, ACCOUNT, "bharat")
    for account in (ACCOUNT, "bharat"):
        both.of(account).fill()
    before = both.files()
    for account in (ACCOUNT, "bharat"):
        both.workspace.lead_files(account).path(DAYS[1]).unlink()
    assert accounts_to_replay(both.workspace) == [ACCOUNT, "bharat"]
    assert both.replay(ACCOUNT).days_replaced == (DAYS[1],)
    assert before.keys() - both.files().keys() == {f"leads/account=bharat/lead_date={DAYS[1]}/leads.parquet"}
    assert both.check(ACCOUNT).differences == ()
    assert [one.day for one in both.check("bharat").differences] == [DAYS[1]]
    both.replay("bharat")
    assert both.files() == before
    assert len(both.rows()) == 32


def test_only_the_days_asked_for_are_replaced(history: History) -> None:
    before = history.files()
    for number in (0, 2, 7):
        day_file(history, number).unlink()
    result = history.replay(first=DAYS[1], last=DAYS[3])
    assert (result.days_replaced, result.days) == ((DAYS[2],), 3)
    assert {path.split("/")[2] for path in before.keys() - history.files().keys()} == {
        f"lead_date={DAYS[0]}",
        f"lead_date={DAYS[7]}",
    }
    assert history.check(first=DAYS[1], last=DAYS[6]).differences == ()
    assert len(history.check(last=DAYS[6]).differences) == 1
    assert len(history.check(first=DAYS[1]).differences) == 1


@pytest.mark.parametrize("number", [1, 5])
def test_a_lead_on_a_wrong_day_is_neither_lost_nor_doubled_by_a_replay_of_one_of_its_days(
    history: History, number: int
) -> None:
    before = history.files()
    right, wrong = (pq.ParquetFile(day_file(history, n)).read() for n in (5, 1))
    is_moved = pa.compute.equal(right["query_id"], MOVED)
    rewrite(history, 1, pa.concat_tables([wrong, right.filter(is_moved)]))
    rewrite(history, 5, right.filter(pa.compute.invert(is_moved)))
    assert history.replay(first=DAYS[number], last=DAYS[number]).days_replaced == (DAYS[1], DAYS[5])
    assert history.files() == before


def test_a_file_without_rows_may_stand_where_no_answer_says_anything(history: History) -> None:
    empty = pq.ParquetFile(day_file(history, 3)).read()
    stray = history.workspace.lead_files(ACCOUNT).path(DAYS[-1] + 2 * ONE_DAY)
    stray.parent.mkdir()
    pq.write_table(empty, stray)
    history.publish()
    assert differing(history) == {}
    history.replay()
    assert stray.exists()


def test_every_day_that_was_found_empty_has_a_file_again(history: History) -> None:
    files = history.workspace.lead_files(ACCOUNT)
    for day in EMPTY_DAYS[:2]:
        shutil.rmtree(files.path(day).parent)
    history.publish()
    assert [rows for rows in differing(history).values()] == [RowDifference(note=NO_FILE)] * 2
    history.replay()
    assert files.days() >= {*EMPTY_DAYS}


def test_rows_that_stand_twice_or_that_no_answer_gives_go(history: History) -> None:
    before = history.files()
    table = pq.ParquetFile(day_file(history, 0)).read()
    stranger = table.slice(0, 1).set_column(0, table.schema.field("query_id"), pa.array(["66666666"]))
    rewrite(history, 0, pa.concat_tables([table, table.slice(1, 1), stranger]))
    assert differing(history)[("leads", DAYS[0])].extra == 2
    history.replay()
    assert history.files() == before


def test_rows_in_another_order_or_encoding_are_equal(history: History) -> None:
    table = pq.ParquetFile(day_file(history, 0)).read()
    pq.write_table(table.sort_by([("query_id", "descending")]), day_file(history, 0), compression="none")
    history.publish()
    assert differing(history) == {}


def test_rebuilt_days_are_read_one_at_a_time(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    original = LeadFiles.read
    monkeypatch.setattr(LeadFiles, "read", lambda self, days: read.append(len([*days])) or original(self, days))
    days = RebuiltDays(history.workspace.lead_files(ACCOUNT), DAYS)
    assert (len(days), [*days], read) == (8, [*DAYS], [])
    assert days[DAYS[4]].num_rows == 2
    assert read == [1]


def test_days_are_read_from_texts() -> None:
    assert days_to_replay(None, "") == (None, None)
    assert days_to_replay("2026-03-01", None) == (DAYS[0].replace(2026, 3, 1), None)
    for first, last in (("1 March", None), ("2026-03-02", "2026-03-01")):
        with pytest.raises(ReplayError):
            days_to_replay(first, last)


def test_an_account_without_anything_has_nothing_to_differ(folder: Path) -> None:
    history = new_history(folder)
    history.workspace.prepare()
    assert accounts_to_replay(history.workspace) == []
    result = history.check()
    assert (result.answers, result.days, result.differences) == (0, 0, ())


def test_first_and_last_seen_come_out_the_same_whatever_was_seen_when(folder: Path) -> None:
    """Leads seen by many overlapping answers, merged as they came, newest first, and all at once."""
    moments = [day_start(DAYS[7]) + timedelta(days=2, hours=hours) for hours in range(5)]
    answers = [
        Answer(window(0, 3), moment, [record(str(20_000_000 + n), noon(n % 4)) for n in range(k, 40, k)])
        for k, moment in enumerate(moments, 1)
    ]
    orders = (answers, answers[::-1], [answers[index] for index in (2, 0, 4, 1, 3)])
    histories = [new_history(folder / str(n)) for n in range(3)]
    for history, order in zip(histories, orders, strict=True):
        history.data_dir.parent.mkdir()
        history.workspace.prepare()
        for answer in order:
            history.store(answer)
            if history is not histories[2]:
                history.merge()
    assert histories[2].replay().days_replaced == ()
    files = histories[2].files()  # the runs of the other two also left files without rows
    assert [{path: history.files()[path] for path in files} for history in histories] == [files] * 3
    rows = {row["query_id"]: row for row in histories[2].rows()}
    assert (rows["20000004"]["first_seen_at"], rows["20000004"]["last_seen_at"]) == (moments[0], moments[3])
