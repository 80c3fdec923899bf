import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest

from leads_pipeline.indiamart.call_log import CallLog
from leads_pipeline.indiamart.call_slot import CallSlots, Claim, Granted, SlotTimes, Wait, key_fingerprint
from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline_tests.indiamart.slots import (
    BLOCK,
    FINGERPRINT,
    INTERVAL,
    TIMEOUT,
    WINDOW,
    ManualClock,
    begun,
    call_of,
    claim,
    compete,
    ended,
    granted,
    record_of,
    reopened,
    seconds_left,
    waits,
)
from leads_pipeline_tests.storage.children import CONTEXT
from leads_pipeline_tests.support import KEY, forms_found

# Granting, closing, releasing


def test_the_first_call_with_a_key_is_granted_at_once(slots: CallSlots) -> None:
    assert slots.state(FINGERPRINT).reason == "no call was made yet"
    assert granted(slots, claim()).waited_seconds == 0


def test_before_its_call_is_sent_a_slot_is_closed_for_time_limit_and_interval(
    tmp_path: Path, slots: CallSlots, clock: ManualClock
) -> None:
    granted(slots, claim())
    assert seconds_left(reopened(tmp_path, clock)) == TIMEOUT + INTERVAL
    waits(reopened(tmp_path, clock), claim("run-2"))


def test_a_call_closes_the_slot_anew_when_it_begins(slots: CallSlots, clock: ManualClock) -> None:
    grant = granted(slots, claim())
    clock.advance(100)
    assert slots.begin(grant, call_of(grant, clock))
    assert seconds_left(slots) == TIMEOUT + INTERVAL


def test_a_process_that_rested_until_its_slot_went_to_another_must_not_call(
    slots: CallSlots, clock: ManualClock
) -> None:
    late = granted(slots, claim("run-1"))
    clock.advance(TIMEOUT + INTERVAL)
    granted(slots, claim("run-2"))
    assert not slots.begin(late, call_of(late, clock))
    assert slots.in_flight() == []


def test_after_the_answer_the_slot_is_closed_for_the_interval(slots: CallSlots, clock: ManualClock) -> None:
    call = begun(slots, clock, claim())
    clock.advance(5)
    slots.release(Granted(claim(), 0), record_of(call))
    assert seconds_left(slots) == INTERVAL
    clock.advance(INTERVAL - 0.001)
    waits(slots, claim("run-2"))
    clock.advance(0.001)
    granted(slots, claim("run-2"))


@pytest.mark.parametrize("outcome", Outcome)
def test_only_a_block_closes_the_slot_for_longer_than_the_interval(
    slots: CallSlots, clock: ManualClock, outcome: Outcome
) -> None:
    ended(slots, clock, claim(), outcome)
    assert seconds_left(slots) == (BLOCK if outcome is Outcome.KEY_BLOCKED else INTERVAL)
    assert slots.state(FINGERPRINT).reason == f"the last call ended as {outcome}"


def test_a_grant_that_needs_no_call_opens_the_slot_again(slots: CallSlots) -> None:
    slots.give_back(granted(slots, claim()))
    granted(slots, claim("run-2"))


def test_a_grant_that_lapsed_cannot_be_given_back_over_anothers_head(slots: CallSlots, clock: ManualClock) -> None:
    late = granted(slots, claim("run-1"))
    clock.advance(TIMEOUT + INTERVAL)
    granted(slots, claim("run-2"))
    slots.give_back(late)
    assert seconds_left(slots) == TIMEOUT + INTERVAL


def test_a_call_that_outlasts_its_slot_does_not_shorten_what_the_next_one_set(
    slots: CallSlots, clock: ManualClock
) -> None:
    slow = begun(slots, clock, claim("run-1"), "slow")
    clock.advance(TIMEOUT + INTERVAL)
    ended(slots, clock, claim("run-2"), Outcome.KEY_BLOCKED, "next")
    slots.release(Granted(claim("run-1"), 0), record_of(slow))
    assert seconds_left(slots) == BLOCK


def test_keys_have_slots_of_their_own(slots: CallSlots) -> None:
    granted(slots, claim(key="one"))
    granted(slots, claim(key="two"))


def test_the_file_is_for_its_owner_only_and_holds_no_key(tmp_path: Path) -> None:
    slots = CallSlots(tmp_path / "calls.sqlite")
    granted(slots, claim(key=key_fingerprint(KEY)))
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
        assert not forms_found(KEY, path.read_bytes().decode("latin-1"))
    assert key_fingerprint(KEY) != key_fingerprint(KEY + "x")
    assert KEY not in key_fingerprint(KEY)


# Dead holders


def test_a_dead_holder_frees_its_slot_by_time_and_never_early(slots: CallSlots, clock: ManualClock) -> None:
    begun(slots, clock, claim("dead"))
    clock.advance(TIMEOUT + INTERVAL - 1)
    waits(slots, claim("run-2"))
    clock.advance(1)
    granted(slots, claim("run-2"))


def test_a_call_under_way_is_known_with_all_its_facts_until_it_is_released(
    slots: CallSlots, clock: ManualClock
) -> None:
    call = begun(slots, clock, claim())
    assert slots.in_flight() == [call]
    slots.release(Granted(claim(), 0), record_of(call))
    assert slots.in_flight() == []


def test_a_call_has_lapsed_only_when_its_slot_is_open_again(slots: CallSlots, clock: ManualClock) -> None:
    begun(slots, clock, claim())
    clock.advance(TIMEOUT + INTERVAL - 1)
    assert [call.lapsed for call in slots.in_flight()] == [False]
    clock.advance(1)
    assert [call.lapsed for call in slots.in_flight()] == [True]


def test_a_dead_holders_call_stays_known_when_its_slot_changes_hands_and_is_logged_once(
    tmp_path: Path, slots: CallSlots, clock: ManualClock
) -> None:
    dead = begun(slots, clock, claim("dead"), "dead")
    clock.advance(TIMEOUT + INTERVAL)
    next_one = begun(slots, clock, claim("run-2"), "next")
    assert slots.in_flight() == [replace(dead, lapsed=True), next_one]
    for _ in range(2):
        slots.settle(dead, record_of(dead, Outcome.UNREACHABLE))
    assert slots.in_flight() == [next_one]
    assert slots.state(FINGERPRINT).holder == "run-2"
    [logged] = CallLog(tmp_path / "calls.sqlite").after(0)
    assert (logged.response_id, logged.run_id, logged.outcome) == (dead.response_id, "dead", Outcome.UNREACHABLE)
    assert (logged.window_start, logged.window_end) == (WINDOW.start, WINDOW.end)


def test_settling_a_dead_call_logs_it_and_leaves_its_slot_closed(
    tmp_path: Path, slots: CallSlots, clock: ManualClock
) -> None:
    dead = begun(slots, clock, claim("dead"))
    clock.advance(10)
    slots.settle(dead, record_of(dead))
    assert seconds_left(slots) == TIMEOUT + INTERVAL - 10
    assert slots.in_flight() == []
    assert [call.response_id for call in CallLog(tmp_path / "calls.sqlite").after(0)] == [dead.response_id]


# The queue


def test_who_must_wait_is_told_until_when_and_why(slots: CallSlots, clock: ManualClock) -> None:
    ended(slots, clock, claim("run-1"))
    wait = waits(slots, claim("run-2"))
    assert (wait.seconds, wait.ahead, wait.reason) == (INTERVAL, 0, "the last call ended as leads")
    assert wait.until == datetime.fromtimestamp(clock.wall(), UTC) + timedelta(seconds=INTERVAL)
    behind = waits(slots, claim("run-3"))
    assert (behind.seconds, behind.ahead) == (2 * INTERVAL, 1)


def test_while_a_call_is_under_way_its_answer_is_expected_soon(slots: CallSlots, clock: ManualClock) -> None:
    begun(slots, clock, claim("run-1"))
    assert waits(slots, claim("run-2")).seconds == INTERVAL
    clock.advance(INTERVAL + 1)
    assert 0 < waits(slots, claim("run-2")).seconds <= 5  # overdue: ask now and then


def test_turns_go_by_priority_then_by_day_then_by_arrival(slots: CallSlots, clock: ManualClock) -> None:
    ended(slots, clock, claim("first"))
    queue = {
        "late": claim("late", turn="2026-03-08"),
        "early": claim("early", turn="2026-03-01"),
        "schedule": claim("schedule", priority=10, turn="2026-03-09"),
        "early too": claim("early too", turn="2026-03-01"),
    }
    for wanted in queue.values():
        waits(slots, wanted)
    assert [turn.holder for turn in slots.state(FINGERPRINT).queue] == ["schedule", "early", "early too", "late"]
    assert order_of_calls(slots, clock, queue) == ["schedule", "early", "early too", "late"]


def order_of_calls(slots: CallSlots, clock: ManualClock, queue: dict[str, Claim]) -> list[str]:
    """Let everybody ask when they were told to, until all have called; return who called when."""
    asks_at = dict.fromkeys(queue, clock.wall())
    order: list[str] = []
    while asks_at:
        holder = min(asks_at, key=lambda name: (asks_at[name], name))
        clock.advance(asks_at[holder] - clock.wall())
        grant = slots.request(queue[holder])
        if isinstance(grant, Wait):
            asks_at[holder] = clock.wall() + grant.seconds
            continue
        order.append(holder)
        del asks_at[holder]
        call = call_of(grant, clock, f"call of {holder}")
        assert slots.begin(grant, call)
        clock.advance(1)
        slots.release(grant, record_of(call))
    return order


def test_asking_again_keeps_ones_turn(slots: CallSlots, clock: ManualClock) -> None:
    ended(slots, clock, claim("first"))
    waits(slots, claim("run-2"))
    waits(slots, claim("run-3"))
    for _ in range(3):
        clock.advance(INTERVAL / 4)
        waits(slots, claim("run-2"))
    assert [turn.holder for turn in slots.state(FINGERPRINT).queue] == ["run-2", "run-3"]


def test_how_long_a_call_waited_is_counted_from_its_first_request(slots: CallSlots, clock: ManualClock) -> None:
    ended(slots, clock, claim("first"))
    waits(slots, claim("run-2"))
    clock.advance(200)
    waits(slots, claim("run-2"))
    clock.advance(INTERVAL - 200)
    assert granted(slots, claim("run-2")).waited_seconds == pytest.approx(INTERVAL)


def test_an_open_slot_is_kept_for_who_comes_first(slots: CallSlots, clock: ManualClock) -> None:
    ended(slots, clock, claim("first"))
    waits(slots, claim("run-2"))
    clock.advance(INTERVAL)
    newcomer = waits(slots, claim("run-3"))
    assert (newcomer.ahead, newcomer.reason) == (1, "earlier turns come first")
    assert 0 < newcomer.seconds <= 1
    granted(slots, claim("run-2"))


def test_the_turn_of_who_does_not_come_back_lapses(slots: CallSlots, clock: ManualClock) -> None:
    ended(slots, clock, claim("first"))
    waits(slots, claim("dead"))
    clock.advance(INTERVAL + 59)
    waits(slots, claim("run-2"))
    clock.advance(2)
    granted(slots, claim("run-2"))
    assert slots.state(FINGERPRINT).queue == ()


def test_who_needs_no_call_any_more_leaves_the_queue(slots: CallSlots, clock: ManualClock) -> None:
    ended(slots, clock, claim("first"))
    waits(slots, claim("run-2"))
    waits(slots, claim("run-3"))
    slots.leave_queue(FINGERPRINT, "run-2")
    assert [turn.holder for turn in slots.state(FINGERPRINT).queue] == ["run-3"]


# Real processes


def test_competing_processes_that_are_killed_now_and_then_never_call_closer_than_the_interval(tmp_path: Path) -> None:
    times = SlotTimes(interval=0.05, timeout=0.2, block=0.5)
    path, sent_log = tmp_path / "calls.sqlite", tmp_path / "sent"
    sent_log.touch()
    seeds = count(1)

    def compete_anew() -> ForkServerProcess:
        process = CONTEXT.Process(target=compete, args=(path, sent_log, next(seeds), times, 80), daemon=True)
        process.start()
        return process

    processes = [compete_anew() for _ in range(4)]
    kills = 0
    while processes:
        process = processes.pop(0)
        process.join(0.1)
        if process.exitcode is None:
            processes.append(process)
        elif process.exitcode != 0:
            assert process.exitcode == -9
            kills += 1
            processes.append(compete_anew())
    sent = [line.split() for line in sent_log.read_text().splitlines()]
    assert len(sent) >= 80
    assert kills > 0
    assert min(float(later[0]) - float(earlier[0]) for earlier, later in pairwise(sent)) >= times.interval

    slots = CallSlots(path)
    for call in slots.in_flight():  # of those that died
        slots.settle(call, record_of(call, Outcome.UNREACHABLE))
    logged = CallLog(path).after(0)
    assert sorted(call.response_id for call in logged) == sorted(name for _, name in sent)
    assert sum(call.outcome is Outcome.UNREACHABLE for call in logged) <= kills


def test_narrow_windows_are_remembered_per_account(tmp_path: Path, slots: CallSlots, clock: ManualClock) -> None:
    slots.remember_narrow_windows("indiamart")
    slots.remember_narrow_windows("indiamart")
    assert reopened(tmp_path, clock).has_narrow_windows("indiamart")
    assert not slots.has_narrow_windows("other")


def test_forgetting_an_account_drops_its_calls_but_opens_no_slot(
    tmp_path: Path, slots: CallSlots, clock: ManualClock
) -> None:
    ended(slots, clock, claim())
    slots.remember_narrow_windows("indiamart")
    slots.forget("indiamart")
    assert CallLog(tmp_path / "calls.sqlite").after(0) == []
    assert not slots.has_narrow_windows("indiamart")
    assert seconds_left(slots) == INTERVAL
