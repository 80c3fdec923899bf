import json
from datetime import datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from leads_pipeline.leads.normalize import normalize_answer
from leads_pipeline.leads.schema import KNOWN_FIELDS, SOURCE_FIELDS
from leads_pipeline_tests.leads.examples import facts, record, repeatable, rows_of

any_text = st.text(st.characters(exclude_categories=()), max_size=12)
scalars = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | any_text
any_json = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3), max_leaves=6
)
likely = st.sampled_from(
    [
        "", " ", "0", 0, 0.0, "null", "NULL", None, "Asha  Rao ", "a<br>b", "<BR/>", "\r\rx\t y", "+91-9876543210",
        "9876543210", "+61-", "08031234567", "9876543210 / 9876543211", "42 sec", "00:05:30", "314", "IN", "us", "ZZ",
        " NG ", "2024-05-23 15:44:28", "2026-02-30 10:00:00", "W", "&amp;", "BUYER",
        "Asha@Buyer.Example", "asha@buyer, ravi@buyer.example", "-", "\u00a0x\u00a0",
    ]
)  # fmt: skip
names = st.sampled_from(KNOWN_FIELDS) | st.sampled_from(["NEW", "sender_name", " QUERY_ID"]) | any_text
fields = st.dictionaries(names, likely | any_json, max_size=8)
leads = st.builds(
    lambda number, others: {**record(), **others, "UNIQUE_QUERY_ID": number, "QUERY_TIME": "2024-05-23 15:44:28"},
    st.integers(1, 4),
    fields,
)


@repeatable
@given(st.lists(any_json | fields | st.builds(lambda others: record(**others), fields), max_size=6))
def test_any_json_is_taken_and_adds_up(records: list[object]) -> None:
    answer = normalize_answer(records, facts())
    assert answer.received == len(records) == len(answer.leads) + answer.duplicates + len(answer.quarantine)
    assert answer.leads["query_id"].is_unique
    for row in rows_of(answer.quarantine):
        expected = json.loads(json.dumps(records[int(str(row["response_position"]))]), parse_constant=str)
        assert json.loads(str(row["record"])) == json.loads(_utf8(json.dumps(expected, ensure_ascii=False)))


@repeatable
@given(st.lists(leads, max_size=5))
def test_no_value_is_lost(records: list[dict[str, object]]) -> None:
    rows = rows_of(normalize_answer(records, facts()).leads)
    assert {row["query_id"] for row in rows} == {str(one["UNIQUE_QUERY_ID"]) for one in records}
    for row in rows:
        given_record = records[int(str(row["response_position"]))]
        for name, value in given_record.items():
            if not _says_nothing(value):
                assert _found(row, name, value), name


@settings(repeatable, max_examples=15)
@given(st.lists(leads, min_size=1, max_size=5))
def test_a_record_gives_the_same_row_alone_and_among_others(records: list[dict[str, object]]) -> None:
    for row in rows_of(normalize_answer(records, facts()).leads):
        alone = rows_of(normalize_answer([records[int(str(row["response_position"]))]], facts()).leads)[0]
        assert {**alone, "response_position": row["response_position"]} == row


def _utf8(text: str) -> str:
    return "".join("\ufffd" if "\ud800" <= letter <= "\udfff" else letter for letter in text)


def _says_nothing(value: object) -> bool:
    if isinstance(value, str):
        return value.strip() in ("", "0", "null", "NULL")
    return value is None or (value == 0 and isinstance(value, (int, float)) and not isinstance(value, bool))


def _found(row: dict[str, object], name: str, value: object) -> bool:
    text = _utf8(value) if isinstance(value, str) else None
    finite = json.loads(json.dumps(value), parse_constant=str)
    whole = _utf8(json.dumps(finite, ensure_ascii=False, sort_keys=True, separators=(",", ":")))
    if name not in KNOWN_FIELDS:
        kept = json.loads(str(row["extra"]))
        return bool(kept[_utf8(name)] == json.loads(whole))
    if name == "UNIQUE_QUERY_ID":
        return row["query_id"] == str(value).strip()
    if name == "QUERY_TIME":
        return row["query_time_ist"] == datetime.fromisoformat(str(value).strip())
    seen = [row[name.lower()], row.get(f"{name.lower()}_original")]
    texts = [str(one) for one in seen if one is not None]
    if text is not None:
        return text in texts or text.strip() in texts
    return whole in texts


def test_the_fields_that_keep_originals_are_those_that_cleaning_can_change() -> None:
    assert [field.column for field in SOURCE_FIELDS if not field.keeps_original] == [
        "sender_pincode", "sender_country_iso", "receiver_catalog",
    ]  # fmt: skip
