"""The sensor of a destination, the runs that it asks for, and what alerts and other sensors make of those."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import NoReturn

import dagster as dg
import pytest

from leads_pipeline.alert_sensors import build_alert_sensors
from leads_pipeline.alerts.causes import State
from leads_pipeline.alerts.ledger import Ledger
from leads_pipeline.assets import deliveries
from leads_pipeline.assets.deliveries import STOP_LABEL, delivery_asset_key
from leads_pipeline.days import utc_now
from leads_pipeline.definitions import build_definitions
from leads_pipeline.delivery.crm import RowState
from leads_pipeline.delivery.delivery_log import DeliveryLog
from leads_pipeline.delivery.destination import Destination
from leads_pipeline.delivery.outbox import Outbox
from leads_pipeline.delivery.outbox_rows import DeliveryRun, DeliveryState
from leads_pipeline.delivery_sensors import DELIVERY_TAG, decide_delivery
from leads_pipeline.jobs import delivery_job_name, is_delivery, pull_job_name
from leads_pipeline.run_queue import RANGE_END_TAG, RANGE_START_TAG, days_in_progress
from leads_pipeline.settings import Settings
from leads_pipeline.stages import deliver_leads
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.storage.merge_journal import DayReplacement
from leads_pipeline.storage.parquet import LeadFiles
from leads_pipeline_tests.delivery.memory_crm import (
    NO_KEYS,
    Fault,
    MemoryCrm,
    destination,
)
from leads_pipeline_tests.queued_runs import queued_run, run_here
from leads_pipeline_tests.storage.lead_tables import DAY, day_after, leads_of
from leads_pipeline_tests.support import make_settings, make_workspace


@dataclass
class Office:
    """An installation with one destination, whose CRM is in memory."""

    settings: Settings
    instance: dg.DagsterInstance
    crm: MemoryCrm = field(default_factory=MemoryCrm)
    published: list[bool] = field(default_factory=list)
    """One entry for each time that the tables were."""

    @property
    def workspace(self) -> Workspace:
        return make_workspace(self.settings)

    @property
    def to(self) -> Destination:
        return self.settings.destinations[0]

    def job(self, name: str = "") -> dg.JobDefinition:
        definitions = build_definitions(self.settings)
        return definitions.resolve_job_def(name or delivery_job_name("acme", "crm"))

    def put(self, *days: date) -> None:
        """Write files of these days with one lead each, as a merge does."""
        replacement = DayReplacement(LeadFiles(self.settings.data_dir, "acme"))
        tables = {day: leads_of(day, [f"{day}"], account="acme", sender_email=f"{day}@mail.example") for day in days}
        replacement.replace(tables, {"merged": []})
        replacement.clear()

    def decide(self, now: datetime | None = None) -> dg.RunRequest | dg.SkipReason:
        return decide_delivery(self.instance, self.workspace, self.to, now or utc_now())

    def skipped(self, now: datetime | None = None) -> str:
        decision = self.decide(now)
        assert isinstance(decision, dg.SkipReason)
        return str(decision.skip_message)

    def requested(self, now: datetime | None = None) -> dg.RunRequest:
        decision = self.decide(now)
        assert isinstance(decision, dg.RunRequest)
        return decision

    def days(self, now: datetime | None = None) -> tuple[str, str]:
        tags = self.requested(now).tags
        return tags[RANGE_START_TAG], tags[RANGE_END_TAG]

    def run(self, request: dg.RunRequest | None = None) -> dg.ExecuteInProcessResult:
        return run_here(self.instance, self.job(), request or self.requested())

    def alerts(self) -> dict[str, State]:
        """Let the sensor of runs tick; return the state of each cause that there ever was."""
        sensors = {sensor.name: sensor for sensor in build_alert_sensors(self.workspace)}
        with dg.build_sensor_context(instance=self.instance, sensor_name="run_failure_alerts") as context:
            sensors["run_failure_alerts"].evaluate_tick(context)
        return {one.cause.kind_name: one.cause.state for one in Ledger(self.settings.state_dir).records()}


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    plain = make_settings(tmp_path, "http://127.0.0.1:9/", account="acme", start=DAY)
    with dg.DagsterInstance.ephemeral() as instance:
        office = Office(replace(plain, destinations=(destination(),)), instance)
        monkeypatch.setattr(deliver_leads, "build_crm", lambda *_: office.crm)
        monkeypatch.setattr(deliveries, "publish_tables", lambda *_: office.published.append(True))
        yield office


def test_destinations_whose_names_look_alike_have_jobs_and_sensors_of_their_own(office: Office) -> None:
    accounts = [make_settings(office.settings.root, "http://127.0.0.1:9/", account=name).accounts[0] for name in "ab"]
    accounts = [accounts[0], replace(accounts[1], name="a_b")]
    alike = (destination(account="a", name="b_c"), destination(account="a_b", name="c"))
    definitions = build_definitions(replace(office.settings, accounts=tuple(accounts), destinations=alike))
    names = [sensor.name for sensor in definitions.sensors or () if sensor.name.endswith("_deliveries")]
    assert len(set(names)) == 2
    assert definitions.get_repository_def().get_job("deliver_a__b_c").name == "deliver_a__b_c"


def test_nothing_is_requested_without_keys_or_leads(office: Office) -> None:
    assert office.skipped() == "Nothing is due."
    office.put(DAY)
    office.settings = replace(office.settings, destinations=(destination(secret_key=""),))
    assert office.skipped() == "The keys are not set (CRM_ID and CRM_SECRET)."


def test_the_days_that_are_due_are_requested_a_month_at_a_time(office: Office) -> None:
    office.put(day_after(2))
    assert office.days() == ("2026-03-03", "2026-03-03")
    office.put(DAY, day_after(30), day_after(31), day_after(60))
    assert office.days() == ("2026-03-01", "2026-03-31")
    assert office.requested().tags[DELIVERY_TAG] == "acme.crm"


def test_one_run_at_a_time_is_requested_and_no_pull_waits_for_it(office: Office) -> None:
    office.put(DAY)
    request = office.requested()
    run = queued_run(office.instance, office.job(), {**request.tags})
    assert is_delivery(run)
    assert office.skipped() == "A delivery is queued or running."
    assert days_in_progress(office.instance, "acme") == frozenset()

    days = {RANGE_START_TAG: DAY.isoformat(), RANGE_END_TAG: DAY.isoformat()}
    pull = queued_run(office.instance, office.job(pull_job_name("acme")), days)
    assert not is_delivery(pull)
    assert days_in_progress(office.instance, "acme") == {DAY}


def test_a_crm_that_stopped_a_run_is_left_alone_for_a_while(office: Office) -> None:
    office.put(DAY)
    now = utc_now()
    DeliveryLog(office.settings.state_dir).end_run(
        DeliveryRun("acme", "crm", "run", now, "bad_keys", NO_KEYS.reason, 0, 1, 0, 0)
    )
    assert office.skipped(now + timedelta(minutes=59)).startswith("Rests until ")
    assert office.skipped(now).endswith(NO_KEYS.reason)
    assert office.days(now + timedelta(hours=1)) == ("2026-03-01", "2026-03-01")


def test_a_requested_run_delivers_and_is_not_requested_again(office: Office) -> None:
    office.put(DAY, day_after(1))

    result = office.run()

    assert result.success
    assert office.instance.get_materialized_partitions(delivery_asset_key(office.to)) == {"2026-03-01", "2026-03-02"}
    assert len(office.crm.records) == 2
    assert office.published == [True]
    assert office.skipped() == "Nothing is due."


def test_a_stop_fails_the_run_with_its_kind_and_alerts_of_the_destination_alone(office: Office) -> None:
    office.put(DAY)
    office.crm.faults.append(Fault(0, NO_KEYS))

    result = office.run()

    assert not result.success
    (event,) = [event for event in result.all_events if event.is_step_failure]
    failure = event.step_failure_data.user_failure_data
    assert failure is not None
    assert failure.description == NO_KEYS.reason
    assert failure.metadata[STOP_LABEL].value == "bad_keys"
    assert office.published == [True]
    assert office.alerts() == {"delivery_keys": State.OPEN}

    assert office.run(office.requested(utc_now() + timedelta(hours=2))).success
    assert office.alerts() == {"delivery_keys": State.OPEN}, "nothing was tried: the lead waits for its next attempt"

    office.put(day_after(1))
    assert office.run(office.requested(utc_now() + timedelta(hours=2))).success
    assert office.alerts() == {"delivery_keys": State.RESOLVED}


def test_a_run_that_breaks_off_alerts_of_deliveries_until_one_goes_through(office: Office) -> None:
    office.put(DAY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(office.crm, "deliver", _broken)
        result = office.run()
    assert not result.success
    assert office.alerts() == {"delivery_failed": State.OPEN}

    office.crm = MemoryCrm()
    assert office.run().success
    assert office.alerts() == {"delivery_failed": State.RESOLVED}
    assert office.crm.looked_up == ["2026-03-01"]


def test_parked_leads_alert_people_until_they_go_out(office: Office) -> None:
    office.put(DAY)
    office.crm.answers["2026-03-01"].append(RowState.REJECTED)
    assert office.run().success
    assert office.alerts() == {"delivery_parked": State.OPEN}

    Outbox(office.settings.state_dir).try_again("acme", "crm", [DeliveryState.PARKED])
    assert office.run().success
    assert office.alerts() == {"delivery_parked": State.RESOLVED}


def _broken(*_: object) -> NoReturn:
    raise ZeroDivisionError
