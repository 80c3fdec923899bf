import json
import time
from collections import Counter
from collections.abc import Iterator
from datetime import date
from typing import Any
from urllib.parse import quote

import pytest
import requests

from leads_pipeline.fake_indiamart.faults import Fault, FaultName
from leads_pipeline.fake_indiamart.server import FakeIndiaMart
from leads_pipeline_tests.fake_indiamart.asking import KEY, SettableClock, ask, code_of, contents, true_contents

EMPTY_WINDOW = ("10-06-2026 03:00:01", "10-06-2026 03:00:01")


@pytest.fixture(scope="module")
def shared_server() -> Iterator[FakeIndiaMart]:
    with FakeIndiaMart(keys=(KEY,), interval_seconds=0, block_seconds=0, clock=SettableClock().now) as server:
        yield server


@pytest.fixture
def server(shared_server: FakeIndiaMart) -> FakeIndiaMart:
    shared_server.clear_faults()
    return shared_server


def met(server: FakeIndiaMart, fault: str, **options: Any) -> requests.Response:
    server.inject(fault, **options)
    return ask(server)


def truth(server: FakeIndiaMart) -> Any:
    return true_contents(server.truth(date(2026, 6, 1), date(2026, 6, 7)))


@pytest.mark.parametrize(
    ("fault", "http_status", "code", "words"),
    [
        ("soft_429", 200, 429, "once in every 5 minutes,"),
        ("hard_429", 200, 429, "Too Many Requests"),
        ("key_incorrect", 200, 401, "that you are using is incorrect"),
        ("key_expired", 200, 401, "has expired as it was no longer in use"),
        ("key_regenerated", 200, 401, "which you have generated on"),
        ("not_yet_available_204", 200, 204, "will be available after 24 hours from"),
        ("not_yet_available_401", 200, 401, "will be available after 24 hours from"),
        ("bad_request", 200, 400, "Date format used in API URL is incorrect"),
        ("too_wide", 200, 400, "Maximum allowed difference"),
        ("server_error", 200, 500, "Some Error Occured"),
        ("http_500", 500, 500, "Some Error Occured"),
        ("unknown_code", 200, 777, "nobody has seen before"),
    ],
)
def test_failures_in_the_api_s_own_words(
    server: FakeIndiaMart, fault: str, http_status: int, code: int, words: str
) -> None:
    response = met(server, fault)
    answer = response.json(strict=False)

    assert (response.status_code, answer["CODE"]) == (http_status, code)
    assert words in answer["MESSAGE"]
    assert (server.calls[-1].outcome, server.calls[-1].fault) == ("fault", fault)
    assert server.calls[-1].code == code
    assert code_of(ask(server)) == 200


@pytest.mark.parametrize(
    ("fault", "http_status", "content_type", "body"),
    [
        ("http_429", 429, "text/plain", b"Too Many Requests"),
        ("html_200", 200, "text/html", b"<html>"),
        ("html_502", 502, "text/html", b"<html>down</html>"),
        ("empty_body", 200, "application/json", b""),
    ],
)
def test_answers_that_are_no_json(
    server: FakeIndiaMart, fault: str, http_status: int, content_type: str, body: bytes
) -> None:
    response = met(server, fault)

    assert response.status_code == http_status
    assert response.headers["content-type"].startswith(content_type)
    assert response.content.startswith(body)
    assert bool(response.content) is bool(body)
    with pytest.raises(requests.exceptions.JSONDecodeError):
        response.json()
    assert server.calls[-1].code is None


def test_a_redirect_points_to_another_host(server: FakeIndiaMart) -> None:
    default = met(server, "redirect")
    chosen = met(server, "redirect", location="http://127.0.0.1:9/elsewhere")

    assert default.status_code == chosen.status_code == 302
    assert default.headers["location"] == "https://login.elsewhere.example/maintenance"
    assert chosen.headers["location"] == "http://127.0.0.1:9/elsewhere"


def test_a_reset_comes_before_any_answer(server: FakeIndiaMart) -> None:
    with pytest.raises(requests.ConnectionError, match="reset by peer"):
        met(server, "reset")
    assert server.calls[-1].fault == "reset"


def test_a_cut_connection_gives_fewer_bytes_than_announced(server: FakeIndiaMart) -> None:
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        met(server, "cut_connection")


def test_a_slow_answer_waits_and_is_whole(server: FakeIndiaMart) -> None:
    started = time.monotonic()
    response = met(server, "slow", seconds=0.3)

    assert time.monotonic() - started >= 0.3
    assert contents(response.json()["RESPONSE"]) == truth(server)


def test_a_slow_answer_outlasts_an_impatient_caller_without_harm(server: FakeIndiaMart) -> None:
    server.inject("slow", seconds=0.4)
    with pytest.raises(requests.exceptions.ReadTimeout):
        ask(server, timeout=0.1)
    assert code_of(ask(server)) == 200


def test_a_trickle_begins_at_once_and_takes_its_time(server: FakeIndiaMart) -> None:
    server.inject("trickle", seconds=0.4)
    parameters = {"glusr_crm_key": KEY, "start_time": "01-06-2026", "end_time": "07-06-2026"}
    started = time.monotonic()
    response = requests.get(server.url, params=parameters, timeout=5, stream=True)
    begun = time.monotonic() - started
    rows = response.json()["RESPONSE"]

    assert begun < 0.3
    assert time.monotonic() - started >= 0.38
    assert contents(rows) == truth(server)


def test_a_server_that_stops_does_not_wait_for_slow_answers() -> None:
    with FakeIndiaMart(keys=(KEY,), interval_seconds=0) as server:
        server.inject("slow", seconds=30)
        with pytest.raises(requests.exceptions.ReadTimeout):
            ask(server, "01-01-2026", "02-01-2026", timeout=0.1)
        started = time.monotonic()
    assert time.monotonic() - started < 2


def test_truncated_json_is_a_whole_http_answer(server: FakeIndiaMart) -> None:
    response = met(server, "truncated_json")

    assert int(response.headers["content-length"]) == len(response.content)
    assert response.text.startswith('{"CODE":200,')
    with pytest.raises(json.JSONDecodeError):
        json.loads(response.text)


def test_the_key_is_echoed_plain_and_encoded(server: FakeIndiaMart) -> None:
    good = met(server, "echo_key").json()
    page = met(server, "html_with_key")

    assert KEY in good["MESSAGE"]
    assert quote(KEY, safe="") in good["MESSAGE"]
    assert contents(good["RESPONSE"]) == truth(server)
    assert page.status_code == 502
    assert KEY in page.text
    assert quote(KEY, safe="") in page.text


def test_fewer_records_than_the_total(server: FakeIndiaMart) -> None:
    answer = met(server, "fewer_than_total").json()
    server.inject("fewer_than_total")
    of_nothing = ask(server, *EMPTY_WINDOW).json()

    assert answer["TOTAL_RECORDS"] == len(truth(server)) > len(answer["RESPONSE"]) > 0
    assert (of_nothing["CODE"], of_nothing["TOTAL_RECORDS"], of_nothing["RESPONSE"]) == (200, 1, [])


def test_numbers_as_text(server: FakeIndiaMart) -> None:
    assert met(server, "code_as_text").json()["CODE"] == "200"
    assert met(server, "total_as_text").json()["TOTAL_RECORDS"] == str(len(truth(server)))


def test_json_under_another_content_type(server: FakeIndiaMart) -> None:
    response = met(server, "no_content_type_json")

    assert response.headers["content-type"].startswith("text/html")
    assert contents(response.json()["RESPONSE"]) == truth(server)


def test_garbage_stands_amid_good_records_and_counts(server: FakeIndiaMart) -> None:
    answer = met(server, "garbage_records").json()
    rows = answer["RESPONSE"]
    objects = [row for row in rows if isinstance(row, dict)]
    good = [row for row in objects if row["SENDER_NAME"] != "Garbage Record"]
    bad = [row for row in objects if row["SENDER_NAME"] == "Garbage Record"]

    assert answer["TOTAL_RECORDS"] == len(rows) == len(truth(server)) + 3
    assert contents(good) == truth(server)
    assert ["UNIQUE_QUERY_ID" in row for row in bad] == [False, True]
    assert bad[1]["QUERY_TIME"] == "yesterday at noon"
    assert len(objects) == len(rows) - 1


def test_duplicates_repeat_ids_and_the_later_one_can_differ(server: FakeIndiaMart) -> None:
    answer = met(server, "duplicate_records").json()
    rows = answer["RESPONSE"]
    counts = Counter(row["UNIQUE_QUERY_ID"] for row in rows)
    last = rows[-1]

    assert answer["TOTAL_RECORDS"] == len(rows) == len(truth(server)) + 2
    assert sorted(counts.values())[-2:] == [2, 2]
    assert last["UNIQUE_QUERY_ID"] == rows[0]["UNIQUE_QUERY_ID"]
    assert last["SUBJECT"] == "A later copy" != rows[0]["SUBJECT"]


def test_a_byte_order_mark_stands_before_the_json(server: FakeIndiaMart) -> None:
    content = met(server, "bom").content

    assert content.startswith(b"\xef\xbb\xbf{")
    assert contents(json.loads(content.decode("utf-8-sig"))["RESPONSE"]) == truth(server)


def test_latin1_bytes_are_no_utf8(server: FakeIndiaMart) -> None:
    content = met(server, "latin1").content

    with pytest.raises(UnicodeDecodeError):
        content.decode()
    assert contents(json.loads(content.decode("latin-1"))["RESPONSE"]) == truth(server)


def test_half_an_emoji_cannot_be_encoded_again(server: FakeIndiaMart) -> None:
    rows = json.loads(met(server, "lone_surrogate").content)["RESPONSE"]
    broken = [row for row in rows if (row.get("QUERY_MESSAGE") or "").endswith("\ud83d")]

    assert len(broken) == 1
    with pytest.raises(UnicodeEncodeError):
        broken[0]["QUERY_MESSAGE"].encode()


@pytest.mark.parametrize("fault", sorted(set(FaultName) - {"slow", "trickle", "reset", "cut_connection"}))
def test_every_fault_can_meet_an_empty_window(server: FakeIndiaMart, fault: str) -> None:
    server.inject(fault)
    response = ask(server, *EMPTY_WINDOW)

    assert server.calls[-1].fault == fault
    assert response.status_code in {200, 302, 429, 500, 502}


def test_faults_come_in_order_and_as_often_as_asked(server: FakeIndiaMart) -> None:
    server.inject("server_error", times=2)
    server.inject(Fault(FaultName.KEY_INCORRECT))

    assert [code_of(ask(server)) for _ in range(4)] == [500, 500, 401, 200]


def test_a_fault_is_no_refused_call_and_waits_for_a_call_that_the_rules_allow(server: FakeIndiaMart) -> None:
    refused_before = len(server.refused_calls)
    server.inject("soft_429")

    assert code_of(ask(server, "x", "y")) == 400
    assert code_of(ask(server, key="wrong")) == 401
    assert code_of(ask(server)) == 429
    assert len(server.refused_calls) == refused_before + 2


def test_the_hard_429_fault_blocks_the_key() -> None:
    clock = SettableClock()
    with FakeIndiaMart(
        keys=(KEY,), interval_seconds=300, block_seconds=900, clock=clock.now, monotonic=clock.monotonic
    ) as server:
        server.inject("hard_429")
        ask(server)
        clock.seconds += 899
        blocked = ask(server).json()
        clock.seconds += 300
        assert blocked["MESSAGE"] == "Too Many Requests"
        assert code_of(ask(server)) == 200
        assert [call.outcome for call in server.calls] == ["fault", "key_blocked", "leads"]


def test_a_fault_takes_the_call_s_turn() -> None:
    clock = SettableClock()
    with FakeIndiaMart(keys=(KEY,), interval_seconds=300, clock=clock.now, monotonic=clock.monotonic) as server:
        server.inject("html_502")
        ask(server)
        clock.seconds += 299
        assert code_of(ask(server)) == 429


def test_faults_can_be_injected_listed_and_forgotten_over_http(server: FakeIndiaMart) -> None:
    url = f"{server.origin}/_fake/faults"
    posted = requests.post(url, json={"fault": "slow", "times": 2, "seconds": 0.05}, timeout=5).json()
    requests.post(url, json={"fault": "redirect", "location": "http://127.0.0.1:9/"}, timeout=5)

    assert [fault["name"] for fault in posted] == ["slow", "slow"]
    assert posted[0]["seconds"] == 0.05
    assert code_of(ask(server)) == 200
    assert [fault["name"] for fault in requests.get(url, timeout=5).json()] == ["slow", "redirect"]
    assert requests.delete(url, timeout=5).json() == []
    assert server.calls[-1].fault == "slow"


@pytest.mark.parametrize(
    "body", [{"fault": "no_such_fault"}, {}, {"fault": "slow", "times": 0}, {"fault": "slow", "typo": 1}, []]
)
def test_senseless_faults_are_refused(server: FakeIndiaMart, body: object) -> None:
    response = requests.post(f"{server.origin}/_fake/faults", json=body, timeout=5)

    assert response.status_code == 400
    assert response.json()["error"]
    assert requests.get(f"{server.origin}/_fake/faults", timeout=5).json() == []
