"""An installation whose time is the test's: real sensors, run records and channels; calls are written into the log."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow.parquet as pq
from dagster._core.storage.runs.schema import RunsTable
from dagster._core.storage.runs.sql_run_storage import SqlRunStorage

from leads_pipeline.alert_sensors import AlertsNotSentError, build_alert_sensors
from leads_pipeline.alert_urls import parse_alert_urls
from leads_pipeline.alerts.causes import State
from leads_pipeline.alerts.ledger import AlertRecord, Ledger
from leads_pipeline.assets.partitions import ACCOUNT_TAG
from leads_pipeline.days import day_end, day_of, day_start
from leads_pipeline.indiamart.call_log import CallRecord, calls_database, insert_call
from leads_pipeline.indiamart.call_slot import key_fingerprint
from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline.indiamart.windows import Window
from leads_pipeline.jobs import REPLAY_JOB
from leads_pipeline.settings import Account, Settings
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.storage.atomic import make_private_folder
from leads_pipeline.storage.catalog import MergedCounts
from leads_pipeline.storage.day_paths import leads_file
from leads_pipeline.storage.parquet import FILE_SCHEMA
from leads_pipeline.storage.raw import RawResponse, ResponseName, sha256_of
from leads_pipeline_tests.alerts.post import Mailbox, smtp_server, webhook
from leads_pipeline_tests.storage.lead_tables import leads_of
from leads_pipeline_tests.support import make_settings

MONDAY = datetime.fromisoformat("2026-11-02T10:00:00+05:30")
"""When the tests begin."""
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
"""The run configuration that keeps a run's log off the console."""
BUYERS_PHONE = "+919812345678"
"""What IndiaMART's own words may hold, and no message may."""


def account(name: str) -> Account:
    (made,) = make_settings(Path(), "http://127.0.0.1:9/crm/", account=name).accounts
    return replace(made, key=f"{name}/Key+of-the-tests==", key_env=f"{name.upper()}_CRM_KEY")


@dataclass
class Office:
    """What a scenario acts on, and the messages that it led to."""

    settings: Settings
    instance: dg.DagsterInstance
    mail: Mailbox
    hook: Mailbox
    now: datetime = MONDAY
    mails: list[str] = field(default_factory=list)
    """Each mail that arrived: after how long, and its subject."""
    hooks: list[str] = field(default_factory=list)
    failed_ticks: int = 0

    @cached_property
    def workspace(self) -> Workspace:
        return Workspace(self.settings)

    @cached_property
    def _sensors(self) -> dict[str, dg.SensorDefinition]:
        return {sensor.name: sensor for sensor in build_alert_sensors(self.workspace, lambda: self.now)}

    def change(self, **settings: Any) -> None:
        """Change settings, and load everything anew."""
        self.settings = replace(self.settings, **settings)
        self.restart()

    def restart(self) -> None:
        """Load everything anew, as a daemon that was started again does."""
        self.__dict__.pop("_sensors", None)
        self.__dict__.pop("workspace", None)

    def tick(self, name: str = "api_error_alerts") -> str:
        """Let the sensor tick once; return what it says."""
        with dg.build_sensor_context(instance=self.instance, sensor_name=name) as context:
            try:
                data = self._sensors[name].evaluate_tick(context)
                said = str(data.skip_message)
            except Exception as error:
                assert AlertsNotSentError.__name__ in f"{error.__cause__!r}{error!r}"
                self.failed_ticks += 1
                said = f"{error.__cause__ or error}"
        self._note(self.mail, self.mails)
        self._note(self.hook, self.hooks)
        return said

    def tick_all(self) -> None:
        for name in self._sensors:
            self.tick(name)

    def wait(self, *, minutes: float = 0, hours: float = 0, every: float = 60) -> None:
        """Let time pass, with a tick of the calls' sensor every so many minutes."""
        end = self.now + timedelta(hours=hours, minutes=minutes)
        while self.now < end:
            self.now = min(self.now + timedelta(minutes=every), end)
            self.tick()

    def skip(self, *, minutes: float = 0, hours: float = 0) -> None:
        """Let time pass while no sensor looks."""
        self.now += timedelta(hours=hours, minutes=minutes)

    def call(
        self, outcome: Outcome, account: str = "acme", *, days: int = 2, tick: bool = True, stored: bool = True
    ) -> None:
        """Write a call of this moment into the log, for so many days before it; what it covers is stored."""
        yesterday = day_of(self.now) - timedelta(days=1)
        window = Window(day_start(yesterday - timedelta(days=days - 1)), day_end(yesterday))
        name = ResponseName(account, "v2", window, self.now)
        key = self.settings.account(account).key
        record = CallRecord(
            account, "v2", window.start, window.end, self.now, self.now, 1.0, 0.0, outcome, 200,
            None if outcome.rule.is_success else 401, f"call {BUYERS_PHONE}, key {key}", 0, None,
            name.response_id, "", key_fingerprint=key_fingerprint(key),
        )  # fmt: skip
        self.workspace.prepare()
        with calls_database(self.settings.state_dir / "calls.sqlite") as connection:
            insert_call(connection, record)
        if outcome.rule.covers and stored:
            self._store(name)
        if tick:
            self.tick()

    def _store(self, name: ResponseName) -> None:
        """Store an answer without leads, merged, that proves its days."""
        response = RawResponse(
            name.response_id, name.account, "v2", "http://127.0.0.1:9", name.window.start, name.window.end,
            name.sent_at, name.sent_at, None, 1.0, 200, 204, "", 0, 0, Outcome.NO_LEADS, sha256_of(b"{}"), 2,
            "", "", False,
        )  # fmt: skip
        self.workspace.raw.write_body(name, b"{}")
        self.workspace.raw.write_sidecar(response)
        self.workspace.catalog.add(response)
        self.workspace.catalog.mark_merged([MergedCounts(name.response_id, 0, 0, 0, 0)])
        for day in name.window.days:
            self.put_leads(name.account, day, 0)

    def put_week(self, first: date, account: str = "acme", leads: int = 0) -> None:
        """Make seven days complete by an answer of the morning after, each with so many leads in the tables."""
        window = Window(day_start(first), day_end(first + timedelta(days=6)))
        self._store(ResponseName(account, "v2", window, window.end + timedelta(hours=1)))
        for day in window.days:
            self.put_leads(account, day, leads)

    def put_leads(self, account: str, day: date, count: int) -> None:
        path = leads_file(self.settings.data_dir, account, day)
        make_private_folder(path.parent)
        table = leads_of(day, [f"{day}-{number}" for number in range(count)], account=account)
        pq.write_table(table.select(FILE_SCHEMA.names), path)

    def run(self, failure: Exception | None = None, account: str = "acme", **tags: str) -> str:
        """Make a real run of the account that ends so; return its id."""

        @dg.op(name=f"{account}__raw_responses")
        def step() -> None:
            if failure is not None:
                raise failure

        @dg.job(name=f"pull_{account}")
        def job() -> None:
            step()

        result = job.execute_in_process(
            instance=self.instance, raise_on_error=False, tags={ACCOUNT_TAG: account, **tags}, run_config=QUIET
        )
        assert result.success is (failure is None)
        self._date_run(result.run_id)
        return str(result.run_id)

    def replay(self, failure: Exception | None = None, account: str = "", job_name: str = REPLAY_JOB) -> None:
        """Make a real run of a job like the replay, of one account or of all, that ends so."""

        @dg.op(name="replay_raw_responses", config_schema={"account": str})
        def step() -> None:
            if failure is not None:
                raise failure

        @dg.job(name=job_name)
        def job() -> None:
            step()

        config = {"replay_raw_responses": {"config": {"account": account}}}
        result = job.execute_in_process(
            instance=self.instance, raise_on_error=False, run_config={"ops": config, **QUIET}
        )
        assert result.success is (failure is None)
        self._date_run(result.run_id)

    def _date_run(self, run_id: str) -> None:
        """Let the run's record say that it ended at the test's time."""
        storage = self.instance.run_storage
        assert isinstance(storage, SqlRunStorage)
        at = self.now.astimezone(UTC)
        with storage.connect() as connection:
            change = {"end_time": at.timestamp(), "update_timestamp": at.replace(tzinfo=None)}
            connection.execute(RunsTable.update().where(RunsTable.c.run_id == run_id).values(change))

    @property
    def records(self) -> list[AlertRecord]:
        return Ledger(self.settings.state_dir).records()

    @property
    def open(self) -> list[str]:
        """What is open: account and kind."""
        return [f"{one.cause.account} {one.cause.kind_name}" for one in self.records if one.cause.state is State.OPEN]

    def _note(self, mailbox: Mailbox, noted: list[str]) -> None:
        since = (self.now - MONDAY).total_seconds() / 3600
        noted += [f"{since:.2f} h {subject}" for subject in mailbox.subjects[len(noted) :]]


def failure_of(outcome: Outcome) -> dg.Failure:
    """Return what the first asset raises after an answer of that outcome."""
    return dg.Failure(outcome.rule.sentence, metadata={"outcome": outcome.value}, allow_retries=False)


@contextmanager
def open_office(folder: Path, accounts: Sequence[str] = ("acme",), *, channels: bool = True) -> Iterator[Office]:
    """Open an office whose mail gets everything from warning up and whose webhook gets what is critical."""
    with ExitStack() as stack:
        mail, hook = stack.enter_context(smtp_server()), stack.enter_context(webhook())
        instance = stack.enter_context(dg.DagsterInstance.ephemeral())
        urls = f"{mail.url} critical={hook.url}" if channels else ""
        settings = Settings(
            root=folder,
            data_dir=folder / "data",
            start_date=None,
            published_group=None,
            accounts=tuple(account(name) for name in accounts),
            alert_urls=parse_alert_urls(urls),
            ui_url="http://127.0.0.1:3000/",
        )
        office = Office(settings, instance, mail, hook)
        office.workspace.prepare()
        yield office
