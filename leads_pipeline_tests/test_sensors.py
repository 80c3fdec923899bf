"""The gap sensor over a real instance, with its runs made against a fake IndiaMART."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._utils.tags import TagConcurrencyLimitsCounter

from leads_pipeline.days import ONE_DAY, day_of, day_start, days_between, utc_now
from leads_pipeline.definitions import build_definitions
from leads_pipeline.fake_indiamart.server import FakeIndiaMart
from leads_pipeline.run_queue import days_in_progress, end_dead_runs
from leads_pipeline.sensors import GAPS_TAG, build_gap_sensor
from leads_pipeline.settings import Settings
from leads_pipeline.stages.gaps import last_gap_day
from leads_pipeline.stages.merge_answers import merge_pending
from leads_pipeline.stages.normalize_answers import normalize_pending
from leads_pipeline.stages.pull import PullRequest
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.storage.coverage import DayState
from leads_pipeline.storage.process_locks import PROCESS_TAG, this_process
from leads_pipeline_tests.queued_runs import queued_run, run_here
from leads_pipeline_tests.support import KEY, make_settings, make_workspace, pull_to_the_end

START = "dagster/asset_partition_range_start"
END = "dagster/asset_partition_range_end"
NEW_KEY = "renewed/Key+of-the-tests=="
LAST = last_gap_day(utc_now())
"""The last day that the sensor looks at now: over by any clock."""
NOW = day_start(LAST + 2 * ONE_DAY) + timedelta(minutes=59)
"""The latest moment at which that is so: after whatever the tests do."""
HISTORY_DAYS = 17


def ago(days: int) -> date:
    return LAST - (days - 1) * ONE_DAY


def history(last: int = 1) -> list[date]:
    return days_between(ago(HISTORY_DAYS), ago(last))


@dataclass
class Office:
    """An installation whose gap sensor is looked at from time to time; `cursor` is what the daemon keeps for it."""

    settings: Settings
    instance: dg.DagsterInstance
    cursor: str = ""

    @property
    def workspace(self) -> Workspace:
        return make_workspace(self.settings)

    @property
    def definitions(self) -> dg.Definitions:
        return build_definitions(self.settings)

    @property
    def job(self) -> dg.JobDefinition:
        return self.definitions.resolve_job_def("pull_indiamart")

    def look(self, now: datetime = NOW) -> dg.SensorResult:
        """Evaluate the sensor at that moment and keep its cursor."""
        sensor = build_gap_sensor(self.settings.accounts[0], self.job, self.workspace, clock=lambda: now)
        result = sensor(dg.build_sensor_context(instance=self.instance, cursor=self.cursor))
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor or ""
        return result

    def run(self, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        """Do what the daemon does with a requested run, in this process."""
        return run_here(self.instance, self.job, request)

    def enqueue(self, request: dg.RunRequest) -> dg.DagsterRun:
        return queued_run(self.instance, self.job, request.tags)

    def pull_without_dagster(self, days: Sequence[date], *, merged: bool = True) -> None:
        """Pull whole weeks, one call each, a long time ago as far as Dagster's instance knows."""
        assert len(days) % 7 == 0, "a call for less than a week would take the days after it too"
        workspace, account = self.workspace, self.settings.accounts[0]
        for first in range(0, len(days), 7):
            some = tuple(days[first : first + 7])
            pull_to_the_end(workspace, PullRequest(account, some, f"earlier-{some[0]}"), lambda _: None)
            if merged:
                normalize_pending(workspace, account.name, some, lambda _: None)
                merge_pending(workspace, account.name, some, lambda _: None)

    def states(self) -> dict[date, DayState]:
        coverage = self.workspace.coverage("indiamart", history(), utc_now())
        return {day.day: day.state for day in coverage}

    def with_account(self, **changes: object) -> None:
        account = replace(self.settings.accounts[0], **changes)  # type: ignore[arg-type]
        self.settings = replace(self.settings, accounts=(account,))


@pytest.fixture
def server() -> Iterator[FakeIndiaMart]:
    with FakeIndiaMart(keys=[KEY, NEW_KEY], interval_seconds=0, leads_per_day=4.0) as server:
        yield server


@pytest.fixture
def office(server: FakeIndiaMart, tmp_path: Path) -> Iterator[Office]:
    settings = make_settings(tmp_path, server.url, origin=server.origin, interval=0.01)
    settings = replace(settings, start_date=ago(HISTORY_DAYS))
    with dg.DagsterInstance.ephemeral() as instance:
        yield Office(settings, instance)


def days_of(request: dg.RunRequest) -> tuple[date, date]:
    return date.fromisoformat(request.tags[START]), date.fromisoformat(request.tags[END])


def requested(result: dg.SensorResult) -> list[tuple[date, date]]:
    return [days_of(request) for request in result.run_requests or ()]


def why(result: dg.SensorResult) -> str:
    assert not result.run_requests
    assert result.skip_reason is not None
    return result.skip_reason.skip_message or ""


def windows_asked(server: FakeIndiaMart) -> list[tuple[date, date]]:
    return [(day_of(call.start), day_of(call.end) - ONE_DAY) for call in server.calls]


@pytest.fixture(scope="module")
def disk_instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    """An instance that a schedule's tick can open; it stays empty."""
    with dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("dagster"))) as instance:
        yield instance


@pytest.fixture
def nightly(office: Office, disk_instance: dg.DagsterInstance) -> dg.RunRequest:
    """What the daily schedule requests in the night after the last day."""
    tick = day_start(LAST + ONE_DAY) + timedelta(minutes=20)
    context = dg.build_schedule_context(instance=disk_instance, scheduled_execution_time=tick)
    said = office.definitions.resolve_schedule_def("indiamart_daily")(context)
    assert isinstance(said, dg.RunRequest)
    return said


def test_ten_days_of_outage_are_healed_in_two_calls_newest_days_first(office: Office, server: FakeIndiaMart) -> None:
    office.pull_without_dagster(history(last=11))
    calls_before = len(server.calls)

    result = office.look()
    runs = [office.run(request) for request in result.run_requests or ()]
    after = office.look()

    assert all(run.success for run in runs)
    assert windows_asked(server)[calls_before:] == [(ago(7), ago(1)), (ago(10), ago(8))]
    assert {*office.states().values()} == {DayState.COMPLETE}
    assert why(after) == f"Every day from {ago(HISTORY_DAYS)} to {ago(1)} is complete, or out of reach."


def test_an_outage_that_the_daily_schedule_meets_first_is_healed_in_two_calls_as_well(
    office: Office, server: FakeIndiaMart, nightly: dg.RunRequest
) -> None:
    office.pull_without_dagster(history(last=11))
    calls_before = len(server.calls)
    queued = office.enqueue(nightly)

    result = office.look()  # leaves the schedule's days to its run
    office.instance.delete_run(queued.run_id)
    runs = [office.run(request) for request in (nightly, *(result.run_requests or ()))]

    assert requested(result) == [(ago(10), ago(8))]
    assert all(run.success for run in runs)
    assert windows_asked(server)[calls_before:] == [(ago(7), ago(1)), (ago(10), ago(8))]
    assert {*office.states().values()} == {DayState.COMPLETE}


def test_an_outage_that_the_daily_schedule_meets_last_takes_one_call_more(
    office: Office, server: FakeIndiaMart, nightly: dg.RunRequest
) -> None:
    office.pull_without_dagster(history(last=11))
    calls_before = len(server.calls)

    for request in (*(office.look().run_requests or ()), nightly):
        assert office.run(request).success

    assert len(server.calls) - calls_before == 3
    assert {*office.states().values()} == {DayState.COMPLETE}


def test_days_that_are_fetched_and_not_merged_are_healed_without_a_call(office: Office, server: FakeIndiaMart) -> None:
    office.pull_without_dagster(history(last=11))
    office.pull_without_dagster(days_between(ago(10), ago(4)), merged=False)
    calls_before = len(server.calls)

    result = office.look()
    unmerged, _ = result.run_requests or ()

    assert requested(result) == [(ago(10), ago(4)), (ago(3), ago(1))]
    assert office.run(unmerged).success
    assert len(server.calls) == calls_before
    assert {state for day, state in office.states().items() if day <= ago(4)} == {DayState.COMPLETE}


def test_a_dead_key_gets_one_call_and_no_more_until_the_key_changes(office: Office, server: FakeIndiaMart) -> None:
    server.inject("key_expired", times=100)
    results = [office.run(request).success for _ in range(10) for request in office.look().run_requests or ()]
    left_alone = office.look(NOW + timedelta(days=3))
    calls_with_the_dead_key = len(server.calls)

    server.clear_faults()
    office.with_account(key=NEW_KEY)
    renewed = office.look()

    assert (results, calls_with_the_dead_key) == ([False], 1)
    assert "key_rejected" in why(left_alone)
    assert requested(renewed) == [(ago(7), ago(1))]
    assert [office.run(request).success for request in renewed.run_requests or ()] == [True]


def test_a_request_that_was_refused_is_made_again_after_the_settings_change(
    office: Office, server: FakeIndiaMart
) -> None:
    server.inject("bad_request")
    (request,) = office.look().run_requests or ()
    assert not office.run(request).success

    assert "bad_request" in why(office.look())
    office.with_account(start=ago(5))
    assert requested(office.look()) == [(ago(5), ago(1))]


def test_what_is_not_available_yet_is_asked_for_a_day_later(office: Office, server: FakeIndiaMart) -> None:
    server.inject("not_yet_available_204")
    (request,) = office.look().run_requests or ()
    assert not office.run(request).success
    asked_at = utc_now()

    soon = [office.look(asked_at + timedelta(hours=hours)) for hours in (1, 7, 23)]
    (later,) = requested(office.look(asked_at + timedelta(hours=25)))

    assert f"up to {ago(1)} are not available before" in why(office.look(asked_at + timedelta(seconds=1)))
    assert all(first > ago(1) for result in soon for first, _ in requested(result))
    assert later[0] <= ago(1) <= later[1]


def test_nothing_is_requested_twice_while_its_run_is_queued_or_running(office: Office, server: FakeIndiaMart) -> None:
    office.pull_without_dagster(history(last=11))
    first = office.look()
    for request in first.run_requests or ():
        office.enqueue(request)

    assert len(first.run_requests or ()) == 2
    assert why(office.look()) == "10 day(s) lack, and all of them are queued or running already."


@pytest.mark.parametrize(
    "status", [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]
)
def test_the_days_of_anybodys_unfinished_run_are_left_to_it(office: Office, status: dg.DagsterRunStatus) -> None:
    queued_run(office.instance, office.job, {START: str(ago(9)), END: str(ago(3))}, status)
    queued_run(office.instance, office.job, {"dagster/partition": str(ago(1))}, status)

    assert days_in_progress(office.instance, "indiamart") == {*days_between(ago(9), ago(3)), ago(1)}
    assert requested(office.look()) == [(ago(2), ago(2))]


def test_the_run_of_another_account_is_none_of_its_business(office: Office) -> None:
    other = replace(office.settings.accounts[0], name="acme")
    both = build_definitions(replace(office.settings, accounts=(*office.settings.accounts, other)))
    tags = {START: str(ago(9)), END: str(ago(3))}

    queued_run(office.instance, both.resolve_job_def("pull_acme"), tags)
    assert days_in_progress(office.instance, "indiamart") == frozenset()

    queued_run(office.instance, both.resolve_implicit_global_asset_job_def(), tags)
    assert days_in_progress(office.instance, "indiamart") == {*days_between(ago(9), ago(3))}


def backfill_of(office: Office, days: Sequence[date], status: BulkActionStatus) -> None:
    graph = office.definitions.resolve_asset_graph()
    backfill = PartitionBackfill.from_asset_partitions(
        backfill_id=f"backfill-{status.value}",
        asset_graph=graph,
        partition_names=[str(day) for day in days],
        asset_selection=[key for key in graph.get_all_asset_keys() if key.path[0] == "indiamart"],
        backfill_timestamp=utc_now().timestamp(),
        tags={},
        dynamic_partitions_store=office.instance,
        all_partitions=False,
        title=None,
        description=None,
        run_config=None,
    )
    office.instance.add_backfill(backfill.with_status(status))


def test_the_days_of_an_unfinished_backfill_are_left_to_it_before_it_has_made_a_run(office: Office) -> None:
    backfill_of(office, history()[-9:-4], BulkActionStatus.REQUESTED)
    backfill_of(office, history(), BulkActionStatus.CANCELED)

    assert days_in_progress(office.instance, "indiamart") == {*history()[-9:-4]}
    assert requested(office.look()) == [(ago(4), ago(1))]


def test_the_same_days_are_requested_again_after_their_run_failed(office: Office, server: FakeIndiaMart) -> None:
    office.pull_without_dagster(history(last=4))
    server.inject("server_error", times=5)
    (request,) = office.look().run_requests or ()
    assert not office.run(request).success

    (again,) = office.look().run_requests or ()

    assert (days_of(request), request.run_key) == (days_of(again), again.run_key) == ((ago(3), ago(1)), None)
    assert office.run(again).success
    assert {*office.states().values()} == {DayState.COMPLETE}


def test_a_failed_run_is_followed_by_a_pause(office: Office, server: FakeIndiaMart) -> None:
    server.inject("server_error", times=5)
    (request,) = office.look().run_requests or ()
    assert not office.run(request).success
    office.with_account(call_interval_seconds=3600.0)

    assert "The last 1 run(s) of this sensor did not help" in why(office.look(utc_now()))


def test_a_run_whose_process_died_holds_nothing_up(office: Office) -> None:
    dead = queued_run(
        office.instance,
        office.job,
        {START: str(ago(7)), END: str(ago(1)), PROCESS_TAG: "0" * 32, GAPS_TAG: "indiamart"},
        dg.DagsterRunStatus.STARTED,
    )

    result = office.look()

    ended = office.instance.get_run_by_id(dead.run_id)
    assert ended is not None
    assert ended.status is dg.DagsterRunStatus.FAILURE
    assert result.run_requests


def test_the_repeat_of_a_dead_run_is_not_taken_for_dead_before_its_own_process_has_said_so(office: Office) -> None:
    """Dagster copies a run's tags to the run that repeats it, the dead process's name included."""
    state_dir = office.settings.state_dir
    tags = {PROCESS_TAG: "0" * 32}
    parent = queued_run(office.instance, office.job, tags, dg.DagsterRunStatus.FAILURE)
    repeat = office.instance.create_run_for_job(
        office.job,
        tags=tags,
        status=dg.DagsterRunStatus.STARTED,
        parent_run_id=parent.run_id,
        root_run_id=parent.run_id,
    )

    end_dead_runs(office.instance, state_dir)
    assert status_of(office, repeat) is dg.DagsterRunStatus.STARTED
    office.instance.add_run_tags(repeat.run_id, {PROCESS_TAG: this_process(state_dir)})
    end_dead_runs(office.instance, state_dir)
    assert status_of(office, repeat) is dg.DagsterRunStatus.STARTED
    office.instance.add_run_tags(repeat.run_id, {PROCESS_TAG: "1" * 32})
    end_dead_runs(office.instance, state_dir)
    assert status_of(office, repeat) is dg.DagsterRunStatus.FAILURE


def status_of(office: Office, run: dg.DagsterRun) -> dg.DagsterRunStatus:
    found = office.instance.get_run_by_id(run.run_id)
    assert found is not None
    return found.status


def test_an_account_without_a_key_says_so_and_makes_no_run(office: Office) -> None:
    office.with_account(key="")

    assert "INDIAMART_CRM_KEY" in why(office.look())


def test_the_queue_takes_one_run_of_an_accounts_gap_sensor_at_a_time(office: Office) -> None:
    office.pull_without_dagster(history(last=11))
    shipped = yaml.safe_load(files("leads_pipeline.cli").joinpath("instance.yaml").read_text(encoding="utf-8"))
    limits = shipped["concurrency"]["runs"]["tag_concurrency_limits"]
    first, second = (office.enqueue(request) for request in office.look().run_requests or ())
    others = queued_run(office.instance, office.job, {GAPS_TAG: "acme"})

    running = TagConcurrencyLimitsCounter(limits, [first])

    assert running.is_blocked(second)
    assert not running.is_blocked(others)
