"""The rate of calls to a CRM: one bucket for all processes, and no span with more calls than allowed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from leads_pipeline.delivery.rate import CallRate, RateLimit, bucket_name

KEY = "CANARY/KEY+ID=="


@dataclass
class Watch:
    """A clock that only waiting moves."""

    now: float = 1_000_000.0
    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def watch() -> Watch:
    return Watch()


def rate(path: Path, watch: Watch, *limits: RateLimit, bucket: str = "a.calls") -> CallRate:
    return CallRate(path / "calls.sqlite", bucket, limits, lambda: watch.now, watch.sleep)


def times_of(takers: Sequence[CallRate], watch: Watch, calls: int) -> list[float]:
    times = []
    for number in range(calls):
        takers[number % len(takers)].take()
        times.append(watch.now)
    return times


def test_no_span_holds_more_calls_than_any_limit_allows(tmp_path: Path, watch: Watch) -> None:
    limits = RateLimit(3, 1.0), RateLimit(5, 8.0)
    processes = [rate(tmp_path, watch, *limits) for _ in range(2)]

    times = times_of(processes, watch, 13)

    for limit in limits:
        for first, last in zip(times, times[limit.calls :], strict=False):
            assert last - first >= limit.seconds
    assert times[-1] - times[0] == 16.0, "no call waits longer than it must"


def test_other_buckets_are_not_waited_for(tmp_path: Path, watch: Watch) -> None:
    limit = RateLimit(1, 5.0)
    rate(tmp_path, watch, limit).take()
    rate(tmp_path, watch, limit, bucket="a.bulk_calls").take()
    assert watch.slept == []
    rate(tmp_path, watch, limit).take()
    assert watch.slept == [5.0]


def test_a_clock_that_was_set_back_stops_nothing_for_long(tmp_path: Path, watch: Watch) -> None:
    one = rate(tmp_path, watch, RateLimit(1, 5.0))
    one.take()
    watch.now -= 86_400
    one.take()
    assert watch.slept == [5.0]


def test_without_limits_nothing_waits(tmp_path: Path, watch: Watch) -> None:
    times_of([rate(tmp_path, watch)], watch, 3)
    assert watch.slept == []


def test_a_bucket_is_told_by_a_hash_of_the_key_and_its_kind() -> None:
    names = {bucket_name(key, kind) for key in (KEY, "another") for kind in ("calls", "bulk_calls")}
    assert len(names) == 4
    assert not [name for name in names if "CANARY" in name]
