import json
from collections.abc import Callable
from itertools import product
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leads_pipeline.indiamart.outcomes import Judgement, Outcome
from leads_pipeline.indiamart.reading import UnreadableAnswerError, is_window_too_wide
from leads_pipeline.indiamart.v2 import judge, query_parameters, read_answer
from leads_pipeline.indiamart.windows import Window
from leads_pipeline.secret_values import SecretMasker
from leads_pipeline_tests.support import KEY, answer_body, ist, records_of

MASKER = SecretMasker([KEY])

NO_LEADS = "There are no leads in the given time duration. Please try for a different duration."
NOT_YET = "Leads generated before the key will be available after 24 hours from the key generation."
BAD_DATE = (
    "Date format used in API URL is incorrect. Ideally end_time should be greater than start_time and in proper"
    "\n\t\t\tformat.You can use the following date formats: 1) Date format (DD-MON-YYYY format)"
)
TOO_OLD = "You can fetch the data for the last 365 days only. Kindly change the Start Time or End Time accordingly"
TOO_WIDE = "Maximum allowed difference between start_time and end_time is 7 days."
WRONG_KEY = "Pull API Key that you are using is incorrect. Kindly use the correct Pull API Key."
WRONG_KEY_2023 = "CRM key that you are using is incorrect. Kindly use the correct key."
EXPIRED = "Pull API Key that you are using has expired as it was no longer in use. Kindly generate a new key."
REPLACED = "CRM key that you are using has expired. Kindly use the new key which you have generated on '16-09-2026'"
SOFT = "It is advised to hit this API once in every 5 minutes,but it seems that you have crossed this limit."
SOFT_SPACED = "It is advised to hit this API once in every 5 minutes, but it seems that you have crossed this limit."
HARD = "Too Many Requests"
BROKEN = "Some Error Occured"

ERROR_TABLE = [
    (204, NO_LEADS, Outcome.NO_LEADS),
    (204, NOT_YET, Outcome.NOT_YET_AVAILABLE),
    (401, NOT_YET, Outcome.NOT_YET_AVAILABLE),
    (400, BAD_DATE, Outcome.BAD_REQUEST),
    (400, TOO_OLD, Outcome.BAD_REQUEST),
    (400, TOO_WIDE, Outcome.BAD_REQUEST),
    (401, WRONG_KEY, Outcome.KEY_REJECTED),
    (401, WRONG_KEY_2023, Outcome.KEY_REJECTED),
    (401, EXPIRED, Outcome.KEY_REJECTED),
    (401, REPLACED, Outcome.KEY_REJECTED),
    (429, SOFT, Outcome.RATE_LIMITED),
    (429, SOFT_SPACED, Outcome.RATE_LIMITED),
    (429, HARD, Outcome.KEY_BLOCKED),
    (500, BROKEN, Outcome.SERVER_ERROR),
]
CODE_FORMS: dict[str, Callable[[int], object]] = {
    "number": int,
    "text": str,
    "decimal": float,
    "padded text": lambda code: f" {code} ",
}
MESSAGE_FORMS: dict[str, Callable[[str], str]] = {
    "as documented": str,
    "capitals": str.upper,
    "small letters": str.lower,
}


def judged(body: bytes, http_status: int | None = 200) -> Judgement:
    return judge(body, http_status, MASKER)


@pytest.mark.parametrize(("code", "message", "outcome"), ERROR_TABLE)
def test_every_row_of_the_error_table_is_known_in_every_spelling(code: int, message: str, outcome: Outcome) -> None:
    for code_form, message_form, http_status in product(CODE_FORMS.values(), MESSAGE_FORMS.values(), (200, code, None)):
        body = answer_body(code_form(code), message_form(message))
        judgement = judged(body, http_status)
        assert judgement.outcome is outcome, (code_form(code), http_status)
        assert judgement.code == code


@pytest.mark.parametrize(("code", "message", "outcome"), ERROR_TABLE)
@pytest.mark.parametrize("records", [None, "NULL", [], {}])
def test_an_error_is_known_whatever_stands_for_its_records(
    code: int, message: str, outcome: Outcome, records: object
) -> None:
    body = answer_body(code, message, records=records, total=0)
    assert judged(body).outcome is outcome


@pytest.mark.parametrize(("code", "message", "outcome"), [row for row in ERROR_TABLE if row[0] != 204])
def test_an_error_without_a_code_is_known_by_its_words(code: int, message: str, outcome: Outcome) -> None:
    assert judged(json.dumps({"STATUS": "FAILURE", "MESSAGE": message}).encode()).outcome is outcome


def test_an_error_without_a_code_that_says_there_are_no_leads_is_no_leads() -> None:
    assert judged(json.dumps({"STATUS": "FAILURE", "MESSAGE": NO_LEADS}).encode()).outcome is Outcome.NO_LEADS


def test_raw_newlines_and_tabs_inside_the_message_are_read() -> None:
    body = answer_body(400, BAD_DATE).replace(rb"\n", b"\n").replace(rb"\t", b"\t")
    with pytest.raises(json.JSONDecodeError):
        json.loads(body)
    judgement = judged(body)
    assert judgement.outcome is Outcome.BAD_REQUEST
    assert "in proper format.You" in judgement.message


def test_the_envelope_of_a_blocked_key_is_known_without_total_and_records() -> None:
    body = b'{"CODE":429,"STATUS":"FAILURE","MESSAGE":"Too Many Requests","APP_AUTH_FAILURE_CODE":429,"unique_id":""}'
    assert judged(body) == Judgement(Outcome.KEY_BLOCKED, 429, "Too Many Requests", None, 0)


@pytest.mark.parametrize("status", ["SUCCESS", "FAILURE"])
@pytest.mark.parametrize("response", [{}, {"RESPONSE": []}, {"RESPONSE": None}])
def test_no_leads_is_known_as_success_or_failure_with_and_without_records(
    status: str, response: dict[str, object]
) -> None:
    body = json.dumps({"CODE": 204, "STATUS": status, "MESSAGE": NO_LEADS, "TOTAL_RECORDS": 0, **response}).encode()
    assert judged(body).outcome is Outcome.NO_LEADS


@pytest.mark.parametrize("total", [2, "2", " 2 ", 2.0, None, 1, "many"])
def test_leads_are_known_whatever_form_their_total_has(total: object) -> None:
    body = json.dumps({"CODE": 200, "RESPONSE": records_of("1", "2"), "TOTAL_RECORDS": total}).encode()
    judgement = judged(body)
    assert (judgement.outcome, judgement.records) == (Outcome.LEADS, 2)


@pytest.mark.parametrize("total", [3, "3"])
def test_fewer_records_than_their_total_are_truncated(total: object) -> None:
    body = answer_body(200, records=records_of("1", "2"), total=total)
    assert judged(body) == Judgement(Outcome.TRUNCATED, 200, "", 3, 2)
    assert judged(answer_body(200, records=[], total=total)).outcome is Outcome.TRUNCATED


def test_one_lead_that_is_no_list_is_one_record() -> None:
    assert judged(answer_body(200, records=records_of("1")[0], total=1)).records == 1


@pytest.mark.parametrize(
    ("total", "records", "outcome"),
    [
        (0, [], Outcome.NO_LEADS),
        (0, None, Outcome.NO_LEADS),
        (None, [], Outcome.AMBIGUOUS_EMPTY),
        (None, None, Outcome.UNREADABLE),
        (5, None, Outcome.UNREADABLE),
        (5, "NULL", Outcome.UNREADABLE),
    ],
)
def test_an_empty_success_proves_an_empty_window_only_if_it_says_so(
    total: int | None, records: object, outcome: Outcome
) -> None:
    body = json.dumps({"CODE": 200, "MESSAGE": "", "TOTAL_RECORDS": total, "RESPONSE": records}).encode()
    assert judged(body).outcome is outcome


@pytest.mark.parametrize(
    ("total", "records", "outcome"),
    [
        (2, records_of("1", "2"), Outcome.LEADS),
        (3, records_of("1", "2"), Outcome.TRUNCATED),
        (3, [], Outcome.TRUNCATED),
        (3, None, Outcome.UNREADABLE),
    ],
)
def test_an_answer_that_says_no_leads_but_holds_or_counts_some_is_not_taken_at_its_word(
    total: int, records: object, outcome: Outcome
) -> None:
    assert judged(answer_body(204, NO_LEADS, records, total)).outcome is outcome


@pytest.mark.parametrize("bad", [[], "null", "5", '"text"', "{}", '{"error":1}', '[{"CODE":200}]'])
def test_json_of_another_form_is_unreadable(bad: object) -> None:
    body = (json.dumps(bad) if isinstance(bad, list) else str(bad)).encode()
    assert judged(body).outcome is Outcome.UNREADABLE


HTML = b"<html><head><title>Maintenance</title></head><body>We will be back soon</body></html>"
WHOLE = answer_body(200, records=records_of("1", "2", "3"))


@pytest.mark.parametrize(
    ("body", "http_status", "outcome", "words"),
    [
        (b"", 200, Outcome.UNREADABLE, "empty"),
        (b" \r\n ", 200, Outcome.UNREADABLE, "empty"),
        (HTML, 200, Outcome.UNREADABLE, "web page"),
        (b"\n<!DOCTYPE html>" + HTML, 200, Outcome.UNREADABLE, "web page"),
        (HTML, 502, Outcome.SERVER_ERROR, "web page"),
        (HTML, 503, Outcome.SERVER_ERROR, "web page"),
        (HTML, 302, Outcome.UNREADABLE, "web page"),
        (HTML, 401, Outcome.UNREADABLE, "web page"),
        (HTML, 403, Outcome.UNREADABLE, "web page"),
        (HTML, 404, Outcome.UNREADABLE, "web page"),
        (b"Too Many Requests", 429, Outcome.KEY_BLOCKED, "not JSON"),
        (b"", 429, Outcome.KEY_BLOCKED, "empty"),
        (b"Too Many Requests", 200, Outcome.UNREADABLE, "not JSON"),
        (WHOLE[:-20], 200, Outcome.UNREADABLE, "cut off"),
        (WHOLE[:-20], None, Outcome.UNREADABLE, "cut off"),
        (b"[" * 100_000, 200, Outcome.UNREADABLE, "cut off"),
        (b'{"CODE":' + b"9" * 5000 + b"}", 200, Outcome.UNREADABLE, "damaged"),
        (b"\xff\xfe\x00", 200, Outcome.UNREADABLE, "not JSON"),
    ],
)
def test_what_is_no_answer_of_the_api_is_judged_by_its_status_and_shape(
    body: bytes, http_status: int | None, outcome: Outcome, words: str
) -> None:
    judgement = judged(body, http_status)
    assert judgement.outcome is outcome
    assert words in judgement.message
    assert judgement.code is None


@given(st.integers(1, len(WHOLE) - 1))
def test_an_answer_cut_anywhere_is_unreadable(length: int) -> None:
    assert judged(WHOLE[:length]).outcome is Outcome.UNREADABLE


@given(st.binary(max_size=60), st.sampled_from([None, 200, 302, 404, 429, 500]))
def test_no_bytes_at_all_make_the_judge_fail_or_see_leads(body: bytes, http_status: int | None) -> None:
    assert not judged(body, http_status).outcome.rule.is_success


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(st.fixed_dictionaries({"CODE": ANY_JSON, "MESSAGE": ANY_JSON, "TOTAL_RECORDS": ANY_JSON, "RESPONSE": ANY_JSON}))
def test_an_envelope_of_any_values_is_judged_and_its_facts_can_be_stored(envelope: dict[str, Any]) -> None:
    judgement = judged(json.dumps(envelope).encode())
    judgement.message.encode()
    assert all(number is None or abs(number) < 2**31 for number in (judgement.code, judgement.total_records))
    if judgement.outcome is Outcome.LEADS:
        assert isinstance(envelope["RESPONSE"], list | dict)


def test_numbers_that_no_database_could_hold_are_no_numbers() -> None:
    judgement = judged(answer_body(10**30, "?", total=-(10**30)))
    assert (judgement.code, judgement.total_records) == (None, None)


def test_half_a_surrogate_pair_in_the_message_becomes_a_question_mark() -> None:
    assert judged(answer_body(500, "broken \ud83d emoji")).message == "broken ? emoji"


def test_a_byte_order_mark_is_passed_over() -> None:
    assert judged(b"\xef\xbb\xbf" + WHOLE).outcome is Outcome.LEADS


def test_bytes_that_are_no_utf_8_are_read_as_latin_1_and_the_rest_as_it_is() -> None:
    body = '{"CODE":200,"RESPONSE":[{"SENDER_NAME":"Jos\u00e9","SENDER_CITY":"\u0926\u093f\u0932\u094d\u0932\u0940"}]}'
    mixed = body.encode().replace("\u00e9".encode(), b"\xe9")
    assert read_answer(mixed).records == json.loads(body)["RESPONSE"]


def test_an_unknown_code_is_a_passing_failure() -> None:
    for code in (777, 302, 0, -1, "abc"):
        assert judged(answer_body(code, "Something new")).outcome.rule.is_transient
    assert judged(answer_body(None, "Something new"), 500).outcome is Outcome.SERVER_ERROR


def test_the_body_decides_before_the_http_status() -> None:
    assert judged(WHOLE, 500).outcome is Outcome.LEADS
    assert judged(answer_body(429, SOFT), 200).outcome is Outcome.RATE_LIMITED
    assert judged(answer_body(500, BROKEN), 200).outcome is Outcome.SERVER_ERROR


@pytest.mark.parametrize("padding", [1, 250, 280])
def test_the_message_is_short_folded_and_shows_no_part_of_the_key(padding: int) -> None:
    escaped = "".join(c if c.isalnum() else f"\\u{ord(c):04x}" for c in KEY)
    filling = "x" * padding
    body = f'{{"CODE":500,"MESSAGE":"It\\tfailed {filling}  for\\n {escaped} and {quote(KEY)}"}}'
    message = judged(body.encode()).message
    assert message == f"It failed {filling} for *** and ***"[:300]


def test_only_the_refusal_of_the_width_asks_for_narrower_windows() -> None:
    assert [row[1] for row in ERROR_TABLE if is_window_too_wide(row[2], row[1])] == [TOO_WIDE]


def test_texts_of_unreadable_answers_quote_nothing() -> None:
    with pytest.raises(UnreadableAnswerError) as caught:
        read_answer(b'{"SENDER_MOBILE": "+91-9876543210"')
    assert "98765" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_window_is_asked_for_in_indian_time_ending_at_midnight() -> None:
    window = Window(ist("2026-03-01 00:00:00"), ist("2026-03-08 00:00:00"))
    assert query_parameters(KEY, window) == {
        "glusr_crm_key": KEY,
        "start_time": "01-03-2026 00:00:00",
        "end_time": "08-03-2026 00:00:00",
    }
