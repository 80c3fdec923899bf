"""What the schedules ask for, when, and ahead of whom."""

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import takewhile
from pathlib import Path

import dagster as dg
import pytest
from dagster._utils.schedules import schedule_execution_time_iterator  # what the scheduler itself asks

from leads_pipeline.days import IST, ONE_DAY, utc_now
from leads_pipeline.definitions import build_definitions
from leads_pipeline.fake_indiamart.server import FakeIndiaMart
from leads_pipeline.jobs import REPORT_JOB
from leads_pipeline.schedules import intraday_crons
from leads_pipeline.settings import DEMO_ACCOUNT, Settings, SettingsError, load_settings
from leads_pipeline.stages.pull import SCHEDULE_PRIORITY, Pulled, PullLater, PullRequest, pull
from leads_pipeline.stages.write_report import report_path
from leads_pipeline.storage.coverage import DayState
from leads_pipeline_tests.queued_runs import queued_run, run_here
from leads_pipeline_tests.support import KEY, complete_days, ist, make_settings, make_workspace, pull_to_the_end

START = "dagster/asset_partition_range_start"
END = "dagster/asset_partition_range_end"
UNREACHED = "http://127.0.0.1:1/"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return replace(make_settings(tmp_path, UNREACHED), start_date=date(2026, 1, 1))


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    """An instance on the disk, as a tick opens it by its reference; no test leaves an unfinished run in it."""
    with dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("dagster"))) as instance:
        yield instance


def schedule(settings: Settings, name: str) -> dg.ScheduleDefinition:
    return build_definitions(settings).resolve_schedule_def(name)


def tick(
    settings: Settings, instance: dg.DagsterInstance, at: str, name: str = "indiamart_daily"
) -> dg.RunRequest | dg.SkipReason:
    """What the schedule says at that time in India."""
    context = dg.build_schedule_context(instance=instance, scheduled_execution_time=ist(at))
    said = schedule(settings, name)(context)
    assert isinstance(said, dg.RunRequest | dg.SkipReason)
    return said


def asked_days(said: dg.RunRequest | dg.SkipReason) -> tuple[str, str]:
    assert isinstance(said, dg.RunRequest), said
    return said.tags[START], said.tags[END]


def why(said: dg.RunRequest | dg.SkipReason) -> str:
    assert isinstance(said, dg.SkipReason), said
    return said.skip_message or ""


def having(settings: Settings, **changes: object) -> Settings:
    """Return the settings with other values of their one account."""
    return replace(settings, accounts=(replace(settings.accounts[0], **changes),))  # type: ignore[arg-type]


def ticks_of_a_day(defined: dg.ScheduleDefinition) -> list[int]:
    """The minutes after midnight in India at which Dagster's scheduler evaluates the schedule."""
    midnight = datetime(2026, 11, 20, tzinfo=IST)
    moments = schedule_execution_time_iterator(midnight.timestamp(), defined.cron_schedule, defined.execution_timezone)
    day = takewhile(lambda moment: moment < midnight + ONE_DAY, moments)
    return [round((moment - midnight) / timedelta(minutes=1)) for moment in day]


@pytest.mark.parametrize("minutes", [1, 6, 7, 50, 60, 97, 180, 720, 1000, 1440])
def test_intraday_ticks_every_so_many_minutes_from_midnight_in_india(settings: Settings, minutes: int) -> None:
    defined = schedule(having(settings, intraday_minutes=minutes), "indiamart_intraday")

    assert ticks_of_a_day(defined) == list(range(0, 1440, minutes))
    assert len(defined.cron_schedule) <= 24


def test_every_three_hours_is_one_line() -> None:
    assert intraday_crons(180) == ["0 0,3,6,9,12,15,18,21 * * *"]


def test_daily_ticks_at_twenty_past_midnight_in_india(settings: Settings) -> None:
    assert ticks_of_a_day(schedule(settings, "indiamart_daily")) == [20]


def test_daily_asks_for_the_last_seven_complete_days_again(settings: Settings, instance: dg.DagsterInstance) -> None:
    said = tick(settings, instance, "2026-11-20 00:20:00")

    assert asked_days(said) == ("2026-11-13", "2026-11-19")
    assert isinstance(said, dg.RunRequest)
    assert said.run_config == {
        "ops": {"indiamart__raw_responses": {"config": {"again": True, "priority": SCHEDULE_PRIORITY}}}
    }
    assert said.tags["dagster/priority"] == str(SCHEDULE_PRIORITY)


@pytest.mark.parametrize(
    ("at", "lookback", "expected"),
    [
        ("2026-11-20 12:00:00", 1, ("2026-11-19", "2026-11-20")),
        ("2026-11-20 00:00:00", 1, ("2026-11-19", "2026-11-20")),
        ("2026-11-19 23:59:00", 0, ("2026-11-19", "2026-11-19")),
        ("2026-11-20 12:00:00", 6, ("2026-11-14", "2026-11-20")),
    ],
)
def test_intraday_asks_for_today_in_india_and_the_days_before(
    settings: Settings, instance: dg.DagsterInstance, at: str, lookback: int, expected: tuple[str, str]
) -> None:
    said = tick(having(settings, lookback_days=lookback), instance, at, "indiamart_intraday")

    assert asked_days(said) == expected


def test_where_the_api_takes_six_days_both_ask_for_six_so_that_the_newest_is_among_them(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    make_workspace(settings).slots.remember_narrow_windows("indiamart")
    settings = having(settings, lookback_days=6)

    assert asked_days(tick(settings, instance, "2026-11-20 00:20:00")) == ("2026-11-14", "2026-11-19")
    assert asked_days(tick(settings, instance, "2026-11-20 12:00:00", "indiamart_intraday")) == (
        "2026-11-15",
        "2026-11-20",
    )


def test_neither_reaches_before_the_start_of_partitions_or_account(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    late_account = replace(settings, accounts=(replace(settings.accounts[0], start=date(2026, 11, 17)),))
    late_start = replace(settings, start_date=date(2026, 11, 18))

    assert asked_days(tick(late_account, instance, "2026-11-20 00:20:00")) == ("2026-11-17", "2026-11-19")
    assert asked_days(tick(late_start, instance, "2026-11-20 00:20:00")) == ("2026-11-18", "2026-11-19")
    assert "first day is 2026-11-18" in why(tick(late_start, instance, "2026-11-18 00:20:00"))


@pytest.mark.parametrize("name", ["indiamart_daily", "indiamart_intraday"])
def test_a_schedule_skips_while_a_run_of_its_own_is_queued_or_running(
    settings: Settings, instance: dg.DagsterInstance, name: str
) -> None:
    job = build_definitions(settings).resolve_job_def("pull_indiamart")
    earlier = queued_run(instance, job, {"dagster/schedule_name": name})
    other = {"indiamart_daily": "indiamart_intraday", "indiamart_intraday": "indiamart_daily"}[name]

    assert earlier.run_id[:8] in why(tick(settings, instance, "2026-11-20 00:20:00", name))
    assert asked_days(tick(settings, instance, "2026-11-20 00:20:00", other))
    instance.report_run_canceled(earlier)
    assert asked_days(tick(settings, instance, "2026-11-20 00:20:00", name))


def test_a_schedule_without_a_key_says_so_and_asks_nothing(settings: Settings, instance: dg.DagsterInstance) -> None:
    keyless = replace(settings, accounts=(replace(settings.accounts[0], key=""),))

    assert "INDIAMART_CRM_KEY" in why(tick(keyless, instance, "2026-11-20 00:20:00"))


@pytest.mark.parametrize(("on", "expected"), [(False, "STOPPED"), (True, "RUNNING")])
def test_schedules_and_sensors_are_off_until_a_person_or_a_setting_turns_them_on(
    settings: Settings, on: bool, expected: str
) -> None:
    demo = replace(settings.accounts[0], name=DEMO_ACCOUNT)
    both = replace(settings, accounts=(*having(settings, schedules_on=on).accounts, demo))
    repository = build_definitions(both).get_repository_def()
    statuses = {
        defined.name: defined.default_status.value for defined in (*repository.schedule_defs, *repository.sensor_defs)
    }

    assert {name: status for name, status in statuses.items() if name.startswith("indiamart_")} == dict.fromkeys(
        ("indiamart_daily", "indiamart_intraday", "indiamart_gaps"), expected
    )
    assert {status for name, status in statuses.items() if name.startswith("demo_")} == {"STOPPED"}
    assert statuses["report_hourly"] == expected


def test_the_run_of_a_schedule_is_one_call_though_its_days_are_complete(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    days = complete_days(7)
    with FakeIndiaMart(keys=[KEY], interval_seconds=0) as server:
        settings = make_settings(tmp_path, server.url, origin=server.origin)
        pull_to_the_end(make_workspace(settings), PullRequest(settings.accounts[0], days, "earlier"))
        said = tick(settings, instance, f"{days[-1] + ONE_DAY} 00:20:00")
        assert isinstance(said, dg.RunRequest)
        job = build_definitions(settings).resolve_job_def("pull_indiamart")
        result = run_here(instance, job, said)

        assert result.success
        assert [(call.start.date(), call.outcome) for call in server.calls] == [(days[0], "leads")] * 2

    coverage = make_workspace(settings).coverage("indiamart", days, utc_now())
    assert {day.state for day in coverage} == {DayState.COMPLETE}


def test_the_call_of_a_schedule_goes_ahead_of_a_backfill_that_waits_already(tmp_path: Path) -> None:
    interval = 0.4
    first, backfill, daily = complete_days(21)[:7], complete_days(21)[7:14], complete_days(7)
    with FakeIndiaMart(keys=[KEY], interval_seconds=interval * 0.9) as server:
        settings = make_settings(tmp_path, server.url, origin=server.origin, interval=interval)
        workspace, account = make_workspace(settings), settings.accounts[0]
        assert isinstance(pull(workspace, PullRequest(account, first, "before"), print), Pulled)
        waiting = PullRequest(account, backfill, "backfill")
        scheduled = PullRequest(account, daily, "daily", again=True, priority=SCHEDULE_PRIORITY)

        assert isinstance(pull(workspace, waiting, print), PullLater)
        due = pull(workspace, scheduled, print)
        assert isinstance(due, PullLater)
        time.sleep(due.seconds)

        held_back = pull(workspace, waiting, print)  # the slot is free, and it asks first
        assert isinstance(held_back, PullLater)
        assert "behind 1 other" in held_back.reason
        assert isinstance(pull(workspace, scheduled, print), Pulled)
        pull_to_the_end(workspace, waiting)

    assert [call.start.date() for call in server.calls] == [first[0], daily[0], backfill[0]]
    assert not server.refused_calls


def test_the_report_is_written_once_for_each_time_that_something_was_published(
    settings: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def says() -> str:
        said = tick(settings, instance, "2026-11-30 10:40:00", "report_hourly")
        return "a run" if isinstance(said, dg.RunRequest) else str(said.skip_message)

    nothing_new = "Nothing was published since the report was written."
    make_workspace(settings)
    assert says() == nothing_new

    publish_version(settings, 1)
    assert says() == "a run"
    job = build_definitions(settings).resolve_job_def(REPORT_JOB)
    earlier = queued_run(instance, job, {"dagster/schedule_name": "report_hourly"})
    assert earlier.run_id[:8] in says()
    instance.report_run_canceled(earlier)

    report = report_path(settings)
    report.parent.mkdir()
    report.write_text('<meta name="leads-database-version" content="1">')
    assert says() == nothing_new

    publish_version(settings, 2)
    assert says() == "a run"
    monkeypatch.setattr("leads_pipeline.stages.write_report.find_spec", lambda _: None)
    assert "pip install -c constraints.txt '.[report]'" in says()


def publish_version(settings: Settings, version: int) -> None:
    (settings.data_dir / "published").mkdir(exist_ok=True)
    (settings.data_dir / "published" / f"{version}.duckdb").touch()
    settings.database.unlink(missing_ok=True)
    settings.database.symlink_to(f"published/{version}.duckdb")


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, (180, 1, False)),
        ({"LEADS_INTRADAY_MINUTES": "6", "LEADS_LOOKBACK_DAYS": "6", "LEADS_SCHEDULES_ON": "true"}, (6, 6, True)),
        ({"LEADS_INTRADAY_MINUTES": "1440", "LEADS_LOOKBACK_DAYS": "0"}, (1440, 0, False)),
        (
            {
                "LEADS_INTRADAY_MINUTES": "1",
                "INDIAMART_CALL_INTERVAL_SECONDS": "60",
                "INDIAMART_API_URL": "http://127.0.0.1:9/",
            },
            (1, 1, False),
        ),
        ({"INDIAMART_CALL_INTERVAL_SECONDS": "14401"}, (241, 1, False)),
    ],
)
def test_the_settings_of_the_schedules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: tuple[int, int, bool]
) -> None:
    set_environment(monkeypatch, variables)

    settings = load_settings(tmp_path)

    (account,) = settings.accounts
    assert (account.intraday_minutes, account.lookback_days, account.schedules_on) == expected
    assert settings.schedules_on is account.schedules_on


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({"LEADS_INTRADAY_MINUTES": "5"}, "LEADS_INTRADAY_MINUTES"),
        ({"LEADS_INTRADAY_MINUTES": "1441"}, "LEADS_INTRADAY_MINUTES"),
        ({"LEADS_INTRADAY_MINUTES": "7.5"}, "LEADS_INTRADAY_MINUTES"),
        ({"LEADS_INTRADAY_MINUTES": "6", "INDIAMART_CALL_INTERVAL_SECONDS": "361"}, "LEADS_INTRADAY_MINUTES"),
        ({"LEADS_LOOKBACK_DAYS": "7"}, "LEADS_LOOKBACK_DAYS"),
        ({"LEADS_LOOKBACK_DAYS": "-1"}, "LEADS_LOOKBACK_DAYS"),
        ({"LEADS_SCHEDULES_ON": "perhaps"}, "LEADS_SCHEDULES_ON"),
    ],
)
def test_settings_that_the_schedules_cannot_keep_are_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], name: str
) -> None:
    set_environment(monkeypatch, variables)

    with pytest.raises(SettingsError) as refused:
        load_settings(tmp_path)

    assert name in str(refused.value)
    assert name in refused.value.variables


def set_environment(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name in [name for name in os.environ if name.startswith(("LEADS_", "INDIAMART_"))]:
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
