"""LeadSquared over HTTP against its fake: what each behaviour does, and what each fault leaves behind."""

import json
import logging
import random
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from leads_pipeline.delivery.crm import (
    Activity,
    CallOutcome,
    CrmCall,
    CrmStopError,
    Delivered,
    OutgoingLead,
    RowReceipt,
    RowState,
    StopKind,
)
from leads_pipeline.delivery.http_calls import CrmAnswer
from leads_pipeline.delivery.leadsquared import DEFAULT_FIELDS, LeadSquared, LeadSquaredOptions
from leads_pipeline.delivery.leadsquared.answers import Kind, judge
from leads_pipeline.delivery.leadsquared.fields import read_fields
from leads_pipeline.delivery.leadsquared.options import base_url
from leads_pipeline.delivery.rate import RateLimit
from leads_pipeline.fake_crms.leadsquared import (
    DEMO_CUSTOM,
    RANDOM_FAULTS,
    FakeLeadSquared,
    FaultName,
    Field,
    Limit,
    Record,
)

ACCESS, SECRET = "u$rACCESS-OF+THE=TESTS", "SECRET/OF+THE=TESTS"
FAST = (RateLimit(100_000, 1.0),)
FREE = Limit(100_000, 1.0)
UPSERT, CREATE, UPDATE = "Lead/Bulk/CreateOrUpdate", "Lead/Bulk/Create", "Lead.Update"
WRITES = (UPSERT, CREATE, UPDATE)
CUSTOM = (
    *DEMO_CUSTOM,
    Field("mx_Gst", "GST", length=30, is_unique=True),
    Field("mx_First_Product", "First Product", is_locked=True),
)
QUOTING = (
    FaultName.KEYS_401,
    FaultName.RATE_200,
    FaultName.MX_DUPLICATE,
    FaultName.MX_UNKNOWN_ATTRIBUTE,
    FaultName.MX_MARKUP,
    FaultName.STATUS_ERROR_200,
    FaultName.CUT_AFTER,
    FaultName.RESET_AFTER,
    FaultName.ROW_INVALID_INPUT,
)
CREATED, UPDATED, UNCHANGED, KEPT = RowState.CREATED, RowState.UPDATED, RowState.UNCHANGED, RowState.KEPT
HELD, REJECTED, FAILED, UNSURE = RowState.HELD, RowState.REJECTED, RowState.FAILED, RowState.UNSURE


@dataclass
class Desk:
    """One fake, and connectors that deliver to it; leads of a test share the domain `domain`."""

    fake: FakeLeadSquared
    rate_file: Path
    domain: str
    calls_before: int = 0
    noted: list[CrmCall] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)

    def crm(self, **options: Any) -> LeadSquared:
        settings = {
            "host": self.fake.url,
            "call_limits": FAST,
            "bulk_limits": FAST,
            "timeout_seconds": 30.0,
            "discovery_host": self.fake.url,
            **options,
        }
        return LeadSquared(
            access_key=settings.pop("access_key", ACCESS),
            secret_key=settings.pop("secret_key", SECRET),
            rate_file=self.rate_file,
            record=self.noted.append,
            options=LeadSquaredOptions(**settings),
            sleep=self.slept.append,
        )

    def phone(self, name: str) -> str:
        return f"+91-9{zlib.crc32(f'{name}@{self.domain}'.encode()) % 10**9:09}"

    def mail(self, name: str) -> str:
        return f"{name}@{self.domain}"

    def lead(self, name: str, unsure: bool = False, remote_id: str | None = None, **values: str) -> OutgoingLead:
        usual = {"Phone": self.phone(name), "EmailAddress": self.mail(name), "FirstName": "Asha", "mx_City": "Pune"}
        return OutgoingLead(name, {key: text for key, text in {**usual, **values}.items() if text}, remote_id, unsure)

    def leads(self, count: int, **more: Any) -> list[OutgoingLead]:
        return [self.lead(f"lead{number:04}", **more) for number in range(count)]

    def add(self, name: str, **fields: str) -> str:
        usual = {"Phone": self.phone(name), "EmailAddress": self.mail(name)}
        return self.fake.add(**{key: text for key, text in {**usual, **fields}.items() if text})

    @property
    def records(self) -> dict[str, Record]:
        """The records of this test, by the name in their address."""
        ours = [one for one in self.fake.records.values() if self.domain in one.fields.get("EmailAddress", "")]
        return {one.fields["EmailAddress"].partition("@")[0]: one for one in ours}

    def methods(self, *only: str) -> list[str]:
        methods = [call.path.partition(".svc/")[2] for call in self.fake.calls[self.calls_before :]]
        return [method for method in methods if not only or method in only]


@pytest.fixture(scope="module")
def server() -> Iterator[FakeLeadSquared]:
    with FakeLeadSquared(ACCESS, SECRET, call_limit=FREE, bulk_limit=FREE, calls_per_day=10**6, custom=CUSTOM) as fake:
        yield fake


@pytest.fixture
def desk(server: FakeLeadSquared, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Desk]:
    domain = f"test-{zlib.crc32(request.node.name.encode()):08x}.example"
    yield Desk(server, tmp_path / "calls.sqlite", domain, len(server.calls))
    server.clear_faults()


def states(delivered: Delivered) -> list[RowState]:
    return [receipt.state for receipt in sorted(delivered.receipts, key=lambda one: one.query_id)]


def only(delivered: Delivered) -> RowReceipt:
    (receipt,) = delivered.receipts
    return receipt


@pytest.mark.parametrize(
    ("options", "calls"),
    [
        ({}, [UPSERT] * 40),
        ({"sync": "create_only"}, [CREATE] * 20),
        ({"update": "only_empty_fields"}, [CREATE] * 20),
        ({"sync": "create_only", "rows_per_call": 40}, [CREATE] * 25),
    ],
)
def test_a_thousand_new_leads_take_no_more_calls_than_they_must(
    desk: Desk, options: dict[str, Any], calls: list[str]
) -> None:
    crm, leads = desk.crm(**options), desk.leads(1000)
    for start in range(0, 1000, crm.rows_per_call):
        delivered = crm.deliver(leads[start : start + crm.rows_per_call])
        assert set(states(delivered)) == {CREATED}
    assert desk.methods() == ["LeadsMetaData.Get", *calls]
    assert sum(call.created for call in desk.noted) == len(desk.records) == 1000
    assert not any(call.keys_in_url for call in desk.fake.calls)


@pytest.mark.parametrize(
    ("sync", "expected", "city"),
    [
        ("create_and_update", [CREATED, UPDATED], "Pune"),
        ("create_only", [CREATED, KEPT], "edited"),
        ("update_only", [HELD, UPDATED], "Pune"),
        ("nothing", [HELD, KEPT], "edited"),
    ],
)
@pytest.mark.parametrize("knows_id", [False, True])
def test_sync_behaviours(desk: Desk, sync: Any, expected: list[RowState], city: str, knows_id: bool) -> None:
    stands = desk.add("stands")
    desk.fake.edit(stands, mx_City="edited", JobTitle="typed")
    leads = [desk.lead("absent"), desk.lead("stands", remote_id=stands if knows_id else None)]
    delivered = desk.crm(sync=sync).deliver(leads)
    assert states(delivered) == expected
    assert desk.records["stands"].fields["mx_City"] == city
    assert desk.records["stands"].fields["JobTitle"] == "typed"
    assert ("absent" in desk.records) == (expected[0] is CREATED)
    known = {one.query_id: one.remote_id for one in delivered.receipts}
    needs_no_id = sync == "create_only" and not knows_id
    assert known["stands"] == (None if needs_no_id else stands)
    assert all(bool(one.reason) == (not one.state.is_done) for one in delivered.receipts)


def test_a_kept_lead_has_its_record_looked_up_when_activities_are_noted(desk: Desk) -> None:
    stands = desk.add("stands")
    delivered = desk.crm(sync="create_only", activity="216").deliver([desk.lead("a-new"), desk.lead("stands")])
    assert [(one.state, one.remote_id) for one in delivered.receipts if one.state is KEPT] == [(KEPT, stands)]
    assert desk.methods() == ["LeadsMetaData.Get", CREATE, "RetrieveLeadByPhoneNumber"]


@pytest.mark.parametrize(
    ("update", "city", "mail"),
    [
        ("overwrite", "Pune", "new"),
        ("only_empty_fields", "Agra", "old"),
        ("not_unique_fields", "Pune", "old"),
    ],
)
@pytest.mark.parametrize("knows_id", [False, True])
def test_update_behaviours(desk: Desk, update: Any, city: str, mail: str, knows_id: bool) -> None:
    stands = desk.add("old", mx_City="Agra", Phone=desk.phone("new"))
    crm = desk.crm(update=update)
    lead = desk.lead("new", remote_id=stands if knows_id else None)
    assert only(crm.deliver([lead])).state is UPDATED
    ((address, record),) = desk.records.items()
    assert (address, record.fields["mx_City"], record.fields["FirstName"], record.id) == (mail, city, "Asha", stands)
    again = only(crm.deliver([lead]))
    assert again.state is (UPDATED if update == "overwrite" else UNCHANGED)
    assert desk.fake.records[stands].modified == (2 if update == "overwrite" else 1)


@pytest.mark.parametrize("update", ["only_empty_fields", "not_unique_fields"])
def test_other_update_behaviours_cost_new_leads_no_look_up(desk: Desk, update: Any) -> None:
    crm = desk.crm(update=update)
    assert states(crm.deliver(desk.leads(25))) == [CREATED] * 25
    assert desk.methods() == ["LeadsMetaData.Get", CREATE]


def test_a_known_lead_whose_phone_changed_stays_one_record(desk: Desk) -> None:
    crm = desk.crm()
    first = only(crm.deliver([desk.lead("buyer")]))
    changed = desk.lead("buyer", remote_id=first.remote_id, Phone=desk.phone("other"), EmailAddress=desk.mail("other"))
    assert only(crm.deliver([changed])) == RowReceipt("buyer", UPDATED, first.remote_id)
    ((name, record),) = desk.records.items()
    assert (name, record.fields["Phone"]) == ("other", desk.phone("other"))


@pytest.mark.parametrize("sync", ["create_and_update", "create_only", "update_only"])
def test_a_lead_whose_record_is_gone_is_created_anew(desk: Desk, sync: Any) -> None:
    gone = desk.add("gone")
    desk.fake.remove(gone)
    receipt = only(desk.crm(sync=sync).deliver([desk.lead("gone", remote_id=gone)]))
    if sync == "update_only":
        assert (receipt.state, desk.records) == (HELD, {})
    else:
        assert (receipt.state, receipt.remote_id) == (CREATED, desk.records["gone"].id)


def test_an_id_that_is_gone_may_itself_make_a_new_record(tmp_path: Path) -> None:
    with FakeLeadSquared(ACCESS, SECRET, call_limit=FREE, bulk_limit=FREE, unknown_id="created") as fake:
        desk = Desk(fake, tmp_path / "calls.sqlite", "gone.example")
        receipt = only(desk.crm().deliver([desk.lead("gone", remote_id="no-such-id")]))
        assert (receipt.state, receipt.remote_id) == (CREATED, desk.records["gone"].id)


def test_duplicates_are_found_by_the_other_key_and_at_last_updated_without_what_clashes(desk: Desk) -> None:
    by_mail = desk.add("a-mail", Phone=desk.phone("elsewhere"))
    by_phone = desk.add("b-other", Phone=desk.phone("b-both"))
    desk.add("b-both", Phone="")
    delivered = desk.crm().deliver([desk.lead("a-mail"), desk.lead("b-both"), desk.lead("c-new")])
    assert states(delivered) == [UPDATED, UPDATED, CREATED]
    ids = {one.query_id: one.remote_id for one in delivered.receipts}
    assert (ids["a-mail"], ids["b-both"]) == (by_mail, by_phone)
    records = desk.fake.records
    assert records[by_mail].fields["Phone"] == desk.phone("a-mail")
    assert records[by_phone].fields["EmailAddress"] == desk.mail("b-other")
    assert records[by_phone].fields["mx_City"] == "Pune"
    assert desk.methods(*WRITES) == [UPSERT, UPSERT, UPDATE]


def test_a_known_lead_whose_new_phone_is_anothers_is_updated_without_it(desk: Desk) -> None:
    own, other = desk.add("own"), desk.add("other")
    lead = desk.lead("own", remote_id=own, Phone=desk.phone("other"))
    assert only(desk.crm().deliver([lead])) == RowReceipt("own", UPDATED, own)
    records = desk.fake.records
    assert (records[own].fields["mx_City"], records[own].fields["Phone"]) == ("Pune", desk.phone("own"))
    assert records[other].modified == 0


@pytest.mark.parametrize("search_key", ["Phone", "EmailAddress", "mx_Gst"])
def test_search_keys_and_what_stands_in_for_a_missing_one(desk: Desk, search_key: str) -> None:
    crm = desk.crm(search_key=search_key)
    gst = f"gst{desk.phone('full')}"
    full = desk.lead("full", mx_Gst=gst)
    texts = {"Phone": "".join(filter(str.isdigit, desk.phone("full"))), "EmailAddress": desk.mail("full")}
    assert crm.key_of(full) == texts.get(search_key, gst)
    bare = desk.lead("bare", Phone="", EmailAddress="")
    assert crm.key_of(bare) is None
    leads = [bare, desk.lead("c-mail", Phone=""), desk.lead("d-phone", EmailAddress=""), full]
    assert states(crm.deliver(leads)) == [HELD, CREATED, CREATED, CREATED]
    assert states(crm.deliver(leads[1:])) == [UPDATED] * 3
    assert {lead for lead in crm.find(leads)} == {"c-mail", "d-phone", "full"}


def test_a_search_key_that_is_no_unique_field_stops_the_delivery(desk: Desk) -> None:
    for key, receipts in (("mx_Nope", 0), ("mx_City", 0)):
        delivered = desk.crm(search_key=key).deliver([desk.lead("one")])
        assert (len(delivered.receipts), delivered.stop and delivered.stop.kind) == (receipts, StopKind.MISCONFIGURED)
        assert key in (delivered.stop.reason if delivered.stop else "")
    assert "not unique" in desk.crm(search_key="mx_City").check()
    assert desk.records == {}


@pytest.mark.parametrize(
    ("fault", "sync"),
    [
        *((name, "create_and_update") for name in FaultName if name.value.endswith("_after")),
        (FaultName.ROWS_MISSING, "create_and_update"),
        (FaultName.ROWS_LACK_ONE, "create_and_update"),
        (FaultName.RESET_AFTER, "create_only"),
        (FaultName.ROWS_LACK_ONE, "create_only"),
    ],
)
def test_no_answer_after_the_write_never_doubles(desk: Desk, fault: FaultName, sync: Any) -> None:
    crm = desk.crm(sync=sync, timeout_seconds=0.2 if fault is FaultName.SLOW_AFTER else 30.0)
    crm.fields()
    desk.fake.inject(fault, seconds=5.0)
    created = desk.fake.created
    delivered = crm.deliver(desk.leads(4))
    assert delivered.stop is None
    assert {one.query_id: one.remote_id for one in delivered.receipts} == {
        name: record.id for name, record in desk.records.items()
    }
    assert all(state.is_done for state in states(delivered))
    assert (len(desk.records), desk.fake.created - created) == (4, 4)
    assert desk.methods(*WRITES) == [CREATE if sync == "create_only" else UPSERT]


@pytest.mark.parametrize("fault", [FaultName.RESET_AFTER, FaultName.HTML_502_AFTER])
def test_no_answer_after_an_update_is_looked_up(desk: Desk, fault: FaultName) -> None:
    stands = desk.add("stands", mx_City="Agra")
    crm = desk.crm(sync="update_only")

    def on_call(call: CrmCall) -> None:
        if call.method == "RetrieveLeadByPhoneNumber" and not desk.methods(UPDATE):
            desk.fake.inject(fault)

    crm._client._record = on_call
    assert only(crm.deliver([desk.lead("stands")])) == RowReceipt("stands", UPDATED, stands)
    assert (desk.records["stands"].modified, desk.records["stands"].fields["mx_City"]) == (1, "Pune")
    assert desk.methods(*WRITES) == [UPDATE]


@pytest.mark.parametrize(
    "fault",
    [
        FaultName.RATE_429,
        FaultName.RATE_403,
        FaultName.RATE_200,
        FaultName.PLAIN_500,
        FaultName.HTML_502,
        FaultName.RESET,
        FaultName.ROWS_REORDERED,
        FaultName.ROWS_FROM_ZERO,
        FaultName.MX_INVALID_INPUT,
        FaultName.STATUS_ERROR_200,
        FaultName.MX_UNKNOWN_ATTRIBUTE,
        FaultName.MX_MANDATORY,
    ],
)
def test_faults_of_one_call_cost_no_lead(desk: Desk, fault: FaultName) -> None:
    crm = desk.crm()
    crm.fields()
    desk.fake.inject(fault)
    delivered = crm.deliver(desk.leads(6))
    assert delivered.stop is None
    assert states(delivered) == [CREATED] * 6
    assert {one.query_id: one.remote_id for one in delivered.receipts} == {
        name: record.id for name, record in desk.records.items()
    }
    assert {record.fields.get("mx_City") for record in desk.records.values()} == {"Pune"}
    if fault.value.startswith("rate"):
        assert desk.slept == [5.0]
        assert [call.outcome for call in desk.noted[1:]] == [CallOutcome.RATE_LIMITED, CallOutcome.OK]


def test_a_row_on_which_nothing_was_done_is_judged_by_its_values(desk: Desk) -> None:
    crm = desk.crm()
    crm.fields()
    desk.fake.inject(FaultName.ROW_NO_FLAGS)
    assert states(crm.deliver(desk.leads(2))) == [UNCHANGED, CREATED]
    assert desk.methods() == ["LeadsMetaData.Get", UPSERT, "Leads.GetById"]


@pytest.mark.parametrize(
    ("fault", "kind", "state"),
    [
        (FaultName.KEYS_401, StopKind.BAD_KEYS, None),
        (FaultName.DAY_429, StopKind.QUOTA_USED_UP, None),
        (FaultName.RATE_403, StopKind.UNREACHABLE, FAILED),
        (FaultName.RATE_200, StopKind.UNREACHABLE, FAILED),
        (FaultName.HTML_502, StopKind.UNREACHABLE, UNSURE),
        (FaultName.RESET, StopKind.UNREACHABLE, UNSURE),
    ],
)
def test_faults_that_last_stop_the_delivery_and_the_next_one_ends_it(
    desk: Desk, fault: FaultName, kind: StopKind, state: RowState | None
) -> None:
    crm = desk.crm()
    crm.fields()
    desk.fake.inject(fault, 40)
    delivered = crm.deliver(desk.leads(3))
    assert delivered.stop is not None
    assert delivered.stop.kind is kind
    assert set(states(delivered)) == (set() if state is None else {state})
    assert len(desk.methods()) < 12
    desk.fake.clear_faults()
    again = desk.crm().deliver(desk.leads(3, unsure=state is UNSURE))
    assert states(again) == [CREATED] * 3


def test_wrong_keys_and_a_dead_server_stop_before_anything_is_sent(desk: Desk) -> None:
    for options, kind in (
        ({"secret_key": "wrong"}, StopKind.BAD_KEYS),
        ({"access_key": "wrong"}, StopKind.BAD_KEYS),
        ({"host": "127.0.0.1:9"}, StopKind.UNREACHABLE),
    ):
        crm = desk.crm(**options)
        delivered = crm.deliver([desk.lead("one")])
        assert delivered.receipts == ()
        assert delivered.stop is not None
        assert delivered.stop.kind is kind
        with pytest.raises(CrmStopError):
            crm.check()
    assert desk.records == {}


def test_bad_rows_are_kept_apart_from_good_ones(desk: Desk) -> None:
    leads = [
        desk.lead("a-good"),
        desk.lead("b-long", Phone="9" * 60),
        desk.lead("c-none", Phone="", EmailAddress=""),
        desk.lead("d-markup", Notes="<b>Steel</b> rods", mx_Product="Rods & <i>more"),
        desk.lead("e-good"),
    ]
    delivered = desk.crm().deliver(leads)
    assert states(delivered) == [CREATED, REJECTED, HELD, CREATED, CREATED]
    fields = desk.records["d-markup"].fields
    assert (fields["Notes"], fields["mx_Product"]) == ("Steel rods", "Rods & more")
    assert desk.noted[1].outcome is CallOutcome.PARTLY
    assert (desk.noted[1].created, desk.noted[1].failed) == (2, 2)
    reasons = {one.query_id: one.reason for one in delivered.receipts}
    assert reasons["b-long"] == "the CRM refuses a value: Phone (MXInvalidInputException)"
    assert "phone" in reasons["c-none"]


def test_one_bad_row_that_fails_the_whole_call_is_found_by_halves(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    crm = desk.crm()
    crm.fields()
    post = crm._client._http.post

    def fail_with_bad(url: str, params: Any, headers: Any, body: Any) -> Any:
        if any(pair["Value"] == desk.mail("lead0017") for row in body for pair in row):
            desk.fake.inject(FaultName.MX_INVALID_INPUT)
        return post(url, params, headers, body)

    monkeypatch.setattr(crm._client._http, "post", fail_with_bad)
    delivered = crm.deliver(desk.leads(25))
    wrong = [one for one in delivered.receipts if one.state is not CREATED]
    assert [(one.query_id, one.state) for one in wrong] == [("lead0017", REJECTED)]
    assert len(desk.records) == 24
    assert len(desk.methods(UPSERT)) <= 1 + 2 * 5


def test_fields_are_adapted_and_unknown_ones_left_out(desk: Desk) -> None:
    crm = desk.crm()
    lead = desk.lead(
        "one",
        Source="indiamart",
        ProspectStage="no such stage",
        mx_Enquiry_Id="9" * 60,
        Score="many",
        CreatedOn="2026-01-01 00:00:00",
        mx_Shoe_Size="44",
        City="Agra",
        Town="Agra",
    )
    assert only(crm.deliver([lead])).state is CREATED
    fields = desk.records["one"].fields
    assert (fields["Source"], fields["ProspectStage"], fields["mx_Enquiry_Id"]) == ("IndiaMART", "Prospect", "9" * 40)
    assert "Score" not in fields
    assert crm.unknown_fields == {"mx_Shoe_Size", "Town"}
    assert fields["mx_City"] == "Pune"


def test_fields_go_by_schema_name_or_label_in_any_case(desk: Desk) -> None:
    crm = desk.crm(search_key="email")
    values = {"email": desk.mail("one"), "Phone Number": desk.phone("one"), "product": "Rods", "MX_CITY": "Pune"}
    lead = OutgoingLead("one", values)
    assert crm.key_of(lead) == desk.mail("one")
    assert only(crm.deliver([lead])).state is CREATED
    fields = desk.records["one"].fields
    assert (fields["Phone"], fields["mx_Product"], fields["mx_City"]) == (desk.phone("one"), "Rods", "Pune")
    assert crm.unknown_fields == frozenset()
    assert {"product": "Rods", "mx_Product": "Rods", "MX_CITY": "Pune"}.items() <= crm.find([lead])[
        "one"
    ].values.items()


def test_a_field_that_vanished_since_the_list_was_read_costs_no_other(desk: Desk, monkeypatch: Any) -> None:
    crm = desk.crm()
    crm.fields()
    rules = desk.fake._service._rules
    monkeypatch.delitem(rules._by_name, "mx_Product")
    assert states(crm.deliver([desk.lead("one", mx_Product="Rods"), desk.lead("two")])) == [CREATED, CREATED]
    assert crm.unknown_fields == {"mx_Product"}


def test_a_field_that_updates_may_not_change_costs_no_other(desk: Desk) -> None:
    crm = desk.crm()
    lead = desk.lead("one", mx_First_Product="Rods", mx_City="Agra")
    assert only(crm.deliver([lead])).state is CREATED
    assert only(crm.deliver([desk.lead("one", mx_First_Product="Pipes")])).state is UPDATED
    fields = desk.records["one"].fields
    assert (fields["mx_First_Product"], fields["mx_City"]) == ("Rods", "Pune")
    bad = only(crm.deliver([desk.lead("bad", mx_First_Product="Rods", Phone="9" * 60)]))
    assert (bad.state, bad.reason) == (REJECTED, "the CRM refuses a value: Phone (MXInvalidInputException)")


@pytest.mark.parametrize("was_written", [False, True])
@pytest.mark.parametrize("sync", ["create_and_update", "create_only"])
def test_after_a_kill_a_lead_is_looked_up_before_it_is_sent_again(desk: Desk, sync: Any, was_written: bool) -> None:
    if was_written:
        desk.crm(sync=sync).deliver(desk.leads(3))
        desk.fake.edit(desk.records["lead0002"].id, mx_City="edited")
    before = len(desk.methods())
    delivered = desk.crm(sync=sync).deliver(desk.leads(3, unsure=True))
    assert desk.methods()[before : before + 2] == ["LeadsMetaData.Get", "RetrieveLeadByPhoneNumber"]
    found = [UNCHANGED, UNCHANGED, KEPT if sync == "create_only" else UPDATED]
    assert states(delivered) == (found if was_written else [CREATED] * 3)
    assert {one.remote_id for one in delivered.receipts} == {record.id for record in desk.records.values()}
    assert len(desk.records) == 3
    assert desk.records["lead0002"].fields["mx_City"] == ("edited" if was_written and sync == "create_only" else "Pune")


def test_a_look_up_that_one_lead_can_not_have_does_not_stop_the_others(desk: Desk) -> None:
    crm = desk.crm()
    crm.fields()
    desk.fake.inject(FaultName.MX_INVALID_INPUT)
    assert states(crm.deliver(desk.leads(2, unsure=True))) == [CREATED, CREATED]


@pytest.mark.parametrize(
    ("numbers", "ids"),
    [
        ((None, None, None), "abc"),
        ((3, 1, 2), "bca"),
        ((2, 0, 1), "bca"),
        ((0, 0, 0), "abc"),
        ((1, 2), "..."),
        ((2, 3), ".ab"),
        ((1, 1, 3), "..c"),
        ((None, None), "..."),
        ((7, 8, 9), "..."),
    ],
)
def test_rows_are_matched_by_number_or_position_and_else_unknown(numbers: Sequence[int | None], ids: str) -> None:
    rows = [
        {"LeadId": "abc"[place], "LeadCreated": True, **({} if number is None else {"RowNumber": number})}
        for place, number in enumerate(numbers)
    ]
    judged = judge(CrmAnswer(200, json.dumps(rows), datetime.now(UTC), 0.1), 3)
    assert "".join(row.remote_id or "" if row else "." for row in judged.rows) == ids


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, {"ExceptionType": "MXInvalidAccessDetailsException"}, Kind.BAD_KEYS),
        (500, {"ExceptionType": "MXInvalidAccessDetailsException"}, Kind.BAD_KEYS),
        (
            200,
            {"Status": "Error", "ExceptionMessage": "API calls exceeded the limit of 5 in 5 second(s)"},
            Kind.TOO_FAST,
        ),
        (403, {"ExceptionMessage": "API calls exceeded the limit of 5 in 5 second(s)"}, Kind.TOO_FAST),
        (429, "", Kind.TOO_FAST),
        (429, "Daily limit reached", Kind.DAY_USED_UP),
        (200, {"Status": "Error"}, Kind.UNREADABLE),
        (500, {"ExceptionType": "NullReferenceException", "ExceptionMessage": "x"}, Kind.UNREADABLE),
        (500, {"Status": "Error", "ExceptionType": "MXSomeNewException"}, Kind.REFUSED),
        (400, "Bad Request", Kind.REFUSED),
        (404, "Not Found", Kind.MISCONFIGURED),
        (301, "", Kind.MISCONFIGURED),
        (503, "", Kind.UNREADABLE),
        (200, [{"Notes": "he exceeded the limit"}], Kind.DONE),
    ],
)
def test_answers_are_judged_by_what_they_say_before_their_status(status: int, body: Any, kind: Kind) -> None:
    text = body if isinstance(body, str) else json.dumps(body)
    assert judge(CrmAnswer(status, text, datetime.now(UTC), 0.1)).kind is kind


def test_an_unsure_lead_is_found_in_another_phone_form(desk: Desk) -> None:
    national = desk.phone("one").removeprefix("+91-")
    stands = desk.add("one", Phone=national, EmailAddress="")
    assert only(desk.crm().deliver([desk.lead("one", unsure=True)])) == RowReceipt("one", UPDATED, stands)
    assert desk.records["one"].fields["Phone"] == desk.phone("one")


@pytest.mark.parametrize("form", ["{host}", "http://{host}", "http://{host}/v2", "http://{host}/v2/"])
def test_hosts_are_taken_in_each_form(desk: Desk, form: str) -> None:
    assert desk.fake.host in desk.crm(host=form.format(host=desk.fake.host)).check()


def test_forms_of_hosts() -> None:
    for form in ("api-in21.leadsquared.com", "https://api-in21.leadsquared.com/v2", " api-in21.leadsquared.com/v2/ "):
        assert base_url(form) == "https://api-in21.leadsquared.com/v2/"
    for wrong in (
        "http://api.leadsquared.com",
        "https://",
        "api.leadsquared.com/v3",
        "https://u:p@api.leadsquared.com",
    ):
        with pytest.raises(ValueError, match="LeadSquared host"):
            LeadSquaredOptions(host=wrong)


def test_the_host_is_asked_for_or_learned_from_a_refusal(desk: Desk, tmp_path: Path) -> None:
    with FakeLeadSquared(ACCESS, SECRET, call_limit=FREE, own_host=desk.fake.host) as elsewhere:
        asking = desk.crm(host="", discovery_host=elsewhere.url)
        assert only(asking.deliver([desk.lead("a")])).state is CREATED
        wrong = desk.crm(host=elsewhere.url)
        assert only(wrong.deliver([desk.lead("b")])).state is CREATED
        assert [call.status for call in elsewhere.calls] == [200, 401]
        assert f"they belong to {desk.fake.host}" in _checked_at(desk, elsewhere)
    with FakeLeadSquared(ACCESS, SECRET, call_limit=FREE, own_host="api.leadsquared.com.evil.example") as lying:
        stop = desk.crm(host=lying.url).deliver([desk.lead("c")]).stop
        assert stop is not None
        assert stop.kind in (StopKind.BAD_KEYS, StopKind.MISCONFIGURED)


def test_calls_keep_both_paces_between_connectors(tmp_path: Path) -> None:
    now = [1000.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    with FakeLeadSquared(ACCESS, SECRET, monotonic=lambda: now[0]) as fake:
        desk = Desk(fake, tmp_path / "calls.sqlite", "pace.example")

        def crm() -> LeadSquared:
            return LeadSquared(
                access_key=ACCESS,
                secret_key=SECRET,
                rate_file=desk.rate_file,
                record=desk.noted.append,
                options=LeadSquaredOptions(host=fake.url),
                clock=lambda: now[0],
                sleep=sleep,
            )

        for connector in (crm(), crm()):
            assert states(connector.deliver(desk.leads(8, unsure=True))) in ([CREATED] * 8, [UNCHANGED] * 8)
            for number in range(3):
                connector.deliver([desk.lead(f"more{number}")])
        assert fake.limit_violations == 0
        assert len(fake.calls) == 2 + 16 + 1 + 8 + 6
        assert now[0] - 1000 >= (len(fake.calls) - 1) // 10 * 5


def test_limits_that_others_use_too_are_waited_for(tmp_path: Path) -> None:
    now = [1000.0]
    with FakeLeadSquared(ACCESS, SECRET, bulk_limit=Limit(1, 8.0), rate_status=200, monotonic=lambda: now[0]) as fake:
        desk = Desk(fake, tmp_path / "calls.sqlite", "others.example")
        crm = desk.crm()
        crm._client._sleep = lambda seconds: now.__setitem__(0, now[0] + seconds)
        for name in ("a", "b"):
            assert only(crm.deliver([desk.lead(name)])).state is CREATED
        assert (fake.limit_violations, len(desk.records)) == (2, 2)


def test_more_activities_than_a_call_takes_are_noted_in_several(desk: Desk) -> None:
    crm = desk.crm(sync="create_only", activity="216")
    leads = desk.leads(crm.rows_per_call)
    stands = {one.query_id: one.remote_id or "" for one in crm.deliver(leads).receipts}
    at, before = datetime(2026, 1, 1, tzinfo=UTC), len(desk.fake.activities)
    delivered = crm.add_activities([Activity(name, remote_id, "Zinc", at) for name, remote_id in stands.items()])
    assert states(delivered) == [CREATED] * 50
    assert {one.lead_id for one in desk.fake.activities[before:]} == {*stands.values()}
    assert len(desk.fake.activities) - before == 50


def test_activities_are_noted_once_at_their_records(desk: Desk) -> None:
    stands = desk.add("stands")
    at = datetime(2026, 7, 1, 10, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    before = len(desk.fake.activities)
    crm = desk.crm(activity="indiamart enquiry")
    notes = [
        Activity("q1", stands, "Steel rods", at),
        Activity("q2", "no-such-record", "Pipes", at),
        Activity("q3", stands, "Copper", at),
    ]
    delivered = crm.add_activities(notes)
    assert states(delivered) == [CREATED, REJECTED, CREATED]
    noted = desk.fake.activities[before:]
    assert [(one.lead_id, one.event, one.note) for one in noted] == [
        (stands, 216, "Steel rods"),
        (stands, 216, "Copper"),
    ]
    assert noted[0].at == "2026-07-01 04:30:00"
    assert {one.remote_id for one in delivered.receipts} == {noted[0].id, noted[1].id, None}
    assert desk.methods("ActivityTypes.Get") == ["ActivityTypes.Get"]

    desk.fake.inject(FaultName.RESET_AFTER)
    assert only(crm.add_activities([Activity("q4", stands, "Zinc", at)])).state is UNSURE
    assert len(desk.fake.activities) - before == 3

    assert only(desk.crm().add_activities(notes[:1])).state is HELD
    for kind in ("No Such Type", "999"):
        delivered = desk.crm(activity=kind).add_activities(notes[:1])
        assert (delivered.receipts, delivered.stop and delivered.stop.kind) == ((), StopKind.MISCONFIGURED)


def test_random_faults_and_kills_end_with_each_lead_once_and_true_receipts(desk: Desk) -> None:
    draws = random.Random(8)
    created, leads = desk.fake.created, {lead.query_id: lead for lead in desk.leads(24)}
    receipts: dict[str, RowReceipt] = {}
    begun: set[str] = set()
    for round_number in range(200):
        names = [n for n in RANDOM_FAULTS if n is not FaultName.SLOW_AFTER]
        desk.fake.random_faults(round_number, 0.2 if round_number < 100 else 0.0, names)
        due = [lead for name, lead in leads.items() if name not in receipts][:8]
        if not due:
            break
        sent = [OutgoingLead(lead.query_id, lead.values, None, unsure=lead.query_id in begun) for lead in due]
        begun |= {lead.query_id for lead in due}
        delivered = desk.crm(rows_per_call=8).deliver(sent)
        if draws.random() < 0.3:
            continue  # killed before the receipts were stored
        for receipt in delivered.receipts:
            assert receipt.state in (CREATED, UPDATED, UNCHANGED, FAILED, UNSURE)
            if receipt.state.is_done:
                receipts[receipt.query_id] = receipt
    assert {name: one.remote_id for name, one in receipts.items()} == {
        name: record.id for name, record in desk.records.items()
    }
    assert (len(receipts), desk.fake.created - created) == (24, 24)


def test_keys_and_values_are_in_no_reason_call_record_error_or_log(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    told: list[Any] = []
    desk.add("private", Phone="")
    desk.add("other", Phone=desk.phone("private"))
    for fault in (None, *QUOTING):
        crm = desk.crm()
        crm.fields()
        if fault is not None:
            desk.fake.inject(fault)
        told.append(
            crm.deliver([desk.lead("private", Notes="<b>private words</b>"), desk.lead("long", Phone="7" * 60)])
        )
        desk.fake.clear_faults()
    for options in ({"secret_key": "wrong"}, {"host": "127.0.0.1:9"}):
        with pytest.raises(CrmStopError) as error:
            desk.crm(**options).check()
        told.append((str(error.value), repr(error.value), error.value.stop))
    text = repr((told, desk.noted)) + "\n".join(
        record.getMessage() for record in caplog.records if not record.name.startswith(("asyncio", "uvicorn"))
    )
    number = desk.phone("private").removeprefix("+91-")
    for secret in (ACCESS, SECRET, desk.mail("private"), number, "private words", "7777777"):
        assert secret not in text


def test_the_check_says_where_the_keys_work_without_them(desk: Desk) -> None:
    line = desk.crm(activity="IndiaMART Enquiry").check()
    for words in (desk.fake.host, "Asia/Kolkata", "+91", "found by Phone", "activity 216"):
        assert words in line
    assert ACCESS not in line


def test_the_default_fields_are_fields_that_every_account_has(desk: Desk) -> None:
    fields = {one.name: one for one in desk.crm().fields()}
    assert not [name for name in DEFAULT_FIELDS if name not in fields or fields[name].is_read_only]
    assert {name for name, one in fields.items() if one.is_unique} == {"ProspectID", "Phone", "EmailAddress", "mx_Gst"}


def test_a_call_is_told_without_the_leads(desk: Desk) -> None:
    crm = desk.crm()
    before = datetime.now(UTC)
    crm.deliver(_of(desk, "a", "b"))
    call = desk.noted[-1]
    assert (call.method, call.rows, call.created, call.http_status) == (UPSERT, 2, 2, 200)
    assert before - timedelta(seconds=1) <= call.sent_at <= datetime.now(UTC)


def _checked_at(desk: Desk, elsewhere: FakeLeadSquared) -> str:
    """Return what the check says at a host that tells the right one and still lists its fields."""
    crm = desk.crm(host=elsewhere.url)
    crm._book = read_fields(desk.crm()._client)
    return crm.check()


def _of(desk: Desk, *names: str) -> Sequence[OutgoingLead]:
    return [desk.lead(name) for name in names]
