import random
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb
import pytest

import leads_pipeline
from leads_pipeline.days import day_start
from leads_pipeline.fake_indiamart.server import FakeIndiaMart
from leads_pipeline.indiamart.call_slot import CallSlots, Claim, Granted, Wait
from leads_pipeline.stages.pull import Pulled, PullRequest, pull
from leads_pipeline_tests.end_to_end.command import (
    DEFAULT_ACCOUNT,
    Command,
    claimed_slots,
    kill_group,
    run_statuses,
)
from leads_pipeline_tests.end_to_end.driver import (
    BASE_WEEK,
    INTERVAL_SECONDS,
    TIMEOUT_SECONDS,
    Installation,
    Observed,
    Week,
    fake_server,
    run_killed_at,
    run_to_the_end,
    start_run,
    true_state,
    wait_for,
    watch,
)
from leads_pipeline_tests.end_to_end.truth_rows import assert_is_truth, coverage_states
from leads_pipeline_tests.end_to_end.warm_starts import WarmStarts
from leads_pipeline_tests.storage.children import running

WEEK = BASE_WEEK.after(1)
TWO_WEEKS = (BASE_WEEK.after(1), BASE_WEEK.after(2))

BEFORE_THE_ANSWER = ("call:slot", "call:sent")
WITH_THE_ANSWER = (
    "raw:body",
    "raw:sidecar",
    "normalize:quarantine",
    "normalize:leads",
    "merge:staging",
    "merge:staged",
    "merge:journal",
    *(f"merge:rename:{number}" for number in range(1, 15)),  # before and after the rename of each of seven days
    "merge:renamed",
    "merge:ledger",
    "store:before_commit",
    "store:committed",
    "publish:copied",
    "publish:before_link",
    "publish:after_link",
)
TWICE = (
    ("call:sent", "raw:body"),
    ("raw:body", "raw:sidecar"),
    ("normalize:leads", "merge:staging"),
    ("merge:rename:5", "merge:rename:3"),
    ("merge:renamed", "store:before_commit"),
    ("publish:before_link", "publish:after_link"),
)
"""Kills of the run that was to heal the first kill."""

OF_OTHER_COMMANDS = ("alerts:", "delivery:", "mirror:", "replay:")
"""Points that a pull never reaches; those of the mirror are reached by one into a large store (test_mirror.py)."""

RANDOM_MOMENTS = 20
RANDOM_SEED = 20_261


def assert_nothing_lost(server: FakeIndiaMart, installation: Installation, weeks: Sequence[Week]) -> None:
    """After the clean run: the truth exactly, every day complete, nothing refused, every call in the log."""
    assert server.refused_calls == ()
    assert_is_truth(installation.database, installation.name, server.truth(BASE_WEEK.first, weeks[-1].last))
    complete = [day.isoformat() for week in (BASE_WEEK, *weeks) for day in week.days]
    assert coverage_states(installation.database, installation.name)["complete"] == complete
    logged = Counter(logged_windows(installation))
    assert logged >= Counter(call.start for call in server.calls)


def logged_windows(installation: Installation) -> list[object]:
    with duckdb.connect(str(installation.database), read_only=True) as connection:
        return [row[0] for row in connection.execute("SELECT window_start FROM api_calls").fetchall()]


def assert_always_whole(observed: Observed, server: FakeIndiaMart, weeks: Sequence[Week]) -> None:
    """The reader met no error, and saw the base week with none, some or all of the weeks in order: never a part."""
    assert observed.errors == ()
    ends = [BASE_WEEK.last, *(week.last for week in weeks)]
    states = [true_state(server.truth(BASE_WEEK.first, last)) for last in ends]
    assert observed.states <= {*states}
    assert states[-1] in observed.states


def assert_asked_once_where_stored(
    server: FakeIndiaMart, stored: Sequence[str], weeks: Sequence[Week], *, most: int
) -> None:
    """A week whose answer was on the disk when the process died is never asked for again."""
    calls = Counter(call.start for call in server.calls)
    for week in weeks:
        is_stored = any(name.split(".")[2] == f"{week.first:%Y%m%d}T000000" for name in stored)
        assert 1 <= calls[day_start(week.first)] <= (1 if is_stored else most)


def leftovers(data_dir: Path) -> list[str]:
    """Files that only a run under way may leave: half-written, staged, not merged, not checkpointed."""
    patterns = (".*.tmp", ".*.staged", ".*.link", "*.journal.json", "*.wal", "normalized/*/*.arrow")
    return sorted(path.name for pattern in patterns for path in data_dir.rglob(pattern) if "sqlite" not in path.name)


def test_every_kill_point_of_a_pull_is_tried_here() -> None:
    sources = Path(leads_pipeline.__file__).parent.rglob("*.py")
    named = {name for source in sources for name in re.findall(r'\breach\("([a-z_:]+)"\)', source.read_text())}
    of_a_pull = {name for name in named if not name.startswith(OF_OTHER_COMMANDS)}
    assert of_a_pull == {re.sub(r":\d+$", "", point) for point in (*BEFORE_THE_ANSWER, *WITH_THE_ANSWER)}


@pytest.mark.parametrize("kill_at", [*BEFORE_THE_ANSWER, *WITH_THE_ANSWER])
def test_a_kill_at_any_named_point_loses_and_doubles_nothing(base: Installation, data_dir: Path, kill_at: str) -> None:
    with fake_server() as server:
        installation = base.copied_to(data_dir, server.url)
        with running(watch, installation.database) as reader:
            assert reader.recv() == "ready"
            run_killed_at(installation, [WEEK], kill_at)
            run_to_the_end(installation, [WEEK])
            reader.send("stop")
            observed = reader.recv()
        assert_nothing_lost(server, installation, [WEEK])
        assert_always_whole(observed, server, [WEEK])
        assert len(server.calls) == (2 if kill_at == "call:sent" else 1)
    assert leftovers(data_dir) == []


@pytest.mark.parametrize(("first", "second"), TWICE)
def test_a_kill_of_the_run_that_heals_a_kill_loses_and_doubles_nothing(
    base: Installation, data_dir: Path, first: str, second: str
) -> None:
    with fake_server() as server:
        installation = base.copied_to(data_dir, server.url)
        run_killed_at(installation, [WEEK], first)
        run_killed_at(installation, [WEEK], second)
        run_to_the_end(installation, [WEEK])
        assert_nothing_lost(server, installation, [WEEK])
        assert len(server.calls) == (2 if first == "call:sent" else 1)
    assert leftovers(data_dir) == []


@pytest.fixture(scope="session")
def seconds_of_two_weeks(base: Installation, tmp_path_factory: pytest.TempPathFactory) -> float:
    """How long an undisturbed run takes from its first request to its end."""
    with fake_server() as server:
        installation = base.copied_to(tmp_path_factory.mktemp("timed") / "data", server.url)
        process = start_run(installation, TWO_WEEKS)
        wait_for_calls(server, 1)
        began = time.monotonic()
        assert wait_for(process) == 0
        return time.monotonic() - began


@pytest.mark.parametrize("moment", range(RANDOM_MOMENTS))
def test_a_kill_at_a_random_moment_loses_and_doubles_nothing(
    base: Installation, data_dir: Path, seconds_of_two_weeks: float, moment: int
) -> None:
    share = (moment + random.Random(f"{RANDOM_SEED} {moment}").random()) / RANDOM_MOMENTS
    seconds = share * seconds_of_two_weeks
    print(f"seed {RANDOM_SEED}, moment {moment}: killed {seconds:.3f} s after the first request ({share:.1%})")
    with fake_server() as server:
        installation = base.copied_to(data_dir, server.url)
        with running(watch, installation.database) as reader:
            assert reader.recv() == "ready"
            process = start_run(installation, TWO_WEEKS)
            wait_for_calls(server, 1)
            time.sleep(seconds)
            process.kill()
            wait_for(process)
            stored = installation.stored_bodies()
            run_to_the_end(installation, TWO_WEEKS)
            reader.send("stop")
            observed = reader.recv()
        assert_nothing_lost(server, installation, TWO_WEEKS)
        assert_always_whole(observed, server, TWO_WEEKS)
        assert_asked_once_where_stored(server, stored, TWO_WEEKS, most=2)


def wait_for_calls(server: FakeIndiaMart, number: int) -> None:
    deadline = time.monotonic() + 60
    while len(server.calls) < number:
        assert time.monotonic() < deadline, "no call came"
        time.sleep(0.001)


def test_an_answer_whose_slot_lapses_between_looking_and_asking_is_not_asked_for_again(
    base: Installation, data_dir: Path
) -> None:
    with fake_server() as server:
        installation = base.copied_to(data_dir, server.url)
        run_killed_at(installation, [WEEK], "raw:body")
        workspace = installation.workspace
        vars(workspace)["slots"] = LateToAsk(installation.data_dir / "state" / "calls.sqlite")
        result = pull(workspace, PullRequest(installation.account, WEEK.days, "late"), print)
        assert result == Pulled(None, ())
        assert len(server.calls) == 1
        run_to_the_end(installation, [WEEK])
        assert_nothing_lost(server, installation, [WEEK])


class LateToAsk(CallSlots):
    """The slots of a process that is held up just before it asks, until the dead call's slot is free again."""

    def request(self, claim: Claim) -> Granted | Wait:
        time.sleep(TIMEOUT_SECONDS + INTERVAL_SECONDS)
        return super().request(claim)


@pytest.fixture
def command(tmp_path: Path, starts: WarmStarts) -> Iterator[tuple[FakeIndiaMart, Command]]:
    """The real command over an installation with the base week published, and the server that it asks."""
    with fake_server() as server:
        installation = Installation(tmp_path / "data", server.url, DEFAULT_ACCOUNT, server.origin)
        run_to_the_end(installation, [BASE_WEEK])
        yield server, Command(tmp_path / "project", installation, starts)


@pytest.mark.parametrize("kill_at", ["raw:body", "merge:rename:5"])
def test_the_next_pull_command_heals_a_killed_one_and_its_dagster_run(
    command: tuple[FakeIndiaMart, Command], kill_at: str
) -> None:
    server, leads = command
    installation = leads.installation
    with running(watch, installation.database) as reader:
        assert reader.recv() == "ready"
        assert leads.pull(WEEK, kill_at) == -signal.SIGKILL
        assert run_statuses(installation.data_dir) == ["STARTED"]
        assert claimed_slots(installation.data_dir) == (1 if kill_at == "raw:body" else 0)
        assert leads.pull(WEEK) == 0
        reader.send("stop")
        observed = reader.recv()
    assert_nothing_lost(server, installation, [WEEK])
    assert_always_whole(observed, server, [WEEK])
    assert len(server.calls) == 2  # the base week's and this week's
    assert run_statuses(installation.data_dir)[0] == "FAILURE"
    assert set(run_statuses(installation.data_dir)[1:]) <= {"SUCCESS"}
    assert claimed_slots(installation.data_dir) == 0


def test_the_next_pull_command_heals_one_killed_at_a_random_moment(command: tuple[FakeIndiaMart, Command]) -> None:
    server, leads = command
    installation = leads.installation
    seconds = random.Random(f"{RANDOM_SEED} command").random()
    print(f"seed {RANDOM_SEED}: killed {seconds:.3f} s after the command's first request")
    process = leads.start_pull(WEEK)
    wait_for_calls(server, 2)
    time.sleep(seconds)
    kill_group(process)
    stored = installation.stored_bodies()
    assert leads.pull(WEEK) == 0
    assert_nothing_lost(server, installation, [WEEK])
    assert_asked_once_where_stored(server, stored, [WEEK], most=2)
    assert "STARTED" not in run_statuses(installation.data_dir)
    assert claimed_slots(installation.data_dir) == 0
