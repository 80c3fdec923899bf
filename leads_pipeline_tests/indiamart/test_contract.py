"""The contract suite: what holds for every version of the API, from one window to one judged answer."""

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leads_pipeline.fake_indiamart.faults import FaultName
from leads_pipeline.fake_indiamart.server import FakeIndiaMart
from leads_pipeline.indiamart.client import HttpAnswer, IndiaMartClient, UnreachableError
from leads_pipeline.indiamart.outcomes import Judgement, Outcome
from leads_pipeline.indiamart.reading import UnreadableAnswerError
from leads_pipeline.indiamart.windows import Window, plan_windows
from leads_pipeline.secret_values import SecretMasker
from leads_pipeline_tests.fault_outcomes import OUTCOME_OF_FAULT
from leads_pipeline_tests.indiamart.versions import REFUSALS, Speaker, server_of_both, speakers
from leads_pipeline_tests.support import bare_server, closed_port_url, complete_days, forms_found, http_answer, ist

WINDOW = Window(ist("2026-03-01 00:00:00"), ist("2026-03-08 00:00:00"))
DAYS = complete_days(7)
HTML = b"<html><body>We will be back soon</body></html>"
IN_OTHER_TESTS = {FaultName.RESET, FaultName.UNKNOWN_CODE}


@pytest.fixture(scope="module")
def server() -> Iterator[FakeIndiaMart]:
    with server_of_both(interval_seconds=0, leads_per_day=4) as both:
        yield both


@pytest.fixture(params=["v1", "v2"])
def speaker(request: pytest.FixtureRequest, server: FakeIndiaMart) -> Speaker:
    server.clear_faults()
    return speakers(server)[request.param]


def judged(speaker: Speaker, body: bytes, http_status: int | None = 200) -> Judgement:
    return speaker.version.judge(body, http_status, SecretMasker(speaker.access.secrets))


def ask(speaker: Speaker, window: Window | None = None, timeout: float = 5.0) -> HttpAnswer:
    [week] = plan_windows(DAYS, datetime.now(UTC))
    return IndiaMartClient(speaker.version, speaker.access, timeout).ask(window or week)


def asked_at(speaker: Speaker, url: str) -> Speaker:
    """The version with the same secrets at another address."""
    access = type(speaker.access)(url, speaker.access.key, speaker.access.mobile)
    return Speaker(speaker.version, access)


def assert_shows_no_secret(speaker: Speaker, text: str) -> None:
    for secret in speaker.access.secrets:
        assert not forms_found(secret, text)


# What answers mean


@pytest.mark.parametrize("name", REFUSALS)
def test_every_refusal_is_known_in_every_form_and_case(speaker: Speaker, name: str) -> None:
    code, words, outcome = REFUSALS[name]
    for written in (words, words.upper(), words.lower()):
        for body in speaker.refusals(code, written):
            for http_status in (200, code, None):
                judgement = judged(speaker, body, http_status)
                assert judgement.outcome is outcome, body
                assert (judgement.records, judgement.total_records or 0) == (0, 0)
                assert judgement.message == " ".join(written.split())


def test_raw_newlines_and_tabs_inside_a_message_are_read(speaker: Speaker) -> None:
    code, words, outcome = REFUSALS["unreadable dates"]
    for body in speaker.refusals(code, words):
        raw = body.replace(rb"\n", b"\n").replace(rb"\t", b"\t")
        with pytest.raises(json.JSONDecodeError):
            json.loads(raw)
        assert judged(speaker, raw).outcome is outcome


def test_leads_are_counted_and_come_as_they_are(speaker: Speaker) -> None:
    body = speaker.leads("3", "2", "1")
    assert judged(speaker, body) == Judgement(Outcome.LEADS, judged(speaker, body).code, "", 3, 3)
    assert [speaker.query_id(record) for record in speaker.version.records_of(body)] == ["3", "2", "1"]


@pytest.mark.parametrize("total", [3, "3", " 3 "])
def test_fewer_leads_than_their_total_are_truncated_and_kept(speaker: Speaker, total: object) -> None:
    body = speaker.leads("1", "2", total=total)
    judgement = judged(speaker, body)
    assert (judgement.outcome, judgement.total_records, judgement.records) == (Outcome.TRUNCATED, 3, 2)
    assert len(speaker.version.records_of(body)) == 2


def test_a_total_that_is_no_number_says_nothing(speaker: Speaker) -> None:
    assert judged(speaker, speaker.leads("1", "2", total="many")).outcome is Outcome.LEADS


def test_an_answer_that_is_empty_without_saying_why_is_ambiguous_and_covers_nothing(speaker: Speaker) -> None:
    for body in speaker.empties():
        assert judged(speaker, body).outcome is Outcome.AMBIGUOUS_EMPTY
        assert speaker.version.records_of(body) == []
    assert not Outcome.AMBIGUOUS_EMPTY.rule.covers


@pytest.mark.parametrize(
    ("body", "http_status", "outcome"),
    [
        (b"", 200, Outcome.UNREADABLE),
        (HTML, 200, Outcome.UNREADABLE),
        (HTML, 302, Outcome.UNREADABLE),
        (HTML, 401, Outcome.UNREADABLE),
        (HTML, 403, Outcome.UNREADABLE),
        (HTML, 502, Outcome.SERVER_ERROR),
        (b"Too Many Requests", 429, Outcome.KEY_BLOCKED),
        (b'[{"QUERY_ID": "1", "MOB": "+91-98', 200, Outcome.UNREADABLE),
        (b'{"CODE": 200, "RESPONSE": [{"SENDER_MOB', 200, Outcome.UNREADABLE),
        (b"null", 200, Outcome.UNREADABLE),
        (b"5", 200, Outcome.UNREADABLE),
        (b"{}", 200, Outcome.UNREADABLE),
        (b'{"error": 1}', 200, Outcome.UNREADABLE),
        (b"[[1]]", 200, Outcome.UNREADABLE),
        (b"[" * 5000, 200, Outcome.UNREADABLE),
    ],
)
def test_what_is_no_answer_of_the_api_is_known_by_its_status_or_unreadable(
    speaker: Speaker, body: bytes, http_status: int, outcome: Outcome
) -> None:
    assert judged(speaker, body, http_status).outcome is outcome


def test_words_that_nobody_knows_are_a_passing_failure(speaker: Speaker) -> None:
    for body in speaker.refusals(777, "Something new"):
        assert judged(speaker, body).outcome.rule.is_transient
        assert judged(speaker, body, 500).outcome is Outcome.SERVER_ERROR


def test_texts_of_unreadable_answers_quote_nothing(speaker: Speaker) -> None:
    with pytest.raises(UnreadableAnswerError) as caught:
        speaker.version.records_of(b'[{"QUERY_ID": "1", "MOB": "+91-9876543210"')
    assert "98765" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_message_is_short_and_shows_no_secret(speaker: Speaker) -> None:
    escaped = "".join(c if c.isalnum() else f"\\u{ord(c):04x}" for c in speaker.access.key)
    words = f"It failed for {speaker.access.key} of {speaker.access.mobile or 'nobody'}. {'x' * 500}"
    for body in speaker.refusals(500, words):
        for written in (body, body.replace(json.dumps(speaker.access.key)[1:-1].encode(), escaped.encode())):
            message = judged(speaker, written).message
            assert len(message) == 300
            assert message.startswith("It failed for *** of ")
            assert_shows_no_secret(speaker, message)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
NAMES = ("CODE", "MESSAGE", "TOTAL_RECORDS", "RESPONSE", "QUERY_ID", "TOTAL_COUNT", "Error_Message", "Error Message")
SHAPES = st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, ANY_JSON))


@settings(max_examples=40, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(document=ANY_JSON | SHAPES | st.lists(SHAPES, max_size=2), http_status=st.sampled_from([None, 200, 404, 500]))
def test_any_json_is_judged_and_leads_are_seen_only_where_records_can_be_had(
    speaker: Speaker, document: object, http_status: int | None
) -> None:
    body = json.dumps(document).encode()
    judgement = judged(speaker, body, http_status)
    judgement.message.encode()
    assert all(number is None or abs(number) < 2**31 for number in (judgement.code, judgement.total_records))
    if judgement.outcome.rule.has_records:
        assert len(speaker.version.records_of(body)) == judgement.records


@settings(max_examples=25, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=60), http_status=st.sampled_from([None, 200, 302, 404, 429, 500]))
def test_no_bytes_at_all_make_the_judge_fail_or_see_leads(
    speaker: Speaker, body: bytes, http_status: int | None
) -> None:
    assert not judged(speaker, body, http_status).outcome.rule.is_success


# What a call brings


def test_the_address_has_every_secret_encoded_and_the_window_in_indian_time(speaker: Speaker) -> None:
    address = speaker.version.address(speaker.access, WINDOW)
    assert address.startswith(speaker.access.url)
    assert speaker.access.key not in address
    assert "/Key" not in address
    assert " " not in address
    for day in ("01-03-2026", "08-03-2026"):
        assert f"{day}%2000%3A00%3A00" in address.replace("+", "%20")


def test_the_fake_understands_the_call_and_both_versions_bring_the_same_leads(
    speaker: Speaker, server: FakeIndiaMart
) -> None:
    answer = ask(speaker)
    records = speaker.version.records_of(answer.body)
    assert [speaker.query_id(record) for record in records] != []
    assert {speaker.query_id(record) for record in records} == {
        lead.query_id for lead in server.truth(DAYS[0], DAYS[-1])
    }
    assert (answer.http_status, answer.key_masked, answer.cut_off) == (200, False, False)
    call = server.calls[-1]
    assert (call.api, call.start, call.end) == (speaker.name, *_ends())


def _ends() -> tuple[datetime, datetime]:
    [week] = plan_windows(DAYS, datetime.now(UTC))
    return week.start, week.end


@pytest.mark.parametrize("fault", [fault for fault in FaultName if fault not in IN_OTHER_TESTS])
def test_every_fault_ends_as_the_same_outcome_in_every_version_and_shows_no_secret(
    speaker: Speaker, server: FakeIndiaMart, fault: FaultName, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.inject(fault, seconds=0.05)
    answer = ask(speaker)
    judgement = judged(speaker, answer.body, answer.http_status)
    assert judgement.outcome is OUTCOME_OF_FAULT[fault]
    if judgement.outcome.rule.has_records:
        assert len(speaker.version.records_of(answer.body)) == judgement.records > 0
    assert answer.key_masked == (fault in (FaultName.ECHO_KEY, FaultName.HTML_WITH_KEY))
    assert_shows_no_secret(speaker, answer.body.decode("latin-1") + judgement.message + caplog.text)


def test_a_reset_connection_says_nothing_of_the_address(speaker: Speaker, server: FakeIndiaMart) -> None:
    server.inject("reset")
    with pytest.raises(UnreachableError) as caught:
        ask(speaker)
    assert str(caught.value) == "the connection was reset"
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("url", ["http://a..b/", f"http://{'a' * 70}.example/"])
def test_errors_of_the_library_show_no_secret(speaker: Speaker, url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for address in (url, closed_port_url()):
        with pytest.raises(UnreachableError) as caught:
            ask(asked_at(speaker, address))
        assert caught.value.__suppress_context__
        assert_shows_no_secret(speaker, f"{caught.value!r} {caplog.text}")
        assert "http" not in str(caught.value)


def test_a_redirect_is_not_followed_so_that_no_secret_reaches_another_host(speaker: Speaker) -> None:
    with (
        bare_server(http_answer(b"[]")) as other,
        bare_server(http_answer(b"", "302 Found", f"Location: {other.url}")) as here,
    ):
        answer = ask(asked_at(speaker, here.url))
        assert len(here.requests) == 1
    assert judged(speaker, answer.body, answer.http_status).outcome is Outcome.UNREADABLE
    assert other.requests == []


def test_a_wrong_key_is_rejected_and_other_secrets_of_the_seller_do_not_help(
    speaker: Speaker, server: FakeIndiaMart
) -> None:
    others = [one for name, one in speakers(server).items() if name != speaker.name]
    for key in ("a/wrong+key=of-nobody==", *(one.access.key for one in others)):
        wrong = Speaker(speaker.version, type(speaker.access)(speaker.access.url, key, speaker.access.mobile))
        answer = ask(wrong)
        outcome = judged(wrong, answer.body, answer.http_status).outcome
        assert outcome in (Outcome.KEY_REJECTED, Outcome.AMBIGUOUS_EMPTY)
        assert server.calls[-1].outcome == "key_rejected"
