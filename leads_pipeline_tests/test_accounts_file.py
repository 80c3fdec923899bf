"""The accounts file: what it says of each account, and what it refuses, with lines and never with a secret."""

import os
from datetime import date, time
from pathlib import Path

import pytest

from leads_pipeline.indiamart import v1, v2
from leads_pipeline.settings import Account, SettingsError, load_settings
from leads_pipeline.settings.toml_lines import KeyLines
from leads_pipeline_tests.accounts_files import (
    ACME_KEY,
    BETA_KEY,
    BETA_V1_KEY,
    FULL,
    MOBILE,
    write_full,
    write_many,
    write_private,
)
from leads_pipeline_tests.support import KEY, forms_found

SECRETS = (ACME_KEY, BETA_KEY, BETA_V1_KEY, KEY)


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("LEADS_", "INDIAMART_", "ACME_", "BETA_")):
            monkeypatch.delenv(name)


def refusal(root: Path) -> list[str]:
    """Return the lines of the text that the settings are refused with, the first one apart."""
    with pytest.raises(SettingsError) as caught:
        load_settings(root)
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    assert not [secret for secret in SECRETS if forms_found(secret, str(caught.value))]
    return [line.strip() for line in str(caught.value).splitlines()[1:]]


def refused(root: Path, text: str) -> list[str]:
    (root / "accounts.toml").write_text(text)
    return refusal(root)


def test_every_field_is_read(tmp_path: Path) -> None:
    write_full(tmp_path)

    acme, _ = load_settings(tmp_path).accounts

    assert acme == Account(
        name="acme",
        api_url="http://127.0.0.1:9/acme/",
        key=ACME_KEY,
        call_interval_seconds=2.5,
        block_seconds=7,
        timeout_seconds=5,
        origin="http://127.0.0.1:9",
        start=date(2026, 4, 1),
        key_env="ACME_CRM_KEY",
        daily_at=time(1, 5),
        intraday_minutes=60,
        lookback_days=3,
        schedules_on=True,
        lead_source="IndiaMART Acme",
        default_country="AE",
    )


def test_an_account_may_have_a_key_in_a_file_and_access_to_the_other_version(tmp_path: Path) -> None:
    write_full(tmp_path)

    beta = load_settings(tmp_path).account("beta")
    other = beta.other_version

    assert other is not None
    assert (beta.key, beta.api_version, beta.api_url, beta.mobile) == (BETA_KEY, "v2", v2.DEFAULT_URL, "")
    assert (other.key, other.api_version, other.api_url, other.mobile) == (BETA_V1_KEY, "v1", v1.DEFAULT_URL, MOBILE)
    assert (other.name, other.other_version, beta.versions) == ("beta", None, (beta, other))
    assert beta.key_hint == f"the key into the file {tmp_path / 'secrets' / 'beta.key'}"
    assert other.key_hint == "BETA_V1_KEY=... into .env"
    assert not [secret for secret in (*SECRETS, MOBILE) if forms_found(secret, repr(load_settings(tmp_path)))]


def test_the_country_of_phone_numbers_is_the_accounts_and_india_for_one_that_is_gone(tmp_path: Path) -> None:
    write_full(tmp_path)

    settings = load_settings(tmp_path)

    assert [settings.default_country(name) for name in ("acme", "beta", "gone")] == ["AE", "IN", "IN"]


def test_what_an_account_leaves_out_is_as_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {
        "INDIAMART_CALL_INTERVAL_SECONDS": "400",
        "INDIAMART_BLOCK_SECONDS": "1000",
        "INDIAMART_TIMEOUT_SECONDS": "9",
        "LEADS_INTRADAY_MINUTES": "90",
        "LEADS_LOOKBACK_DAYS": "2",
        "LEADS_SCHEDULES_ON": "true",
        "INDIAMART_API_URL": "http://127.0.0.1:9/default/",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    write_full(tmp_path)

    beta = load_settings(tmp_path).account("beta")

    assert (beta.call_interval_seconds, beta.block_seconds, beta.timeout_seconds) == (400, 1000, 9)
    assert (beta.intraday_minutes, beta.lookback_days, beta.schedules_on) == (90, 2, True)
    assert (beta.daily_at, beta.default_country, beta.lead_source, beta.start) == (time(0, 20), "IN", "", None)
    assert beta.api_url == v2.DEFAULT_URL  # another address is that of the default account alone


def test_the_default_account_is_one_more_if_its_key_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_full(tmp_path)
    assert [account.name for account in load_settings(tmp_path).accounts] == ["acme", "beta"]

    monkeypatch.setenv("INDIAMART_CRM_KEY", KEY)
    assert [account.name for account in load_settings(tmp_path).accounts] == ["indiamart", "acme", "beta"]


def test_two_accounts_of_the_default_name_are_refused_unless_they_are_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INDIAMART_CRM_KEY", KEY)

    (problem,) = refused(tmp_path, '\n[accounts.indiamart]\nkey_env = "OTHER_KEY"\n')
    assert problem.startswith("accounts.toml:2: accounts.indiamart: INDIAMART_CRM_KEY is set too")

    (tmp_path / "accounts.toml").write_text('[accounts.indiamart]\nkey_env = "INDIAMART_CRM_KEY"\nlookback_days = 4\n')
    (account,) = load_settings(tmp_path).accounts
    assert (account.key, account.lookback_days) == (KEY, 4)


def test_a_key_that_is_not_set_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "accounts.toml").write_text(FULL.replace('alert_urls_env = "ACME_ALERT_URLS"\n', ""))

    settings = load_settings(tmp_path)

    assert [access.has_key for account in settings.accounts for access in account.versions] == [False] * 3
    assert settings.file_variables == {"ACME_CRM_KEY", "BETA_V1_KEY", "BETA_MOBILE"}


def test_addresses_of_an_account_get_its_alerts_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEADS_ALERT_URLS", "json://127.0.0.1:9/all")
    write_full(tmp_path)

    everybody, own = load_settings(tmp_path).alert_urls

    assert (everybody.account, everybody.setting) == (None, "LEADS_ALERT_URLS")
    assert (own.account, own.setting, own.level.value) == ("acme", "ACME_ALERT_URLS", "critical")
    assert own.url == "json://127.0.0.1:9/acme"


def test_the_file_is_read_anew_each_time(tmp_path: Path) -> None:
    path = write_full(tmp_path)
    load_settings(tmp_path)
    path.write_text(path.read_text() + '[accounts.gamma]\nkey_env = "GAMMA_KEY"\n')

    assert [account.name for account in load_settings(tmp_path).accounts] == ["acme", "beta", "gamma"]


def test_another_file_is_read_if_one_is_set_and_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEADS_ACCOUNTS_FILE", "elsewhere/sellers.toml")
    with pytest.raises(
        SettingsError, match=r"LEADS_ACCOUNTS_FILE is elsewhere/sellers.toml, but there is no such file"
    ):
        load_settings(tmp_path)

    write_private(tmp_path / "elsewhere" / "sellers.toml", '[accounts.acme]\nkey_file = "acme.key"\n')
    write_private(tmp_path / "elsewhere" / "acme.key", ACME_KEY)
    (account,) = load_settings(tmp_path).accounts
    assert account.key == ACME_KEY


@pytest.mark.parametrize(
    "header", ["[accounts.acme]", '[ accounts . "acme" ]', "accounts.acme.start = 2026-01-01\n[accounts.acme]"]
)
def test_lines_are_found_however_tables_are_written(header: str) -> None:
    before = (
        '# [accounts.acme] x = 1\nnote = """\n[accounts.acme]\nkey_env = 1\n"""\nlist = [\n  "a = 1",\n  ["b"]\n]\n'
    )
    text = f'{before}{header}\n\nkey_env = "A"\n'
    lines = KeyLines(text)

    at = len(text.splitlines())
    assert (lines.of("accounts", "acme", "key_env"), lines.of("accounts", "acme", "other")) == (
        at,
        at - 2 - header.count("\n"),
    )
    assert (lines.of("note"), lines.of("list"), lines.of("nothing")) == (2, 6, 1)


ACME = '[accounts.acme]\nkey_env = "ACME_CRM_KEY"\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f'{ACME}lookback = 3\n', "3: accounts.acme.lookback: unknown; did you mean lookback_days?"),
        (f'{ACME}colour = "red"\n', "3: accounts.acme.colour: unknown; known are alert_urls_env,"),
        (f'{ACME}key = "{KEY}"\n', "3: accounts.acme.key: a key never stands in this file: write key_env ="),
        (f'{ACME}alert_urls = "json://x"\n', "3: accounts.acme.alert_urls: addresses hold passwords"),
        (f'[accounts.acme]\nkey_env = "{KEY}"\n', "2: accounts.acme.key_env: expected the name of an"),
        ('[accounts.acme]\nkey_env = "Mixed_Case"\n', "2: accounts.acme.key_env: expected the name of an"),
        ('[accounts.acme]\nstart = 2026-01-01\n', "1: accounts.acme: expected key_env or key_file"),
        (f'{ACME}key_file = "acme.key"\n', "1: accounts.acme: expected key_env or key_file, one of them"),
        (f'{ACME}start = "2026-04-01"\n', "3: accounts.acme.start: expected a day without quotation marks"),
        (f'{ACME}start = 2026-04-01 00:00:00\n', "3: accounts.acme.start: expected a day without"),
        (f'{ACME}\nstart = 2999-01-01\n', "4: accounts.acme.start: 2999-01-01 is still to come"),
        (f'{ACME}daily_at = "24:00"\n', "3: accounts.acme.daily_at: expected a time in India"),
        (f'{ACME}intraday_minutes = 5\n', "3: accounts.acme.intraday_minutes: 5, but calls are at least 310 seconds"),
        (f'{ACME}lookback_days = 7\n', "3: accounts.acme.lookback_days: Input should be less than 7"),
        (f'{ACME}schedules_on = "yes"\n', "3: accounts.acme.schedules_on: Input should be a valid boolean"),
        (f'{ACME}default_country = "India"\n', "3: accounts.acme.default_country: expected a country as two capitals"),
        (f'{ACME}call_interval_seconds = 20\n', "3: accounts.acme.call_interval_seconds: 20 seconds, but IndiaMART"),
        (f'{ACME}api_url = "mapi.indiamart.com"\n', "3: accounts.acme.api_url: expected an address such as"),
        (f'{ACME}api_version = "v3"\n', "3: accounts.acme.api_version: Input should be 'v2' or 'v1'"),
        (f'{ACME}api_version = "v1"\n', "1: accounts.acme.mobile: v1 wants the mobile number"),
        (f'{ACME}mobile = "{MOBILE}"\n', "3: accounts.acme.mobile: v2 takes no mobile number"),
        (f'{ACME}mobile = "12"\n', "3: accounts.acme.mobile: expected the mobile number"),
        (f'{ACME}[accounts.acme.v2]\nkey_env = "A"\n', "3: accounts.acme.v2: the account itself is for v2 already"),
        (f'{ACME}[accounts.acme.v1]\nkey_env = "A"\n', "3: accounts.acme.v1.mobile: v1 wants the mobile number"),
        (f'{ACME}[accounts.acme.v1]\nkey_env = "A"\nstart = 2026-01-01\n', "5: accounts.acme.v1.start: unknown;"),
        (f'{ACME}alert_urls_env = "NOT_SET"\n', "3: accounts.acme.alert_urls_env: NOT_SET is empty or not there"),
        (f'{ACME}[accounts.b]\nkey_env = "ACME_CRM_KEY"\n', "4: accounts.b.key_env: accounts.acme has its key"),
        ('[accounts.Acme]\nkey_env = "A"\n', "1: accounts.Acme: a name is at most 32 of a-z, 0-9 and single _"),
        ('\n[accounts."a b"]\nkey_env = "A"\n', "2: accounts.a b: a name is at most 32"),
        ('[accounts.a__b]\nkey_env = "A"\n', "1: accounts.a__b: a name is at most 32"),
        (f'[accounts.{"a" * 33}]\nkey_env = "A"\n', f"1: accounts.{'a' * 33}: a name is at most 32"),
        ('[accounts.demo]\nkey_env = "A"\n', "1: accounts.demo: this name means something else already"),
        ('[accounts.critical]\nkey_env = "A"\n', "1: accounts.critical: this name means something else already"),
        (f'{ACME}\n[account.b]\nkey_env = "A"\n', "4: account: unknown; the file has tables [accounts.NAME]"),
        ("accounts = 3\n", "1: accounts: expected one table for each account"),
        ("# nothing yet\n", "1: there is no account in it"),
        (f"{ACME}start = \n", "3: Invalid value"),
        (f'{ACME}key_env = "B"\n', "3: Cannot overwrite a value"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, text: str, expected: str) -> None:
    (problem,) = refused(tmp_path, text)

    assert problem.startswith(f"accounts.toml:{expected}")


def test_everything_wrong_is_told_at_once_in_the_order_of_lines(tmp_path: Path) -> None:
    problems = refused(tmp_path, f'{ACME}lookbak_days = 1\nstart = 2999-01-01\n\n[accounts.b]\napi_version = "v1"\n')

    assert [problem.split(": ")[0] for problem in problems] == [f"accounts.toml:{line}" for line in (3, 4, 6)]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"ACME_CRM_KEY": KEY, "BETA_V1_KEY": KEY}, "21: accounts.beta.v1.key_env: this key is also that of"),
        ({"BETA_V1_KEY": BETA_KEY}, "21: accounts.beta.v1.key_env: this key is also that of accounts.beta"),
        ({"INDIAMART_CRM_KEY": ACME_KEY}, "2: accounts.acme: this key is also that of account indiamart"),
        ({"ACME_CRM_KEY": "short"}, "3: accounts.acme.key_env: expected the CRM key as the seller panel"),
    ],
)  # fmt: skip
def test_keys_that_are_shared_or_no_keys_are_refused_without_showing_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str
) -> None:
    write_full(tmp_path)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    (problem,) = refusal(tmp_path)

    assert problem.startswith(f"accounts.toml:{expected}")


def test_a_key_file_that_others_may_read_is_refused_with_what_to_run(tmp_path: Path) -> None:
    write_full(tmp_path)
    (tmp_path / "secrets" / "beta.key").chmod(0o640)

    (problem,) = refusal(tmp_path)

    assert problem.startswith("accounts.toml:18: accounts.beta.key_file: other users of this machine may read")
    assert f"`chmod 600 {tmp_path / 'secrets' / 'beta.key'}`" in problem


def test_fifty_accounts_are_fifty_accounts(tmp_path: Path) -> None:
    names = write_many(tmp_path, 50)

    settings = load_settings(tmp_path)

    assert [account.name for account in settings.accounts] == names
    assert len({account.key for account in settings.accounts if account.has_key}) == 50
