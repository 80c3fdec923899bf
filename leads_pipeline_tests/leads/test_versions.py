from datetime import datetime, timedelta
from typing import Any

import pandas as pd
import pyarrow as pa

from leads_pipeline.leads.frames import to_table
from leads_pipeline.leads.merge import merge_leads
from leads_pipeline.leads.normalize import normalize_answer
from leads_pipeline.leads.schema import LEADS_ARROW_SCHEMA, VERSION_COLUMNS, arrow_schema
from leads_pipeline.leads.versions import lead_versions, spread_versions
from leads_pipeline_tests.leads.examples import FETCHED_AT, facts, record, rows_of

HOUR = timedelta(hours=1)
NO_LEADS = normalize_answer([], facts()).leads


def answer(hours: int, *, source_api: str = "v2", **fields: object) -> pd.DataFrame:
    told = facts(f"r{hours}", source_api=source_api, fetched_at=FETCHED_AT + hours * HOUR)
    return normalize_answer([record(UNIQUE_QUERY_ID="1", **fields)], told).leads


def merged(*answers: pd.DataFrame) -> pd.DataFrame:
    return merge_leads(NO_LEADS, pd.concat(answers))


def versions_of(leads: pd.DataFrame) -> list[dict[str, Any]]:
    return lead_versions(to_table(leads, LEADS_ARROW_SCHEMA)).to_pylist()


def test_a_lead_whose_content_never_changed_has_no_versions() -> None:
    leads = merged(answer(0, SUBJECT="Pipes"), answer(3, SUBJECT=" Pipes ", SENDER_CITY=""))
    assert (rows_of(leads)[0]["versions"], versions_of(leads)) == (None, [])


def test_each_content_says_when_it_was_seen_and_which_columns_changed() -> None:
    leads = merged(
        answer(0, SUBJECT="Pipes", SENDER_CITY="Pune"),
        answer(1, SUBJECT="Pipes", SENDER_CITY="Pune"),
        answer(2, SUBJECT="Tubes", SENDER_CITY="Pune", QUERY_TIME="2024-05-21 10:00:00"),
        answer(3, SUBJECT="Tubes", SENDER_CITY=None, QUERY_TIME="2024-05-21 10:00:00", NEW_FIELD="x"),
    )
    told = versions_of(leads)
    assert [(row["version"], row["is_current"], row["subject"], row["changed_columns"]) for row in told] == [
        (1, False, "Pipes", []),
        (2, False, "Tubes", ["query_time", "subject"]),
        (3, True, "Tubes", ["sender_city", "extra"]),
    ]
    assert [(row["first_seen_at"], row["last_seen_at"]) for row in told] == [
        (FETCHED_AT, FETCHED_AT + HOUR),
        (FETCHED_AT + 2 * HOUR, FETCHED_AT + 2 * HOUR),
        (FETCHED_AT + 3 * HOUR, FETCHED_AT + 3 * HOUR),
    ]
    assert {row["lead_date"].isoformat() for row in told} == {"2024-05-21"}


def test_a_content_that_comes_back_is_current_again_and_its_row_holds_both_times() -> None:
    told = versions_of(merged(answer(0, SUBJECT="a"), answer(1, SUBJECT="b"), answer(2, SUBJECT="a")))
    assert [(row["subject"], row["is_current"], row["last_seen_at"] - FETCHED_AT) for row in told] == [
        ("a", True, 2 * HOUR),
        ("b", False, HOUR),
    ]


def test_v1_never_blanks_what_a_more_trusted_answer_gave_but_its_own_values_count() -> None:
    leads = merged(
        answer(0, SUBJECT="old", SENDER_CITY="Pune", SENDER_MOBILE="+91-9876543210", SENDER_NAME="Asha", A="1"),
        answer(1, source_api="v1", SUBJECT="new", SENDER_CITY="", SENDER_MOBILE="+61-", SENDER_NAME="BUYER", B="2"),
    )
    row = rows_of(leads)[0]
    assert (row["source_api"], row["subject"], row["sender_city"]) == ("v1", "new", "Pune")
    assert (row["sender_mobile"], row["sender_mobile_original"]) == ("+919876543210", "+91-9876543210")
    assert (row["sender_name"], row["sender_name_original"]) == ("Asha", None)
    assert row["extra"] == '{"A":"1","B":"2"}'
    assert [(one["source_api"], one["sender_city"]) for one in versions_of(leads)] == [("v2", "Pune"), ("v1", None)]


def test_a_message_that_v1_lacks_stays_with_all_that_was_read_from_it() -> None:
    leads = merged(
        answer(0, QUERY_MESSAGE="Need pipes<br>Quantity : 10 kg<br>Usage : Own"),
        answer(1, source_api="v1", QUERY_MESSAGE=""),
    )
    row = rows_of(leads)[0]
    assert (row["message_text"], row["quantity"], row["quantity_unit"]) == ("Need pipes", 10, "kg")
    assert row["requirement_details"] == [("usage", "Own")]


def test_v2_after_v1_blanks_what_it_gives_as_blank() -> None:
    leads = merged(answer(0, source_api="v1", SENDER_CITY="Pune"), answer(1, SENDER_CITY=""))
    assert rows_of(leads)[0]["sender_city"] is None


def test_a_lead_with_versions_spreads_back_into_exactly_the_rows_it_was_joined_from() -> None:
    answers = [
        answer(0, SUBJECT="Pipes", QUERY_MESSAGE="Need pipes<br>Quantity : 10<br>Usage : Own", CALL_DURATION="75"),
        answer(1, SUBJECT="पाइप", EXTRA_THING={"a": [1, None]}, SENDER_EMAIL="a@b.in"),
    ]
    back = spread_versions(to_table(merged(*answers), LEADS_ARROW_SCHEMA))
    assert back.schema == LEADS_ARROW_SCHEMA
    rows = [row | {"first_seen_after_seconds": 0} for row in to_table(pd.concat(answers), back.schema).to_pylist()]
    assert back.to_pylist() == rows


def test_versions_have_exactly_the_declared_columns_also_without_rows() -> None:
    schema = arrow_schema(VERSION_COLUMNS)
    assert lead_versions(LEADS_ARROW_SCHEMA.empty_table()).schema == schema
    assert lead_versions(pa.Table.from_pylist([], schema=LEADS_ARROW_SCHEMA)).num_rows == 0
    assert isinstance(versions_of(merged(answer(0, SUBJECT="a"), answer(1)))[0]["first_seen_at"], datetime)
