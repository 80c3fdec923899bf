"""`leads alerts test` and `leads alerts list`, and what they say when nothing is set."""

import json
from datetime import timedelta

import pytest

from leads_pipeline.alerts.events import Finding, heed_findings
from leads_pipeline.alerts.ledger import Ledger
from leads_pipeline.days import utc_now
from leads_pipeline.indiamart.outcomes import AlertLevel
from leads_pipeline_tests.alerts.post import PASSWORD, smtp_server, webhook
from leads_pipeline_tests.cli.installation import Installation
from leads_pipeline_tests.support import forms_found


def set_urls(installation: Installation, urls: str) -> None:
    installation.monkeypatch.setenv("LEADS_ALERT_URLS", urls)


def test_a_test_message_reaches_every_channel(installation: Installation) -> None:
    installation.monkeypatch.setenv("LEADS_UI_URL", "http://ui.example.org:3000")
    with smtp_server() as mail, webhook() as hook:
        set_urls(installation, f"{mail.url} critical={hook.url}")
        printed = installation.leads("alerts", "test")

        assert (printed.code, printed.out) == (0, "1 (mailto): delivered\n2 (json): delivered\n")
        assert mail.subjects == hook.subjects == ["[leads] Test of the alerts"]
        assert "all accounts from level critical up" in hook.received[0].body
        assert "http://ui.example.org:3000" in mail.received[0].body


def test_a_channel_that_takes_nothing_is_named_without_its_address(installation: Installation) -> None:
    with smtp_server() as mail, webhook() as hook:
        hook.is_down = True
        set_urls(installation, f"{mail.url} {hook.url}")
        printed = installation.leads("alerts", "test", "--json")

        told = json.loads(printed.out)
        assert printed.code == 1
        assert [one["delivered"] for one in told] == [True, False]
        assert told[1]["channel"] == "2 (json)"
        assert "503" in told[1]["problem"]
        assert forms_found(PASSWORD, printed.out + printed.err) == set()


def test_without_channels_the_test_says_how_to_set_one(installation: Installation) -> None:
    printed = installation.leads("alerts", "test")

    assert printed.code == 1
    assert "LEADS_ALERT_URLS" in printed.err


@pytest.mark.parametrize("urls", [f"{PASSWORD}", f"critical=nonsense://{PASSWORD}/", f"acme=json://{PASSWORD}/"])
def test_an_address_that_cannot_be_used_is_a_usage_error_without_the_address(
    installation: Installation, urls: str
) -> None:
    set_urls(installation, urls)
    printed = installation.leads("alerts", "test")

    assert printed.code == 2
    assert "LEADS_ALERT_URLS: entry 1" in printed.err
    assert forms_found(PASSWORD, printed.out + printed.err) == set()


def test_nothing_open_is_said_and_makes_no_file(installation: Installation) -> None:
    printed = installation.leads("alerts", "list")

    assert printed.code == 0
    assert "Nothing is wrong now" in printed.out
    assert not (installation.state_dir / "alerts.sqlite").exists()


def test_open_alerts_are_listed_and_those_that_are_over_on_request(installation: Installation) -> None:
    now = utc_now()
    installation.workspace.prepare()
    gap = Finding("coverage_gap", AlertLevel.WARNING, "3 past days lack.", now - timedelta(hours=2))
    silence = Finding("no_success", AlertLevel.CRITICAL, "No call has succeeded.", now - timedelta(days=6))
    for findings in ([gap, silence], [silence]):
        with Ledger(installation.state_dir).page() as page:
            heed_findings(page.book, "indiamart", findings, now)

    shown = installation.leads("alerts", "list")
    everything = json.loads(installation.leads("alerts", "list", "--all", "--json").out)

    assert "No call has succeeded" in shown.text
    assert "3 past days lack" not in shown.text
    assert [(one["cause"], one["state"], one["messages"]) for one in everything] == [
        ("coverage_gap", "resolved", 0),
        ("no_success", "open", 0),
    ]
