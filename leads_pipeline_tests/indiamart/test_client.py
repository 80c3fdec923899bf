import gzip
import logging
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import quote

import pytest

from leads_pipeline import __version__
from leads_pipeline.fake_indiamart.server import FakeIndiaMart
from leads_pipeline.indiamart import v2
from leads_pipeline.indiamart.access import Access
from leads_pipeline.indiamart.client import HttpAnswer, IndiaMartClient, UnreachableError
from leads_pipeline.indiamart.v2 import read_answer
from leads_pipeline.indiamart.windows import Window, plan_windows
from leads_pipeline_tests.support import (
    KEY,
    answer_body,
    bare_server,
    closed_port_url,
    complete_days,
    forms_found,
    http_answer,
    ist,
    records_of,
)

WINDOW = Window(ist("2026-03-01 00:00:00"), ist("2026-03-08 00:00:00"))
BODY = answer_body(200, records=records_of("1", "2"))


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeIndiaMart]:
    with FakeIndiaMart(keys=[KEY], interval_seconds=0) as server:
        yield server


@pytest.fixture(autouse=True)
def no_faults_left(fake: FakeIndiaMart) -> None:
    fake.clear_faults()


def ask(url: str, timeout: float = 5.0, window: Window = WINDOW) -> HttpAnswer:
    return IndiaMartClient(v2, Access(url, KEY), timeout).ask(window)


def ask_fake(fake: FakeIndiaMart, timeout: float = 5.0) -> HttpAnswer:
    days = complete_days(7)
    [window] = plan_windows(days, datetime.now(UTC))
    return ask(fake.url, timeout, window)


def failure(url: str, timeout: float = 5.0) -> str:
    """The text of the UnreachableError that asking raises, which must hold no form of the key."""
    with pytest.raises(UnreachableError) as caught:
        ask(url, timeout)
    assert caught.value.__suppress_context__
    assert not forms_found(KEY, str(caught.value) + repr(caught.value))
    assert "http" not in str(caught.value)
    return str(caught.value)


def test_one_call_is_one_get_with_everything_encoded() -> None:
    with bare_server(http_answer(BODY)) as server:
        ask(server.url)
    [request] = server.requests
    line, *headers = request.split("\r\n")
    assert line == (
        f"GET /crm/?glusr_crm_key={quote(KEY, safe='')}"
        "&start_time=01-03-2026+00%3A00%3A00&end_time=08-03-2026+00%3A00%3A00 HTTP/1.1"
    )
    assert f"User-Agent: leads_pipeline/{__version__}" in headers


def test_the_fake_understands_the_call_and_answers_with_the_windows_leads(fake: FakeIndiaMart) -> None:
    answer = ask_fake(fake)
    days = complete_days(7)
    records = read_answer(answer.body).records or []
    truth = fake.truth(days[0], days[-1])
    assert {record["UNIQUE_QUERY_ID"] for record in records} == {lead.query_id for lead in truth}
    assert (answer.http_status, answer.key_masked, answer.cut_off) == (200, False, False)


def test_an_answer_tells_when_it_was_sent_and_received_and_what_the_server_took_for_now() -> None:
    before = datetime.now(UTC)
    with bare_server(http_answer(BODY, "200 OK", "Date: Sun, 08 Mar 2026 01:02:03 GMT")) as server:
        answer = ask(server.url)
    assert before <= answer.sent_at <= answer.received_at <= datetime.now(UTC)
    assert 0 < answer.latency_seconds <= (datetime.now(UTC) - before).total_seconds() + 0.01
    assert answer.server_date == datetime(2026, 3, 8, 1, 2, 3, tzinfo=UTC)
    assert answer.body == BODY


@pytest.mark.parametrize(
    "date",
    [
        "",
        "yesterday",
        "Sun, 08 Mar 2026 01:02:03",
        "Sun, 08 Mar 2026 01:02:03 -0000",
        "Sun, 99 Mar 2026 01:02:03 GMT",
        "Sun, 08 Mar 2026 01:02:03 +999999999999999",
        "0",
    ],
)
def test_a_date_header_that_cannot_be_read_is_no_date(date: str) -> None:
    with bare_server(http_answer(BODY, "200 OK", f"Date: {date}")) as server:
        assert ask(server.url).server_date is None


@pytest.mark.parametrize("status", ["204 No Content", "401 Unauthorized", "429 Too Many Requests", "500 Oops", "599 X"])
def test_every_http_status_is_an_answer(status: str) -> None:
    with bare_server(http_answer(b"" if status.startswith("204") else b"x", status)) as server:
        assert ask(server.url).http_status == int(status[:3])


def test_a_compressed_answer_is_read() -> None:
    with bare_server(http_answer(gzip.compress(BODY), "200 OK", "Content-Encoding: gzip")) as server:
        answer = ask(server.url)
    assert (answer.body, answer.cut_off) == (BODY, False)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_an_answer_that_is_compressed_wrongly_counts_as_cut_off(encoding: str) -> None:
    with bare_server(http_answer(b"this is not compressed", "200 OK", f"Content-Encoding: {encoding}")) as server:
        assert ask(server.url).cut_off


def test_a_refused_connection_is_said_so() -> None:
    assert failure(closed_port_url()) == "the connection was refused"


def test_a_reset_connection_is_said_so(fake: FakeIndiaMart) -> None:
    fake.inject("reset")
    assert failure(fake.url) == "the connection was reset"


def test_a_connection_that_is_closed_without_an_answer_is_no_answer() -> None:
    with bare_server(b"") as server:
        assert failure(server.url) == "the connection was reset"


def test_a_name_that_cannot_be_resolved_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_such_name(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_such_name)
    assert failure("http://mapi.indiamart.example/") == "the server's name could not be resolved"


@pytest.mark.parametrize("url", ["http://a..b/", "http://.example/", f"http://{'a' * 70}.example/"])
def test_an_address_that_cannot_be_one_is_no_answer(url: str) -> None:
    assert failure(url).startswith("the call failed")


def test_a_server_that_does_not_answer_in_time_is_said_so(fake: FakeIndiaMart) -> None:
    fake.inject("slow", seconds=2)
    started = time.monotonic()
    assert failure(fake.url, timeout=0.2) == "no answer within the time limit"
    assert time.monotonic() - started < 1


def test_what_speaks_no_http_is_no_answer() -> None:
    with bare_server(b"220 mail.example ESMTP\r\n") as server:
        failure(server.url)


def test_a_body_that_trickles_is_cut_off_at_the_time_limit_and_what_came_is_kept(fake: FakeIndiaMart) -> None:
    fake.inject("trickle", seconds=10)
    started = time.monotonic()
    answer = ask_fake(fake, timeout=0.6)
    assert time.monotonic() - started < 2
    assert answer.cut_off
    assert answer.body.startswith(b"{")


def test_a_body_whose_connection_breaks_is_cut_off_and_what_came_is_kept(fake: FakeIndiaMart) -> None:
    whole = ask_fake(fake).body
    fake.inject("cut_connection")
    answer = ask_fake(fake)
    assert answer.cut_off
    assert 0.3 * len(whole) < len(answer.body) < 0.9 * len(whole)


def test_a_chunked_body_that_ends_too_early_is_cut_off() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    with bare_server(head + b'5\r\n{"COD\r\n') as server:
        answer = ask(server.url)
    assert (answer.body, answer.cut_off) == (b'{"COD', True)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
def test_a_redirect_is_not_followed_so_that_the_key_reaches_no_other_host(status: str) -> None:
    with (
        bare_server(http_answer(BODY)) as other,
        bare_server(http_answer(b"", status, f"Location: {other.url}?glusr_crm_key={quote(KEY)}")) as server,
    ):
        answer = ask(server.url)
    assert answer.http_status == int(status[:3])
    assert other.requests == []


@pytest.mark.parametrize("fault", ["echo_key", "html_with_key"])
def test_an_answer_that_echoes_the_key_is_masked_and_says_so(fake: FakeIndiaMart, fault: str) -> None:
    fake.inject(fault)
    answer = ask_fake(fake)
    assert answer.key_masked
    assert b"***" in answer.body
    assert not forms_found(KEY, answer.body.decode())


def test_the_libraries_debug_logs_do_not_show_the_key(fake: FakeIndiaMart, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    ask_fake(fake)
    assert "glusr_crm_key=***" in caplog.text
    assert not forms_found(KEY, caplog.text)


def test_the_libraries_warning_of_bad_headers_does_not_show_the_key(caplog: pytest.LogCaptureFixture) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nThis is no header\r\n\r\n{}"
    with bare_server(head) as server:
        ask(server.url)
    assert "glusr_crm_key=***" in caplog.text
    assert not forms_found(KEY, caplog.text)


def test_many_clients_mask_the_logs_once() -> None:
    logger = logging.getLogger("urllib3.connectionpool")
    IndiaMartClient(v2, Access("http://localhost/", KEY), 1)
    filters = len(logger.filters)
    for _ in range(5):
        IndiaMartClient(v2, Access("http://localhost/", KEY), 1)
    assert len(logger.filters) == filters


def test_a_proxy_in_the_environment_does_not_stand_between_this_machine_and_itself(
    fake: FakeIndiaMart, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", closed_port_url())
    monkeypatch.setenv("http_proxy", closed_port_url())
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert ask_fake(fake).http_status == 200


def test_an_unreachable_proxy_is_no_answer_and_its_error_shows_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", closed_port_url())
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert failure("http://mapi.indiamart.example/") == "the connection was refused"
