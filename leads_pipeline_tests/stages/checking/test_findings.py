"""The judgements alone: when all is well, when a check warns, when it is red."""

from datetime import date

import pyarrow as pa
import pytest

from leads_pipeline.stages.checking.answers import AnswerRecords, quarantine_finding, sums_finding
from leads_pipeline.stages.checking.findings import Scope
from leads_pipeline.stages.checking.new_names import NOT_A_NAME, Names, label, names_finding
from leads_pipeline.stages.checking.tables import (
    DayTimes,
    columns_finding,
    database_finding,
    future_finding,
    ids_finding,
    times_finding,
)
from leads_pipeline.storage.normalized_files import AnswerCounts
from leads_pipeline.storage.parquet import FILE_SCHEMA
from leads_pipeline_tests.support import ist

DAY = date(2026, 11, 19)
NOW = ist("2026-11-20 10:00:00")


def records(
    received: int = 10, leads: int = 8, duplicates: int = 1, quarantined: int = 1, **other: int
) -> AnswerRecords:
    counts = AnswerCounts(received, leads, duplicates, quarantined)
    in_sidecar, in_quarantine = other.get("in_sidecar", received), other.get("in_quarantine", quarantined)
    return AnswerRecords("an-answer", ist("2026-11-19 00:00:00"), in_sidecar, counts, in_quarantine)


def test_a_run_looks_at_the_days_that_its_answers_can_touch() -> None:
    scope = Scope((DAY,))

    assert scope.among([date(2026, 11, 18), DAY, date(2026, 11, 25), date(2026, 12, 1)]) == [DAY, date(2026, 11, 25)]
    assert Scope(None).among([date(2020, 1, 1), DAY]) == [date(2020, 1, 1), DAY]


def test_sums_are_right_where_sidecar_ledger_and_quarantine_agree() -> None:
    finding = sums_finding([records(), records(3, 3, 0, 0)])

    assert finding.passed
    assert finding.facts["received"] == 13
    assert "13 record(s) received = 11 leads + 1 duplicates + 1 quarantined" in finding.sentence


@pytest.mark.parametrize(
    "wrong", [records(leads=7), records(in_sidecar=11), records(in_quarantine=0), records(in_quarantine=2)]
)
def test_one_count_that_disagrees_is_red(wrong: AnswerRecords) -> None:
    finding = sums_finding([records(), wrong])

    assert not finding.passed
    assert not finding.is_warning
    assert finding.facts["answers_that_do_not_add_up"] == 1


@pytest.mark.parametrize(
    ("received", "quarantined", "passed"),
    [(0, 0, True), (10, 2, True), (10, 3, False), (60, 3, True), (59, 3, False), (1000, 51, False), (1000, 50, True)],
)
def test_the_quarantine_warns_by_share_and_number(received: int, quarantined: int, passed: bool) -> None:
    finding = quarantine_finding(
        [records(received, received - quarantined, 0, quarantined)], {"no_query_id": quarantined}
    )

    assert finding.passed is passed
    assert finding.passed or finding.is_warning
    assert finding.facts["reason_no_query_id"] == quarantined


def test_new_names_are_told_with_examples() -> None:
    new = Names(frozenset({"ZONE", "LEAD_SCORE"}), frozenset({"V"}))

    finding = names_finding(new, new | Names(frozenset({"OLD"})))

    assert not finding.passed
    assert finding.is_warning
    assert "2 new field(s) (LEAD_SCORE, ZONE) and 1 new query type(s) (V)" in finding.sentence
    assert finding.facts["fields_in_extra"] == "LEAD_SCORE, OLD, ZONE"


def test_known_names_are_no_finding() -> None:
    assert names_finding(Names(), Names(frozenset({"ZONE"}))).passed


@pytest.mark.parametrize("value", ["+91-9812345670", "asha@example.org", "9812345670", "X" * 41, "Flat 12345", ""])
def test_what_may_be_a_value_is_never_shown_as_a_name(value: str) -> None:
    assert label(value) == NOT_A_NAME


@pytest.mark.parametrize("name", ["QUERY_SOURCE_NEW", "sender name", "WA2", "SENDER_PHONE_12"])
def test_names_are_shown(name: str) -> None:
    assert label(name) == name


def test_an_id_in_two_rows_is_red() -> None:
    assert ids_finding(5, 5, 2).passed
    assert not ids_finding(6, 5, 2).passed


def test_columns_of_an_earlier_version_warn_and_others_are_red() -> None:
    nullable = FILE_SCHEMA.get_field_index("subject")
    earlier = FILE_SCHEMA.remove(nullable)
    needed = FILE_SCHEMA.remove(FILE_SCHEMA.get_field_index("query_id"))
    retyped = FILE_SCHEMA.set(nullable, pa.field("subject", pa.int32()))

    assert columns_finding({DAY: FILE_SCHEMA}).passed
    assert columns_finding({DAY: FILE_SCHEMA.remove_metadata()}).passed
    assert columns_finding({DAY: earlier}).is_warning
    for schema in (needed, retyped, FILE_SCHEMA.append(pa.field("more", pa.string()))):
        finding = columns_finding({DAY: schema, date(2026, 11, 18): earlier})
        assert (finding.passed, finding.is_warning, finding.facts["examples"]) == (False, False, "2026-11-19")


def test_leads_outside_their_day_are_red_and_of_the_future_warn() -> None:
    good = DayTimes(DAY, 4, 0, 0, ist("2026-11-19 23:59:59"))
    wrong = DayTimes(date(2026, 11, 20), 3, 2, 1, ist("2026-11-20 15:30:00"))

    assert times_finding([good]).passed
    assert future_finding([good], NOW).passed
    assert times_finding([good, wrong]).facts["outside_their_day"] == 2
    assert not times_finding([good, wrong]).is_warning
    ahead = future_finding([good, wrong], NOW)
    assert (ahead.passed, ahead.is_warning, ahead.facts["hours_ahead"]) == (False, True, 5.5)


def test_days_that_differ_are_red_and_days_about_to_be_published_are_not() -> None:
    assert database_finding([], 1, 7, 100).passed
    finding = database_finding([DAY], 0, 7, 100)
    assert (finding.passed, finding.is_warning, finding.facts["examples"]) == (False, False, "2026-11-19")
