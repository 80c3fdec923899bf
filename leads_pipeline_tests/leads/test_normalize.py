import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from hashlib import sha256

import pytest

from leads_pipeline.leads import received
from leads_pipeline.leads.normalize import AnswerFacts, NormalizedAnswer, RecordsDoNotAddUp, normalize_answer
from leads_pipeline.leads.received import NO_QUERY_ID, NO_QUERY_TIME, NOT_AN_OBJECT, UNREADABLE_QUERY_TIME
from leads_pipeline.leads.schema import LEADS_ARROW_SCHEMA, QUARANTINE_ARROW_SCHEMA
from leads_pipeline_tests.leads.examples import (
    FETCHED_AT,
    WINDOW_START,
    facts,
    only_lead,
    record,
    rows_of,
    types_of,
)


def test_a_web_enquiry_becomes_the_row_that_a_person_would_write() -> None:
    answer = normalize_answer(
        [
            {
                "UNIQUE_QUERY_ID": "2769560468",
                "QUERY_TYPE": "W",
                "QUERY_TIME": "2024-05-23 15:44:28",
                "SENDER_NAME": "Asha Rao ",
                "SENDER_MOBILE": "+91-9900000501",
                "SENDER_EMAIL": "asha@buyer.example",
                "SUBJECT": "Requirement for Industrial Sealant",
                "SENDER_COMPANY": "Bharat Industries",
                "SENDER_ADDRESS": "No. 906/4, GIDC, Bharuch, Gujarat,         394116",
                "SENDER_CITY": "Bharuch",
                "SENDER_STATE": "Gujarat",
                "SENDER_PINCODE": "394116",
                "SENDER_COUNTRY_ISO": "IN",
                "SENDER_MOBILE_ALT": "",
                "SENDER_PHONE": "0120-2222222",
                "SENDER_PHONE_ALT": None,
                "SENDER_EMAIL_ALT": "0",
                "QUERY_PRODUCT_NAME": "Industrial Sealant",
                "QUERY_MESSAGE": "I want a sealant.\r\rKindly quote.<br> Quantity :   6<br> Unit :\tpiece<BR />",
                "QUERY_MCAT_NAME": "Adhesive",
                "CALL_DURATION": "",
                "RECEIVER_MOBILE": "null",
                "RECEIVER_CATALOG": "https://www.indiamart.com/seller-one/",
            }
        ],
        facts("r7"),
    )
    lead = rows_of(answer.leads)[0]
    assert len(str(lead.pop("content_hash"))) == 64
    assert {name: value for name, value in lead.items() if value is not None} == {
        "account": "indiamart",
        "query_id": "2769560468",
        "query_type": "W",
        "query_time": datetime(2024, 5, 23, 10, 14, 28, tzinfo=UTC),
        "query_time_ist": datetime(2024, 5, 23, 15, 44, 28),
        "lead_date": date(2024, 5, 23),
        "sender_name": "Asha Rao",
        "sender_name_original": "Asha Rao ",
        "sender_mobile": "+919900000501",
        "sender_mobile_original": "+91-9900000501",
        "sender_email": "asha@buyer.example",
        "subject": "Requirement for Industrial Sealant",
        "sender_company": "Bharat Industries",
        "sender_address": "No. 906/4, GIDC, Bharuch, Gujarat, 394116",
        "sender_address_original": "No. 906/4, GIDC, Bharuch, Gujarat,         394116",
        "sender_city": "Bharuch",
        "sender_state": "Gujarat",
        "sender_pincode": "394116",
        "sender_country_iso": "IN",
        "sender_country_from_number": False,
        "sender_phone": "+911202222222",
        "sender_phone_original": "0120-2222222",
        "query_product_name": "Industrial Sealant",
        "query_message": "I want a sealant.\n\nKindly quote.\nQuantity : 6\nUnit : piece",
        "query_message_original": ("I want a sealant.\r\rKindly quote.<br> Quantity :   6<br> Unit :\tpiece<BR />"),
        "message_text": "I want a sealant.\n\nKindly quote.",
        "quantity": Decimal(6),
        "requirement_details": [("unit", "piece")],
        "unread_requirement_values": 0,
        "query_mcat_name": "Adhesive",
        "receiver_catalog": "https://www.indiamart.com/seller-one/",
        "source_api": "v2",
        "first_seen_at": FETCHED_AT,
        "last_seen_at": FETCHED_AT,
        "first_seen_after_seconds": 71_132,
        "fetched_at": FETCHED_AT,
        "response_id": "r7",
        "response_position": 0,
    }
    assert (answer.received, answer.duplicates) == (1, 0)
    assert (answer.unknown_fields, answer.unknown_query_types) == ((), ())


def test_a_call_with_the_17_fields_of_2021_becomes_a_row_with_the_later_columns_empty() -> None:
    lead = only_lead(
        QUERY_TYPE="P",
        SENDER_NAME="BUYER",
        SENDER_MOBILE="+61-",
        QUERY_MESSAGE="",
        CALL_DURATION="314",
        RECEIVER_MOBILE="9830000187",
    )
    assert lead["query_type"] == "P"
    assert (lead["sender_name"], lead["sender_name_original"]) == (None, "BUYER")
    assert (lead["sender_mobile"], lead["sender_mobile_original"]) == (None, "+61-")
    assert (lead["call_duration"], lead["call_duration_original"]) == (314, None)
    assert (lead["receiver_mobile"], lead["receiver_mobile_original"]) == ("+919830000187", "9830000187")
    assert [lead[name] for name in ("subject", "sender_pincode", "receiver_catalog", "extra")] == [None] * 4


@pytest.mark.parametrize("blank", ["", "   ", "\r\n\t", None, "null", "NULL", " null ", 0, 0.0, "0", " 0 "])
def test_every_blank_form_is_null_in_every_kind_of_column(blank: object) -> None:
    fields = ("SENDER_NAME", "SENDER_MOBILE", "SENDER_EMAIL", "CALL_DURATION", "SENDER_COUNTRY_ISO")
    lead = only_lead(**dict.fromkeys(fields, blank))
    named = [name for name in lead if name.upper().removesuffix("_ORIGINAL") in fields]
    assert len(named) == 9
    assert {lead[name] for name in named} == {None}


@pytest.mark.parametrize(
    ("value", "extra"), [(" ", None), ("null", None), (None, None), ("0", '{"NEW":"0"}'), (0, '{"NEW":0}')]
)
def test_a_zero_in_an_unknown_field_is_kept_but_changes_no_content(value: object, extra: str | None) -> None:
    lead = only_lead(NEW=value)
    assert (lead["extra"], lead["content_hash"]) == (extra, only_lead()["content_hash"])


def test_words_that_only_look_blank_stay() -> None:
    lead = only_lead(SENDER_NAME="Null", SENDER_CITY="00", SENDER_STATE="None", SUBJECT="-")
    assert [lead[name] for name in ("sender_name", "sender_city", "sender_state", "subject")] == [
        "Null", "00", "None", "-",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "query_id"),
    [("377413064", "377413064"), (2769560468, "2769560468"), (10**20, "1" + "0" * 20), (" 12 ", "12"), ("A-1", "A-1")],
)
def test_an_id_is_text_whatever_it_came_as(given: object, query_id: str) -> None:
    assert only_lead(UNIQUE_QUERY_ID=given)["query_id"] == query_id


def test_values_that_are_not_text_are_kept_as_text() -> None:
    lead = only_lead(
        SENDER_PINCODE=394116, SENDER_NAME=["a", {"b": 1}], SENDER_EMAIL=True, SUBJECT=1.5, CALL_DURATION=42,
    )  # fmt: skip
    assert lead["sender_pincode"] == "394116"
    assert lead["sender_name"] == '["a",{"b":1}]'
    assert (lead["sender_email"], lead["sender_email_original"]) == (None, "true")
    assert lead["subject"] == "1.5"
    assert (lead["call_duration"], lead["call_duration_original"]) == (42, None)


def test_unknown_fields_with_a_value_are_kept_in_extra_as_they_came() -> None:
    answer = normalize_answer(
        [
            record(
                ZONE="उत्तर",
                A_LIST=[1, None, ""],
                EMPTY="",
                ZERO=0,
                sender_name="other case",
                **{" SENDER_CITY ": "x "},
            )
        ],
        facts(),
    )
    lead = rows_of(answer.leads)[0]
    assert lead["extra"] == (
        '{" SENDER_CITY ":"x ","A_LIST":[1,null,""],"ZERO":0,"ZONE":"उत्तर","sender_name":"other case"}'
    )
    assert (lead["sender_name"], lead["sender_city"]) == (None, None)
    assert answer.unknown_fields == (" SENDER_CITY ", "A_LIST", "ZERO", "ZONE", "sender_name")


@pytest.mark.parametrize(("given", "stored"), [("", None), (None, None), ("null", None), ("V ", "V"), ("0", "0")])
def test_a_missing_type_passes_as_null_and_an_unlisted_one_as_it_is(given: object, stored: str | None) -> None:
    answer = normalize_answer([record(QUERY_TYPE=given)], facts())
    assert rows_of(answer.leads)[0]["query_type"] == stored
    assert answer.unknown_query_types == (() if stored is None else (stored,))


def test_both_border_seconds_of_a_day_in_india_lie_in_it() -> None:
    first, last = only_lead(QUERY_TIME="2024-05-23 00:00:00"), only_lead(QUERY_TIME=" 2024-05-23 23:59:59 ")
    assert (first["lead_date"], last["lead_date"]) == (date(2024, 5, 23), date(2024, 5, 23))
    assert first["query_time"] == datetime(2024, 5, 22, 18, 30, tzinfo=UTC)
    assert last["query_time"] == datetime(2024, 5, 23, 18, 29, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("reason", "bad"),
    [
        (NOT_AN_OBJECT, None),
        (NOT_AN_OBJECT, 7),
        (NOT_AN_OBJECT, [record()]),
        (NOT_AN_OBJECT, "NULL"),
        (NO_QUERY_ID, {}),
        *[
            (NO_QUERY_ID, record(UNIQUE_QUERY_ID=blank))
            for blank in ("", " ", None, "null", 0, "0", True, 2769560468.0, ["1"], {})
        ],
        *[(NO_QUERY_TIME, record(QUERY_TIME=blank)) for blank in ("", None, " ", "null", 0)],
        *[
            (UNREADABLE_QUERY_TIME, record(QUERY_TIME=garbage))
            for garbage in (
                "2026-02-30 10:00:00", "2025-02-29 10:00:00", "2024-13-01 10:00:00", "2024-00-10 10:00:00",
                "2024-05-23 24:00:00", "2024-05-23 10:00:60", "2024-05-23", "23-05-2024 10:00:00",
                "2024-05-23T10:00:00", "2024-05-23 10:00:00Z", "2024-05-23 10:00:00.5", "1999-12-31 10:00:00",
                "2100-01-01 10:00:00", "0000-00-00 00:00:00", "२०२४-05-23 10:00:00", 20240523100000, ["x"], True,
            )
        ],
    ],
)  # fmt: skip
def test_what_cannot_be_a_lead_is_quarantined_whole(reason: str, bad: object) -> None:
    answer = normalize_answer([record(UNIQUE_QUERY_ID="1"), bad], facts("r9"))
    assert list(answer.leads["query_id"]) == ["1"]
    row = rows_of(answer.quarantine)[0]
    text = str(row["record"])
    assert json.loads(text) == bad
    assert row == {
        "account": "indiamart",
        "record_sha256": sha256(text.encode()).hexdigest(),
        "reason": reason,
        "record": text,
        "window_start": WINDOW_START,
        "fetched_at": FETCHED_AT,
        "response_id": "r9",
        "response_position": 1,
    }
    assert (answer.received, answer.duplicates) == (2, 0)


def test_a_quarantined_record_has_one_identity_whatever_the_order_of_its_fields() -> None:
    answer = normalize_answer([{"A": 1, "B": [2]}, {"B": [2], "A": 1}, {"A": 1, "B": [3]}], facts())
    first, same, other = answer.quarantine["record_sha256"]
    assert first == same != other


def test_of_repeats_within_an_answer_the_last_one_wins_and_the_rest_are_counted() -> None:
    answer = normalize_answer(
        [
            record(UNIQUE_QUERY_ID="5", SUBJECT="first"),
            record(UNIQUE_QUERY_ID=6),
            record(UNIQUE_QUERY_ID=" 5", SUBJECT="second", QUERY_TIME="2024-05-22 09:00:00"),
            record(UNIQUE_QUERY_ID="5", SUBJECT="no time", QUERY_TIME=""),
        ],
        facts(),
    )
    leads = rows_of(answer.leads)
    assert [(lead["query_id"], lead["subject"], lead["response_position"]) for lead in leads] == [
        ("6", None, 1),
        ("5", "second", 2),
    ]
    assert leads[1]["lead_date"] == date(2024, 5, 22)
    assert (answer.received, answer.duplicates, len(answer.quarantine)) == (4, 1, 1)


@pytest.mark.parametrize("records", [[], [record()], [None], [record(), record(), 3]])
def test_columns_and_types_are_exactly_the_schemas_whatever_the_answer_held(records: list[object]) -> None:
    answer = normalize_answer(records, facts())
    assert list(types_of(answer.leads).items()) == [(field.name, field.type) for field in LEADS_ARROW_SCHEMA]
    assert list(types_of(answer.quarantine).items()) == [(field.name, field.type) for field in QUARANTINE_ARROW_SCHEMA]
    assert answer.received == len(records) == len(answer.leads) + answer.duplicates + len(answer.quarantine)


def test_halves_of_surrogate_pairs_become_replacement_characters_everywhere() -> None:
    answer = normalize_answer(
        [
            record(SENDER_NAME="a\ud83d", NEW="\udc00b", **{"K\ud800": "v"}),
            record(UNIQUE_QUERY_ID="\ud800"),
            {"\ud800": ["\udfff"]},
        ],
        facts(),
    )
    lead, named = rows_of(answer.leads)
    assert lead["sender_name"] == "a\ufffd"
    assert json.loads(str(lead["extra"])) == {"NEW": "\ufffdb", "K\ufffd": "v"}
    assert named["query_id"] == "\ufffd"
    assert list(answer.quarantine["record"]) == ['{"\ufffd":["\ufffd"]}']
    assert answer.unknown_fields == ("K\ufffd", "NEW")


def test_numbers_that_json_does_not_have_are_kept_as_texts() -> None:
    lead = only_lead(NEW=[float("nan"), float("-inf"), 1.5], SENDER_NAME=float("inf"))
    assert lead["extra"] == '{"NEW":["NaN","-Infinity",1.5]}'
    assert lead["sender_name"] == '"Infinity"'


def test_nesting_that_the_parser_took_is_kept_however_deep_the_caller_stands() -> None:
    nested = json.loads("[" * 800 + "]" * 800)

    def from_below(frames: int) -> NormalizedAnswer:
        if frames:
            return from_below(frames - 1)
        return normalize_answer([record(NEW=nested, SUBJECT=nested), nested], facts())

    answer = from_below(400)
    lead = rows_of(answer.leads)[0]
    assert lead["extra"] == '{"NEW":' + "[" * 800 + "]" * 800 + "}"
    assert lead["subject"] == "[" * 800 + "]" * 800
    assert list(answer.quarantine["record"]) == ["[" * 800 + "]" * 800]


def test_huge_and_odd_texts_are_kept() -> None:
    message = "x" * 2_000_000 + " " * 100_000 + "end\0."
    lead = only_lead(QUERY_MESSAGE=message, SENDER_NAME="a\0b")
    assert lead["query_message"] == "x" * 2_000_000 + " end\0."
    assert lead["query_message_original"] == message
    assert lead["sender_name"] == "a\0b"


def test_times_of_the_answer_are_stored_as_instants() -> None:
    ist = timezone(timedelta(hours=5, minutes=30))
    answer = normalize_answer([record()], facts(fetched_at=datetime(2024, 5, 24, 11, 30, tzinfo=ist)))
    assert rows_of(answer.leads)[0]["fetched_at"] == datetime(2024, 5, 24, 6, 0, tzinfo=UTC)


def test_facts_without_a_zone_or_from_an_unknown_api_are_refused() -> None:
    naive = datetime(2024, 5, 24)
    with pytest.raises(ValueError, match="zone-aware"):
        AnswerFacts("indiamart", "v2", "r1", WINDOW_START, naive)
    with pytest.raises(ValueError, match="source_api"):
        AnswerFacts("indiamart", "v3", "r1", WINDOW_START, FETCHED_AT)


def test_a_record_that_went_nowhere_is_never_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    with_id = received._with_id
    monkeypatch.setattr(received, "_with_id", lambda records: with_id(records[1:]))
    with pytest.raises(RecordsDoNotAddUp, match="Answer r1: 2 records are not 1 leads"):
        normalize_answer([record(SENDER_NAME="Asha"), record(UNIQUE_QUERY_ID="2")], facts())
