import json
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from leads_pipeline.days import IST
from leads_pipeline.fake_indiamart.server import FakeIndiaMart
from leads_pipeline.indiamart.access import Access
from leads_pipeline.indiamart.api_versions import api_version
from leads_pipeline.indiamart.client import IndiaMartClient
from leads_pipeline.indiamart.outcomes import Judgement, Outcome
from leads_pipeline.indiamart.reading import newer_key_made_at
from leads_pipeline.indiamart.v1 import address, judge, records_of
from leads_pipeline.indiamart.windows import MAX_WINDOW, Window
from leads_pipeline.secret_values import SecretMasker
from leads_pipeline_tests.indiamart.versions import MOBILE, V1_KEY, server_of_both, speakers
from leads_pipeline_tests.support import KEY, bare_server, forms_found, http_answer, ist

WINDOW = Window(ist("2026-03-01 00:00:00"), ist("2026-03-08 00:00:00"))
ACCESS = Access("https://mapi.example/wservce/enquiry/listing", V1_KEY, MOBILE)
LEAD: dict[str, Any] = {"RN": "1", "QUERY_ID": "203128345", "QTYPE": "P", "TOTAL_COUNT": "1"}


def judged(document: object, http_status: int | None = 200) -> Judgement:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return judge(body, http_status, SecretMasker([V1_KEY, MOBILE]))


def too_wide(days: int) -> Window:
    """A window that its own class refuses, as a caller who goes round it would make one."""
    window = object.__new__(Window)
    object.__setattr__(window, "start", WINDOW.start)
    object.__setattr__(window, "end", WINDOW.start + timedelta(days=days))
    return window


def test_mobile_and_key_are_steps_of_the_path_with_everything_encoded() -> None:
    key = quote(V1_KEY, safe="")
    expected = (
        f"https://mapi.example/wservce/enquiry/listing/GLUSR_MOBILE/{MOBILE}/GLUSR_MOBILE_KEY/{key}"
        "/Start_Time/01-03-2026%2000%3A00%3A00/End_Time/08-03-2026%2000%3A00%3A00/"
    )
    assert address(ACCESS, WINDOW) == expected
    assert address(Access(f"{ACCESS.url}/", V1_KEY, MOBILE), WINDOW) == expected


def test_the_address_goes_out_as_it_was_made() -> None:
    with bare_server(http_answer(b"[]")) as server:
        access = Access(server.url, V1_KEY, MOBILE)
        IndiaMartClient(api_version("v1"), access, 5).ask(WINDOW)
        path = address(access, WINDOW).removeprefix(server.url.removesuffix("/crm/"))
    assert server.requests[0].startswith(f"GET {path} HTTP/1.1\r\n")


def test_a_window_that_v1_would_cut_is_refused_before_any_call() -> None:
    with server_of_both(interval_seconds=0) as server:
        client = IndiaMartClient(api_version("v1"), speakers(server)["v1"].access, 5)
        with pytest.raises(ValueError, match="more than 7 days"):
            client.ask(too_wide(8))
        assert server.calls == ()
        assert client.ask(too_wide(MAX_WINDOW.days)).http_status == 200


@pytest.mark.parametrize("form", [LEAD, [LEAD], {"RESPONSE": [LEAD]}, {"RESPONSE": LEAD}])
def test_leads_are_read_as_a_list_alone_and_under_response(form: object) -> None:
    assert judged(form) == Judgement(Outcome.LEADS, None, "", 1, 1)
    assert records_of(json.dumps(form).encode()) == [LEAD]


def test_what_is_no_lead_among_leads_counts_as_a_record() -> None:
    assert judged(["garbage", LEAD, {"QTYPE": "W"}]).records == 3


def test_the_highest_of_the_totals_counts() -> None:
    rows = [{**LEAD, "TOTAL_COUNT": total} for total in ("2", "3", None)]
    assert judged(rows) == Judgement(Outcome.LEADS, None, "", 3, 3)
    assert judged(rows[:2]) == Judgement(Outcome.TRUNCATED, None, "", 3, 2)


@pytest.mark.parametrize("minutes", [5, 15])
def test_the_minutes_of_another_year_are_a_limit_too(minutes: int) -> None:
    words = f"It is advised to hit this API once in every {minutes} minutes, but it seems that you have crossed it."
    assert judged([{"Error_Message": words}]).outcome is Outcome.RATE_LIMITED
    assert judged({"RESPONSE": words}).outcome is Outcome.RATE_LIMITED
    assert judged([words]).outcome is Outcome.RATE_LIMITED


def test_a_list_without_any_lead_covers_nothing_whatever_it_holds() -> None:
    for rows in ([{"QTYPE": "W"}], [1, 2], [{"Message": "Welcome"}], [{"UNIQUE_QUERY_ID": "1"}]):
        assert judged(rows).outcome is Outcome.UNREADABLE


def test_v2_s_envelope_with_leads_is_no_answer_of_v1() -> None:
    assert judged({"CODE": 200, "TOTAL_RECORDS": 1, "RESPONSE": [{"UNIQUE_QUERY_ID": "1"}]}).outcome is (
        Outcome.UNREADABLE
    )


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("'16-09-2020 02:00:00 PM'", "2020-09-16 14:00:00"),
        ("'16-09-2020 12:05:09 AM'", "2020-09-16 00:05:09"),
        ("16-09-2020 12:05:09 pm.", "2020-09-16 12:05:09"),
        ('"16-09-2020 14:00"', "2020-09-16 14:00:00"),
    ],
)
def test_the_time_of_the_newer_key_is_read_as_indian_time(written: str, read: str) -> None:
    made_at = newer_key_made_at(f"Kindly use the new key which you have generated on {written} to go on")
    assert made_at == ist(read)
    assert made_at is not None
    assert made_at.tzinfo is IST


@pytest.mark.parametrize("words", ["", "generated on 'an earlier day'", "generated on 31-02-2020 02:00:00 PM"])
def test_a_newer_key_without_a_readable_time_has_none(words: str) -> None:
    assert newer_key_made_at(words) is None


def test_the_fake_tells_when_the_newer_key_was_made() -> None:
    made = datetime(2026, 6, 15, 14, 30, tzinfo=IST)
    with server_of_both(interval_seconds=0, clock=lambda: made) as server:
        server.replace_key(V1_KEY, "the/new+key=of-v1==")
        message = rejected(server)
    assert newer_key_made_at(message) == made


def rejected(server: FakeIndiaMart) -> str:
    speaker = speakers(server)["v1"]
    window = Window(ist("2026-06-01 00:00:00"), ist("2026-06-02 00:00:00"))
    answer = IndiaMartClient(speaker.version, speaker.access, 5).ask(window)
    judgement = judged(answer.body)
    assert judgement.outcome is Outcome.KEY_REJECTED
    return judgement.message


def test_the_sellers_number_stays_where_leads_hold_it_and_goes_where_the_address_is_echoed() -> None:
    lead = {**LEAD, "ENQ_RECEIVER_MOB": MOBILE, "URL": f"/GLUSR_MOBILE/{MOBILE}/GLUSR_MOBILE_KEY/{V1_KEY}/"}
    with bare_server(http_answer(json.dumps([lead]).encode())) as server:
        answer = IndiaMartClient(api_version("v1"), Access(server.url, V1_KEY, MOBILE), 5).ask(WINDOW)
    [record] = records_of(answer.body)
    assert record["ENQ_RECEIVER_MOB"] == MOBILE
    assert record["URL"] == "/***/GLUSR_MOBILE_KEY/***/"
    assert answer.key_masked


def test_the_sellers_number_goes_from_everything_but_leads() -> None:
    page = f"<html>no such seller: {MOBILE}</html>"
    with bare_server(http_answer(page.encode(), "502 Bad Gateway")) as server:
        answer = IndiaMartClient(api_version("v1"), Access(server.url, V1_KEY, MOBILE), 5).ask(WINDOW)
    assert not forms_found(MOBILE, answer.body.decode())


def test_an_access_does_not_show_its_secrets() -> None:
    assert ACCESS.secrets == (V1_KEY, MOBILE)
    assert Access("https://mapi.example/", KEY).secrets == (KEY,)
    for secret in ACCESS.secrets:
        assert not forms_found(secret, repr(ACCESS))
