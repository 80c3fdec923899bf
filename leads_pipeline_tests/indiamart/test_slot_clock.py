"""Slots and clocks: clocks that are set, machines that restart."""

from datetime import UTC, datetime
from itertools import count, pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leads_pipeline.indiamart.call_slot import CallSlots, Wait
from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline.indiamart.slot_clock import Deadline, SystemClock
from leads_pipeline_tests.indiamart.slots import (
    BLOCK,
    INTERVAL,
    ManualClock,
    call_of,
    claim,
    ended,
    granted,
    record_of,
    reopened,
    waits,
)

HOUR = 3600.0


@pytest.mark.parametrize("step", [-30 * 24 * HOUR, -5.5 * HOUR, -1, 1, 5.5 * HOUR, 30 * 24 * HOUR])
def test_setting_the_clock_neither_opens_the_slot_early_nor_keeps_it_closed(
    slots: CallSlots, clock: ManualClock, step: float
) -> None:
    ended(slots, clock, claim())
    clock.step_wall(step)
    clock.advance(INTERVAL - 1)
    waits(slots, claim("run-2"))
    clock.advance(1)
    granted(slots, claim("run-2"))


@pytest.mark.parametrize("step", [-5.5 * HOUR, 5.5 * HOUR])
def test_setting_the_clock_does_not_keep_a_dead_runs_turn_alive(
    slots: CallSlots, clock: ManualClock, step: float
) -> None:
    ended(slots, clock, claim("first"))
    waits(slots, claim("dead"))
    waits(slots, claim("run-2"))
    clock.step_wall(step)
    clock.advance(INTERVAL + 61)
    granted(slots, claim("run-2"))


@pytest.mark.parametrize("step", [-5.5 * HOUR, 5.5 * HOUR])
def test_setting_the_clock_does_not_cost_anybody_their_turn_or_a_sensible_wait(
    slots: CallSlots, clock: ManualClock, step: float
) -> None:
    ended(slots, clock, claim("first"))
    waits(slots, claim("run-2"))
    clock.step_wall(step)
    assert waits(slots, claim("run-3")).seconds == 2 * INTERVAL
    clock.advance(INTERVAL)
    assert granted(slots, claim("run-2")).waited_seconds >= 0


@pytest.mark.parametrize("error", [-30 * 24 * HOUR, -5.5 * HOUR, -60, 0, 60, 5.5 * HOUR])
def test_a_restart_with_the_clock_set_wrong_never_opens_the_slot_early(
    tmp_path: Path, slots: CallSlots, clock: ManualClock, error: float
) -> None:
    ended(slots, clock, claim())
    clock.advance(3)
    clock.reboot(off_seconds=10, up_seconds=20, wall_error=error)  # 33 of 310 seconds have passed
    after = reopened(tmp_path, clock)
    for _ in range(27):
        waits(after, claim("run-2"))
        clock.advance(10)
    waits(after, claim("run-2"))


@pytest.mark.parametrize("error", [-30 * 24 * HOUR, -5.5 * HOUR, -60, 0, 60, 5.5 * HOUR])
@pytest.mark.parametrize("off_seconds", [10, 24 * HOUR])
def test_a_restart_with_the_clock_set_wrong_keeps_the_slot_closed_no_longer_than_it_was_closed_for(
    slots: CallSlots, clock: ManualClock, error: float, off_seconds: float
) -> None:
    ended(slots, clock, claim(), Outcome.KEY_BLOCKED)
    clock.reboot(off_seconds=off_seconds, wall_error=error)
    slots.request(claim("run-2"))
    clock.advance(BLOCK)
    granted(slots, claim("run-2"))


@pytest.mark.parametrize("step", [-5.5 * HOUR, -1])
def test_where_restarts_cannot_be_told_apart_a_clock_set_back_costs_one_more_wait_at_most(
    slots: CallSlots, clock: ManualClock, step: float
) -> None:
    clock.tells_boots_apart = False
    ended(slots, clock, claim())
    clock.step_wall(step)
    waits(slots, claim("run-2"))
    clock.advance(INTERVAL - 1)
    waits(slots, claim("run-2"))
    clock.advance(2)
    granted(slots, claim("run-2"))


def test_a_deadline_of_a_machine_with_another_boot_id_is_kept_by_the_wall_clock() -> None:
    here, there = ManualClock(), ManualClock()
    there.reboot(off_seconds=0, up_seconds=0)
    there.advance(90_000)
    here.advance(90_000)
    deadline = Deadline.after(INTERVAL, here)
    assert deadline.seconds_left(there) == INTERVAL
    there.advance(INTERVAL)
    assert deadline.seconds_left(there) == 0


def test_the_systems_clocks_move_forward_and_tell_this_boot() -> None:
    clock = SystemClock()
    before, started = clock.since_boot(), clock.wall()
    assert clock.boot_id() == SystemClock().boot_id()
    assert clock.since_boot() >= before > 0
    assert abs(clock.wall() - datetime.now(UTC).timestamp()) < 5
    assert started > datetime(2024, 1, 1, tzinfo=UTC).timestamp()


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("advance"), st.floats(0, 400)),
        st.tuples(st.just("step"), st.floats(-50_000, 50_000)),
        st.tuples(st.just("reboot"), st.floats(-50_000, 50_000)),
        st.tuples(st.just("call"), st.sampled_from(["released", "killed", "given back"])),
    ),
    max_size=25,
)


@settings(max_examples=40, deadline=None)
@given(events=EVENTS)
def test_whatever_happens_to_clocks_and_holders_no_two_calls_are_closer_than_the_interval(
    tmp_path_factory: pytest.TempPathFactory, events: list[tuple[str, float | str]]
) -> None:
    clock, real = ManualClock(), 0.0
    slots = CallSlots(tmp_path_factory.mktemp("slot") / "calls.sqlite", clock)
    sent: list[float] = []
    for number, (kind, value) in zip(count(), events, strict=False):
        if kind == "advance":
            assert isinstance(value, float)
            clock.advance(value)
            real += value
        elif kind == "step":
            assert isinstance(value, float)
            clock.step_wall(value)
        elif kind == "reboot":
            assert isinstance(value, float)
            clock.reboot(off_seconds=5, up_seconds=5, wall_error=value)
            real += 10
        else:
            grant = slots.request(claim("run"))
            if isinstance(grant, Wait):
                continue
            if value == "given back":
                slots.give_back(grant)
                continue
            call = call_of(grant, clock, f"call-{number}")
            assert slots.begin(grant, call)
            sent.append(real)
            if value == "released":
                slots.release(grant, record_of(call))
    assert all(later - earlier >= INTERVAL - 0.001 for earlier, later in pairwise(sent))
