import json
import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
import requests

from leads_pipeline.days import IST
from leads_pipeline.fake_indiamart.faults import FaultName
from leads_pipeline.fake_indiamart.server import DEMO_MOBILE, FakeIndiaMart
from leads_pipeline.fake_indiamart.truth import TrueLead
from leads_pipeline_tests.fake_indiamart.asking import KEY, NOW, WEEK, SettableClock, ask

V1_KEY = "test/V1+key=with=signs=="
FIELDS = re.findall(
    r"\w+",
    "RN QUERY_ID QTYPE SENDERNAME SENDEREMAIL SUBJECT DATE_RE DATE_R DATE_TIME_RE GLUSR_USR_COMPANYNAME READ_STATUS "
    "SENDER_GLUSR_USR_ID MOB COUNTRY_FLAG QUERY_MODID LOG_TIME QUERY_MODREFID DIR_QUERY_MODREF_TYPE "
    "ORG_SENDER_GLUSR_ID ENQ_MESSAGE ENQ_ADDRESS ENQ_CALL_DURATION ENQ_RECEIVER_MOB ENQ_CITY ENQ_STATE PRODUCT_NAME "
    "COUNTRY_ISO EMAIL_ALT MOBILE_ALT PHONE PHONE_ALT IM_MEMBER_SINCE TOTAL_COUNT",
)
SAME_AS_IN_V2 = {
    "QUERY_ID": "UNIQUE_QUERY_ID",
    "QTYPE": "QUERY_TYPE",
    "SENDERNAME": "SENDER_NAME",
    "SUBJECT": "SUBJECT",
    "GLUSR_USR_COMPANYNAME": "SENDER_COMPANY",
    "ENQ_MESSAGE": "QUERY_MESSAGE",
    "ENQ_RECEIVER_MOB": "RECEIVER_MOBILE",
    "ENQ_CITY": "SENDER_CITY",
    "ENQ_STATE": "SENDER_STATE",
    "PRODUCT_NAME": "QUERY_PRODUCT_NAME",
    "COUNTRY_ISO": "SENDER_COUNTRY_ISO",
    "EMAIL_ALT": "SENDER_EMAIL_ALT",
    "MOBILE_ALT": "SENDER_MOBILE_ALT",
    "PHONE": "SENDER_PHONE",
    "PHONE_ALT": "SENDER_PHONE_ALT",
}


def make_server(clock: SettableClock | None = None, **options: Any) -> FakeIndiaMart:
    clock = clock or SettableClock()
    options = {"interval_seconds": 0, "v1_silence": 0.0} | options
    return FakeIndiaMart(keys=(KEY,), v1_keys={V1_KEY: KEY}, clock=clock.now, monotonic=clock.monotonic, **options)


@pytest.fixture(scope="module")
def shared_server() -> Iterator[FakeIndiaMart]:
    with make_server() as server:
        yield server


@pytest.fixture
def server(shared_server: FakeIndiaMart) -> FakeIndiaMart:
    shared_server.clear_faults()
    return shared_server


def ask_v1(
    server: FakeIndiaMart,
    start: str = WEEK[0],
    end: str = WEEK[1],
    *,
    key: str = V1_KEY,
    mobile: str = DEMO_MOBILE,
) -> requests.Response:
    steps = {"GLUSR_MOBILE": mobile, "GLUSR_MOBILE_KEY": key, "Start_Time": start, "End_Time": end}
    path = "".join(f"{name}/{quote(value, safe='')}/" for name, value in steps.items())
    return requests.get(f"{server.v1_url}{path}", timeout=10, allow_redirects=False)


def words_of(response: requests.Response) -> str:
    """What an error says, whatever its form."""
    document = response.json(strict=False)
    [error] = document if isinstance(document, list) else [document]
    [(name, words)] = error.items()
    assert name in ("Error_Message", "Error Message")
    return str(words)


def truth(server: FakeIndiaMart, first: date = date(2026, 6, 1), last: date = date(2026, 6, 7)) -> list[TrueLead]:
    return [*server.truth(first, last)]


def test_leads_come_newest_first_with_the_33_fields_in_their_order(server: FakeIndiaMart) -> None:
    rows = ask_v1(server).json()
    leads = truth(server)[::-1]
    names = {tuple(name for name in row if name in FIELDS or name == "SENDERMAIL") for row in rows}
    assert {tuple(name.replace("SENDERMAIL", "SENDEREMAIL") for name in one) for one in names} == {tuple(FIELDS)}
    assert [row["QUERY_ID"] for row in rows] == [lead.query_id for lead in sorted(
        leads, key=lambda lead: (lead.query_time, lead.query_id), reverse=True
    )]  # fmt: skip
    assert [row["RN"] for row in rows] == [str(number) for number in range(1, len(rows) + 1)]
    assert {row["TOTAL_COUNT"] for row in rows} == {str(len(rows))}


def test_a_lead_says_in_v1_what_it_says_in_v2(server: FakeIndiaMart) -> None:
    rows = {row["QUERY_ID"]: row for row in ask_v1(server).json()}
    for lead in truth(server):
        row = rows[lead.query_id]
        for name, in_v2 in SAME_AS_IN_V2.items():
            assert (row[name] or None) == lead.fields[in_v2], name
        assert (row["MOB"] or "").replace("-", "")[-10:] == (lead.fields["SENDER_MOBILE"] or "").replace("-", "")[-10:]
        asked = datetime.strptime(row["DATE_TIME_RE"].strip(), "%d-%b-%Y %I:%M:%S %p").replace(tzinfo=IST)
        assert asked == lead.query_time
        logged = lead.query_time.strftime("%Y%m%d000000" if lead.query_type == "P" else "%Y%m%d%H%M%S")
        assert row["LOG_TIME"] == logged
        assert bool(row["ENQ_CALL_DURATION"]) == bool(lead.fields["CALL_DURATION"])


def test_what_v2_does_not_show_of_a_lead_stays_the_same_from_call_to_call(server: FakeIndiaMart) -> None:
    def told(row: dict[str, Any]) -> dict[str, Any]:
        left_out = ("DATE_TIME_RE", "SENDEREMAIL", "SENDERMAIL")
        return {name: value or None for name, value in row.items() if name not in left_out}

    first, second = (ask_v1(server).json() for _ in range(2))
    assert [told(row) for row in first] == [told(row) for row in second]


@pytest.mark.parametrize(
    ("start", "end"), [("01-JUN-2026", "07-JUN-2026"), ("01-06-2026 00:00:00", "08-06-2026 00:00:00")]
)
def test_both_forms_of_times_ask_for_the_same(server: FakeIndiaMart, start: str, end: str) -> None:
    rows = ask_v1(server, start, end).json()
    assert {row["QUERY_ID"] for row in rows} == {lead.query_id for lead in truth(server)}


@pytest.mark.parametrize("start", ["01-06-2026", "2026-06-01", "01-JUN-202600:00:00", "yesterday"])
def test_other_forms_of_times_are_refused(server: FakeIndiaMart, start: str) -> None:
    assert "Date format" in words_of(ask_v1(server, start))


def test_of_a_window_over_seven_days_the_last_seven_are_answered_without_a_word(server: FakeIndiaMart) -> None:
    rows = ask_v1(server, "15-05-2026 00:00:00", "08-06-2026 00:00:00").json()
    assert {row["QUERY_ID"] for row in rows} == {lead.query_id for lead in truth(server)}
    assert server.calls[-1].start == datetime(2026, 5, 15, tzinfo=IST)


def test_an_address_whose_key_is_not_encoded_is_not_found(server: FakeIndiaMart) -> None:
    calls = len(server.calls)
    url = f"{server.v1_url}GLUSR_MOBILE/{DEMO_MOBILE}/GLUSR_MOBILE_KEY/{V1_KEY}/Start_Time/x/End_Time/y/"
    assert requests.get(url, timeout=5).status_code == 404
    assert requests.post(server.v1_url, timeout=5).status_code == 405
    assert len(server.calls) == calls


def test_a_key_is_for_its_own_api_and_needs_its_sellers_number(server: FakeIndiaMart) -> None:
    for response in (ask_v1(server, key=KEY), ask_v1(server, key="wrong"), ask_v1(server, mobile="9000000001")):
        assert "incorrect" in words_of(response)
        assert server.calls[-1].outcome == "key_rejected"
    assert ask(server, key=V1_KEY).json()["CODE"] == 401


def test_refusals_come_in_every_form(server: FakeIndiaMart) -> None:
    documents = [ask_v1(server, key="wrong").json() for _ in range(40)]
    errors = [document[0] if isinstance(document, list) else document for document in documents]
    assert {type(document) for document in documents} == {list, dict}
    assert {name for error in errors for name in error} == {"Error_Message", "Error Message"}


def test_a_replaced_key_says_when_the_newer_one_was_made_and_keeps_the_seller(server: FakeIndiaMart) -> None:
    with make_server() as own:
        own.replace_key(V1_KEY, "new/v1+key==")
        assert "generated on '15-06-2026 02:30:00 PM'" in words_of(ask_v1(own))
        assert "24 hours" in words_of(ask_v1(own, key="new/v1+key=="))


def test_a_key_that_rests_too_long_expires() -> None:
    clock = SettableClock()
    with make_server(clock, unused_key_expires_after=timedelta(days=30)) as own:
        ask_v1(own)
        clock.moment += timedelta(days=31)
        assert "is expired as it was no longer in use" in words_of(ask_v1(own))


def test_calls_too_soon_are_refused_and_hammering_blocks() -> None:
    with make_server(interval_seconds=300, block_seconds=900) as own:
        ask_v1(own)
        assert "once in every 5 minutes" in words_of(ask_v1(own))
        blocked = [ask_v1(own).json() for _ in range(5)][-1]
        assert blocked["MESSAGE"] == "Too Many Requests"
        assert ask(own).json()["CODE"] == 200, "the limit is the key's"


def test_a_silent_server_says_nothing_of_an_empty_window_a_wrong_key_or_a_call_too_soon() -> None:
    empty = ("10-06-2026 03:00:01", "10-06-2026 03:00:01")
    with make_server(v1_silence=1.0) as own:
        answers = [ask_v1(own, *empty), ask_v1(own, key="wrong")]
    with make_server(v1_silence=1.0, interval_seconds=300) as own:
        ask_v1(own)
        answers.append(ask_v1(own))
        outcomes = [call.outcome for call in own.calls]
    with make_server(v1_silence=1.0, key_made_at=NOW) as own:
        answers.append(ask_v1(own))
        outcomes.append(own.calls[0].outcome)
    assert [answer.text for answer in answers] == ["[]"] * 4
    assert outcomes == ["leads", "rate_limited", "not_yet_available"]
    with make_server(v1_silence=0.0) as own:
        assert "no leads in the given time" in words_of(ask_v1(own, *empty))


@pytest.mark.parametrize("fault", sorted(set(FaultName) - {"slow", "trickle", "reset", "cut_connection"}))
@pytest.mark.parametrize("window", [WEEK, ("10-06-2026 03:00:01", "10-06-2026 03:00:01")], ids=["leads", "none"])
def test_every_fault_can_meet_a_v1_call(server: FakeIndiaMart, fault: str, window: tuple[str, str]) -> None:
    server.inject(fault)
    response = ask_v1(server, *window)
    call = server.calls[-1]
    assert (call.fault, call.api, call.code is None or fault == "hard_429") == (fault, "v1", True)
    assert response.status_code in {200, 302, 429, 500, 502}


def test_faults_that_spoil_leads_leave_v1_s_form(server: FakeIndiaMart) -> None:
    def met(fault: str) -> list[Any]:
        server.inject(fault)
        rows: list[Any] = json.loads(ask_v1(server).content.decode("latin-1"))
        return rows

    leads = len(truth(server))
    fewer = met("fewer_than_total")
    assert 0 < len(fewer) < leads == int(fewer[0]["TOTAL_COUNT"])
    assert len(met("garbage_records")) == leads + 3
    twice = met("duplicate_records")
    assert len(twice) == leads + 2
    assert twice[-1]["SUBJECT"] == "A later copy"
    assert isinstance(met("total_as_text")[0]["TOTAL_COUNT"], int)
    assert met("lone_surrogate")[0]["ENQ_MESSAGE"].endswith("\ud83d")
    echo = met("echo_key")[0]["REQUEST"]
    assert f"GLUSR_MOBILE/{DEMO_MOBILE}/GLUSR_MOBILE_KEY/{quote(V1_KEY, safe='')}" in echo
    assert V1_KEY in echo
