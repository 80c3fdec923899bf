"""Scenarios: what happens over hours and days, and exactly which messages arrive by mail and by webhook."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import pytest

from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline_tests.alerts.office import MONDAY, Office, failure_of, open_office


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with open_office(tmp_path) as office:
        yield office


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Office]:
    with open_office(tmp_path, ["acme", "bharat"]) as office:
        yield office


def test_a_key_that_expires_for_a_day_and_then_works(office: Office) -> None:
    for _ in range(8):  # the schedule's calls, every three hours, each in a run that fails
        office.call(Outcome.KEY_REJECTED)
        office.run(failure_of(Outcome.KEY_REJECTED))
        office.tick("run_failure_alerts")
        office.wait(hours=3)
    office.call(Outcome.NO_LEADS, days=7)
    office.run()
    office.wait(hours=24, every=240)

    assert office.mails == [
        "0.00 h [leads] CRITICAL: IndiaMART rejects the CRM key (acme)",
        "1.00 h [leads] STILL CRITICAL: IndiaMART rejects the CRM key (acme)",
        "5.00 h [leads] STILL CRITICAL: IndiaMART rejects the CRM key (acme)",
        "17.00 h [leads] STILL CRITICAL: IndiaMART rejects the CRM key (acme)",
        "24.00 h [leads] OVER: IndiaMART rejects the CRM key (acme)",
    ]
    assert office.hooks == office.mails
    assert office.open == []
    assert "The key of account acme: put ACME_CRM_KEY=... into .env." in office.mail.received[0].body
    assert "Held back since the last message: 4." in office.mail.received[3].body
    over = office.mail.received[4].body
    assert "ACME_CRM_KEY" not in over
    assert "It began 02 Nov 2026 10:00 IST and lasted 1 day, 8 times." in over
    assert "All its days that are past (2026-10-31 to 2026-11-02) are fetched and merged." in over


def test_forty_soft_refusals_from_another_tool_in_a_day(office: Office) -> None:
    for number in range(120):  # a backfill calls every 12 minutes, and every third call is refused
        refused = number % 3 == 0
        office.call(Outcome.RATE_LIMITED if refused else Outcome.NO_LEADS, tick=refused, stored=False)
        office.skip(minutes=12)
    office.put_week(date(2026, 10, 30))
    office.wait(hours=30)

    assert office.mails == [
        "1.20 h [leads] WARNING: Another tool uses the same key (acme)",
        "2.40 h [leads] STILL WARNING: Another tool uses the same key (acme)",
        "6.60 h [leads] STILL WARNING: Another tool uses the same key (acme)",
        "18.60 h [leads] STILL WARNING: Another tool uses the same key (acme)",
        "48.00 h [leads] OVER: Another tool uses the same key (acme)",
    ]
    assert office.hooks == []
    assert "Held back since the last message: 20." in office.mail.received[3].body
    assert "40 times" in office.mail.received[4].body


def test_three_server_errors_and_a_success_are_no_message(office: Office) -> None:
    for outcome in (*[Outcome.SERVER_ERROR] * 3, Outcome.LEADS):
        office.call(outcome)
        office.skip(minutes=5)
    office.run()
    office.tick_all()

    assert office.mails == office.hooks == []
    assert office.records == []


def test_an_api_that_is_down_for_two_days(office: Office) -> None:
    for number in range(8):  # every six hours a run tries five times and gives up
        for _ in range(5):
            office.call(Outcome.UNREACHABLE if number % 2 else Outcome.SERVER_ERROR)
            office.skip(minutes=5)
        office.run(failure_of(Outcome.SERVER_ERROR))
        office.tick("run_failure_alerts")
        office.wait(minutes=335, every=167.5)
    office.tick("silence_alerts")
    office.call(Outcome.NO_LEADS, days=7)
    office.tick_all()
    office.wait(hours=8, every=240)
    office.tick_all()

    assert office.mails == [
        "0.33 h [leads] WARNING: IndiaMART's API does not answer (acme)",
        "3.21 h [leads] STILL WARNING: IndiaMART's API does not answer (acme)",
        "9.21 h [leads] STILL WARNING: IndiaMART's API does not answer (acme)",
        "21.21 h [leads] STILL WARNING: IndiaMART's API does not answer (acme)",
        "45.21 h [leads] STILL WARNING: IndiaMART's API does not answer (acme)",
        "48.00 h [leads] OVER: IndiaMART's API does not answer (acme)",
    ]
    assert office.hooks == []
    assert "lasted 2 days, 40 times" in office.mail.received[5].body


def test_answers_that_are_web_pages(office: Office) -> None:
    for _ in range(5):
        office.call(Outcome.UNREADABLE)
        office.skip(minutes=5)
    run_id = office.run(failure_of(Outcome.UNREADABLE))
    office.tick("run_failure_alerts")
    office.call(Outcome.LEADS)
    office.wait(hours=1)

    assert office.mails == [
        "0.33 h [leads] WARNING: IndiaMART's answers are unreadable (acme)",
        "0.42 h [leads] OVER: IndiaMART's answers are unreadable (acme)",
    ]
    assert Outcome.UNREADABLE.rule.sentence in office.mail.received[0].body
    assert f"Run: http://127.0.0.1:3000/runs/{run_id}" in office.mail.received[1].body


def test_a_channel_that_is_down_for_an_hour_while_a_key_is_rejected(office: Office) -> None:
    office.mail.is_down = True
    office.call(Outcome.KEY_REJECTED)
    office.wait(minutes=8, every=1)
    office.wait(minutes=52, every=3.25)
    attempts, failed_ticks = office.mail.attempts, office.failed_ticks
    office.mail.is_down = False
    office.wait(hours=1.5, every=10)

    assert office.mails == [
        "1.17 h [leads] CRITICAL: IndiaMART rejects the CRM key (acme)",
        "2.17 h [leads] STILL CRITICAL: IndiaMART rejects the CRM key (acme)",
    ]
    assert office.hooks == [
        "0.00 h [leads] CRITICAL: IndiaMART rejects the CRM key (acme)",
        "1.00 h [leads] STILL CRITICAL: IndiaMART rejects the CRM key (acme)",
    ]
    assert attempts == failed_ticks == 7  # after 1, 2, 4, 8 minutes and then every 15


def test_sensors_that_were_off_for_a_week_send_one_digest(office: Office) -> None:
    office.call(Outcome.LEADS)
    office.tick_all()
    office.skip(hours=24)
    for _ in range(20):
        office.call(Outcome.SERVER_ERROR, tick=False)
        office.skip(hours=1)
    office.call(Outcome.LEADS, tick=False)
    office.skip(hours=48)
    for _ in range(4):
        office.call(Outcome.KEY_BLOCKED, tick=False)
        office.run(failure_of(Outcome.KEY_BLOCKED))
        office.skip(hours=1)
    office.call(Outcome.LEADS, tick=False)
    office.skip(hours=70)
    office.call(Outcome.KEY_REJECTED, tick=False)
    office.run(failure_of(Outcome.KEY_REJECTED))
    office.skip(hours=2)
    office.tick_all()
    office.wait(hours=0.5, every=10)

    assert office.mails == ["168.00 h [leads] 3 alerts at once: 1 going on, 2 over"]
    assert office.hooks == ["168.00 h [leads] 2 alerts at once: 1 going on, 1 over"]
    body = office.mail.received[0].body
    assert "Nobody looked after them from 02 Nov 2026 10:00 IST to 09 Nov 2026 10:00 IST." in body
    assert [line for line in body.splitlines() if line.startswith("*")] == [
        "* CRITICAL: IndiaMART rejects the CRM key (acme)",
        "* OVER ALREADY: IndiaMART blocked the key (acme)",
        "* OVER ALREADY: IndiaMART's API does not answer (acme)",
    ]


def test_two_accounts_that_fail_of_the_same_share_their_messages(two: Office) -> None:
    for _ in range(8):
        two.call(Outcome.UNREACHABLE, "acme")
        two.wait(minutes=3, every=3)
        two.call(Outcome.UNREACHABLE, "bharat")
        two.wait(minutes=2, every=2)
    two.call(Outcome.LEADS, "acme")
    two.wait(minutes=4, every=2)
    two.call(Outcome.NO_LEADS, "bharat")
    two.wait(hours=2)

    assert two.mails == [
        "0.38 h [leads] WARNING: IndiaMART's API does not answer (acme and bharat)",
        "0.73 h [leads] OVER: IndiaMART's API does not answer (acme and bharat)",
    ]
    body = two.mail.received[0].body
    assert body.index("Account acme:") < body.index("Account bharat:")
    assert body.count(Outcome.UNREACHABLE.rule.sentence) == 1


def test_one_accounts_recovery_leaves_the_others_trouble_open(two: Office) -> None:
    two.call(Outcome.KEY_REJECTED, "acme", tick=False)
    two.call(Outcome.KEY_REJECTED, "bharat")
    two.skip(minutes=6)
    two.call(Outcome.LEADS, "bharat")
    two.wait(minutes=40, every=10)

    assert two.mails == [
        "0.00 h [leads] CRITICAL: IndiaMART rejects the CRM key (acme and bharat)",
        "0.10 h [leads] OVER: IndiaMART rejects the CRM key (bharat)",
    ]
    assert two.open == ["acme key_rejected"]


def test_the_end_of_an_alert_waits_for_its_days_and_says_which_still_lack(office: Office) -> None:
    office.call(Outcome.KEY_REJECTED, days=5)
    office.skip(minutes=6)
    office.call(Outcome.NO_LEADS, days=2)
    office.wait(minutes=40, every=10)

    assert office.mails[1:] == ["0.60 h [leads] OVER: IndiaMART rejects the CRM key (acme)"]
    assert (
        "Of its days (2026-10-28 to 2026-11-01), 3 still lack, from 2026-10-28 to 2026-10-30"
        in office.mail.received[1].body
    )


def test_silence_is_told_at_three_days_and_louder_at_five(office: Office) -> None:
    office.call(Outcome.LEADS)
    office.put_week(MONDAY.date())  # no day lacks: that would be an alert of its own
    for hour in (71, 72, 73, 77, 89, 113, 119, 120, 121, 125, 144):
        office.now = MONDAY + timedelta(hours=hour)
        office.tick("silence_alerts")

    assert office.mails == [
        "72.00 h [leads] WARNING: No call has succeeded for days (acme)",
        "73.00 h [leads] STILL WARNING: No call has succeeded for days (acme)",
        "77.00 h [leads] STILL WARNING: No call has succeeded for days (acme)",
        "89.00 h [leads] STILL WARNING: No call has succeeded for days (acme)",
        "113.00 h [leads] STILL WARNING: No call has succeeded for days (acme)",
        "120.00 h [leads] NOW CRITICAL: No call has succeeded for days (acme)",
        "144.00 h [leads] STILL CRITICAL: No call has succeeded for days (acme)",
    ]
    assert office.hooks == [
        "120.00 h [leads] CRITICAL: No call has succeeded for days (acme)",
        "121.00 h [leads] STILL CRITICAL: No call has succeeded for days (acme)",
        "125.00 h [leads] STILL CRITICAL: No call has succeeded for days (acme)",
        "144.00 h [leads] STILL CRITICAL: No call has succeeded for days (acme)",
    ]
    assert "expires: in 2 days" in office.hook.received[0].body


def test_an_account_without_a_key_and_the_demo_are_left_in_silence(office: Office, tmp_path: Path) -> None:
    (acme,) = office.settings.accounts
    office.change(accounts=(replace(acme, key=""), replace(acme, name="demo")))
    office.call(Outcome.KEY_REJECTED, "demo")
    office.skip(hours=24 * 8)
    office.tick_all()

    assert office.mails == office.hooks == []
    assert office.open == ["demo key_rejected"]


def test_days_that_lack_for_over_a_day_are_one_alert_until_they_are_there(office: Office) -> None:
    office.call(Outcome.NO_LEADS, days=1)
    office.tick("silence_alerts")
    for hours in (24, 14, 1, 1):  # the day of the call ends after 14 hours, and lacks for a day 24 hours later
        office.skip(hours=hours)
        office.call(Outcome.AMBIGUOUS_EMPTY)
        office.tick("silence_alerts")
    office.call(Outcome.NO_LEADS, days=7)
    office.tick("silence_alerts")

    assert office.mails == [
        "38.00 h [leads] WARNING: Days are lacking (acme)",
        "39.00 h [leads] STILL WARNING: Days are lacking (acme)",
        "40.00 h [leads] OVER: Days are lacking (acme)",
    ]
    assert "1 past day lacks" in office.mail.received[0].body
    assert "`leads pull --account acme --from 2026-11-02 --to 2026-11-02`" in office.mail.received[0].body


def test_a_run_that_failed_of_something_else_is_told_once_and_over_with_the_next_that_succeeds(office: Office) -> None:
    for _ in range(3):
        office.run(ValueError("+919812345678 is no number"))
        office.tick("run_failure_alerts")
        office.skip(minutes=10)
    for job_name in ("replay", "report"):  # these say nothing of the account's pulls
        office.replay(job_name=job_name)
        office.tick("run_failure_alerts")
    assert office.open == ["acme run_failed"]
    office.run()
    office.tick("run_failure_alerts")

    assert office.mails == [
        "0.00 h [leads] WARNING: A run failed (acme)",
        "0.50 h [leads] OVER: A run failed (acme)",
    ]
    assert "The step raw_responses failed. It failed of ValueError." in office.mail.received[0].body
    assert "98123" not in str(office.mail.received)


def test_a_failed_replay_is_told_once_and_over_with_the_next_that_goes_through(two: Office) -> None:
    for _ in range(2):
        two.replay(dg.Failure("Raw responses are missing."))
        two.tick("run_failure_alerts")
        two.skip(minutes=10)
    for name in ("acme", "bharat"):
        two.run(account=name)  # that days can be pulled says nothing of the replay
        two.tick("run_failure_alerts")
    two.replay(account="bharat")
    two.tick("run_failure_alerts")
    two.skip(minutes=10)
    two.replay()
    two.tick("run_failure_alerts")

    assert two.mails == [
        "0.00 h [leads] WARNING: A replay failed (acme and bharat)",
        "0.33 h [leads] OVER: A replay failed (bharat)",
        "0.50 h [leads] OVER: A replay failed (acme)",
    ]
    assert "The step replay_raw_responses failed. Raw responses are missing." in two.mail.received[0].body


def test_a_run_that_dagster_starts_again_by_itself_is_not_told(office: Office) -> None:
    office.run(dg.Failure("The machine was restarted."), **{"dagster/will_retry": "true"})
    office.tick_all()
    assert office.records == []

    office.run(dg.Failure("The machine was restarted again."))
    office.tick_all()
    assert office.mails == ["0.00 h [leads] WARNING: A run failed (acme)"]


def test_without_channels_the_tick_and_the_ledger_say_what_is_wrong(tmp_path: Path) -> None:
    with open_office(tmp_path, channels=False) as office:
        office.call(Outcome.KEY_REJECTED, tick=False)
        said = office.tick()

        assert said == (
            "1 new call(s). No LEADS_ALERT_URLS are set: nobody is told. "
            "Open: IndiaMART rejects the CRM key (acme, critical, 1x)."
        )
        assert office.open == ["acme key_rejected"]


def test_few_leads_are_told_by_the_accounts_own_weeks(office: Office) -> None:
    for week in range(8):
        office.put_week(date(2026, 9, 7) + timedelta(weeks=week), leads=20)
    office.call(Outcome.LEADS, stored=False)
    office.put_leads("acme", date(2026, 11, 1), 2)
    office.tick("silence_alerts")
    office.put_leads("acme", date(2026, 11, 1), 20)  # they came late
    office.skip(hours=1)
    office.tick("silence_alerts")

    assert office.mails == [
        "0.00 h [leads] WARNING: Improbably few leads (acme)",
        "1.00 h [leads] OVER: Improbably few leads (acme)",
    ]
    assert "2 lead(s) came where the weeks before let expect about 20" in office.mail.received[0].body
