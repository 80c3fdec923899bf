"""`leads deliver` and `leads deliveries` against a fake SharpSpring over HTTP."""

import importlib
import json
import logging
from collections.abc import Iterator
from datetime import date

import duckdb
import pyarrow as pa
import pytest

from leads_pipeline.cli.errors import FAILED, NEEDS_A_PERSON, USAGE
from leads_pipeline.delivery.outbox import Outbox
from leads_pipeline.delivery.outbox_rows import DeliveryState
from leads_pipeline.delivery.sharpspring import client
from leads_pipeline.fake_crms.sharpspring import FakeSharpSpring, FaultName
from leads_pipeline.settings import load_settings
from leads_pipeline.stages import deliver_leads
from leads_pipeline.stages.deliver_leads import delivery_lock
from leads_pipeline.stages.publish_tables import publish_tables
from leads_pipeline.storage.merge_journal import DayReplacement
from leads_pipeline.storage.parquet import LeadFiles
from leads_pipeline_tests.accounts_files import write_private
from leads_pipeline_tests.cli.installation import Installation
from leads_pipeline_tests.storage.lead_tables import DAY, day_after, leads_of
from leads_pipeline_tests.support import closed_port_url, forms_found

MODULE = importlib.import_module("leads_pipeline.cli.deliver")  # the package calls a command so, too
KEY_ID, SECRET = "3_CANARY/KEY+ID==", "CANARY/SECRET+KEY=="
PRIVATE = {
    "sender_name": "Canary Devi",
    "sender_mobile": "+919812345678",
    "query_message": "canary message",
    "sender_city": "Canarypur",
}
DAYS = ("--from", DAY.isoformat(), "--to", day_after(1).isoformat())


@pytest.fixture(scope="module")
def server() -> Iterator[FakeSharpSpring]:
    with FakeSharpSpring(KEY_ID, SECRET, calls_per_second=100_000) as server:
        yield server


@pytest.fixture
def crm(server: FakeSharpSpring) -> Iterator[FakeSharpSpring]:
    yield server
    server.clear_faults()
    for one in server.records:
        server.remove(one)


@pytest.fixture
def seller(installation: Installation, crm: FakeSharpSpring, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """Account acme, whose leads go to the fake; nothing is published."""
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setattr(MODULE, "publish_tables", lambda *_: None)
    set_up(installation, crm.url)
    return installation


def set_up(seller: Installation, address: str, more: str = "", secret: str = SECRET) -> None:
    (seller.root / "accounts.toml").write_text(
        '[accounts.acme]\nkey_env = "ACME_CRM_KEY"\n\n[accounts.acme.deliver.sharpspring]\n'
        f'account_id_env = "SS_ID"\nsecret_key_env = "SS_SECRET"\naddress = "{address}"\nstart = {DAY}\n'
        f"calls_per_second = 1000\ntimeout_seconds = 5\n{more}"
    )
    write_private(seller.root / ".env", f"ACME_CRM_KEY=Canary/Acme+Key==\nSS_ID={KEY_ID}\nSS_SECRET={secret}\n")


def put(seller: Installation, day: date, **emails: str | None) -> None:
    """Write the day's file with a lead for each id."""
    tables = [
        leads_of(day, [one], account="acme", state=f"{len(email or one)}", sender_email=email, **PRIVATE)
        for one, email in emails.items()
    ]
    replacement = DayReplacement(LeadFiles(seller.data_dir, "acme"))
    replacement.replace({day: pa.concat_tables(tables)}, {"merged": []})
    replacement.clear()


def states(seller: Installation) -> dict[str, int]:
    printed = seller.leads("deliveries", "--json")
    assert printed.code == 0, printed.err
    (facts,) = json.loads(printed.out)
    assert (facts.pop("account"), facts.pop("destination")) == ("acme", "sharpspring")
    return dict(facts)


def test_the_keys_and_the_mapping_are_checked(seller: Installation, crm: FakeSharpSpring) -> None:
    printed = seller.leads("deliver", "check")
    assert printed.code == 0, printed.text
    assert "acme.sharpspring: SharpSpring: the keys work" in printed.text
    assert crm.records == {}

    set_up(seller, crm.url, '\n[accounts.acme.deliver.sharpspring.fields]\nChannel = "{lead_source}"\n')
    printed = seller.leads("deliver", "check")
    assert printed.code == FAILED
    assert "error: Channel: the CRM has no such field" in printed.text
    assert "1 field(s) of the mapping don't fit" in printed.err

    set_up(seller, crm.url, secret="wrong/Secret+Key==")
    printed = seller.leads("deliver", "check", "--destination", "sharpspring")
    assert printed.code == NEEDS_A_PERSON
    assert not forms_found("wrong/Secret+Key==", printed.text)


def test_a_dry_run_shows_what_would_be_created_changed_kept_or_held(seller: Installation, crm: FakeSharpSpring) -> None:
    put(seller, DAY, new="new@mail.example", none=None, stands="stands@mail.example")
    crm.add(emailAddress="stands@mail.example", firstName="Canary", city="Agra")

    printed = seller.leads("deliver", "--dry-run")

    assert printed.code == 0, printed.err
    assert [(cells[1], cells[2]) for cells in cells_of(printed.out) if cells[2]] == [
        *(("QUERY_ID", "What"), ("new", "create"), ("none", "held"), ("stands", "change")),
    ]
    assert ["city", "Agra", "Canarypur"] in [cells[3:6] for cells in cells_of(printed.out)]
    assert "acme.sharpspring: 3 lead(s) would be sent, 0 are older" in printed.text
    assert [record.fields["city"] for record in crm.records.values()] == ["Agra"]
    assert states(seller) == {}


@pytest.mark.parametrize(
    ("behaviour", "what", "names_city"),
    [
        ('sync = "create_only"', "keep", False),
        ('sync = "nothing"', "keep", False),
        ('sync = "update_only"', "change", True),
        ('update = "only_empty_fields"', "change", False),
        ('update = "not_unique_fields"', "change", True),
    ],
)
def test_a_dry_run_shows_what_the_behaviour_allows(
    seller: Installation, crm: FakeSharpSpring, behaviour: str, what: str, names_city: bool
) -> None:
    put(seller, DAY, stands="stands@mail.example")
    crm.add(emailAddress="STANDS@mail.example", firstName="Asha", city="Agra")
    set_up(seller, crm.url, f"{behaviour}\n")

    rows = cells_of(seller.leads("deliver", "--dry-run", *DAYS).out)

    assert [(cells[1], cells[2]) for cells in rows[1:] if cells[2]] == [("stands", what)]
    assert ("city" in [cells[3] for cells in rows]) is names_city
    assert ("emailAddress" in [cells[3] for cells in rows]) is (behaviour == 'sync = "update_only"')


def cells_of(printed: str) -> list[list[str]]:
    """Return the cells of each line of the table."""
    lines = [line.replace("┃", "│") for line in printed.splitlines()]
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if "│" in line]


def test_leads_are_delivered_once_and_counted(
    seller: Installation, crm: FakeSharpSpring, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    put(seller, DAY, one="one@mail.example", none=None)
    put(seller, day_after(1), two="two@mail.example")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MODULE, "publish_tables", publish_tables)
        printed = seller.leads("deliver")
    assert printed.code == 0, printed.err
    assert "Delivered to acme.sharpspring: 2 created, 1 held." in printed.text
    with duckdb.connect(str(seller.data_dir / "leads.duckdb"), read_only=True) as connection:
        counted = connection.execute("SELECT lead_date, leads, in_the_crm, held FROM deliveries_per_day").fetchall()
    assert counted == [(DAY, 2, 1, 1), (day_after(1), 1, 1, 0)]
    assert sorted(record.fields["emailAddress"] for record in crm.records.values()) == [
        *("one@mail.example", "two@mail.example"),
    ]
    calls = len(crm.calls)
    assert "nothing was due" in seller.leads("deliver").text
    assert "nothing was due" in seller.leads("deliver", *DAYS).text
    assert len(crm.calls) == calls
    assert states(seller) == {"created": 2, "held": 1}
    assert "acme sharpspring 2 0 1 0" in seller.leads("deliveries").text

    state_dir = seller.state_dir
    stored = b"".join(path.read_bytes() for path in state_dir.glob("*.sqlite*"))
    for value in (*PRIVATE.values(), "one@mail.example", KEY_ID, SECRET):
        assert value.encode() not in stored
        assert not forms_found(value, caplog.text + printed.text)


def test_leads_that_did_not_arrive_are_listed_and_tried_again_on_demand(
    seller: Installation, crm: FakeSharpSpring
) -> None:
    assert "Every lead that was sent has arrived." in seller.leads("deliveries", "--failed").text
    put(seller, DAY, bad="bad@mail.example", none=None)
    crm.inject(FaultName.OBJECT_205)
    assert seller.leads("deliver").code == 0

    printed = seller.leads("deliveries", "--failed")
    assert "bad parked 1" in printed.text
    assert "has no e-mail address" in printed.text
    assert "mail.example" not in printed.text
    facts = json.loads(seller.leads("deliveries", "--failed", "--json").out)
    assert [(one["query_id"], one["state"], one["attempts"]) for one in facts] == [
        *(("bad", "parked", 1), ("none", "held", 1)),
    ]
    assert seller.leads("deliveries", "--failed", "--json", "-a", "other").code == 2

    assert "nothing was due" in seller.leads("deliver").text
    assert "1 created, 1 held" in seller.leads("deliver", "--retry").text
    assert states(seller) == {"created": 1, "held": 1}


def test_retrying_some_days_leaves_the_others_as_they_are(seller: Installation, crm: FakeSharpSpring) -> None:
    put(seller, DAY, one=None)
    put(seller, day_after(1), two=None)
    seller.leads("deliver")
    printed = seller.leads("deliver", "--retry", "--from", DAY.isoformat(), "--to", DAY.isoformat())
    assert "1 held" in printed.text
    rows = Outbox(seller.state_dir).of_leads("acme", "sharpspring", ["one", "two"])
    assert {row.state for row in rows.values()} == {DeliveryState.HELD}


def test_a_crm_that_refuses_the_keys_needs_a_person(seller: Installation, crm: FakeSharpSpring) -> None:
    put(seller, DAY, one="one@mail.example")
    set_up(seller, crm.url, secret="wrong/Secret+Key==")
    for arguments in (("--dry-run", *DAYS), ()):
        printed = seller.leads("deliver", *arguments)
        assert printed.code == NEEDS_A_PERSON
        assert not forms_found("wrong/Secret+Key==", printed.text)
    printed = seller.leads("deliveries")
    assert "bad_keys" in printed.text
    assert "acme.sharpspring rests until" in printed.text


def test_a_crm_that_does_not_answer_fails_the_command(seller: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_MOST_TRIES", 1)
    put(seller, DAY, one="one@mail.example")
    set_up(seller, closed_port_url())
    for arguments in (("--dry-run",), ()):
        printed = seller.leads("deliver", *arguments)
        assert printed.code == FAILED
        assert "SharpSpring can't be reached: the connection was refused" in printed.err
    assert states(seller) == {"failed": 1}


def test_what_can_not_be_meant_is_refused(
    seller: Installation, crm: FakeSharpSpring, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = len(crm.calls)
    for arguments, words in {
        ("--account", "other"): "other",
        ("--account", "acme", "--destination", "zoho"): "no destination 'zoho' (it has: sharpspring)",
        ("--destination", "zoho"): "There is no destination 'zoho'. Destinations: sharpspring.",
        ("--from", "yesterday", "--to", "today"): "a day is written YYYY-MM-DD",
        ("--from", "2026-03-02", "--to", "2026-03-01"): "Nothing was sent.",
    }.items():
        printed = seller.leads("deliver", *arguments)
        assert printed.code == USAGE, printed.text
        assert words in printed.text

    set_up(seller, crm.url, secret="")
    printed = seller.leads("deliver")
    assert printed.code == NEEDS_A_PERSON
    assert "The keys of acme.sharpspring are not set (SS_ID and SS_SECRET)" in printed.text

    set_up(seller, crm.url)
    monkeypatch.setattr(deliver_leads, "_LOCK_SECONDS", 0.05)
    put(seller, DAY, one="one@mail.example")
    with delivery_lock(seller.state_dir, load_settings(seller.root).destinations[0]):
        printed = seller.leads("deliver")
    assert printed.code == FAILED
    assert "Another process has been delivering to acme.sharpspring" in printed.text
    assert len(crm.calls) == calls


def test_a_destination_without_keys_keeps_no_other_from_its_leads(seller: Installation, crm: FakeSharpSpring) -> None:
    put(seller, DAY, one="one@mail.example")
    table = (
        '\n[accounts.acme.deliver.early]\ncrm = "sharpspring"\naccount_id_env = "NO_ID"\nsecret_key_env = "NO_KEY"\n'
    )
    set_up(seller, crm.url, table)
    printed = seller.leads("deliver")
    assert printed.code == NEEDS_A_PERSON
    assert "The keys of acme.early are not set (NO_ID and NO_KEY)" in printed.err
    assert "Delivered to acme.sharpspring: 1 created." in printed.text


def test_without_a_destination_the_commands_say_how_to_have_one(seller: Installation) -> None:
    (seller.root / "accounts.toml").write_text('[accounts.acme]\nkey_env = "ACME_CRM_KEY"\n')
    printed = seller.leads("deliver")
    assert printed.code == USAGE
    assert "[accounts.NAME.deliver.leadsquared]" in printed.text
    assert "No account delivers to a CRM yet" in seller.leads("deliveries").text
    assert not Outbox(seller.state_dir).exists
