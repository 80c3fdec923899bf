"""One HTTP call to a CRM: what comes back, and whether a call without an answer may have arrived."""

import gzip
import json
import logging
import socket
import threading

import pytest

from leads_pipeline.delivery.http_calls import HttpCalls, NoAnswerError
from leads_pipeline_tests.support import bare_server, closed_port_url, forms_found, http_answer

KEY = "CANARY/KEY+ID=="
SECRET = "cAnArY/Secret+Key=="
PARAMS = {"accountID": KEY, "secretKey": SECRET}


def calls(timeout: float = 5.0) -> HttpCalls:
    return HttpCalls([KEY, SECRET, ""], timeout)


def ask(url: str, timeout: float = 5.0) -> NoAnswerError:
    with pytest.raises(NoAnswerError) as caught:
        calls(timeout).post(url, PARAMS, {}, {"a": 1})
    assert caught.value.__suppress_context__
    for secret in (KEY, SECRET):
        assert not forms_found(secret, str(caught.value) + repr(caught.value))
    return caught.value


def test_an_answer_is_told_with_keys_masked_and_libraries_log_none(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    body = json.dumps({"you sent": SECRET, "and": KEY, "name": "Ashā"}, ensure_ascii=False).encode()
    with bare_server(http_answer(body, "403 Forbidden")) as server:
        answer = calls().post(server.url, PARAMS, {"X-More": "1"}, {"name": "Ashā"})
        assert answer.http_status == 403
        assert answer.json["name"] == "Ashā"
        assert answer.seconds >= 0
        assert "POST /crm/?accountID=CANARY%2FKEY%2BID%3D%3D" in server.requests[0]
        assert "Content-Type: application/json" in server.requests[0]
    for secret in (KEY, SECRET):
        assert not forms_found(secret, answer.text + repr(answer) + caplog.text)


@pytest.mark.parametrize(("body", "value"), [(b"<html>busy</html>", None), (b"", None), (b"[1]", [1])])
def test_a_body_that_is_no_json_is_told_as_none(body: bytes, value: object) -> None:
    with bare_server(http_answer(body)) as server:
        assert calls().get(server.url, {}, {}).json == value


def test_packed_answers_are_unpacked() -> None:
    with bare_server(http_answer(gzip.compress(b'{"a": 1}'), "200 OK", "Content-Encoding: gzip")) as server:
        assert calls().get(server.url, PARAMS, {}).json == {"a": 1}


def test_redirects_are_told_and_not_followed() -> None:
    with bare_server(b"") as other, bare_server(http_answer(b"", "302 Found", f"Location: {other.url}")) as server:
        assert calls().get(server.url, PARAMS, {}).http_status == 302
        assert len(server.requests) == 1
        assert other.requests == []


CUT = http_answer(b'{"a": 1}').replace(b"Content-Length: 8", b"Content-Length: 800")
BROKEN_PACK = http_answer(b"no gzip", "200 OK", "Content-Encoding: gzip")


@pytest.mark.parametrize("answer", [CUT, BROKEN_PACK, b"", b"no http at all\r\n\r\n"])
def test_a_call_whose_answer_breaks_off_may_have_arrived(answer: bytes) -> None:
    with bare_server(answer) as server:
        error = ask(server.url)
    assert error.was_sent
    assert error.reason == "the connection broke before the answer had come"


def test_a_call_that_nobody_answers_in_time_may_have_arrived() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        error = ask(f"http://127.0.0.1:{listener.getsockname()[1]}/", timeout=0.1)
    assert error.was_sent
    assert error.reason == "no answer within the time limit"
    assert error.seconds >= 0.1


def test_a_call_that_nobody_took_was_never_sent() -> None:
    error = ask(closed_port_url())
    assert not error.was_sent
    assert error.reason == "the connection was refused"


def test_a_call_to_a_server_without_a_certificate_was_never_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_answer_in_plain, args=(listener,))
        thread.start()
        error = ask(f"https://127.0.0.1:{listener.getsockname()[1]}/")
        thread.join(5)
    assert not error.was_sent
    assert error.reason == "the server's certificate could not be checked"


def _answer_in_plain(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.recv(65_536)
        connection.sendall(b"no TLS is spoken here\r\n")
