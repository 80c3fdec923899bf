import json
import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import pytest
import requests

from leads_pipeline.days import IST, day_start
from leads_pipeline.fake_indiamart.server import FakeIndiaMart
from leads_pipeline.fake_indiamart.truth import FIELDS, leads_of_day
from leads_pipeline_tests.fake_indiamart.asking import (
    KEY,
    NOW,
    SettableClock,
    ask,
    code_of,
    content_of_record,
    contents,
    true_contents,
)

IMPORTS_SCRIPT = """
import sys
import leads_pipeline.fake_indiamart.server
shared = ("indiamart", "leads", "storage", "settings", "stages", "assets")
names = {f"leads_pipeline.{name}" for name in shared} | {"dagster", "pandas", "pyarrow", "duckdb"}
print(sorted(names & set(sys.modules)))
"""


@pytest.fixture(scope="module")
def open_server() -> Iterator[FakeIndiaMart]:
    """A server without a rate limit, on 15 June 2026."""
    with FakeIndiaMart(keys=(KEY,), interval_seconds=0, clock=SettableClock().now) as server:
        yield server


def written(moment: datetime) -> str:
    return moment.strftime("%d-%m-%Y %H:%M:%S")


def busy_day() -> date:
    return next(day for day in (date(2026, 6, number) for number in range(3, 10)) if leads_of_day(7, KEY, day))


def test_a_week_is_answered_with_exactly_the_truth(open_server: FakeIndiaMart) -> None:
    answer = ask(open_server).json()

    assert answer["CODE"] == 200
    assert answer["STATUS"] == "SUCCESS"
    assert answer["TOTAL_RECORDS"] == len(answer["RESPONSE"]) > 100
    truth = open_server.truth(date(2026, 6, 1), date(2026, 6, 7))
    assert contents(answer["RESPONSE"]) == true_contents(truth)


def test_row_order_and_blank_forms_vary_between_calls_but_the_content_does_not(open_server: FakeIndiaMart) -> None:
    answers = [ask(open_server) for _ in range(16)]
    rows = [answer.json()["RESPONSE"] for answer in answers]
    orders = {tuple(row["UNIQUE_QUERY_ID"] for row in of_call) for of_call in rows}
    times = [[row["QUERY_TIME"] for row in of_call] for of_call in rows]
    absent = {name for of_call in rows for row in of_call for name in set(FIELDS) - set(row)}
    durations = {json.dumps(row["CALL_DURATION"]) for of_call in rows for row in of_call if "CALL_DURATION" in row}

    assert len(orders) > 3
    assert sorted(times[0]) in times
    assert sorted(times[0], reverse=True) in times
    assert {'""', '"0"', "0", "null"} <= durations
    assert len(absent) > 5
    assert not absent & {"UNIQUE_QUERY_ID", "QUERY_TYPE", "QUERY_TIME"}
    assert len({str(contents(of_call)) for of_call in rows}) == 1
    assert {b"\\/" in answer.content for answer in answers} == {True, False}
    assert {"चाहिए".encode() in answer.content for answer in answers} == {True, False}


def test_a_new_field_stays_the_same_for_its_lead(open_server: FakeIndiaMart) -> None:
    day = next(
        lead.query_time.date()
        for number in range(1, 14)
        for lead in leads_of_day(7, KEY, date(2026, 5, number))
        if lead.extra and lead.available_from < NOW
    )
    seen = [
        {row["UNIQUE_QUERY_ID"]: row["QUERY_SOURCE_NEW"] for row in answer["RESPONSE"] if "QUERY_SOURCE_NEW" in row}
        for answer in [ask(open_server, day.strftime("%d-%m-%Y"), day.strftime("%d-%m-%Y")).json() for _ in range(3)]
    ]

    assert seen[0]
    assert seen[0] == seen[1] == seen[2]


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("{day:%d-%m-%Y} 00:00:00", "{next:%d-%m-%Y} 00:00:00"),
        ("{day:%d-%b-%Y}00:00:00", "{next:%d-%b-%Y}00:00:00"),
        ("{day:%d-%b-%Y}", "{day:%d-%b-%Y}"),
        ("{day:%d-%m-%Y}", "{day:%d-%m-%Y}"),
    ],
)
def test_a_day_can_be_asked_for_in_every_form(open_server: FakeIndiaMart, start: str, end: str) -> None:
    day = busy_day()
    names = {"day": day, "next": day + timedelta(1)}
    answer = ask(open_server, start.format(**names).upper(), end.format(**names).upper()).json()

    assert contents(answer["RESPONSE"]) == true_contents(open_server.truth(day, day))
    assert {"00:00:00", "23:59:59"} <= {row["QUERY_TIME"][11:] for row in answer["RESPONSE"]}


@pytest.mark.parametrize("inclusive_end", [False, True])
def test_the_second_that_ends_a_window_is_included_only_on_request(inclusive_end: bool) -> None:
    start = day_start(busy_day())
    with FakeIndiaMart(
        keys=(KEY,), interval_seconds=0, clock=SettableClock().now, inclusive_end=inclusive_end
    ) as server:
        ending = ask(server, written(start - timedelta(hours=1)), written(start)).json().get("RESPONSE", [])
        same = ask(server, written(start), written(start)).json()

    assert (written(start)[11:] in {row["QUERY_TIME"][11:] for row in ending}) is inclusive_end
    assert same["CODE"] == (200 if inclusive_end else 204)


def test_an_empty_window_is_204_in_its_varying_forms(open_server: FakeIndiaMart) -> None:
    answers = [ask(open_server, "10-06-2026 03:00:01", "10-06-2026 03:00:01").json() for _ in range(16)]

    assert {answer["CODE"] for answer in answers} == {204}
    assert {answer["TOTAL_RECORDS"] for answer in answers} == {0}
    assert {answer["MESSAGE"] for answer in answers} == {
        "There are no leads in the given time duration. Please try for a different duration."
    }
    assert {answer["STATUS"] for answer in answers} == {"FAILURE", "SUCCESS"}
    assert {"RESPONSE" in answer for answer in answers} == {True, False}


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        ("2026-06-01", "2026-06-02", "Date format used in API URL is incorrect"),
        ("02-06-2026 00:00:01", "02-06-2026 00:00:00", "end_time should be greater than start_time"),
        ("01-06-2026 00:00:00", "08-06-2026 00:00:01", "Maximum allowed difference between start_time and end_time"),
        ("01-06-2026", "08-06-2026", "is 7 days"),
        ("15-06-2025 14:29:59", "16-06-2025 00:00:00", "for the last 365 days only"),
        ("", "", "Date format used in API URL is incorrect"),
    ],
)
def test_bad_times_are_400_in_http_200(open_server: FakeIndiaMart, start: str, end: str, words: str) -> None:
    response = ask(open_server, start, end)
    answer = response.json(strict=False)

    assert response.status_code == 200
    assert (answer["CODE"], answer["STATUS"], answer["TOTAL_RECORDS"], answer["RESPONSE"]) == (400, "FAILURE", 0, [])
    assert words in answer["MESSAGE"]
    assert open_server.calls[-1].outcome == "bad_request"


def test_the_date_format_answer_holds_raw_control_characters_that_strict_parsers_refuse(
    open_server: FakeIndiaMart,
) -> None:
    response = ask(open_server, "x", "y")

    assert b"\n\t\t\t\t\tformat." in response.content
    with pytest.raises(json.JSONDecodeError):
        json.loads(response.text)


def test_the_edges_of_the_rules_are_accepted(open_server: FakeIndiaMart) -> None:
    assert code_of(ask(open_server, "15-06-2025 14:30:00", "22-06-2025 14:30:00")) == 200
    assert code_of(ask(open_server, "15-06-2026 00:00:00", "22-06-2026 00:00:00")) == 200


def test_leads_that_are_still_to_come_are_never_shown(open_server: FakeIndiaMart) -> None:
    rows = ask(open_server, "15-06-2026 00:00:00", "22-06-2026 00:00:00").json()["RESPONSE"]

    assert max(row["QUERY_TIME"] for row in rows) <= "2026-06-15 14:30:00"


def test_a_late_lead_shows_up_when_its_time_has_come(clock: SettableClock) -> None:
    late = next(
        lead
        for number in range(1, 29)
        for lead in leads_of_day(7, KEY, date(2026, 5, number))
        if lead.available_from > lead.query_time
    )
    day = late.query_time.strftime("%d-%m-%Y")
    with FakeIndiaMart(keys=(KEY,), interval_seconds=0, clock=clock.now) as server:
        clock.moment = late.available_from - timedelta(seconds=1)
        before = ask(server, day, day).json().get("RESPONSE", [])
        clock.moment = late.available_from
        after = ask(server, day, day).json()["RESPONSE"]

    assert late.query_id not in {row["UNIQUE_QUERY_ID"] for row in before}
    assert late.query_id in {row["UNIQUE_QUERY_ID"] for row in after}


def test_a_moved_lead_is_answered_in_its_new_day_only(clock: SettableClock) -> None:
    with FakeIndiaMart(keys=(KEY,), interval_seconds=0, clock=clock.now, moving_share=0.2) as server:
        clock.moment = datetime(2026, 6, 1, tzinfo=IST)
        first = {lead.query_id: lead for lead in server.truth(date(2026, 5, 20), date(2026, 5, 31))}
        clock.moment = NOW
        later = {lead.query_id: lead for lead in server.truth(date(2026, 5, 20), date(2026, 5, 31))}
        moved = next(
            lead
            for query_id, lead in later.items()
            if query_id in first and first[query_id].query_time != lead.query_time
        )
        new, old = (
            ask(server, when.strftime("%d-%m-%Y"), when.strftime("%d-%m-%Y")).json().get("RESPONSE", [])
            for when in (moved.query_time, first[moved.query_id].query_time)
        )

    assert moved.query_id in {row["UNIQUE_QUERY_ID"] for row in new}
    assert moved.query_id not in {row["UNIQUE_QUERY_ID"] for row in old}


def test_a_wrong_key_is_401(open_server: FakeIndiaMart) -> None:
    messages = {ask(open_server, key="wrong").json()["MESSAGE"].split(" that")[0] for _ in range(16)}

    assert code_of(ask(open_server, key="wrong")) == 401
    assert messages == {"Pull API Key", "CRM key"}
    assert not open_server.calls[-1].key_accepted


def test_a_key_whose_plus_is_not_encoded_is_another_key(open_server: FakeIndiaMart) -> None:
    query = f"glusr_crm_key={KEY}&start_time=01-06-2026&end_time=02-06-2026"

    assert code_of(requests.get(f"{open_server.url}?{query}", timeout=5)) == 401


def test_expired_and_replaced_keys_are_401_with_their_own_words(clock: SettableClock) -> None:
    with FakeIndiaMart(keys=(KEY,), expired_keys=("unused",), interval_seconds=0, clock=clock.now) as server:
        expired = ask(server, key="unused").json()
        before = ask(server).json()["RESPONSE"]
        server.replace_key(KEY, "newer")
        replaced = ask(server).json()
        too_early = ask(server, key="newer").json()
        clock.moment += timedelta(hours=24)
        after = ask(server, key="newer").json()["RESPONSE"]

    assert expired["CODE"] == replaced["CODE"] == 401
    assert "has expired as it was no longer in use" in expired["MESSAGE"]
    assert "expired" in replaced["MESSAGE"]
    assert "generated" in replaced["MESSAGE"]
    assert "will be available after 24 hours from" in too_early["MESSAGE"]
    assert contents(after) == contents(before)


def test_history_from_before_the_key_is_held_back_for_a_day(clock: SettableClock) -> None:
    with FakeIndiaMart(
        keys=(KEY,), interval_seconds=0, clock=clock.now, key_made_at=NOW - timedelta(hours=4)
    ) as server:
        old = ask(server).json()
        new = ask(server, written(NOW - timedelta(hours=4)), written(NOW)).json()

    assert old["CODE"] == 204
    assert "will be available after 24 hours from" in old["MESSAGE"]
    assert "available after" not in new["MESSAGE"]


def test_a_key_that_rests_too_long_expires_when_asked_for(clock: SettableClock) -> None:
    with FakeIndiaMart(
        keys=(KEY,), interval_seconds=0, clock=clock.now, unused_key_expires_after=timedelta(days=7)
    ) as server:
        assert code_of(ask(server)) == 200
        clock.moment += timedelta(days=8)
        assert code_of(ask(server)) == 401


def test_each_seller_has_leads_of_their_own(clock: SettableClock) -> None:
    with FakeIndiaMart(keys=(KEY, "second"), interval_seconds=0, clock=clock.now) as server:
        one, two = ask(server).json()["RESPONSE"], ask(server, key="second").json()["RESPONSE"]
        truth = server.truth(date(2026, 6, 1), date(2026, 6, 7), key="second")

    assert not {row["UNIQUE_QUERY_ID"] for row in one} & {row["UNIQUE_QUERY_ID"] for row in two}
    assert contents(two) == true_contents(truth)


def test_the_truth_can_be_asked_for_over_http(open_server: FakeIndiaMart) -> None:
    def truth(**parameters: str) -> Any:
        return requests.get(f"{open_server.origin}/_fake/truth", params=parameters, timeout=5)

    leads = truth(start="2026-06-01", end="2026-06-07").json()["leads"]
    expected = open_server.truth(date(2026, 6, 1), date(2026, 6, 7))

    assert [lead["query_id"] for lead in leads] == [lead.query_id for lead in expected]
    assert sorted((content_of_record(lead["fields"] | lead["extra"]) for lead in leads), key=str) == true_contents(
        expected
    )
    early = truth(start="2026-06-01", end="2026-06-07", as_of="2026-06-02T00:00:00+05:30").json()["leads"]
    assert 0 < len(early) < len(leads)
    assert truth(start="2026-06-01").status_code == 400
    assert truth(start="2026-06-01", end="2026-06-07", seller="9").status_code == 400


def test_other_paths_and_methods_are_refused(open_server: FakeIndiaMart) -> None:
    without_slash = open_server.url.rstrip("/")

    assert requests.get(without_slash, timeout=5, allow_redirects=False).status_code == 404
    assert requests.post(open_server.url, timeout=5).status_code == 405
    assert code_of(requests.get(open_server.url, timeout=5)) == 400


def test_the_server_starts_fast_and_comes_back_on_its_port_with_its_memory(clock: SettableClock) -> None:
    server = FakeIndiaMart(keys=(KEY,), interval_seconds=300, clock=clock.now, monotonic=clock.monotonic)
    started = time.monotonic()
    server.start()
    seconds = time.monotonic() - started
    ask(server)
    url = server.url
    server.stop()
    with pytest.raises(requests.ConnectionError):
        ask(server)
    with server:
        assert server.url == url
        assert code_of(ask(server)) == 429

    assert seconds < 0.3


def test_a_taken_port_is_an_error(open_server: FakeIndiaMart) -> None:
    port = int(open_server.origin.rsplit(":", 1)[1])

    with pytest.raises(OSError, match="in use"):
        FakeIndiaMart(port=port).start()


def test_no_log_line_holds_a_key(open_server: FakeIndiaMart, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    caplog.set_level(logging.WARNING, logger="urllib3")
    for fault in ("cut_connection", "reset"):
        open_server.inject(fault)
        with pytest.raises(requests.RequestException):
            ask(open_server)
    ask(open_server)

    assert [record.getMessage() for record in caplog.records] == []


def test_the_server_shares_no_code_with_the_client() -> None:
    command = [sys.executable, "-c", IMPORTS_SCRIPT]

    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "[]"
