import random
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from leads_pipeline.days import ONE_DAY, day_start
from leads_pipeline.stages import merge_answers, replay_tables
from leads_pipeline.stages.normalize_answers import normalize_pending
from leads_pipeline.stages.replay import ReplayRequest, accounts_to_replay, days_to_replay, replay
from leads_pipeline.stages.replay_compare import NO_FILE, UNREADABLE, RowDifference
from leads_pipeline.stages.replay_scratch import Progress, RebuiltDays, ReplayError, scratch_of
from leads_pipeline.storage.errors import StorageError
from leads_pipeline.storage.parquet import LeadFiles
from leads_pipeline_tests.end_to_end.runs import folder_in_memory, quiet
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
    new_history,
    noon,
    other_rules,
    record,
    replay_killed,
    run_killed,
    window,
)
from leads_pipeline_tests.storage.children import exit_code


@pytest.fixture
def folder() -> Iterator[Path]:
    with folder_in_memory() as folder:
        yield folder


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks do not wait for others to publish."""
    monkeypatch.setattr(replay_tables, "_PUBLISHING_SECONDS", 0.0)


@pytest.fixture(scope="module")
def filled() -> Iterator[History]:
    """A history that tests copy."""
    with folder_in_memory() as folder:
        yield new_history(folder).fill()


@pytest.fixture
def history(filled: History, folder: Path) -> History:
    own = new_history(folder)
    shutil.copytree(filled.data_dir, own.data_dir, symlinks=True)
    return own


def differing(history: History) -> dict[tuple[str, object], RowDifference]:
    """Where a check of the history finds differences."""
    return {(one.layer, one.day): one.rows for one in history.check().differences}


def day_file(history: History, number: int) -> Path:
    return history.workspace.lead_files(ACCOUNT).path(DAYS[number])


def rewrite(history: History, number: int, table: pa.Table) -> None:
    """Put other rows of the file's columns into a day's file, as somebody else might."""
    pq.write_table(table, day_file(history, number))


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


def test_answers_that_wait_are_merged_first_also_by_a_check(history: History) -> None:
    history.store(Answer(window(0, 3), HISTORY[2].sent_at + ONE_DAY, [record("80000003", noon(3))]))
    assert {one.layer for one in history.check().differences} == {"published leads"}
    history.publish()
    assert differing(history) == {}


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
