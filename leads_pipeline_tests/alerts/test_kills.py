"""A daemon that is killed between an event and its message, or while sending: nothing is lost, and what may repeat."""

import multiprocessing
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from leads_pipeline.alerts.wording import REPEATED
from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline_tests.alerts.office import Office, failure_of, open_office

SUBJECT = "[leads] CRITICAL: IndiaMART rejects the CRM key (acme)"


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with open_office(tmp_path) as office:
        yield office


def killed_tick(office: Office, kill_at: str, sensor: str = "api_error_alerts") -> None:
    """Let the sensor tick in a process that is killed at that point."""

    def child() -> None:
        os.environ["LEADS_KILL_AT"] = kill_at
        office.restart()
        office.tick(sensor)

    process = multiprocessing.get_context("fork").Process(target=child, daemon=True)
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL


def test_killed_before_the_event_is_noted_it_is_taken_in_once(office: Office) -> None:
    office.call(Outcome.KEY_REJECTED, tick=False)
    killed_tick(office, "alerts:calls")
    office.restart()
    office.tick()
    office.tick()

    assert office.mail.subjects == office.hook.subjects == [SUBJECT]
    assert [record.cause.count for record in office.records] == [1]


def test_killed_between_event_and_message_it_arrives_once_and_says_that_it_may_be_a_repeat(office: Office) -> None:
    office.call(Outcome.KEY_REJECTED, tick=False)
    killed_tick(office, "alerts:intended")
    assert office.mail.subjects == []
    office.restart()
    for _ in range(3):
        office.tick()

    assert office.mail.subjects == office.hook.subjects == [SUBJECT]
    assert office.mail.received[0].body.startswith(REPEATED)
    assert not office.hook.received[0].body.startswith(REPEATED)


def test_killed_between_message_and_note_it_is_sent_once_more_and_says_so(office: Office) -> None:
    office.call(Outcome.KEY_REJECTED, tick=False)
    killed_tick(office, "alerts:sent")
    office.restart()
    for _ in range(3):
        office.tick()

    first, second = office.mail.received
    assert first.subject == second.subject == SUBJECT
    assert second.body == f"{REPEATED}\n\n{first.body}"
    assert office.hook.subjects == [SUBJECT]


def test_killed_after_one_channel_was_served_only_the_other_is(office: Office) -> None:
    office.call(Outcome.KEY_REJECTED, tick=False)
    killed_tick(office, "alerts:intended:2")
    assert office.mail.subjects == [SUBJECT]
    office.restart()
    office.tick()

    assert office.mail.subjects == office.hook.subjects == [SUBJECT]


def test_a_failed_run_that_is_read_again_counts_once(office: Office) -> None:
    office.run(failure_of(Outcome.TRUNCATED))
    for _ in range(3):
        office.restart()
        office.tick("run_failure_alerts")

    assert office.mail.subjects == ["[leads] WARNING: IndiaMART's answers are cut short (acme)"]
    assert [record.cause.count for record in office.records] == [1]


def test_a_call_log_that_was_lost_and_began_anew_is_read_from_its_start(office: Office) -> None:
    for _ in range(3):
        office.call(Outcome.LEADS)
        office.skip(minutes=6)
    for file in office.settings.state_dir.glob("calls.sqlite*"):
        file.unlink()
    office.call(Outcome.KEY_REJECTED)

    assert office.mail.subjects == [SUBJECT]
