"""The destinations of the accounts file: what is read, and what is refused with its line and never with a key."""

import os
from datetime import date
from pathlib import Path

import pytest

from leads_pipeline.delivery.crms import default_fields
from leads_pipeline.delivery.destination import Destination, FieldSource
from leads_pipeline.delivery.rate import RateLimit
from leads_pipeline.settings import SettingsError, load_settings
from leads_pipeline_tests.accounts_files import write_private
from leads_pipeline_tests.support import forms_found

KEY_ID, SECRET = "2_CANARY/KEY+ID==", "CANARY/SECRET+KEY=="
ACCOUNT = '[accounts.acme]\nkey_env = "ACME_CRM_KEY"\nlead_source = "IndiaMART Acme"\n'
SHARP = '[accounts.acme.deliver.sharpspring]\naccount_id_env = "SS_ID"\nsecret_key_env = "SS_SECRET"\n'
SQUARED = '[accounts.acme.deliver.leadsquared]\naccess_key_file = "id.key"\nsecret_key_file = "secret.key"\n'


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith(("LEADS_", "INDIAMART_", "ACME_", "SS_")):
            monkeypatch.delenv(name)
    write_private(tmp_path / ".env", f"SS_ID={KEY_ID}\nSS_SECRET={SECRET}\n")
    write_private(tmp_path / "id.key", f"{KEY_ID}\n")
    write_private(tmp_path / "secret.key", f"{SECRET}\n")


def read(root: Path, *tables: str) -> tuple[Destination, ...]:
    (root / "accounts.toml").write_text("\n".join([ACCOUNT, *tables]))
    settings = load_settings(root)
    assert_without_keys(repr(settings))
    return settings.destinations


def refusal(root: Path, *tables: str) -> list[str]:
    """Return what the file is refused for, each with its line in these tables, counted from 1."""
    first = ACCOUNT.count("\n") + 2
    with pytest.raises(SettingsError) as caught:
        read(root, *tables)
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    assert_without_keys(str(caught.value))
    found = []
    for line in str(caught.value).splitlines()[1:]:
        place, _, text = line.strip().partition(": ")
        found.append(f"{int(place.removeprefix('accounts.toml:')) - first + 1}: {text}")
    return found


def assert_without_keys(text: str) -> None:
    assert not [secret for secret in (KEY_ID, SECRET) if forms_found(secret, text)]


def test_without_tables_nothing_is_delivered(tmp_path: Path) -> None:
    assert read(tmp_path) == ()


def test_a_destination_has_the_shipped_mapping_and_usual_behaviour(tmp_path: Path) -> None:
    sharp, squared = read(tmp_path, SHARP, SQUARED)

    assert (sharp.label, sharp.crm, sharp.key_id, sharp.secret_key) == (
        *("acme.sharpspring", "sharpspring", KEY_ID, SECRET),
    )
    assert sharp.has_keys
    assert squared.has_keys
    assert sharp.key_places == ("SS_ID", "SS_SECRET")
    assert squared.key_places == (str(tmp_path / "id.key"), str(tmp_path / "secret.key"))
    for one in (sharp, squared):
        assert {field.field: field.source for field in one.fields} == default_fields(one.crm)
        assert (one.sync, one.update, one.start, one.lead_source) == (
            *("create_and_update", "overwrite", None, "IndiaMART Acme"),
        )
    assert (sharp.phone_form, squared.phone_form) == ("e164", "dashed")
    assert (squared.search_key, squared.activity) == ("Phone", "")
    assert squared.limits == {"calls": RateLimit(10, 5.0), "bulk_calls": RateLimit(1, 5.0)}
    assert (sharp.limits, sharp.rows_per_call) == ({"calls": RateLimit(5, 1.0)}, 250)


def test_every_setting_is_read(tmp_path: Path) -> None:
    (one,) = read(
        tmp_path,
        SQUARED.replace("deliver.leadsquared", "deliver.north_sales"),
        'crm = "leadsquared"\naddress = "http://127.0.0.1:9/"\nsync = "create_only"\nupdate = "only_empty_fields"\n'
        'phone_form = "digits"\nstart = 2026-04-01\ntimeout_seconds = 5\nsearch_key = "EmailAddress"\nactivity = 201\n'
        "calls_per_5_seconds = 25\nbulk_calls_per_5_seconds = 2\n",
    )
    assert (one.name, one.crm, one.address, one.sync) == (
        *("north_sales", "leadsquared", "http://127.0.0.1:9/", "create_only"),
    )
    assert (one.update, one.phone_form, one.start) == ("only_empty_fields", "digits", date(2026, 4, 1))
    assert (one.timeout_seconds, one.search_key, one.activity) == (5.0, "EmailAddress", "201")
    assert one.limits == {"calls": RateLimit(25, 5.0), "bulk_calls": RateLimit(2, 5.0)}


def test_fields_are_added_replaced_and_switched_off(tmp_path: Path) -> None:
    (one,) = read(
        tmp_path,
        SHARP,
        '[accounts.acme.deliver.sharpspring.fields]\nstate = false\ncity = { on = false }\nstreet = "sender_city"\n'
        'Channel = { default = "Portal" }\nproduct = { from = "{query_product_name}!", default = "none" }\n',
    )
    fields = {field.field: field for field in one.fields}
    assert default_fields("sharpspring").keys() - fields.keys() == {"state", "city"}
    assert fields["street"] == FieldSource("street", "sender_city")
    assert fields["Channel"] == FieldSource("Channel", "", "Portal")
    assert fields["product"] == FieldSource("product", "{query_product_name}!", "none")
    assert fields["country"] == FieldSource("country", "{country_name}")


def test_a_destination_whose_keys_are_not_set_yet_is_there_without_them(tmp_path: Path) -> None:
    write_private(tmp_path / ".env", "SS_ID=\n")
    (one,) = read(tmp_path, SHARP)
    assert not one.has_keys


@pytest.mark.parametrize(
    ("more", "problems"),
    [
        ("synk = 1\n", ["4: accounts.acme.deliver.sharpspring.synk: unknown; did you mean sync?"]),
        ("activity = 1\n", ["4: accounts.acme.deliver.sharpspring.activity: unknown; "]),
        ('sync = "always"\n', ["4: accounts.acme.deliver.sharpspring.sync: "]),
        ('update = "all"\n', ["4: accounts.acme.deliver.sharpspring.update: "]),
        ('phone_form = "plain"\n', ["4: accounts.acme.deliver.sharpspring.phone_form: "]),
        ('crm = "zoho"\n', ['4: accounts.acme.deliver.sharpspring.crm: expected crm = "leadsquared" or "sharpspring"']),
        ("crm = []\n", ['4: accounts.acme.deliver.sharpspring.crm: expected crm = "leadsquared" or "sharpspring"']),
        ('start = "2026-04-01"\n', ["4: accounts.acme.deliver.sharpspring.start: expected a day without quotation"]),
        ("leads_per_call = 501\n", ["4: accounts.acme.deliver.sharpspring.leads_per_call: "]),
        ("calls_per_second = 0\n", ["4: accounts.acme.deliver.sharpspring.calls_per_second: "]),
        ("timeout_seconds = 0\n", ["4: accounts.acme.deliver.sharpspring.timeout_seconds: "]),
        ('address = "http://host/?key=x"\n', ["4: accounts.acme.deliver.sharpspring.address: expected a host"]),
        ('placeholder_email = "no@x.example"\n', ["4: accounts.acme.deliver.sharpspring.placeholder_email: "]),
        (
            'secret_key_file = "secret.key"\n',
            ["1: accounts.acme.deliver.sharpspring: expected secret_key_env or secret_key_file, one of them"],
        ),
        (
            f'secret_key = "{SECRET}"\n',
            ["4: accounts.acme.deliver.sharpspring.secret_key: a key never stands in this file: write secret_key_env"],
        ),
        (
            f'account_id = "{KEY_ID}"\n',
            ["4: accounts.acme.deliver.sharpspring.account_id: a key never stands in this file: write account_id_env"],
        ),
        (
            "[accounts.acme.deliver.sharpspring.fields]\ntown = 3\ncity = {}\nzipcode = { form = 'x' }\n",
            [
                "5: accounts.acme.deliver.sharpspring.fields.town: expected a column, a text with {columns}, false",
                "6: accounts.acme.deliver.sharpspring.fields.city: expected from = ",
                "7: accounts.acme.deliver.sharpspring.fields.zipcode.form: unknown; did you mean from?",
            ],
        ),
        (
            '[accounts.acme.deliver.sharpspring.fields]\ncity = "sender_town"\nstate = "{sender_state"\n',
            [
                "5: accounts.acme.deliver.sharpspring.fields.city: leads have no column sender_town",
                "6: accounts.acme.deliver.sharpspring.fields.state: braces hold the name of one column each",
            ],
        ),
    ],
)
def test_what_is_wrong_with_a_destination_is_told_with_its_line(tmp_path: Path, more: str, problems: list[str]) -> None:
    found = refusal(tmp_path, SHARP + more)
    assert len(found) == len(problems)
    for text, start in zip(found, problems, strict=True):
        assert text.startswith(start)


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        (SHARP.replace('account_id_env = "SS_ID"\n', ""), "sharpspring: expected account_id_env or account_id_file"),
        (SQUARED.replace('access_key_file = "id.key"\n', ""), "leadsquared: expected access_key_env or access_key_fi"),
        (SHARP.replace("deliver.sharpspring", "deliver.zoho"), 'zoho.crm: expected crm = "leadsquared" or "sharpspri'),
        (SHARP.replace("deliver.sharpspring", "deliver.North"), "North: a name is at most 32 of a-z, 0-9 and single"),
        (SHARP.replace("SS_SECRET", SECRET), "sharpspring.secret_key_env: expected the name of an environment var"),
        (
            SHARP.replace("SS_SECRET", "CA9A4B9298D9DD0FCE331D5863D25F9B"),
            "sharpspring.secret_key_env: expected the name of an environment var",
        ),
        ("[accounts.acme.deliver]\nsharpspring = 3\n", "sharpspring: expected a table [accounts.acme.deliver.sharps"),
        ('deliver = "sharpspring"\n', "accounts.acme.deliver: Input should be a valid dictionary"),
        (f'{SQUARED}search_key = ""\n', "leadsquared.search_key: expected the name of a field"),
        (f'{SQUARED}address = "ftp://x y/"\n', "leadsquared.address: expected a host"),
    ],
)
def test_what_is_lacking_in_a_table_is_told(tmp_path: Path, table: str, problem: str) -> None:
    (found,) = refusal(tmp_path, table)
    assert problem in found
    assert "CA9A4B92" not in found


def test_keys_that_can_be_none_are_refused_without_being_shown(tmp_path: Path) -> None:
    write_private(tmp_path / ".env", f'SS_ID={KEY_ID}\nSS_SECRET="{SECRET} {SECRET}"\n')
    assert refusal(tmp_path, SHARP) == [
        "3: accounts.acme.deliver.sharpspring.secret_key_env: expected the key as the CRM shows it: 6 to 512 "
        "characters without spaces"
    ]


def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.key").chmod(0o644)
    (found,) = refusal(tmp_path, SQUARED)
    assert found.startswith("3: accounts.acme.deliver.leadsquared.secret_key_file: ")
