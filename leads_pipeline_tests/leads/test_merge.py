import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leads_pipeline.leads.frames import ColumnsDoNotFit
from leads_pipeline.leads.merge import merge_leads
from leads_pipeline.leads.normalize import normalize_answer
from leads_pipeline.leads.schema import LEADS_ARROW_SCHEMA
from leads_pipeline_tests.leads.examples import FETCHED_AT, facts, record, repeatable, rows_of, types_of

NO_LEADS = normalize_answer([], facts()).leads
RANK = {"v1": 0, "push": 1, "v2": 2}


@dataclass(frozen=True)
class Answer:
    account: str
    source_api: str
    hours: int
    records: tuple[tuple[int, int, str], ...]


def leads_of(number: int, answer: Answer) -> pd.DataFrame:
    records = [
        record(UNIQUE_QUERY_ID=query_id, QUERY_TIME=f"2024-05-{day:02} 15:44:28", SUBJECT=subject)
        for query_id, day, subject in answer.records
    ]
    fetched_at = FETCHED_AT + timedelta(hours=answer.hours)
    told = facts(f"r{number}", account=answer.account, source_api=answer.source_api, fetched_at=fetched_at)
    return normalize_answer(records, told).leads


answers = st.lists(
    st.builds(
        Answer,
        account=st.sampled_from(["indiamart", "second"]),
        source_api=st.sampled_from(["v2", "push", "v1"]),
        hours=st.integers(0, 2),
        records=st.lists(
            st.tuples(st.integers(1, 4), st.integers(20, 22), st.sampled_from(["", "one", "two"])), max_size=5
        ).map(tuple),
    ),
    min_size=1,
    max_size=5,
)


@settings(repeatable, max_examples=12)
@given(st.data())
def test_any_order_repetition_and_batching_gives_the_same_table_as_merging_once(data: st.DataObject) -> None:
    frames = [leads_of(number, answer) for number, answer in enumerate(data.draw(answers))]
    once = merge_leads(NO_LEADS, pd.concat(frames))
    repeats = data.draw(st.lists(st.sampled_from(range(len(frames))), max_size=4))
    order = data.draw(st.permutations([*range(len(frames)), *repeats]))

    stepwise = NO_LEADS
    while order:
        size = data.draw(st.integers(1, len(order)))
        batch, order = pd.concat([frames[place] for place in order[:size]]), order[size:]
        if data.draw(st.booleans()):
            batch = merge_leads(NO_LEADS, batch)
        pair = (batch, stepwise) if data.draw(st.booleans()) else (stepwise, batch)
        stepwise = merge_leads(*pair)
    pd.testing.assert_frame_equal(stepwise, once)
    for pair in ((once, once), (once, NO_LEADS), (NO_LEADS, once)):
        pd.testing.assert_frame_equal(merge_leads(*pair), once)


@settings(repeatable, max_examples=12)
@given(answers)
def test_the_winner_and_the_times_seen_are_those_of_a_plain_count(drawn: list[Answer]) -> None:
    frames = [leads_of(number, answer) for number, answer in enumerate(drawn)]
    by_lead: dict[tuple[Any, Any], list[dict[str, Any]]] = {}
    for row in (row for frame in frames for row in rows_of(frame)):
        by_lead.setdefault((row["account"], row["query_id"]), []).append(row)
    merged = rows_of(merge_leads(frames[0], pd.concat([NO_LEADS, *frames[1:]])))
    versions = [row.pop("versions") for row in merged]
    expected = sorted(map(plain_winner, by_lead.values()), key=lambda row: (row["query_time"], row["query_id"]))
    assert sorted(merged, key=lambda row: (row["query_time"], row["query_id"], row["account"])) == merged
    assert sorted(merged, key=str) == sorted(expected, key=str)
    for row, told in zip(merged, versions, strict=True):
        contents = plain_contents(by_lead[row["account"], row["query_id"]])
        assert contents_of(told) == (contents if len(contents) > 1 else [])


def plain_winner(rows: list[dict[str, Any]]) -> dict[str, Any]:
    by_precedence = sorted(rows, key=lambda row: (row["fetched_at"], RANK[row["source_api"]], row["response_id"]))
    winner = dict(by_precedence[-1])
    trusted = [row for row in by_precedence if row["source_api"] != "v1"]
    if winner["source_api"] == "v1" and winner["subject"] is None and trusted:
        winner["subject"] = trusted[-1]["subject"]
    winner["first_seen_at"] = min(row["fetched_at"] for row in rows)
    winner["last_seen_at"] = max(row["fetched_at"] for row in rows)
    winner["first_seen_after_seconds"] = int((winner["first_seen_at"] - winner["query_time"]).total_seconds())
    del winner["versions"]
    return winner


def plain_contents(rows: list[dict[str, Any]]) -> list[tuple[str, str, datetime, datetime]]:
    times: dict[tuple[str, str], list[datetime]] = {}
    for row in rows:
        times.setdefault((row["source_api"], row["content_hash"]), []).append(row["fetched_at"])
    return sorted((*content, min(seen), max(seen)) for content, seen in times.items())


def contents_of(versions: str | None) -> list[tuple[str, str, datetime, datetime]]:
    return sorted(
        (
            one["source_api"],
            one["content_hash"],
            datetime.fromisoformat(one["first_seen_at"]),
            datetime.fromisoformat(one["last_seen_at"]),
        )
        for one in json.loads(versions or "[]")
    )


def test_a_lead_that_comes_back_with_another_day_and_content_is_one_row_with_its_first_time_kept() -> None:
    before = leads_of(1, Answer("indiamart", "v2", 0, ((1, 20, "old"), (2, 21, "stays"))))
    after = leads_of(2, Answer("indiamart", "v2", 5, ((1, 22, "new"),)))
    merged = merge_leads(before, after)
    columns = [
        "query_id",
        "lead_date",
        "subject",
        "first_seen_at",
        "last_seen_at",
        "first_seen_after_seconds",
        "response_id",
    ]
    first, later = datetime(2024, 5, 24, 6, tzinfo=UTC), datetime(2024, 5, 24, 11, tzinfo=UTC)
    assert [tuple(row[name] for name in columns) for row in rows_of(merged)] == [
        ("2", date(2024, 5, 21), "stays", first, first, 2 * 86_400 + 71_132, "r1"),
        ("1", date(2024, 5, 22), "new", first, later, 86_400 + 71_132, "r2"),
    ]


def test_an_older_answer_that_arrives_late_changes_only_when_the_lead_was_first_seen() -> None:
    newer = leads_of(2, Answer("indiamart", "v2", 5, ((1, 22, "new"),)))
    older = leads_of(1, Answer("indiamart", "v2", 0, ((1, 20, "old"),)))
    row = rows_of(merge_leads(newer, older))[0]
    assert (row["subject"], row["first_seen_at"], row["fetched_at"]) == (
        "new",
        FETCHED_AT,
        FETCHED_AT + timedelta(hours=5),
    )


@pytest.mark.parametrize(("stronger", "weaker"), [("v2", "push"), ("push", "v1"), ("v2", "v1")])
def test_of_answers_of_the_same_moment_the_more_trusted_api_wins(stronger: str, weaker: str) -> None:
    weak = leads_of(9, Answer("indiamart", weaker, 0, ((1, 20, "weak"),)))
    strong = leads_of(1, Answer("indiamart", stronger, 0, ((1, 20, "strong"),)))
    assert list(merge_leads(strong, weak)["subject"]) == list(merge_leads(weak, strong)["subject"]) == ["strong"]


def test_the_same_record_normalised_again_takes_the_place_of_its_row() -> None:
    stored = leads_of(1, Answer("indiamart", "v2", 0, ((1, 20, "x"),)))
    again = stored.assign(subject=stored["subject"].str.upper())
    assert list(merge_leads(stored, again)["subject"]) == ["X"]


def test_the_same_record_normalised_again_takes_the_place_of_its_version() -> None:
    first, second = (leads_of(hours, Answer("indiamart", "v2", hours, ((1, 20, f"x{hours}"),))) for hours in (1, 2))
    again = second.assign(subject=second["subject"].str.upper())
    merged = merge_leads(merge_leads(first, second), again)
    assert list(merged["subject"]) == ["X2"]
    assert [one["subject"] for one in json.loads(merged["versions"][0])] == ["x1", "X2"]


def test_leads_that_came_once_stay_as_they_came_beside_one_that_came_twice() -> None:
    frame = leads_of(1, Answer("indiamart", "v2", 0, tuple((lead, 20 + lead % 3, "x") for lead in range(1, 9))))
    again = leads_of(2, Answer("indiamart", "v2", 1, ((4, 21, "y"),)))
    merged = merge_leads(frame, again)
    in_order = frame.sort_values(["query_time", "query_id"])
    others = [table.loc[table["query_id"] != "4"].reset_index(drop=True) for table in (in_order, merged)]
    pd.testing.assert_frame_equal(*others)
    assert merged["query_id"].to_list() == in_order["query_id"].to_list()
    assert merged.loc[merged["query_id"] == "4", "subject"].to_list() == ["y"]


def test_accounts_never_share_a_lead() -> None:
    one = leads_of(1, Answer("indiamart", "v2", 0, ((1, 20, "x"),)))
    other = leads_of(2, Answer("second", "v2", 0, ((1, 20, "x"),)))
    assert list(merge_leads(one, other)["account"]) == ["indiamart", "second"]


def test_types_are_exactly_the_schemas_also_without_rows_and_after_a_concat() -> None:
    some = leads_of(1, Answer("indiamart", "v2", 0, ((1, 20, ""),)))
    for merged in (merge_leads(NO_LEADS, NO_LEADS), merge_leads(NO_LEADS, pd.concat([some, some]))):
        assert list(types_of(merged).items()) == [(field.name, field.type) for field in LEADS_ARROW_SCHEMA]
        assert list(merged.index) == list(range(len(merged)))


def test_a_frame_that_does_not_fit_is_refused_without_a_buyers_value_in_the_message() -> None:
    some = leads_of(1, Answer("indiamart", "v2", 0, ((1, 20, "x"),)))
    with pytest.raises(ColumnsDoNotFit, match="lacks the columns subject"):
        merge_leads(some.drop(columns="subject"), NO_LEADS)
    with pytest.raises(ColumnsDoNotFit) as refused:
        merge_leads(NO_LEADS, some.assign(call_duration="Asha Rao"))
    assert "Asha" not in str(refused.value)
    assert refused.value.__suppress_context__


def test_among_many_leads_each_keeps_the_times_that_it_was_seen_itself() -> None:
    frames = [
        leads_of(
            number, Answer("indiamart", "v2", number, tuple((lead, 20, "") for lead in range(300 + number, 600, 3)))
        )
        for number in range(3)
    ]
    merged = rows_of(merge_leads(frames[0], pd.concat([*frames[1:], frames[0]])))
    assert len(merged) == 300
    for row in merged:
        seen = FETCHED_AT + timedelta(hours=int(str(row["query_id"])) % 3)
        assert (row["first_seen_at"], row["last_seen_at"], row["fetched_at"]) == (seen, seen, seen)
