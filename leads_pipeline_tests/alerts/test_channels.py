"""Channels: messages arrive by mail and by webhook; a failure says why without a word of the address."""

import logging

import pytest

from leads_pipeline.alert_urls import parse_alert_urls
from leads_pipeline.alerts.channels import Channel, NotDeliveredError, open_channels
from leads_pipeline.alerts.due import Stage
from leads_pipeline.indiamart.outcomes import AlertLevel
from leads_pipeline.settings import SettingsError
from leads_pipeline_tests.alerts.post import PASSWORD, Mailbox, Received, smtp_server, webhook
from leads_pipeline_tests.support import closed_port_url, forms_found

ACCOUNTS = frozenset({"acme", "bharat"})


def channel_of(text: str) -> Channel:
    (channel,) = open_channels(parse_alert_urls(text), ACCOUNTS)
    return channel


def send(channel: Channel, body: str = "One line.\n\nAnother & <b>last</b> one.") -> None:
    channel.send("[leads] CRITICAL: a test", body, AlertLevel.CRITICAL, Stage.FIRST)


@pytest.mark.parametrize("server", [smtp_server, webhook])
def test_a_message_arrives_as_it_was_written(server: object) -> None:
    with server() as mailbox:  # type: ignore[operator]
        send(channel_of(mailbox.url))

        assert mailbox.received == [Received("[leads] CRITICAL: a test", "One line.\n\nAnother & <b>last</b> one.")]


@pytest.mark.parametrize("server", [smtp_server, webhook])
def test_a_failure_says_why_and_nothing_of_the_address(
    server: object, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    mailbox: Mailbox
    with server() as mailbox:  # type: ignore[operator]
        mailbox.is_down = True
        with pytest.raises(NotDeliveredError) as caught:
            send(channel_of(mailbox.url))

    printed = capfd.readouterr()
    everything = f"{caught.value}{caplog.text}{printed.out}{printed.err}{channel_of(mailbox.url)!r}"
    assert len(str(caught.value)) > 20
    assert forms_found(PASSWORD, everything) == set()


def test_nobody_listening_is_a_failure() -> None:
    with pytest.raises(NotDeliveredError):
        send(channel_of(closed_port_url().replace("http", "json")))


def test_an_address_that_cannot_be_used_is_refused_by_its_place_alone(capfd: pytest.CaptureFixture[str]) -> None:
    addresses = parse_alert_urls(f"json://127.0.0.1/ nonsense://{PASSWORD}@example.org")

    with pytest.raises(SettingsError) as caught:
        open_channels(addresses, ACCOUNTS)

    printed = capfd.readouterr()
    assert "LEADS_ALERT_URLS: entry 2 (nonsense) is no address that Apprise can use" in str(caught.value)
    assert forms_found(PASSWORD, f"{caught.value}{printed.out}{printed.err}") == set()


def test_an_account_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(SettingsError, match=r"entry 1 \(json\) names neither a level nor an account.*acme, bharat"):
        channel_of("akme=json://127.0.0.1/")


def test_a_channel_is_known_by_its_address_whatever_its_level() -> None:
    names = {channel_of(f"{prefix}json://127.0.0.1/{PASSWORD}").name for prefix in ("", "critical=", "acme=")}

    assert len(names) == 1
    assert names != {channel_of("json://127.0.0.1/other").name}
