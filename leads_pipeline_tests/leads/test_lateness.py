from datetime import UTC, datetime, timedelta

import pandas as pd
import pyarrow as pa
import pytest

from leads_pipeline.leads.lateness import first_seen_after
from leads_pipeline.leads.merge import merge_leads
from leads_pipeline.leads.normalize import normalize_answer
from leads_pipeline.leads.schema import FIRST_SEEN_AFTER, INSTANT, LEADS_ARROW_SCHEMA
from leads_pipeline_tests.leads.examples import facts, record, rows_of

ASKED_AT = datetime(2024, 5, 23, 10, 14, 28, tzinfo=UTC)  # the time of examples.record


@pytest.mark.parametrize(
    ("seen_after", "seconds"),
    [
        (timedelta(seconds=0), 0),
        (timedelta(seconds=59, microseconds=999_999), 59),
        (timedelta(days=3, seconds=1), 259_201),
        (timedelta(seconds=-7), -7),
        (timedelta(microseconds=-400_000), 0),
    ],
)
def test_it_is_counted_in_whole_seconds_and_may_be_negative(seen_after: timedelta, seconds: int) -> None:
    query_time = pa.array([ASKED_AT], INSTANT)
    assert first_seen_after(pa.scalar(ASKED_AT + seen_after, INSTANT), query_time).to_pylist() == [seconds]
    assert first_seen_after(pa.array([ASKED_AT + seen_after], INSTANT), query_time).to_pylist() == [seconds]


def test_there_are_no_rows_for_no_leads() -> None:
    assert first_seen_after(pa.array([], INSTANT), pa.array([], INSTANT)) == pa.array([], pa.int64())


def test_an_answer_gives_it_and_the_merge_keeps_it_at_the_first_time_seen() -> None:
    at = [ASKED_AT + timedelta(hours=hours) for hours in (2, 5, 9)]
    frames = [normalize_answer([record()], facts(f"r{n}", fetched_at=moment)).leads for n, moment in enumerate(at)]
    assert [rows_of(frame)[0][FIRST_SEEN_AFTER] for frame in frames] == [7_200, 18_000, 32_400]
    for stored, incoming in ((frames[2], frames[0]), (frames[0], frames[2]), (frames[1], pd.concat(frames))):
        (row,) = rows_of(merge_leads(stored, incoming))
        assert row[FIRST_SEEN_AFTER] == int((row["first_seen_at"] - ASKED_AT).total_seconds())  # type: ignore[operator]
    assert rows_of(merge_leads(frames[2], frames[0]))[0][FIRST_SEEN_AFTER] == 7_200


def test_it_follows_the_time_of_the_content_that_won() -> None:
    earlier = normalize_answer([record()], facts("r1", fetched_at=ASKED_AT + timedelta(hours=2))).leads
    moved = record(QUERY_TIME="2024-05-23 16:44:28", SUBJECT="changed")
    later = normalize_answer([moved], facts("r2", fetched_at=ASKED_AT + timedelta(hours=30))).leads
    (row,) = rows_of(merge_leads(earlier, later))
    assert (row["subject"], row[FIRST_SEEN_AFTER]) == ("changed", 3_600)


def test_the_content_hash_does_not_see_it() -> None:
    frames = [
        normalize_answer([record()], facts("r1", fetched_at=ASKED_AT + timedelta(hours=hours))).leads
        for hours in (2, 5)
    ]
    assert frames[0][FIRST_SEEN_AFTER].iloc[0] != frames[1][FIRST_SEEN_AFTER].iloc[0]
    assert frames[0]["content_hash"].iloc[0] == frames[1]["content_hash"].iloc[0]


def test_its_column_is_never_null_and_wide_enough_for_any_history() -> None:
    field = LEADS_ARROW_SCHEMA.field(FIRST_SEEN_AFTER)
    assert (field.type, field.nullable) == (pa.int64(), False)
