import threading

import pytest

from leads_pipeline.fake_indiamart.rate_limit import RateLimiter, Verdict


class Seconds:
    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def limiter(seconds: Seconds) -> RateLimiter:
    return RateLimiter(300, 900, seconds)


def test_calls_an_interval_apart_are_allowed(limiter: RateLimiter, seconds: Seconds) -> None:
    for _ in range(10):
        assert limiter.check("key") is Verdict.ALLOWED
        seconds.now += 300


def test_a_call_within_the_interval_is_too_soon_and_restarts_it(limiter: RateLimiter, seconds: Seconds) -> None:
    assert limiter.check("key") is Verdict.ALLOWED
    seconds.now += 299
    assert limiter.check("key") is Verdict.TOO_SOON
    seconds.now += 299
    assert limiter.check("key") is Verdict.TOO_SOON
    seconds.now += 300
    assert limiter.check("key") is Verdict.ALLOWED


def test_the_sixth_call_in_a_minute_blocks_the_key_for_the_block(limiter: RateLimiter, seconds: Seconds) -> None:
    verdicts = [limiter.check("key") for _ in range(6)]
    assert verdicts == [Verdict.ALLOWED, *[Verdict.TOO_SOON] * 4, Verdict.BLOCKED]

    seconds.now += 899
    assert limiter.check("key") is Verdict.BLOCKED
    seconds.now += 300
    assert limiter.check("key") is Verdict.ALLOWED


def test_a_call_while_blocked_does_not_prolong_the_block_but_restarts_the_interval(
    limiter: RateLimiter, seconds: Seconds
) -> None:
    limiter.block("key")
    seconds.now += 890
    assert limiter.check("key") is Verdict.BLOCKED
    seconds.now += 20
    assert limiter.check("key") is Verdict.TOO_SOON


def test_five_calls_a_minute_do_not_block(limiter: RateLimiter, seconds: Seconds) -> None:
    verdicts = []
    for _ in range(20):
        verdicts.append(limiter.check("key"))
        seconds.now += 12.1
    assert Verdict.BLOCKED not in verdicts


def test_keys_have_limits_of_their_own(limiter: RateLimiter) -> None:
    assert limiter.check("one") is Verdict.ALLOWED
    assert limiter.check("two") is Verdict.ALLOWED
    limiter.block("one")
    assert limiter.check("two") is Verdict.TOO_SOON


def test_the_minute_scales_with_the_interval(seconds: Seconds) -> None:
    limiter = RateLimiter(1.0, 3.0, seconds)
    for _ in range(6):
        assert limiter.check("key") is not Verdict.BLOCKED
        seconds.now += 0.05
    assert Verdict.BLOCKED in [limiter.check("key") for _ in range(3)]


def test_without_an_interval_only_a_block_refuses(seconds: Seconds) -> None:
    limiter = RateLimiter(0, 10, seconds)
    assert {limiter.check("key") for _ in range(20)} == {Verdict.ALLOWED}
    limiter.block("key")
    assert limiter.check("key") is Verdict.BLOCKED
    seconds.now += 10
    assert limiter.check("key") is Verdict.ALLOWED


def test_of_calls_at_once_exactly_one_is_allowed() -> None:
    limiter = RateLimiter(300, 900)
    gate = threading.Barrier(4)
    verdicts: list[Verdict] = []

    def call() -> None:
        gate.wait()
        verdicts.append(limiter.check("key"))

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert verdicts.count(Verdict.ALLOWED) == 1
    assert verdicts.count(Verdict.TOO_SOON) == 3


def test_negative_durations_are_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        RateLimiter(-1, 0)
