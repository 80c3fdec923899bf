"""The whole path: real runs against the fake IndiaMART, the real sensors, real messages, and the table of alerts."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from leads_pipeline.alert_urls import parse_alert_urls
from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline.jobs import REPLAY_JOB
from leads_pipeline_tests.alerts.office import QUIET, Office, account, open_office
from leads_pipeline_tests.alerts.post import PASSWORD, Mailbox, smtp_server
from leads_pipeline_tests.assets.installations import ACME_KEY, WEEK, Installation, settings_of, strict_server
from leads_pipeline_tests.assets.installations import account as account_on
from leads_pipeline_tests.support import forms_found


@pytest.fixture
def mail() -> Iterator[Mailbox]:
    with smtp_server() as mailbox:
        yield mailbox


def look(installation: Installation) -> None:
    for name in ("api_error_alerts", "run_failure_alerts", "silence_alerts"):
        sensor = installation.definitions.get_sensor_def(name)
        with dg.build_sensor_context(instance=installation.instance, sensor_name=name) as context:
            sensor.evaluate_tick(context)


def test_a_rejected_key_is_one_alert_of_call_and_run_and_over_when_a_run_has_the_days(
    tmp_path: Path, mail: Mailbox
) -> None:
    with strict_server() as server, dg.DagsterInstance.ephemeral() as instance:
        settings = replace(settings_of(tmp_path, account_on(server)), alert_urls=parse_alert_urls(mail.url))
        acme = Installation(settings, instance)
        server.inject("key_expired")
        failed = acme.run(WEEK)
        look(acme)
        succeeded = acme.run(WEEK)
        look(acme)

    assert (failed.success, succeeded.success) == (False, True)
    assert mail.subjects == [
        "[leads] CRITICAL: IndiaMART rejects the CRM key (acme)",
        "[leads] OVER: IndiaMART rejects the CRM key (acme)",
    ]
    first, over = (message.body for message in mail.received)
    assert first.startswith(Outcome.KEY_REJECTED.rule.sentence)
    assert f"Run: {failed.run_id}" in first
    assert f"All its days that are past ({WEEK[0]} to" in over
    assert forms_found(ACME_KEY, first + over) == set()
    assert "expired" not in first.removeprefix(Outcome.KEY_REJECTED.rule.sentence)  # IndiaMART's own words
    with duckdb.connect(str(settings.database), read_only=True) as connection:
        rows = connection.execute(
            "SELECT account, cause, level, state, events, messages, first_day FROM alerts"
        ).fetchall()
    assert rows == [("acme", "key_rejected", "critical", "open", 1, 1, WEEK[0])]  # as of the run that published it


def test_a_run_that_dies_with_its_process_is_told(tmp_path: Path, mail: Mailbox) -> None:
    with strict_server() as server, dg.DagsterInstance.ephemeral() as instance:
        settings = replace(settings_of(tmp_path, account_on(server)), alert_urls=parse_alert_urls(mail.url))
        acme = Installation(settings, instance)
        run = instance.create_run_for_job(
            acme.definitions.resolve_job_def("pull_acme"), tags={"dagster/partition": WEEK[0].isoformat()}
        )
        instance.report_run_failed(run, "The process is gone.")
        look(acme)

    assert mail.subjects == ["[leads] WARNING: A run failed (acme)"]
    assert "process ended without finishing it" in mail.received[0].body
    assert f"Days: {WEEK[0]}." in mail.received[0].body


def test_a_replay_without_its_raw_responses_is_told_and_over_once_they_are_back(tmp_path: Path, mail: Mailbox) -> None:
    with strict_server() as server, dg.DagsterInstance.ephemeral() as instance:
        settings = replace(settings_of(tmp_path, account_on(server)), alert_urls=parse_alert_urls(mail.url))
        acme = Installation(settings, instance)
        acme.run(WEEK)
        (body,) = (settings.data_dir / "raw").rglob("*.zst")
        job = acme.definitions.resolve_job_def(REPLAY_JOB)
        config = {"ops": {"replay_raw_responses": {"config": {"check": True}}}, **QUIET}
        bytes_of_it = body.read_bytes()
        body.unlink()
        failed = job.execute_in_process(instance=instance, raise_on_error=False, run_config=config)
        look(acme)
        body.write_bytes(bytes_of_it)
        succeeded = job.execute_in_process(instance=instance, raise_on_error=False, run_config=config)
        look(acme)

    assert (failed.success, succeeded.success) == (False, True)
    assert mail.subjects == ["[leads] WARNING: A replay failed (acme)", "[leads] OVER: A replay failed (acme)"]
    assert "missing" in mail.received[0].body
    assert f"Run: {failed.run_id}" in mail.received[0].body


def files_with(secret: str, where: Path) -> list[Path]:
    """Return the files, of the folder or the file itself, that hold the secret in any form."""
    files = [path for path in (where, *where.rglob("*")) if path.is_file()]
    return [path for path in files if forms_found(secret, path.read_bytes().decode("latin-1"))]


def test_neither_key_nor_password_nor_indiamarts_words_are_in_messages_ticks_or_files(tmp_path: Path) -> None:
    with open_office(tmp_path) as office:
        said = []
        for outcome in Outcome:
            for _ in range(5):
                office.call(outcome, tick=False, stored=False)
                office.skip(minutes=6)
            said.append(office.tick())
        office.mail.is_down = office.hook.is_down = True
        office.call(Outcome.KEY_REJECTED)
        office.skip(hours=2)
        said.append(office.tick())
        texts = f"{office.mail.received}{office.hook.received}{said}{office.records}"
        assert len(office.mail.received) > 5
        for secret in (account("acme").key, PASSWORD, "98123"):
            assert forms_found(secret, texts) == set()
        assert files_with(PASSWORD, office.settings.data_dir) == []
        for file in office.settings.state_dir.glob("alerts*"):
            assert file.stat().st_mode & 0o777 == 0o600
            assert not [secret for secret in (account("acme").key, "98123") if files_with(secret, file)]


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with open_office(tmp_path) as office:
        yield office


def test_a_channel_that_is_new_is_told_of_what_is_open_and_not_of_what_is_over(office: Office) -> None:
    office.change(alert_urls=parse_alert_urls(office.mail.url))
    office.call(Outcome.KEY_REJECTED)
    office.skip(minutes=6)
    office.call(Outcome.LEADS, days=7)
    office.skip(minutes=6)
    office.call(Outcome.BAD_REQUEST)
    office.change(alert_urls=parse_alert_urls(f"{office.mail.url} {office.hook.url}"))
    office.skip(minutes=6)
    office.tick()

    assert office.hook.subjects == ["[leads] CRITICAL: IndiaMART refuses the dates asked for (acme)"]
    assert len(office.mail.subjects) == 3


def test_a_channel_of_one_account_is_told_of_no_other(tmp_path: Path) -> None:
    with open_office(tmp_path, ["acme", "bharat"]) as office:
        office.change(alert_urls=parse_alert_urls(f"bharat={office.mail.url} info,acme={office.hook.url}"))
        office.call(Outcome.KEY_REJECTED, "acme")
        office.call(Outcome.KEY_REJECTED, "bharat")
        office.call(Outcome.NOT_YET_AVAILABLE, "acme", days=3)

        assert office.mail.subjects == ["[leads] CRITICAL: IndiaMART rejects the CRM key (bharat)"]
        assert office.hook.subjects == [
            "[leads] CRITICAL: IndiaMART rejects the CRM key (acme)",
            "[leads] INFO: Older leads are not available yet (acme)",
        ]


def test_accounts_that_have_the_same_address_of_their_own_are_each_told_there_once(tmp_path: Path) -> None:
    with open_office(tmp_path, ["acme", "bharat"]) as office:
        (address,) = parse_alert_urls(office.mail.url)
        own = [replace(address, account=name, setting=f"{name.upper()}_ALERT_URLS") for name in ("acme", "bharat")]
        office.change(alert_urls=tuple(own))
        office.call(Outcome.KEY_REJECTED, "acme")
        office.call(Outcome.KEY_REJECTED, "bharat")
        office.tick()

        assert sorted(office.mail.subjects) == [
            "[leads] CRITICAL: IndiaMART rejects the CRM key (acme)",
            "[leads] CRITICAL: IndiaMART rejects the CRM key (bharat)",
        ]


def test_an_account_that_left_the_settings_leaves_nothing_open(office: Office) -> None:
    office.call(Outcome.KEY_REJECTED)
    (acme,) = office.settings.accounts
    office.change(accounts=(replace(acme, name="bharat"),))
    office.skip(hours=30)
    office.tick_all()

    assert office.open == []
    assert office.mail.subjects == ["[leads] CRITICAL: IndiaMART rejects the CRM key (acme)"]
