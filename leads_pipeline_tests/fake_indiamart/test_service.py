import json
import threading
from datetime import datetime

import requests

from leads_pipeline.days import IST
from leads_pipeline.fake_indiamart.server import FakeIndiaMart
from leads_pipeline_tests.fake_indiamart.asking import KEY, SettableClock, ask, code_of


def test_a_call_too_soon_is_429_and_restarts_the_five_minutes(
    strict_server: FakeIndiaMart, clock: SettableClock
) -> None:
    codes = []
    for wait in (0.0, 299.0, 299.0, 300.0):
        clock.seconds += wait
        codes.append(code_of(ask(strict_server)))

    assert codes == [200, 429, 429, 200]
    assert [call.outcome for call in strict_server.calls] == ["leads", "rate_limited", "rate_limited", "leads"]
    assert len(strict_server.refused_calls) == 2


def test_the_soft_429_has_the_usual_envelope_and_varying_spaces(
    strict_server: FakeIndiaMart, clock: SettableClock
) -> None:
    ask(strict_server)
    answers = []
    for _ in range(12):
        clock.seconds += 61
        answers.append(ask(strict_server).json())

    assert {(answer["CODE"], answer["TOTAL_RECORDS"], str(answer["RESPONSE"])) for answer in answers} == {
        (429, 0, "[]")
    }
    assert {"minutes,but" in answer["MESSAGE"] for answer in answers} == {True, False}


def test_hammering_blocks_the_key_for_fifteen_minutes(strict_server: FakeIndiaMart, clock: SettableClock) -> None:
    answers = [ask(strict_server).json() for _ in range(6)]
    clock.seconds += 899
    blocked = ask(strict_server).json()
    clock.seconds += 300

    assert [answer["CODE"] for answer in answers] == [200, 429, 429, 429, 429, 429]
    assert answers[5] == blocked
    assert blocked == {
        "CODE": 429,
        "STATUS": "FAILURE",
        "MESSAGE": "Too Many Requests",
        "APP_AUTH_FAILURE_CODE": 429,
        "unique_id": "",
    }
    assert code_of(ask(strict_server)) == 200


def test_of_two_calls_at_once_one_gets_200_and_one_429(strict_server: FakeIndiaMart) -> None:
    gate = threading.Barrier(2)
    codes: list[int] = []

    def call() -> None:
        gate.wait()
        codes.append(code_of(ask(strict_server)))

    threads = [threading.Thread(target=call) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(codes) == [200, 429]


def test_bad_times_and_wrong_keys_take_no_turn(strict_server: FakeIndiaMart) -> None:
    codes = [
        code_of(ask(strict_server, "x", "y")),
        code_of(ask(strict_server, key="wrong")),
        code_of(ask(strict_server)),
        code_of(ask(strict_server, "x", "y")),
        code_of(ask(strict_server, "x", "y", key="wrong")),
    ]

    assert codes == [400, 401, 200, 400, 400]


def test_calls_are_recorded_without_the_key(strict_server: FakeIndiaMart, clock: SettableClock) -> None:
    rows = ask(strict_server).json()["RESPONSE"]
    (call,) = strict_server.calls

    assert (call.number, call.code, call.http_status, call.rows) == (1, 200, 200, len(rows))
    assert (call.at, call.monotonic) == (clock.moment, clock.seconds)
    assert call.start == datetime(2026, 6, 1, tzinfo=IST)
    assert call.end == datetime(2026, 6, 8, tzinfo=IST)
    assert call.key_accepted
    assert not call.refused
    assert KEY not in repr(strict_server.calls)


def test_the_controls_tell_other_processes_what_happened(strict_server: FakeIndiaMart) -> None:
    ask(strict_server)
    ask(strict_server)
    control = f"{strict_server.origin}/_fake"
    calls = requests.get(f"{control}/calls", timeout=5).json()

    assert requests.get(f"{control}/health", timeout=5).json() == {
        "name": "fake-indiamart",
        "seed": 7,
        "calls": 2,
        "refused": 1,
    }
    assert [(call["code"], call["refused"]) for call in calls] == [(200, False), (429, True)]
    assert calls[0]["start"] == "2026-06-01T00:00:00+05:30"
    assert KEY not in json.dumps(calls)
