"""Many processes and one key: nobody calls too early, whoever dies.

The picture of failure is a recorded day of a real client: 102 calls, of which 20 were answered 429 and 9 were
answered 400. Here four processes pull hundreds of times with the stages' own `pull`, asking again for random weeks, a
call each time. They are killed at random moments and at the points where a death does most harm, and others take
their place. Real time is simulated by a short interval; a call's time limit, after which the slot of a dead process
opens, and the time that a dead process keeps its turn in the queue are shortened likewise.

`LEADS_TEST_PULLS=1000 python -m pytest -n 0 -s --timeout 900 leads_pipeline_tests/end_to_end/test_competition.py`
pulls a thousand times and prints what was seen; the default is shorter.
"""

import itertools
import os
import random
import signal
import threading
import time
from collections import Counter
from datetime import date
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from leads_pipeline.days import day_start, days_between
from leads_pipeline.fake_indiamart.server import FakeIndiaMart
from leads_pipeline.indiamart import call_slot
from leads_pipeline.indiamart.call_slot import Claim, Granted, SlotTimes, key_fingerprint
from leads_pipeline.settings import Settings
from leads_pipeline.stages.pull import SCHEDULE_PRIORITY, PullLater, PullRequest, pull
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline_tests.end_to_end.runs import call_for, folder_in_memory, quiet
from leads_pipeline_tests.storage.children import start
from leads_pipeline_tests.support import KEY, complete_days, make_settings, make_workspace, pull_to_the_end

PULLS = int(os.environ.get("LEADS_TEST_PULLS", "150"))
PROCESSES = 4
INTERVAL_SECONDS = 0.02
TIMEOUT_SECONDS = 1.0
GRACE_SECONDS = 0.2
PULLS_PER_KILL = 25
SEED = 20_261
DAYS = complete_days(350, ago=4)
DELICATE = ("call:slot", "call:sent", "raw:body", "raw:sidecar")
GIVE_UP_SECONDS = 60.0 + 0.5 * PULLS


def pull_until_stopped(settings: Settings, stop: Path, seed: int, kill_at: str) -> None:
    """What one of the processes does."""
    os.environ["LEADS_KILL_AT"] = kill_at
    call_slot._MIN_GRACE_SECONDS = GRACE_SECONDS
    draws = random.Random(seed)
    workspace = Workspace(settings)
    number = 0
    while not stop.exists():
        number += 1
        first = draws.randrange(len(DAYS) - 7)
        request = PullRequest(settings.accounts[0], DAYS[first : first + 7], f"run-{seed}-{number}", again=True)
        while isinstance(result := pull(workspace, request, quiet), PullLater):
            time.sleep(result.seconds)


class Competitors:
    """Four processes that pull; one that ends is replaced by another."""

    def __init__(self, settings: Settings, stop: Path) -> None:
        self._settings = settings
        self._stop = stop
        self._draws = random.Random(SEED)
        self._started = 0
        self.exit_codes: list[int | None] = []
        self._processes = [self._new() for _ in range(PROCESSES)]

    def _new(self) -> ForkServerProcess:
        self._started += 1
        is_doomed = self._started % 3 == 0
        kill_at = f"{self._draws.choice(DELICATE)}:{self._draws.randint(1, 20)}" if is_doomed else ""
        return start(pull_until_stopped, self._settings, self._stop, self._started, kill_at)

    def kill_one(self) -> None:
        self._draws.choice(self._processes).kill()

    def replace_the_dead(self) -> None:
        for place, process in enumerate(self._processes):
            if process.exitcode is not None:
                self.exit_codes.append(process.exitcode)
                self._processes[place] = self._new()

    def finish(self) -> None:
        """Let every process end its pull."""
        self._stop.touch()
        for process in self._processes:
            process.join(GIVE_UP_SECONDS)
            self.exit_codes.append(process.exitcode)


def test_many_pulls_by_four_processes_that_get_killed_make_no_call_too_early() -> None:
    draws = random.Random(SEED)
    with (
        folder_in_memory() as folder,
        FakeIndiaMart(seed=4, keys=(KEY,), interval_seconds=INTERVAL_SECONDS, leads_per_day=2) as server,
    ):
        settings = make_settings(folder, server.url, interval=INTERVAL_SECONDS, timeout=TIMEOUT_SECONDS)
        workspace = make_workspace(settings)
        competitors = Competitors(settings, folder / "stop")
        deadline = time.monotonic() + GIVE_UP_SECONDS
        next_kill = draws.expovariate(1 / PULLS_PER_KILL)
        while (calls := len(server.calls)) < PULLS:
            assert time.monotonic() < deadline, f"only {calls} calls were made"
            if calls >= next_kill:
                competitors.kill_one()
                next_kill = calls + draws.expovariate(1 / PULLS_PER_KILL)
            competitors.replace_the_dead()
            time.sleep(draws.uniform(0.001, 0.02))
        competitors.finish()
        call_for(workspace, DAYS[:7], again=True)  # which also settles what the dead left

        killed = competitors.exit_codes.count(-signal.SIGKILL)
        assert {*competitors.exit_codes} == {-signal.SIGKILL, 0}
        assert killed >= PULLS // PULLS_PER_KILL // 2
        moments = [call.monotonic for call in server.calls]
        closest = min(later - earlier for earlier, later in itertools.pairwise(moments))
        print(f"{len(moments)} calls, {killed} processes killed, closest calls {closest:.4f} s apart")
        assert server.refused_calls == ()
        assert closest >= INTERVAL_SECONDS
        assert_every_call_is_on_record(workspace, server)


def assert_every_call_is_on_record(workspace: Workspace, server: FakeIndiaMart) -> None:
    """Each call is in the log once, also those whose process died; each answer that was stored is in the catalogue."""
    logged = workspace.call_log.after(0)
    assert Counter(call.window_start for call in logged) >= Counter(call.start for call in server.calls)
    account = workspace.settings.accounts[0].name
    about = workspace.catalog.about(account, days_between(DAYS[0], DAYS[-1]))
    assert sorted(answer.response_id for answer in about) == workspace.raw.response_ids(account)
    assert workspace.catalog.announced() == []
    assert workspace.slots.in_flight() == []


def test_a_call_of_the_schedule_goes_ahead_of_a_queue_of_five() -> None:
    weeks = [DAYS[7 * number : 7 * number + 7] for number in range(5)]
    with (
        folder_in_memory() as folder,
        FakeIndiaMart(seed=4, keys=(KEY,), interval_seconds=0.1, leads_per_day=2) as server,
    ):
        workspace = make_workspace(make_settings(folder, server.url, interval=0.1))
        busy = hold_the_slot(workspace)
        waiting = [threading.Thread(target=pull_week, args=(workspace, week)) for week in reversed(weeks)]
        for number, thread in enumerate(waiting, 1):
            thread.start()
            wait_for_queue(workspace, number)
        scheduled = threading.Thread(target=pull_week, args=(workspace, DAYS[-7:], SCHEDULE_PRIORITY))
        scheduled.start()
        wait_for_queue(workspace, len(waiting) + 1)
        queue = workspace.slots.state(key_fingerprint(KEY)).queue
        workspace.slots.give_back(busy)
        for thread in (*waiting, scheduled):
            thread.join(30)

    expected = [day_start(days[0]) for days in (DAYS[-7:], *weeks)]
    assert [turn.priority for turn in queue] == [SCHEDULE_PRIORITY, 0, 0, 0, 0, 0]
    assert [call.start for call in server.calls] == expected, "the schedule's call, then the queue, oldest days first"
    assert server.refused_calls == ()


def hold_the_slot(workspace: Workspace) -> Granted:
    """Be the process whose call is under way."""
    claim = Claim(key_fingerprint(KEY), "busy", SlotTimes(interval=0.1, timeout=60.0, block=0.1))
    granted = workspace.slots.request(claim)
    assert isinstance(granted, Granted)
    return granted


def pull_week(workspace: Workspace, days: tuple[date, ...], priority: int = 0) -> None:
    request = PullRequest(workspace.settings.accounts[0], days, f"run-{days[0]}", again=True, priority=priority)
    pull_to_the_end(workspace, request, quiet)


def wait_for_queue(workspace: Workspace, length: int) -> None:
    deadline = time.monotonic() + 30
    while len(workspace.slots.state(key_fingerprint(KEY)).queue) < length:
        assert time.monotonic() < deadline, "a pull did not queue up"
        time.sleep(0.005)
