"""`leads accounts` and `leads accounts check`: what is told of many accounts, and one call with each key."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from leads_pipeline.cli.errors import FAILED, NEEDS_A_PERSON, TOO_EARLY, USAGE
from leads_pipeline.days import ONE_DAY, day_of, utc_now
from leads_pipeline.fake_indiamart.faults import FaultName
from leads_pipeline.fake_indiamart.server import FakeIndiaMart
from leads_pipeline.indiamart.call_slot import Claim, Granted, SlotTimes, key_fingerprint
from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline_tests.accounts_files import ACME_KEY, BETA_KEY, BETA_V1_KEY, MOBILE, write_private
from leads_pipeline_tests.cli.installation import KEY, Installation
from leads_pipeline_tests.support import forms_found

INTERVAL = 0.05


@pytest.fixture(scope="module")
def shared_server() -> Iterator[FakeIndiaMart]:
    keys = {BETA_V1_KEY: BETA_KEY}
    with FakeIndiaMart(keys=(ACME_KEY, BETA_KEY), v1_keys=keys, mobile=MOBILE, interval_seconds=INTERVAL) as server:
        yield server


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch, installation: Installation) -> None:
    monkeypatch.setenv("COLUMNS", "300")


@pytest.fixture
def server(shared_server: FakeIndiaMart) -> FakeIndiaMart:
    shared_server.clear_faults()
    return shared_server


@pytest.fixture
def two(installation: Installation, server: FakeIndiaMart) -> Installation:
    """Account acme with a key for v2, and beta with one for each version."""
    (installation.root / "accounts.toml").write_text(
        f'[accounts.acme]\nkey_env = "ACME_KEY"\napi_url = "{server.url}"\nlead_source = "Acme"\n'
        f"call_interval_seconds = {INTERVAL}\n\n"
        f'[accounts.beta]\nkey_file = "beta.key"\napi_url = "{server.url}"\ncall_interval_seconds = {INTERVAL}\n'
        f'schedules_on = true\ndaily_at = "01:30"\n\n'
        f'[accounts.beta.v1]\nkey_env = "BETA_V1_KEY"\napi_url = "{server.v1_url}"\nmobile = "{MOBILE}"\n'
    )
    write_private(installation.root / "beta.key", BETA_KEY)
    write_private(installation.root / ".env", f"ACME_KEY={ACME_KEY}\nBETA_V1_KEY={BETA_V1_KEY}\n")
    return installation


def facts(installation: Installation) -> dict[str, dict[str, Any]]:
    printed = installation.leads("accounts", "--json")
    assert printed.code == 0, printed.err
    return {account["account"]: account for account in json.loads(printed.out)["accounts"]}


def test_accounts_are_listed_before_anything_was_asked(two: Installation) -> None:
    acme, beta = facts(two).values()

    assert [version["api_version"] for version in beta["versions"]] == ["v2", "v1"]
    assert [version["key_place"] for version in beta["versions"]] == [str(two.root / "beta.key"), "BETA_V1_KEY"]
    assert (acme["lead_source"], acme["coverage"], acme["versions"][0]["key_dies_unused_at"]) == ("Acme", None, None)
    assert beta["schedules"] == {"on": True, "daily_at": "01:30", "intraday_minutes": 180, "lookback_days": 1}
    printed = two.leads("accounts")
    assert not two.data_dir.exists()
    assert not [key for key in (ACME_KEY, BETA_KEY, BETA_V1_KEY) if forms_found(key, printed.out)]
    assert "01:30" in printed.text


def test_the_age_of_a_key_and_the_days_are_those_of_the_calls_here(installation: Installation) -> None:
    installation.set_key()
    last = day_of(utc_now()) - ONE_DAY
    installation.answered(last - 3 * ONE_DAY, last - ONE_DAY, interval=0.001)
    installation.answered(last, last, Outcome.SERVER_ERROR, interval=0.001)

    (account,) = facts(installation).values()
    (version,) = account["versions"]

    assert version["last_good_call"]["outcome"] == "leads"
    assert version["key_first_used_at"] == version["last_good_call"]["sent_at"]
    unused_until = utc_now() - 7 * ONE_DAY
    assert version["key_dies_unused_at"] > unused_until.isoformat()
    assert (account["coverage"]["complete"], account["coverage"]["missing"]) == (3, 1)
    assert "3 of 4 " in installation.leads("accounts").text


def test_a_key_that_was_refused_says_so_until_another_takes_its_place(installation: Installation) -> None:
    installation.set_key()
    last = day_of(utc_now()) - ONE_DAY
    installation.answered(last, last, Outcome.KEY_REJECTED, interval=0.001)
    assert "refused: key_rejected" in installation.leads("accounts").text

    installation.set_key(f"new{KEY}")
    (account,) = facts(installation).values()
    assert account["versions"][0]["key_refused"] is None


def test_a_check_asks_once_with_each_key_and_stores_the_answers(two: Installation, server: FakeIndiaMart) -> None:
    before = len(server.calls)

    printed = two.leads("accounts", "check", "beta", "--wait")

    assert printed.code == 0, printed.err
    assert [line.split(":")[0] for line in printed.out.splitlines() if "stored as" in line] == [
        "beta (v2)",
        "beta (v1)",
    ]
    assert len(server.calls) - before == 2
    stored = [two.workspace.raw.read_sidecar(name) for name in two.workspace.raw.response_ids("beta")]
    assert [(answer.source_api, answer.outcome.rule.is_success) for answer in stored if answer] == [
        ("v1", True),
        ("v2", True),
    ]
    assert facts(two)["acme"]["versions"][0]["last_good_call"] is None


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        (FaultName.KEY_INCORRECT, NEEDS_A_PERSON, "Who must act: the seller."),
        (FaultName.HTTP_500, FAILED, "Who must act: nobody."),
    ],
)
def test_a_check_says_what_failed_and_who_acts_and_asks_no_second_time(
    two: Installation, server: FakeIndiaMart, fault: FaultName, code: int, words: str
) -> None:
    server.inject(fault)
    before = len(server.calls)

    printed = two.leads("accounts", "check", "acme")

    assert (printed.code, len(server.calls) - before) == (code, 1)
    assert words in printed.text


def test_a_check_does_not_wait_for_a_slot_that_is_long_closed(two: Installation, server: FakeIndiaMart) -> None:
    slots, before = two.workspace.slots, len(server.calls)
    granted = slots.request(Claim(key_fingerprint(ACME_KEY), "another", SlotTimes(310.0, 60.0, 930.0)))
    assert isinstance(granted, Granted)
    two.monkeypatch.setattr("leads_pipeline.cli.account_check._SHORT_WAIT", 0.2)

    printed = two.leads("accounts", "check", "acme")

    assert printed.code == TOO_EARLY
    assert "nothing was asked, the next call may be made at" in printed.text
    assert len(server.calls) == before
    assert slots.state(key_fingerprint(ACME_KEY)).queue == ()


def test_a_check_without_a_key_says_where_it_goes(two: Installation) -> None:
    (two.root / "beta.key").unlink()

    printed = two.leads("accounts", "check", "beta", "--wait")

    assert printed.code == NEEDS_A_PERSON
    assert f"Put the key into the file {two.root / 'beta.key'}." in printed.text
    assert "beta (v1): IndiaMART answered" in printed.text


def test_an_account_that_is_not_there_is_named_with_those_that_are(two: Installation) -> None:
    printed = two.leads("accounts", "check", "gamma")

    assert (printed.code, printed.err.strip()) == (USAGE, "There is no account 'gamma'. Accounts: acme, beta.")


def test_listing_loads_neither_dagster_nor_the_tables() -> None:
    code = (
        "import sys, leads_pipeline.cli.accounts\n"
        "assert not {'dagster', 'pyarrow', 'pandas', 'duckdb', 'requests'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
