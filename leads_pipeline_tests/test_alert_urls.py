"""LEADS_ALERT_URLS: what its entries may look like, and that no text about them shows an address."""

import pytest

from leads_pipeline.alert_urls import parse_alert_urls
from leads_pipeline.indiamart.outcomes import AlertLevel

SECRET = "canary-Token-9f3A"


def test_entries_are_divided_by_spaces_and_line_ends() -> None:
    parsed = parse_alert_urls("mailto://a@example.org?to=b@example.org\n critical=json://host/x  acme=xml://host/")

    assert [(one.label, one.level, one.account, one.url) for one in parsed] == [
        ("1 (mailto)", AlertLevel.WARNING, None, "mailto://a@example.org?to=b@example.org"),
        ("2 (json)", AlertLevel.CRITICAL, None, "json://host/x"),
        ("3 (xml)", AlertLevel.WARNING, "acme", "xml://host/"),
    ]


def test_a_level_and_an_account_may_stand_together_in_any_order() -> None:
    parsed = parse_alert_urls("critical,acme=json://a/ bharat,info=json://b/")

    assert [(one.level, one.account) for one in parsed] == [
        (AlertLevel.CRITICAL, "acme"),
        (AlertLevel.INFO, "bharat"),
    ]


def test_nothing_set_is_no_channel() -> None:
    assert parse_alert_urls("  \n ") == ()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (f"json://host/ {SECRET}", "entry 2 is not of the form"),
        (f"critical={SECRET}", "entry 1 is not of the form"),
        (f"critical,info=json://{SECRET}/", "entry 1 has more than one level"),
        (f"acme,bharat=json://{SECRET}/", "more than one account"),
        (f"json://{SECRET}/ critical=json://{SECRET}/", "entry 2 repeats the address"),
    ],
)
def test_a_wrong_entry_is_named_by_its_place_alone(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        parse_alert_urls(text)

    assert SECRET not in str(caught.value)


def test_no_text_of_an_address_shows_it() -> None:
    assert SECRET not in repr(parse_alert_urls(f"json://{SECRET}/"))
