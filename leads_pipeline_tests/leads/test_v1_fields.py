import json
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leads_pipeline.leads.normalize import normalize_answer
from leads_pipeline.leads.schema import KNOWN_FIELDS
from leads_pipeline.leads.v1_fields import KEPT_IN_EXTRA, read_v1_time, records_in_v2_form, without_empty_parts
from leads_pipeline_tests.leads.examples import facts, repeatable, rows_of

ENQUIRY: dict[str, Any] = {
    "RN": "1",
    "QUERY_ID": "1283710190",
    "QTYPE": "W",
    "SENDERNAME": "Asha Verma",
    "SENDEREMAIL": "asha.verma@mail.example",
    "SUBJECT": "Requirement for LED Clock",
    "DATE_RE": "13 Mar 2020",
    "DATE_R": "13-Mar-20",
    "DATE_TIME_RE": " 13-Mar-2020 04:41:38 PM",
    "GLUSR_USR_COMPANYNAME": "Verma Traders",
    "READ_STATUS": "-1",
    "SENDER_GLUSR_USR_ID": "61831000",
    "MOB": "+91-8780000341",
    "COUNTRY_FLAG": "https://img.example/in.png",
    "QUERY_MODID": "ASTBUY",
    "LOG_TIME": "20200313164138",
    "QUERY_MODREFID": "40757097459",
    "DIR_QUERY_MODREF_TYPE": "2",
    "ORG_SENDER_GLUSR_ID": "61831001",
    "ENQ_MESSAGE": "Digital clock\n\n Quantity:   4   piece\n",
    "ENQ_ADDRESS": "Ns 31, , Khagaria, Bihar, ",
    "ENQ_CALL_DURATION": None,
    "ENQ_RECEIVER_MOB": None,
    "ENQ_CITY": "Khagaria",
    "ENQ_STATE": "Bihar",
    "PRODUCT_NAME": "LED Clock",
    "COUNTRY_ISO": "IN",
    "EMAIL_ALT": "office@verma.example",
    "MOBILE_ALT": "+91-8780000342",
    "PHONE": "0612-2200011",
    "PHONE_ALT": "0612-2200012",
    "IM_MEMBER_SINCE": "Apr-2018",
    "TOTAL_COUNT": "2",
}
CALL: dict[str, Any] = {
    **dict.fromkeys(ENQUIRY),
    "RN": "2",
    "QUERY_ID": "203128345",
    "QTYPE": "P",
    "SUBJECT": "Buyer Call",
    "DATE_RE": "13 Mar 2020",
    "DATE_R": "13-Mar-20",
    "DATE_TIME_RE": " 13-Mar-2020 05:51:21 PM",
    "MOB": "9610000347",
    "LOG_TIME": "20200313000000",
    "ENQ_CALL_DURATION": "51 Secs",
    "ENQ_RECEIVER_MOB": "7940000308",
    "COUNTRY_ISO": "IN",
    "TOTAL_COUNT": "2",
}


def v2_form(record: object) -> Any:
    [converted] = records_in_v2_form([record])
    return converted


def row_of(record: dict[str, Any]) -> dict[str, Any]:
    """The row that the one lead becomes, with `extra` parsed."""
    answer = normalize_answer(records_in_v2_form([record]), facts(source_api="v1"))
    [row] = rows_of(answer.leads)
    return {**row, "extra": json.loads(str(row["extra"] or "{}"))}


def reason_of(record: object) -> tuple[str, Any]:
    """Why the record is quarantined, and what is kept of it."""
    answer = normalize_answer(records_in_v2_form([record]), facts(source_api="v1"))
    [row] = rows_of(answer.quarantine)
    return str(row["reason"]), json.loads(str(row["record"]))


def test_an_enquiry_has_v1_s_fields_in_v2_s_columns_and_the_rest_in_extra() -> None:
    row = row_of(ENQUIRY)
    assert {
        "query_id": "1283710190",
        "query_type": "W",
        "query_time_ist": datetime(2020, 3, 13, 16, 41, 38),
        "sender_name": "Asha Verma",
        "sender_email": "asha.verma@mail.example",
        "subject": "Requirement for LED Clock",
        "sender_company": "Verma Traders",
        "sender_mobile": "+918780000341",
        "sender_address": "Ns 31, Khagaria, Bihar",
        "sender_city": "Khagaria",
        "sender_state": "Bihar",
        "sender_country_iso": "IN",
        "query_product_name": "LED Clock",
        "query_message": "Digital clock\n\nQuantity: 4 piece",
        "sender_email_alt": "office@verma.example",
        "sender_mobile_alt": "+918780000342",
        "sender_phone": "+916122200011",
        "sender_phone_alt": "+916122200012",
        "call_duration": None,
        "receiver_mobile": None,
        "source_api": "v1",
    }.items() <= row.items()
    assert row["extra"] == {
        "READ_STATUS": "-1",
        "SENDER_GLUSR_USR_ID": "61831000",
        "COUNTRY_FLAG": "https://img.example/in.png",
        "QUERY_MODID": "ASTBUY",
        "QUERY_MODREFID": "40757097459",
        "DIR_QUERY_MODREF_TYPE": "2",
        "ORG_SENDER_GLUSR_ID": "61831001",
        "IM_MEMBER_SINCE": "Apr-2018",
        "ENQ_ADDRESS": "Ns 31, , Khagaria, Bihar, ",
    }
    assert {*row["extra"]} <= KEPT_IN_EXTRA


def test_a_call_has_its_time_length_and_numbers() -> None:
    row = row_of({**CALL, "RN": "1"})
    assert row["query_time_ist"] == datetime(2020, 3, 13, 17, 51, 21)
    assert (row["call_duration"], row["call_duration_original"]) == (51, "51 Secs")
    assert (row["sender_mobile"], row["receiver_mobile"]) == ("+919610000347", "+917940000308")
    assert row["extra"] == {}


@pytest.mark.parametrize(
    ("fields", "asked"),
    [
        ({"LOG_TIME": "20200313164138", "DATE_TIME_RE": None}, "2020-03-13 16:41:38"),
        ({"LOG_TIME": None}, "2020-03-13 16:41:38"),
        ({"LOG_TIME": "", "DATE_TIME_RE": "13-Mar-2020 12:00:05 AM"}, "2020-03-13 00:00:05"),
        ({"LOG_TIME": "20200313000000", "DATE_TIME_RE": "13-Mar-2020 12:00:00 AM"}, "2020-03-13 00:00:00"),
        ({"LOG_TIME": "20200313000000"}, "2020-03-13 16:41:38"),
        ({"LOG_TIME": None, "DATE_TIME_RE": "11-10-2018 18:03", "DATE_RE": None}, "2018-10-11 18:03:00"),
        ({"LOG_TIME": None, "DATE_TIME_RE": None}, "2020-03-13 00:00:00"),
        ({"LOG_TIME": None, "DATE_TIME_RE": None, "DATE_RE": None}, "2020-03-13 00:00:00"),
        ({"QTYPE": "P", "LOG_TIME": "20200313000000", "DATE_TIME_RE": None}, "2020-03-13 00:00:00"),
        ({"QTYPE": "P", "LOG_TIME": "20200313000000", "DATE_TIME_RE": "13-03-2020 18:03"}, "2020-03-13 18:03:00"),
        ({"QTYPE": "P", "LOG_TIME": "20200313010101"}, "2020-03-13 16:41:38"),
    ],
)
def test_the_time_is_that_of_the_field_that_tells_it_most_exactly(fields: dict[str, Any], asked: str) -> None:
    assert v2_form({**ENQUIRY, **fields})["QUERY_TIME"] == asked


def test_a_date_field_that_says_another_time_is_kept() -> None:
    other = {"DATE_RE": "14 Mar 2020", "DATE_TIME_RE": "13-Mar-2020 04:41:39 PM", "DATE_R": "no date"}
    row = row_of({**ENQUIRY, **other})
    assert other.items() <= row["extra"].items()
    assert row["query_time_ist"] == datetime(2020, 3, 13, 16, 41, 38)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("20200313164138", "2020-03-13T16:41:38"),
        (20200313164138, "2020-03-13T16:41:38"),
        (" 13-Mar-2020 05:51:21 PM", "2020-03-13T17:51:21"),
        ("13-MAR-2020 12:51:21 pm", "2020-03-13T12:51:21"),
        ("13-mar-2020 12:51:21 AM", "2020-03-13T00:51:21"),
        ("13 Mar 2020", "2020-03-13T00:00:00"),
        ("1-Mar-20", "2020-03-01T00:00:00"),
        ("11-10-2018 18:03", "2018-10-11T18:03:00"),
    ],
)
def test_every_form_of_v1_s_times_is_read(text: object, moment: str) -> None:
    told = read_v1_time(text)
    assert told is not None
    assert told.moment.isoformat() == moment


@pytest.mark.parametrize(
    "text",
    ["", None, "yesterday", "30-Feb-2020", "13-Foo-2020", "20200231000000", "19990313164138", "2020-03-13", [], True],
)
def test_nothing_else_is_read_as_a_time(text: object) -> None:
    assert read_v1_time(text) is None


@pytest.mark.parametrize(
    ("address", "cleaned"),
    [
        (", , , ", ""),
        ("", ""),
        (", Pune, Maharashtra, ", "Pune, Maharashtra"),
        ("12, Nagarshari,, , Surat, Gujarat, 395003", "12, Nagarshari, Surat, Gujarat, 395003"),
        ("Surat, Gujarat,         395010", "Surat, Gujarat,         395010"),
    ],
)
def test_an_address_has_no_empty_parts(address: str, cleaned: str) -> None:
    assert without_empty_parts(address) == cleaned


def test_an_address_of_commas_alone_is_none() -> None:
    row = row_of({**ENQUIRY, "ENQ_ADDRESS": ", , , "})
    assert (row["sender_address"], row["sender_address_original"]) == (None, None)
    assert "ENQ_ADDRESS" not in row["extra"]


def test_the_name_that_the_mail_address_had_in_2018_is_known_too() -> None:
    record = {name: value for name, value in ENQUIRY.items() if name != "SENDEREMAIL"}
    assert v2_form({**record, "SENDERMAIL": "a@mail.example"})["SENDER_EMAIL"] == "a@mail.example"
    assert v2_form({**ENQUIRY, "SENDEREMAIL": "", "SENDERMAIL": "a@mail.example"})["SENDER_EMAIL"] == "a@mail.example"


def test_of_two_fields_for_one_column_the_second_is_kept_in_extra() -> None:
    row = row_of({**ENQUIRY, "SENDERMAIL": "b@mail.example", "SENDER_NAME": "Another", "QUERY_TIME": "noon"})
    assert row["sender_email"] == "asha.verma@mail.example"
    assert row["sender_name"] == "Asha Verma"
    assert row["extra"].items() >= {
        ("SENDERMAIL", "b@mail.example"), ("V1_SENDER_NAME", "Another"), ("V1_QUERY_TIME", "noon")
    }  # fmt: skip


def test_unknown_fields_are_kept_under_their_names() -> None:
    assert row_of({**ENQUIRY, "NEW_FIELD": {"a": [1]}})["extra"]["NEW_FIELD"] == {"a": [1]}


def test_what_tells_of_the_answer_is_no_content_so_that_a_lead_reads_the_same_in_every_answer() -> None:
    moved = {**ENQUIRY, "RN": "2", "TOTAL_COUNT": "5"}
    [_, second] = records_in_v2_form([CALL, moved])
    assert second == v2_form(ENQUIRY)
    assert v2_form({**ENQUIRY, "RN": "7"})["RN"] == "7", "a row number that is not its place says something else"


def test_records_that_cannot_be_leads_are_quarantined_whole_with_the_right_reason() -> None:
    whole = {name: value for name, value in ENQUIRY.items() if name not in ("RN", "TOTAL_COUNT")}
    without_id = {name: value for name, value in whole.items() if name != "QUERY_ID"}
    assert reason_of("garbage") == ("not_an_object", "garbage")
    assert reason_of({**without_id, "RN": "1"}) == ("no_query_id", without_id | {"QUERY_TIME": "20200313164138"})
    for bad in ("", None, 1.5, True):
        reason, kept = reason_of({**ENQUIRY, "QUERY_ID": bad})
        assert reason == "no_query_id"
        assert kept.items() >= {**whole, "QUERY_ID": bad}.items()
    timeless = {**whole, **dict.fromkeys(("LOG_TIME", "DATE_TIME_RE", "DATE_RE", "DATE_R"))}
    assert reason_of(timeless) == ("no_query_time", timeless | {"UNIQUE_QUERY_ID": "1283710190"})
    unreadable = {**timeless, "LOG_TIME": "yesterday"}
    reason, kept = reason_of(unreadable)
    assert reason == "unreadable_query_time"
    assert kept == unreadable | {"UNIQUE_QUERY_ID": "1283710190", "QUERY_TIME": "yesterday"}


def test_a_quarantined_record_is_the_same_at_another_place_of_the_next_answer() -> None:
    record = {**ENQUIRY, "LOG_TIME": "yesterday", **dict.fromkeys(("DATE_TIME_RE", "DATE_RE", "DATE_R"))}
    assert v2_form(record) == v2_form({**record, "RN": "5", "TOTAL_COUNT": "9"})


VALUES = st.none() | st.text("ab,<> 1:-", max_size=9) | st.sampled_from(["13-Mar-2020 04:41:38 PM", "20200313164138"])


@settings(repeatable, max_examples=8)
@given(
    st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys([*ENQUIRY, *KNOWN_FIELDS, "NEW"], VALUES)), max_size=9)
)
def test_no_value_of_any_record_is_lost(given: list[dict[str, str | None]]) -> None:
    records = [{**one, "QUERY_ID": str(17 + place), "LOG_TIME": "20200313164138"} for place, one in enumerate(given)]
    leads = normalize_answer(records_in_v2_form(records), facts(source_api="v1")).leads
    for record, row in zip(records, rows_of(leads), strict=True):
        extra = json.loads(str(row["extra"] or "{}"))
        kept = {str(value).strip() for value in (*row.values(), *extra.values()) if isinstance(value, str | int)}
        for name, value in record.items():
            said = (value or "").strip()
            if name in ("RN", "TOTAL_COUNT") or said in ("", "0") or read_v1_time(said) or not said.strip(", "):
                continue
            assert said in kept, (name, said, row)
