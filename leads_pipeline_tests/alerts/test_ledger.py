"""The ledger of alerts forgets an account, and nothing else with it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from leads_pipeline.alert_urls import parse_alert_urls
from leads_pipeline.alerts.ledger import FILE_NAME, Ledger
from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline_tests.alerts.office import Office, open_office
from leads_pipeline_tests.alerts.post import Received
from leads_pipeline_tests.alerts.test_kills import killed_tick


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Office]:
    with open_office(tmp_path, ["acme", "bharat"]) as office:
        yield office


def rows_of(office: Office) -> str:
    """Return everything that the ledger's tables hold."""
    with closing(sqlite3.connect(office.settings.state_dir / FILE_NAME)) as connection:
        return "\n".join(line for line in connection.iterdump() if line.startswith("INSERT"))


def fail_both(office: Office) -> None:
    for name in ("acme", "bharat"):
        office.call(Outcome.KEY_REJECTED, name, tick=False)


def test_a_forgotten_account_is_nowhere_and_the_other_is_told_nothing_twice(two: Office) -> None:
    fail_both(two)
    two.tick_all()
    two.skip(minutes=30)
    two.call(Outcome.BAD_REQUEST, "bharat")
    kept = [record for record in two.records if record.cause.account == "acme"]
    assert "bharat" in rows_of(two)

    Ledger(two.settings.state_dir).forget("bharat")

    assert "bharat" not in rows_of(two)
    assert two.records == kept
    two.change(accounts=two.settings.accounts[:1])
    two.wait(minutes=20, every=10)
    assert two.mails == [
        "0.00 h [leads] CRITICAL: IndiaMART rejects the CRM key (acme and bharat)",
        "0.50 h [leads] CRITICAL: IndiaMART refuses the dates asked for (bharat)",
    ]


def test_a_message_that_was_not_sent_yet_is_made_anew_without_the_forgotten_account(two: Office) -> None:
    fail_both(two)
    killed_tick(two, "alerts:intended")

    Ledger(two.settings.state_dir).forget("bharat")
    two.restart()
    two.tick()

    assert two.mail.subjects == ["[leads] CRITICAL: IndiaMART rejects the CRM key (acme)"]
    assert "bharat" not in two.mail.received[0].body


def test_an_account_that_is_forgotten_while_its_message_is_on_the_way_troubles_nobody(two: Office) -> None:
    class Forgetting(list[Received]):
        def append(self, message: Received) -> None:
            super().append(message)
            Ledger(two.settings.state_dir).forget("bharat")

    two.change(alert_urls=parse_alert_urls(two.mail.url))
    two.mail.received = Forgetting()
    fail_both(two)
    two.tick()

    assert two.mail.subjects == ["[leads] CRITICAL: IndiaMART rejects the CRM key (acme and bharat)"]
    assert two.failed_ticks == 0
    assert "bharat" not in rows_of(two)


def test_forgetting_where_there_is_no_ledger_makes_none(tmp_path: Path) -> None:
    Ledger(tmp_path).forget("acme")

    assert [*tmp_path.iterdir()] == []
