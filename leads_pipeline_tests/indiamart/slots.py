"""Clocks, claims and calls of the call-slot tests, and the processes that compete for a slot."""

import os
import random
import signal
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from leads_pipeline.days import IST
from leads_pipeline.indiamart.call_log import CallRecord
from leads_pipeline.indiamart.call_slot import CallInFlight, CallSlots, Claim, Granted, SlotTimes, Wait
from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline.indiamart.windows import Window

INTERVAL, TIMEOUT, BLOCK = 310.0, 60.0, 930.0
TIMES = SlotTimes(INTERVAL, TIMEOUT, BLOCK)
FINGERPRINT = "0123456789abcdef"
WINDOW = Window(datetime(2026, 3, 1, tzinfo=IST), datetime(2026, 3, 8, tzinfo=IST))


class ManualClock:
    """Clocks that stand still until a test moves them."""

    def __init__(self) -> None:
        self._wall = datetime(2026, 3, 10, 12, tzinfo=UTC).timestamp()
        self._since_boot = 50_000.0
        self._boot = 1
        self.tells_boots_apart = True

    def wall(self) -> float:
        return self._wall

    def since_boot(self) -> float:
        return self._since_boot

    def boot_id(self) -> str:
        return f"boot-{self._boot}" if self.tells_boots_apart else ""

    def advance(self, seconds: float) -> None:
        self._wall += seconds
        self._since_boot += seconds

    def step_wall(self, seconds: float) -> None:
        self._wall += seconds

    def reboot(self, *, off_seconds: float, wall_error: float = 0.0, up_seconds: float = 20.0) -> None:
        self._wall += off_seconds + up_seconds + wall_error
        self._since_boot = up_seconds
        self._boot += 1


def claim(holder: str = "run-1", *, priority: int = 0, turn: str = "", key: str = FINGERPRINT) -> Claim:
    return Claim(key, holder, TIMES, priority, turn)


def granted(slots: CallSlots, wanted: Claim) -> Granted:
    answer = slots.request(wanted)
    assert isinstance(answer, Granted), answer
    return answer


def waits(slots: CallSlots, wanted: Claim) -> Wait:
    answer = slots.request(wanted)
    assert isinstance(answer, Wait), answer
    return answer


def call_of(grant: Granted, clock: ManualClock, response_id: str = "indiamart.v2.1") -> CallInFlight:
    return CallInFlight(
        grant.claim.key_fingerprint,
        grant.claim.holder,
        "indiamart",
        "v2",
        WINDOW,
        response_id,
        datetime.fromtimestamp(clock.wall(), UTC),
        grant.waited_seconds,
        lapsed=False,
    )


def record_of(call: CallInFlight, outcome: Outcome = Outcome.LEADS) -> CallRecord:
    return CallRecord(
        account=call.account,
        source_api=call.source_api,
        window_start=call.window.start,
        window_end=call.window.end,
        sent_at=call.sent_at,
        received_at=call.sent_at,
        latency_seconds=0.05,
        waited_seconds=call.waited_seconds,
        outcome=outcome,
        http_status=200,
        code=200,
        message="",
        records=3,
        total_records=3,
        response_id=call.response_id,
        run_id=call.holder,
        key_fingerprint=call.key_fingerprint,
    )


def begun(slots: CallSlots, clock: ManualClock, wanted: Claim, response_id: str = "indiamart.v2.1") -> CallInFlight:
    grant = granted(slots, wanted)
    call = call_of(grant, clock, response_id)
    assert slots.begin(grant, call)
    return call


def ended(
    slots: CallSlots,
    clock: ManualClock,
    wanted: Claim,
    outcome: Outcome = Outcome.LEADS,
    response_id: str = "indiamart.v2.1",
) -> None:
    call = begun(slots, clock, wanted, response_id)
    slots.release(Granted(wanted, 0.0), record_of(call, outcome))


def compete(path: Path, sent_log: Path, seed: int, times: SlotTimes, calls_wanted: int) -> None:
    """Make calls as fast as the slot allows, until enough were made by all; now and then die at the worst moment.

    What is "sent" is a line in `sent_log`: the moment by a clock that all processes share, and the call's name.
    """
    draw = random.Random(seed)
    slots = CallSlots(path)
    number = 0
    while sent_log.read_text().count("\n") < calls_wanted:
        wanted = Claim(FINGERPRINT, f"process-{seed}", times)
        grant = slots.request(wanted)
        if isinstance(grant, Wait):
            time.sleep(grant.seconds)
            continue
        number += 1
        _maybe_die(draw)
        call = call_of(grant, ManualClock(), f"call-{seed}-{number}")
        call = replace(call, sent_at=datetime.now(UTC))
        if not slots.begin(grant, call):
            continue
        _append(sent_log, f"{time.clock_gettime(time.CLOCK_BOOTTIME):.6f} {call.response_id}\n")
        _maybe_die(draw)
        slots.release(grant, record_of(call))


def _maybe_die(draw: random.Random) -> None:
    if draw.random() < 0.03:
        os.kill(os.getpid(), signal.SIGKILL)


def _append(path: Path, line: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
    os.write(descriptor, line.encode())
    os.close(descriptor)


def reopened(tmp_path: Path, clock: ManualClock) -> CallSlots:
    """The slots as another process sees them."""
    return CallSlots(tmp_path / "calls.sqlite", clock)


def seconds_left(slots: CallSlots) -> float:
    return slots.state(FINGERPRINT).seconds_left
