"""Every fault that the fake IndiaMART can inject, at the first, the middle and the last call of a pull of three weeks.

Afterwards one clean pull ends in the truth, and at no moment is a day taken for fetched that was not answered.
What a call got is told by the server's own record, and by the tests' tables: none of the program's judging is used.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import duckdb
import pytest
import zstandard

from leads_pipeline.days import ONE_DAY, day_end, day_of, day_start, days_between, utc_now
from leads_pipeline.fake_indiamart.faults import FaultName
from leads_pipeline.fake_indiamart.server import FakeIndiaMart
from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline.stages.pull import PullFailedError
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.storage.normalized_files import AnswerCounts
from leads_pipeline_tests.end_to_end.runs import (
    call_for,
    folder_in_memory,
    merge,
    pull_to_complete,
    runs_of_a_pull,
)
from leads_pipeline_tests.end_to_end.truth_rows import expected_row
from leads_pipeline_tests.fault_outcomes import OUTCOME_OF_FAULT
from leads_pipeline_tests.storage.children import ONE_THREAD
from leads_pipeline_tests.support import KEY, complete_days, forms_found, make_settings, make_workspace

DAYS = complete_days(21, ago=4)
CALLS = 3
INTERVAL_SECONDS = 0.01
BLOCK_SECONDS = 0.05
TIMEOUT_SECONDS = 10.0
SHORT_TIMEOUT_SECONDS = 0.4

EXPECTED = OUTCOME_OF_FAULT | {FaultName.SLOW: Outcome.UNREACHABLE}  # it takes longer than the time limit here
ENDS_THE_PULL = frozenset(
    {
        FaultName.KEY_INCORRECT,
        FaultName.KEY_EXPIRED,
        FaultName.KEY_REGENERATED,
        FaultName.NOT_YET_AVAILABLE_204,
        FaultName.NOT_YET_AVAILABLE_401,
        FaultName.BAD_REQUEST,
    }
)
HARMLESS = frozenset(fault.value for fault, outcome in EXPECTED.items() if outcome is Outcome.LEADS)
"""Faults with which the whole window is answered all the same."""
NEEDS_MORE_CALLS = frozenset({FaultName.TOO_WIDE, FaultName.FEWER_THAN_TOTAL})
"""Faults after which windows get smaller."""
CHANGES_RECORDS = frozenset({FaultName.DUPLICATE_RECORDS, FaultName.LONE_SURROGATE})
"""Faults with which a record says something else than the truth, which only another answer can put right."""
FILES_SQL = """
SELECT * FROM read_parquet(?, hive_partitioning = true, hive_types = {'account': VARCHAR, 'lead_date': DATE})
"""
ECHOES = (FaultName.ECHO_KEY, FaultName.HTML_WITH_KEY)


@dataclass(frozen=True)
class Site:
    """A server and an installation that asks it."""

    server: FakeIndiaMart
    workspace: Workspace

    @property
    def account(self) -> str:
        return self.workspace.settings.accounts[0].name

    def fetched(self) -> list[date]:
        """The days from the first one to yesterday that coverage takes for fetched."""
        days = days_between(DAYS[0], day_of(utc_now()) - ONE_DAY)
        return [day.day for day in self.workspace.coverage(self.account, days, utc_now()) if day.fetched]

    def outcomes(self) -> list[Outcome]:
        return [call.outcome for call in self.workspace.call_log.after(0)]


@contextmanager
def site(fault: FaultName) -> Iterator[Site]:
    """The server's clock stands still, so that no lead comes late between a call and the look at the truth."""
    now = utc_now()
    timeout = SHORT_TIMEOUT_SECONDS if fault is FaultName.SLOW else TIMEOUT_SECONDS
    with (
        folder_in_memory() as folder,
        FakeIndiaMart(
            seed=9,
            keys=(KEY,),
            interval_seconds=INTERVAL_SECONDS,
            block_seconds=BLOCK_SECONDS,
            leads_per_day=2,
            clock=lambda: now,
        ) as server,
    ):
        settings = make_settings(
            folder, server.url, interval=INTERVAL_SECONDS, block=2 * BLOCK_SECONDS, timeout=timeout
        )
        yield Site(server, make_workspace(settings))


def inject(server: FakeIndiaMart, fault: FaultName) -> None:
    server.inject(fault, seconds=2 * SHORT_TIMEOUT_SECONDS if fault is FaultName.SLOW else 0.05)


def assert_only_answered_days_count(site: Site) -> None:
    """Every day that is taken for fetched was answered by the server, all of it."""
    answers = [
        (call.start, call.end)
        for call in site.server.calls
        if call.start and call.end and (call.outcome in ("leads", "no_leads") or call.fault in HARMLESS)
    ]
    for day in site.fetched():
        assert answered_until(day_start(day), answers) >= day_end(day), f"nobody answered for all of {day}"


def answered_until(moment: datetime, answers: Sequence[tuple[datetime, datetime]]) -> datetime:
    for start, end in sorted(answers):
        if start <= moment:
            moment = max(moment, end)
    return moment


def faulty_pull(site: Site, fault: FaultName, at: int) -> PullFailedError | None:
    """Pull the three weeks with the fault at one call; return the failure that ended the pull, if one did."""
    for number, days in enumerate(runs_of_a_pull(site.workspace, DAYS)):
        if number == at:
            inject(site.server, fault)
        try:
            call_for(site.workspace, days)
        except PullFailedError as failure:
            return failure
        finally:
            assert_only_answered_days_count(site)
    return None


def assert_truth(site: Site, *, ids_only: bool = False) -> None:
    """The files hold the leads of every fetched day, each once, field by field."""
    rows = sorted(rows_of_files(site.workspace.settings.data_dir), key=lambda row: str(row["query_id"]))
    truth = site.server.truth(DAYS[0], site.fetched()[-1])
    assert [row["query_id"] for row in rows] == sorted(lead.query_id for lead in truth)
    expected = {lead.query_id: expected_row(lead, site.account) for lead in truth}
    for row in [] if ids_only else rows:
        wanted = expected[str(row["query_id"])]
        assert {name: row[name] for name in wanted} == wanted


def rows_of_files(data_dir: Path) -> list[dict[str, object]]:
    """The rows of all days' files, with `extra` parsed."""
    with duckdb.connect(config=ONE_THREAD) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        result = connection.execute(FILES_SQL, [f"{data_dir}/leads/*/*/*.parquet"])
        names = [column[0] for column in result.description or []]
        rows = [dict(zip(names, values, strict=True)) for values in result.fetchall()]
    for row in rows:
        row["extra"] = json.loads(row["extra"] or "null")
    return rows


def quarantined(site: Site) -> list[str]:
    files = site.workspace.quarantine_files(site.account)
    return [reason for path in files.paths() for reason in files.read(path)["reason"].to_pylist()]


def everything_written(data_dir: Path) -> str:
    """The text of every file, with raw bodies unpacked."""
    files = [path for path in data_dir.rglob("*") if path.is_file()]
    bodies = [path.read_bytes() for path in files]
    unpacked = [zstandard.decompress(path.read_bytes()) for path in files if path.suffix == ".zst"]
    return b"\n".join([*bodies, *unpacked]).decode("latin-1")


def test_every_fault_of_the_server_is_tried_here() -> None:
    assert {*EXPECTED} == {*FaultName}


@pytest.mark.parametrize("at", range(CALLS), ids=["first", "middle", "last"])
@pytest.mark.parametrize("fault", FaultName)
def test_a_clean_pull_after_a_fault_ends_in_the_truth(fault: FaultName, at: int) -> None:
    with site(fault) as here:
        failure = faulty_pull(here, fault, at)
        merge(here.workspace, DAYS)
        calls_of_pull = len(here.server.calls)
        pull_to_complete(here.workspace, DAYS)
        assert_only_answered_days_count(here)

        assert here.outcomes()[at] is EXPECTED[fault]
        assert (failure is not None) == (fault in ENDS_THE_PULL)
        assert failure is None or failure.outcome is EXPECTED[fault]
        assert here.server.refused_calls == ()
        assert {*DAYS} <= {*here.fetched()}
        assert_truth(here, ids_only=fault in CHANGES_RECORDS)
        calls = len(here.server.calls)
        if fault in NEEDS_MORE_CALLS:
            assert calls > CALLS + 1
        elif fault.value in HARMLESS:
            assert calls == calls_of_pull == CALLS
        else:
            assert calls == CALLS + 1
            assert calls_of_pull == (at + 1 if failure else CALLS + 1)


@pytest.mark.parametrize("fault", sorted(CHANGES_RECORDS))
def test_another_answer_puts_right_what_a_fault_made_of_a_record(fault: FaultName) -> None:
    with site(fault) as here:
        faulty_pull(here, fault, 0)
        merge(here.workspace, DAYS)
        with pytest.raises(AssertionError):
            assert_truth(here)
        for days in runs_of_a_pull(here.workspace, DAYS, again=True):
            call_for(here.workspace, days, again=True)
        merge(here.workspace, DAYS)
        assert_truth(here)


@pytest.mark.parametrize("fault", ECHOES)
def test_an_echoed_key_is_in_no_file_and_no_line_of_the_log(
    fault: FaultName, capsys: pytest.CaptureFixture[str]
) -> None:
    with site(fault) as here:
        faulty_pull(here, fault, 1)
        merge(here.workspace, DAYS)
        text = everything_written(here.workspace.settings.data_dir)
        assert here.outcomes()[1] is EXPECTED[fault]
        assert "glusr_crm_key=" in text, "the echo itself is kept, but for the key"
        assert forms_found(KEY, text) == set()
    assert forms_found(KEY, "".join(capsys.readouterr())) == set()


def test_records_that_are_no_leads_are_quarantined_and_counted() -> None:
    with site(FaultName.GARBAGE_RECORDS) as here:
        faulty_pull(here, FaultName.GARBAGE_RECORDS, 2)
        rows = sum(call.rows for call in here.server.calls)
        truth = len(here.server.truth(DAYS[0], DAYS[-1]))
        counts = merge(here.workspace, DAYS)
        assert counts == AnswerCounts(received=rows, leads=truth, duplicates=0, quarantined=3)
        assert len(quarantined(here)) == 3


def test_records_that_come_twice_are_counted_as_duplicates() -> None:
    with site(FaultName.DUPLICATE_RECORDS) as here:
        faulty_pull(here, FaultName.DUPLICATE_RECORDS, 2)
        rows = sum(call.rows for call in here.server.calls)
        truth = len(here.server.truth(DAYS[0], DAYS[-1]))
        counts = merge(here.workspace, DAYS)
        assert counts == AnswerCounts(received=rows, leads=truth, duplicates=2, quarantined=0)
        assert quarantined(here) == []
