import json
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leads_pipeline.indiamart import v2
from leads_pipeline.indiamart.reading import UnreadableAnswerError
from leads_pipeline.leads.normalize import normalize_answer, normalize_columns
from leads_pipeline.leads.plain_answers import plain_columns
from leads_pipeline_tests.leads.examples import facts, record, repeatable
from leads_pipeline_tests.leads.test_normalize_properties import fields, likely, names

texts = likely.filter(lambda value: value is None or isinstance(value, str))
plain_records = st.builds(
    lambda number, others, seconds: {**record(), **others, "UNIQUE_QUERY_ID": str(number), "CALL_DURATION": seconds},
    st.integers(1, 5),
    st.dictionaries(names.filter(lambda name: not name.startswith("QUERY_TIME")), texts, max_size=6),
    st.sampled_from([None, "", "0", 0, 42, -1, 10**12, "42", "5:30"]),
)
any_records = st.builds(lambda others: {**record(), **others}, fields)


def body_of(records: object, **how: Any) -> bytes:
    envelope = {"CODE": 200, "STATUS": "SUCCESS", "MESSAGE": "", "TOTAL_RECORDS": 2, "RESPONSE": records}
    return json.dumps(envelope, **how).encode(errors="surrogatepass")


def is_same_either_way(body: bytes) -> bool:
    """Check that columns give what the records give; return whether there are columns."""
    columns = plain_columns(body)
    found = None if columns is None else normalize_columns(columns, facts())
    if found is None:
        return False
    expected = normalize_answer(v2.records_of(body), facts())
    for mine, its in ((found.leads, expected.leads), (found.quarantine, expected.quarantine)):
        pd.testing.assert_frame_equal(mine, its)
    assert vars(found) | {"leads": None, "quarantine": None} == vars(expected) | {"leads": None, "quarantine": None}
    return True


@repeatable
@given(st.lists(plain_records, max_size=6), st.booleans(), st.sampled_from([None, 1]))
def test_columns_give_what_the_records_give(records: list[dict[str, object]], as_ascii: bool, indent: int) -> None:
    is_same_either_way(body_of(records, ensure_ascii=as_ascii, indent=indent))


@repeatable
@given(st.lists(plain_records | any_records, max_size=6), st.booleans())
def test_whatever_is_not_refused_is_read_alike(records: list[dict[str, object]], as_ascii: bool) -> None:
    is_same_either_way(body_of(records, ensure_ascii=as_ascii))


USUAL = record(SENDER_NAME="Asha", QUERY_MESSAGE='10" pipe, "CALL_DURATION": 5, <br> \\ पाइप 😀', CALL_DURATION="0")


@pytest.mark.parametrize(
    "records",
    [
        [USUAL],
        [USUAL, record(UNIQUE_QUERY_ID="2", CALL_DURATION=42), record(UNIQUE_QUERY_ID="3", CALL_DURATION=None)],
        [USUAL, {**USUAL, "SENDER_NAME": "Ravi"}, record(UNIQUE_QUERY_ID="4")],
        [USUAL, record(UNIQUE_QUERY_ID="5", NEW="x"), record(UNIQUE_QUERY_ID="6", NEW=None, OTHER=7)],
        [record(UNIQUE_QUERY_ID="7", NEW="2024-05-23")],
        [{"QUERY_TIME": "2024-05-23 15:44:28", "UNIQUE_QUERY_ID": "8"}],
        [record(UNIQUE_QUERY_ID="9", **{"a.b": "x", "c'": "0", "": "y", 'A"CALL_DURATION': 4})],
    ],
)
@pytest.mark.parametrize("how", [{}, {"ensure_ascii": False}, {"indent": 2}, {"separators": (",", ":")}])
def test_usual_answers_are_read_as_columns(records: list[object], how: dict[str, Any]) -> None:
    assert is_same_either_way(body_of(records, **how))
    assert is_same_either_way(b"\xef\xbb\xbf" + body_of(records, **how))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html></html>",
        body_of([USUAL])[:-3],
        body_of([USUAL]) + body_of([USUAL]),
        body_of([]),
        body_of(None),
        body_of({}),
        body_of(USUAL),
        body_of([USUAL, None]),
        body_of([USUAL, "x"]),
        body_of([record(UNIQUE_QUERY_ID=7)]),
        body_of([record(UNIQUE_QUERY_ID=" 7")]),
        body_of([record(UNIQUE_QUERY_ID="0")]),
        body_of([record(UNIQUE_QUERY_ID="ä")]),
        body_of([record(QUERY_TIME="soon")]),
        body_of([record(QUERY_TIME="2024-02-30 00:00:00")]),
        body_of([record(SENDER_PINCODE=411001)]),
        body_of([record(CALL_DURATION=4.0)]),
        body_of([record(CALL_DURATION=True)]),
        body_of([record(NEW=1.5)]),
        body_of([record(NEW={"a": 1})]),
        body_of([record(NEW=2**70)]),
        body_of([record(SENDER_NAME="\ud83d")]),
        body_of([record(SENDER_NAME="caf\xe9")], ensure_ascii=False).decode().encode("latin-1"),
        body_of([record(SENDER_NAME="a\\nb")]).replace(rb"\\n", b"\n"),
        body_of([USUAL]).replace(b'"SENDER_NAME"', b'"SENDER_CITY": "Pune", "SENDER_CITY"'),
        body_of([record(NEW="x", NEWER="y")]).replace(b"NEWER", b"NEW"),
        body_of([USUAL]).replace(b'"CODE"', b'"RESPONSE"'),
    ],
)
def test_what_is_not_usual_is_left_to_be_read_record_by_record(body: bytes) -> None:
    columns = plain_columns(body)
    assert columns is None or normalize_columns(columns, facts()) is None


def test_a_date_in_a_field_that_nobody_knows_stays_the_text_that_it_is() -> None:
    columns = plain_columns(body_of([record(NEW="2024-05-23 10:00:00")]))
    assert columns is not None
    assert columns.unknown == {0: {"NEW": "2024-05-23 10:00:00"}}


def test_an_answer_without_records_is_no_columns_and_no_answer_is_an_error_elsewhere() -> None:
    assert plain_columns(b'{"CODE": 204, "MESSAGE": "no leads"}') is None
    with pytest.raises(UnreadableAnswerError):
        v2.records_of(b"[1, 2]")
