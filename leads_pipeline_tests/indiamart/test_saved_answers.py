"""Every form in which an answer can have been saved, and what is none."""

import base64
import json
from typing import Any

import pytest

from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline.indiamart.saved_answers import (
    NotAnAnswerError,
    as_utf8,
    read_saved_answers,
    without_keys_in_addresses,
)

V1 = {"QUERY_ID": "311", "QTYPE": "W", "SENDERNAME": "Asha", "LOG_TIME": "20210712111458"}
V2 = {"UNIQUE_QUERY_ID": "2769560468", "QUERY_TYPE": "W", "QUERY_TIME": "2024-05-23 15:44:28"}
WITHOUT_ID = {name: value for name, value in V2.items() if name != "UNIQUE_QUERY_ID"}
PUSH = {**V2, "UNIQUE_QUERY_ID": 621654886}
ENVELOPE = {"CODE": 200, "STATUS": "SUCCESS", "MESSAGE": "", "TOTAL_RECORDS": 1, "RESPONSE": [V2]}
PUSHED = {"CODE": 200, "STATUS": "SUCCESS", "RESPONSE": PUSH}
LIMIT = "It is advised to hit this API once in every 5 minutes, but it seems that you have crossed this limit."


def encoded(value: object) -> bytes:
    return json.dumps(value).encode()


def lines(*values: object) -> bytes:
    return b"\n".join(encoded(value) for value in values) + b"\n"


@pytest.mark.parametrize(
    ("document", "records"),
    [
        (encoded([{**V1, "RN": "1", "TOTAL_COUNT": "1"}]), {"v1": [{**V1, "TOTAL_COUNT": "1"}]}),
        (encoded(V1), {"v1": [V1]}),
        (encoded({"RESPONSE": [V1]}), {"v1": [V1]}),
        (encoded(ENVELOPE), {"v2": [V2]}),
        (encoded({**ENVELOPE, "CODE": "200"}), {"v2": [V2]}),
        (encoded(V2), {"v2": [V2]}),
        (encoded([V2, V2]), {"v2": [V2, V2]}),
        (encoded([ENVELOPE, ENVELOPE]), {"v2": [V2, V2]}),
        (encoded(PUSHED), {"push": [PUSH]}),
        (encoded({**PUSHED, "RESPONSE": V2}), {"push": [V2]}),
        (encoded({**PUSHED, "RESPONSE": [V2]}), {"push": [V2]}),
        (encoded(PUSH), {"push": [PUSH]}),
        (encoded({"method": "POST", "body": PUSHED}), {"push": [PUSH]}),
        (encoded({"method": "POST", "body": json.dumps(PUSHED)}), {"push": [PUSH]}),
        (encoded({"body": base64.b64encode(encoded(PUSHED)).decode(), "isBase64Encoded": True}), {"push": [PUSH]}),
        (encoded({"http_status": 200, "body_text": json.dumps(ENVELOPE)}), {"v2": [V2]}),
        (encoded(json.dumps(ENVELOPE)), {"v2": [V2]}),
        (lines(V2, V2), {"v2": [V2, V2]}),
        (lines(ENVELOPE, [V1], PUSHED), {"v2": [V2], "v1": [V1], "push": [PUSH]}),
        (json.dumps(ENVELOPE, indent=1).encode() + json.dumps(ENVELOPE, indent=1).encode(), {"v2": [V2, V2]}),
        (encoded([V2, "no lead", None]), {"v2": [V2, "no lead", None]}),
        (encoded([[V1], []]), {"v1": [V1]}),
        (b"\xef\xbb\xbf" + encoded(ENVELOPE), {"v2": [V2]}),
        (json.dumps(ENVELOPE).encode("utf-16"), {"v2": [V2]}),
        (encoded([WITHOUT_ID]), {"v2": [WITHOUT_ID]}),
    ],
)  # fmt: skip
def test_every_form_is_known_by_its_shape(document: bytes, records: dict[str, list[Any]]) -> None:
    assert read_saved_answers(as_utf8(document)).records == records


@pytest.mark.parametrize(
    ("value", "outcome"),
    [
        ([], Outcome.AMBIGUOUS_EMPTY),
        ({"RESPONSE": "NULL"}, Outcome.AMBIGUOUS_EMPTY),
        ([{"Error_Message": LIMIT}], Outcome.RATE_LIMITED),
        ({"Error Message": LIMIT}, Outcome.RATE_LIMITED),
        ({"CODE": 429, "STATUS": "FAILURE", "MESSAGE": "Too Many Requests"}, Outcome.KEY_BLOCKED),
        ({"CODE": 204, "MESSAGE": "There are no leads", "TOTAL_RECORDS": 0, "RESPONSE": []}, Outcome.NO_LEADS),
        ({"http_status": 502, "content_type": "text/html", "body_text": "<html>down</html>"}, Outcome.SERVER_ERROR),
    ],
)
def test_answers_without_leads_are_answers(value: object, outcome: Outcome) -> None:
    saved = read_saved_answers(encoded(value))
    assert (saved.records, saved.without_records) == ({}, (outcome,))


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"<html>secret</html>", "web page"),
        (encoded(ENVELOPE)[:-5], "cut off or damaged"),
        (lines(ENVELOPE) + encoded(ENVELOPE)[:-5], "line 2 is cut off"),
        (b"\x00\xff\xfe\x01secret", "not"),
        (b"secret,other\n1,2\n", "not JSON"),
        (encoded({"secret": 1}), "no answer"),
        (encoded([1, 2]), "no answer"),
        (encoded({"error": "secret"}), "no answer"),
        (encoded({"body": "secret"}), "body"),
        (encoded({"http_status": 200, "body_text": "<p>secret"}), "body"),
        (encoded([ENVELOPE, {"secret": 1}]), "no answer"),
        (encoded(json.loads("[" * 40 + "]" * 40)), "no answer"),
    ],
)
def test_what_is_no_answer_is_refused_without_quoting_it(document: bytes, reason: str) -> None:
    with pytest.raises(NotAnAnswerError, match=reason) as refused:
        read_saved_answers(as_utf8(document))
    assert "secret" not in str(refused.value)


def test_records_that_an_answer_lacks_are_counted_only_for_whole_answers() -> None:
    assert read_saved_answers(encoded({**ENVELOPE, "TOTAL_RECORDS": 3})).lacking == 2
    row = {**V1, "TOTAL_COUNT": "14"}
    assert read_saved_answers(encoded([{**row, "RN": "1"}, {**row, "RN": "2"}])).lacking == 12
    assert read_saved_answers(encoded([{**row, "RN": "7"}])).lacking == 0


@pytest.mark.parametrize(
    "address",
    ["https://x/v2/?glusr_crm_key=Kept%2FSecret==&start_time=1", "https://x/GLUSR_MOBILE_KEY/KeptSecret/Start_Time/1/"],
)
def test_anybodys_key_in_an_address_is_masked(address: str) -> None:
    for document in (encoded({"url": address, "body": []}), encoded({"url": address}).replace(b"/", b"\\/")):
        assert b"Secret" not in (masked := without_keys_in_addresses(document))
        assert json.loads(masked)["url"].count("***") == 1
