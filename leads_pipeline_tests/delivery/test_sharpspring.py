"""SharpSpring over HTTP against its fake: what each behaviour does, and what each fault leaves behind."""

import logging
import random
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
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
from leads_pipeline.delivery.rate import RateLimit
from leads_pipeline.delivery.sharpspring import DEFAULT_FIELDS, SharpSpring, SharpSpringOptions
from leads_pipeline.delivery.sharpspring.fields import read_fields
from leads_pipeline.fake_crms.sharpspring import RANDOM_FAULTS, FakeSharpSpring, FaultName, Record
from leads_pipeline.fake_crms.sharpspring.server import OTHER_OWNER

ACCOUNT, SECRET = "2_ACCOUNT/OF+THE=TESTS", "SECRET/OF+THE=TESTS"
FAST = (RateLimit(100_000, 1.0),)
WRITES = {"createLeads", "updateLeadsV2"}


@dataclass
class Desk:
    """One fake, and connectors that deliver to it; leads of a test share the domain `domain`."""

    fake: FakeSharpSpring
    rate_file: Path
    domain: str
    calls_before: int
    noted: list[CrmCall] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)

    def crm(self, **options: Any) -> SharpSpring:
        settings = {"url": self.fake.url, "limits": FAST, "timeout_seconds": 30.0, **options}
        return SharpSpring(
            account_id=settings.pop("account_id", ACCOUNT),
            secret_key=settings.pop("secret_key", SECRET),
            rate_file=self.rate_file,
            record=self.noted.append,
            options=SharpSpringOptions(**settings),
            sleep=self.slept.append,
        )

    def lead(self, name: str, unsure: bool = False, remote_id: str | None = None, **values: str) -> OutgoingLead:
        values = {"emailAddress": f"{name}@{self.domain}", "firstName": "Asha", "city": "Pune", **values}
        return OutgoingLead(name, {key: text for key, text in values.items() if text}, remote_id, unsure)

    def leads(self, count: int, **more: Any) -> list[OutgoingLead]:
        return [self.lead(f"lead{number}", **more) for number in range(count)]

    def add(self, name: str, **fields: str) -> str:
        return self.fake.add(emailAddress=f"{name}@{self.domain}", **fields)

    @property
    def records(self) -> dict[str, Record]:
        """The records of this test, by the name in their address."""
        ours = [one for one in self.fake.records.values() if self.domain in one.fields["emailAddress"].lower()]
        return {one.fields["emailAddress"].lower().partition("@")[0]: one for one in ours}

    def methods(self, *only: str) -> list[str]:
        methods = [call.method for call in self.fake.calls[self.calls_before :]]
        return [method for method in methods if not only or method in only]


@pytest.fixture(scope="module")
def server() -> Iterator[FakeSharpSpring]:
    with FakeSharpSpring(ACCOUNT, SECRET, calls_per_second=100_000, refused_countries={"Atlantis"}) as fake:
        yield fake


@pytest.fixture
def desk(server: FakeSharpSpring, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Desk]:
    domain = f"test-{zlib.crc32(request.node.name.encode()):08x}.example"
    yield Desk(server, tmp_path / "calls.sqlite", domain, len(server.calls))
    server.clear_faults()


def states(delivered: Delivered) -> list[RowState]:
    return [receipt.state for receipt in sorted(delivered.receipts, key=lambda one: one.query_id)]


def only(delivered: Delivered) -> RowReceipt:
    (receipt,) = delivered.receipts
    return receipt


def test_new_leads_are_created_and_known_ones_updated_only_where_they_differ(desk: Desk) -> None:
    stands = desk.add("stands", city="Agra", title="Buyer", ownerID=OTHER_OWNER)
    same = desk.add("same", city="Pune", firstName="Asha", companyName="A & B")
    leads = [
        desk.lead("new"),
        desk.lead("same", companyName="A & B"),
        desk.lead("stands", emailAddress=f"STANDS@{desk.domain}"),
    ]
    delivered = desk.crm().deliver(leads)
    assert delivered.stop is None
    assert states(delivered) == [RowState.CREATED, RowState.UNCHANGED, RowState.UPDATED]
    assert {one.remote_id for one in delivered.receipts} == {desk.records["new"].id, same, stands}
    assert desk.records["stands"].fields["city"] == "Pune"
    assert desk.records["stands"].fields["title"] == "Buyer"
    assert desk.records["stands"].fields["ownerID"] == OTHER_OWNER
    assert desk.records["same"].modified == 0
    assert desk.methods() == ["getFields", "createLeads", "getLeads", "updateLeadsV2"]


def test_a_thousand_new_leads_take_four_calls_and_the_list_of_fields(desk: Desk) -> None:
    crm, leads = desk.crm(), desk.leads(1000)
    for start in range(0, 1000, crm.rows_per_call):
        delivered = crm.deliver(leads[start : start + crm.rows_per_call])
        assert set(states(delivered)) == {RowState.CREATED}
    assert desk.methods() == ["getFields", *["createLeads"] * 4]
    assert sum(call.created for call in desk.noted) == len(desk.records) == 1000


@pytest.mark.parametrize(
    ("sync", "expected", "city"),
    [
        ("create_and_update", [RowState.CREATED, RowState.UPDATED], "Pune"),
        ("create_only", [RowState.CREATED, RowState.KEPT], "edited"),
        ("update_only", [RowState.HELD, RowState.UPDATED], "Pune"),
        ("nothing", [RowState.HELD, RowState.KEPT], "edited"),
    ],
)
@pytest.mark.parametrize("knows_id", [False, True])
def test_sync_behaviours(desk: Desk, sync: Any, expected: list[RowState], city: str, knows_id: bool) -> None:
    stands = desk.add("stands")
    desk.fake.edit(stands, city="edited", title="typed")
    leads = [desk.lead("absent"), desk.lead("stands", remote_id=stands if knows_id else None)]
    delivered = desk.crm(sync=sync).deliver(leads)
    assert states(delivered) == expected
    assert desk.records["stands"].fields["city"] == city
    assert desk.records["stands"].fields["title"] == "typed"
    assert ("absent" in desk.records) == (expected[0] is RowState.CREATED)
    assert desk.records["stands"].id in {one.remote_id for one in delivered.receipts}
    assert all(bool(one.reason) == (not one.state.is_done) for one in delivered.receipts)


@pytest.mark.parametrize(
    ("update", "city", "name", "email"),
    [
        ("overwrite", "Pune", "Asha", "new"),
        ("only_empty_fields", "Agra", "Asha", "old"),
        ("not_unique_fields", "Pune", "Asha", "old"),
    ],
)
def test_update_behaviours_of_a_buyer_whose_address_changed(
    desk: Desk, update: Any, city: str, name: str, email: str
) -> None:
    stands = desk.add("old", city="Agra")
    assert only(desk.crm(update=update).deliver([desk.lead("new", remote_id=stands)])).state is RowState.UPDATED
    ((address, record),) = desk.records.items()
    assert (address, record.fields["city"], record.fields["firstName"], record.id) == (email, city, name, stands)


def test_the_address_decides_where_the_id_is_another_leads(desk: Desk) -> None:
    other, right = desk.add("other", city="Agra"), desk.add("right", city="Agra")
    receipt = only(desk.crm().deliver([desk.lead("right", remote_id=other)]))
    assert (receipt.state, receipt.remote_id) == (RowState.UPDATED, right)
    assert desk.records["other"].modified == 0


def test_a_lead_whose_record_was_deleted_is_created_anew(desk: Desk) -> None:
    gone = desk.add("gone")
    desk.fake.remove(gone)
    receipt = only(desk.crm().deliver([desk.lead("gone", remote_id=gone)]))
    assert (receipt.state, receipt.remote_id) == (RowState.CREATED, desk.records["gone"].id)


@pytest.mark.parametrize("fault", [name for name in FaultName if name.value.endswith("_after")])
@pytest.mark.parametrize("sync", ["create_and_update", "create_only"])
def test_no_answer_after_the_write_never_doubles(desk: Desk, fault: FaultName, sync: Any) -> None:
    crm = desk.crm(sync=sync, timeout_seconds=0.25 if fault is FaultName.SLOW_AFTER else 30.0)
    crm.fields()
    desk.fake.inject(fault, seconds=5.0)
    created = desk.fake.created
    delivered = crm.deliver(desk.leads(5))
    assert delivered.stop is None
    assert {one.query_id: one.remote_id for one in delivered.receipts} == {
        name: record.id for name, record in desk.records.items()
    }
    assert all(state.is_done for state in states(delivered))
    assert (len(desk.records), desk.fake.created - created) == (5, 5)


@pytest.mark.parametrize("fault", [FaultName.RESET_AFTER, FaultName.NOT_JSON_AFTER])
def test_no_answer_after_an_update_is_looked_up(desk: Desk, fault: FaultName) -> None:
    stands = desk.add("stands", city="Agra")
    crm = desk.crm(sync="update_only")
    crm.find([desk.lead("stands")])

    def on_update(call: CrmCall) -> None:
        desk.noted.append(call)
        if call.method == "getLeads" and not desk.methods("updateLeadsV2"):
            desk.fake.inject(fault)

    crm._client._record = on_update
    receipt = only(crm.deliver([desk.lead("stands")]))
    assert (receipt.state, receipt.remote_id) == (RowState.UPDATED, stands)
    assert (desk.records["stands"].modified, desk.records["stands"].fields["city"]) == (1, "Pune")
    assert desk.methods(*WRITES) == ["updateLeadsV2"]


@pytest.mark.parametrize(
    "fault",
    [
        FaultName.PER_SECOND_107,
        FaultName.EXCESS_209,
        FaultName.EXCESS_222,
        FaultName.CALL_205,
        FaultName.CALL_999,
        FaultName.UNAVAILABLE,
        FaultName.HTML_502,
        FaultName.RESET,
        FaultName.OBJECT_999,
    ],
)
def test_faults_that_pass_cost_no_lead(desk: Desk, fault: FaultName) -> None:
    crm = desk.crm()
    crm.fields()
    desk.fake.inject(fault)
    delivered = crm.deliver(desk.leads(6))
    assert delivered.stop is None
    assert states(delivered) == [RowState.CREATED] * 6
    assert len(desk.records) == 6


@pytest.mark.parametrize(
    ("fault", "kind", "state"),
    [
        (FaultName.ACCOUNT_401, StopKind.BAD_KEYS, None),
        (FaultName.WRONG_SECRET_105, StopKind.BAD_KEYS, None),
        (FaultName.DAILY_106, StopKind.QUOTA_USED_UP, None),
        (FaultName.PER_SECOND_107, StopKind.UNREACHABLE, RowState.FAILED),
        (FaultName.HTML_502, StopKind.UNREACHABLE, RowState.UNSURE),
        (FaultName.CALL_999, StopKind.UNREACHABLE, RowState.UNSURE),
    ],
)
def test_faults_that_last_stop_the_delivery_and_the_next_one_ends_it(
    desk: Desk, fault: FaultName, kind: StopKind, state: RowState | None
) -> None:
    crm = desk.crm()
    crm.fields()
    desk.fake.inject(fault, 40)
    delivered = crm.deliver(desk.leads(600 if fault is FaultName.CALL_999 else 3))
    assert delivered.stop is not None
    assert delivered.stop.kind is kind
    assert set(states(delivered)) == (set() if state is None else {state})
    assert len(desk.methods()) < 20
    desk.fake.clear_faults()
    again = desk.crm().deliver(desk.leads(3, unsure=state is RowState.UNSURE))
    assert states(again) == [RowState.CREATED] * 3


def test_wrong_keys_and_a_dead_server_stop_before_anything_is_sent(desk: Desk) -> None:
    for options, kind in (
        ({"secret_key": "wrong"}, StopKind.BAD_KEYS),
        ({"account_id": "wrong"}, StopKind.BAD_KEYS),
        ({"url": "http://127.0.0.1:9/pubapi/v1.2/"}, StopKind.UNREACHABLE),
        ({"url": f"{desk.fake.origin}/elsewhere/"}, StopKind.MISCONFIGURED),
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
        desk.lead("b-long", emailAddress="x" * 160 + "@" + desk.domain),
        desk.lead("c-owner", ownerID="1"),
        desk.lead("d-none", emailAddress=""),
        desk.lead("e-country", country="Atlantis"),
        desk.lead("f-country", country="Atlantis"),
        desk.lead("g-good", country="India"),
    ]
    delivered = desk.crm().deliver(leads)
    done, bad, held = RowState.CREATED, RowState.REJECTED, RowState.HELD
    assert states(delivered) == [done, bad, bad, held, done, done, done]
    assert {name: record.fields.get("country") for name, record in desk.records.items()} == {
        "a-good": None,
        "e-country": None,
        "f-country": None,
        "g-good": "India",
    }
    assert desk.noted[1].outcome is CallOutcome.PARTLY
    assert (desk.noted[1].created, desk.noted[1].failed) == (2, 4)
    reasons = {one.query_id: one.reason for one in delivered.receipts}
    assert "emailAddress" in reasons["b-long"]
    assert "e-mail" in reasons["d-none"]


def test_one_bad_row_that_fails_the_whole_call_is_found_by_halves(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    crm = desk.crm()
    crm.fields()
    post = crm._client._http.post

    def fail_with_bad(url: str, keys: Any, headers: Any, body: Any) -> Any:
        objects = body["params"].get("objects", [])
        if any(one.get("emailAddress", "").startswith("lead37@") for one in objects):
            desk.fake.inject(FaultName.CALL_205)
        return post(url, keys, headers, body)

    monkeypatch.setattr(crm._client._http, "post", fail_with_bad)
    delivered = crm.deliver(desk.leads(64))
    wrong = [one for one in delivered.receipts if one.state is not RowState.CREATED]
    assert [(one.query_id, one.state) for one in wrong] == [("lead37", RowState.REJECTED)]
    assert len(desk.records) == 63
    assert len(desk.methods("createLeads")) == 1 + 2 * 6 + 2


def test_a_limit_of_rows_is_learned_and_forgotten_again(desk: Desk, tmp_path: Path) -> None:
    with FakeSharpSpring(ACCOUNT, SECRET, calls_per_second=100_000, most_objects=100) as small:
        crm = SharpSpring(
            account_id=ACCOUNT,
            secret_key=SECRET,
            rate_file=tmp_path / "other.sqlite",
            record=desk.noted.append,
            options=SharpSpringOptions(url=small.url, limits=FAST),
        )
        assert states(crm.deliver(desk.leads(250))) == [RowState.CREATED] * 250
        assert crm.rows_per_call == 62
        refused = [call for call in small.calls if call.code == 209]
        assert [call.rows for call in refused] == [250, 125, 125]
        for start in range(8):
            crm.deliver([desk.lead(f"more{start}")])
        assert crm.rows_per_call == 124


@pytest.mark.parametrize("kind", [404, 302])
def test_what_updates_say_of_records_that_changed_meanwhile(desk: Desk, kind: int) -> None:
    stands = desk.add("stands", city="Agra")
    crm = desk.crm()
    crm.fields()

    def meanwhile(call: CrmCall) -> None:
        if call.method == "getLeads" and stands in desk.fake.records:
            if kind == 404:
                desk.fake.remove(stands)
            else:
                desk.fake.edit(stands, city="Pune", firstName="Asha")

    crm._client._record = meanwhile
    receipt = only(crm.deliver([desk.lead("stands")]))
    assert receipt.state is (RowState.CREATED if kind == 404 else RowState.UNCHANGED)
    assert receipt.remote_id == desk.records["stands"].id


def test_a_record_that_is_there_and_is_not_is_rejected(desk: Desk) -> None:
    desk.add("stands", city="Agra")
    crm = desk.crm()
    crm.fields()

    def meanwhile(call: CrmCall) -> None:
        if call.method == "getLeads":
            desk.fake.inject(FaultName.OBJECT_404)

    crm._client._record = meanwhile
    assert only(crm.deliver([desk.lead("stands")])).state is RowState.REJECTED
    assert desk.methods(*WRITES) == ["createLeads", "updateLeadsV2", "createLeads"]


@pytest.mark.parametrize("was_written", [False, True])
@pytest.mark.parametrize("sync", ["create_and_update", "create_only"])
def test_after_a_kill_a_lead_is_looked_up_before_it_is_sent_again(desk: Desk, sync: Any, was_written: bool) -> None:
    if was_written:
        desk.crm(sync=sync).deliver(desk.leads(3))
        desk.fake.edit(desk.records["lead2"].id, city="edited")
    before = len(desk.methods())
    delivered = desk.crm(sync=sync).deliver(desk.leads(3, unsure=True))
    assert desk.methods()[before : before + 2] == ["getFields", "getLeads"]
    changed = RowState.KEPT if sync == "create_only" else RowState.UPDATED
    found = [RowState.UNCHANGED, RowState.UNCHANGED, changed]
    assert states(delivered) == (found if was_written else [RowState.CREATED] * 3)
    assert len(desk.records) == 3


@pytest.mark.parametrize("arrays", ["answered", "empty", "refused"])
def test_look_ups_go_one_by_one_where_lists_are_not_taken(desk: Desk, tmp_path: Path, arrays: Any) -> None:
    with FakeSharpSpring(ACCOUNT, SECRET, calls_per_second=100_000, arrays=arrays) as other:
        there = Desk(other, tmp_path / "other.sqlite", desk.domain, 0)
        crm = there.crm(sync="update_only")
        assert crm.find(there.leads(40)) == {}
        assert len(there.methods("getLeads")) == 2  # the list, and a look whether there is any lead
        there.add("stranger")
        assert crm.find(there.leads(4)) == {}
        assert len(there.methods("getLeads")) == {"answered": 2 + 3}.get(arrays, 2 + 3 + 4)
        for name in ("lead1", "lead3"):
            there.add(name)
        found = crm.find(there.leads(4))
        assert {name: there.records[name].id for name in found} == {name: found[name].remote_id for name in found}
        assert set(found) == {"lead1", "lead3"}
        assert len(there.methods("getLeads")) == {"answered": 2 + 3 + 1}.get(arrays, 2 + 3 + 4 + 4)


def test_custom_fields_are_addressed_by_label_or_name_and_unknown_ones_left_out(desk: Desk) -> None:
    crm = desk.crm()
    lead = desk.lead(
        "one",
        **{
            "product asked for": "Steel & Iron",
            "enquiry_id_5a0dd86e6e292": "9" * 60,
            "Enquiry Type": "w",
            "leadStatus": "no such status",
            "Shoe Size": "44",
            "createTimestamp": "2026-01-01 00:00:00",
            "active": "true",
        },
    )
    assert only(crm.deliver([lead])).state is RowState.CREATED
    fields = desk.records["one"].fields
    assert fields["product_asked_for_5a0dd86e6e290"] == "Steel & Iron"
    assert fields["enquiry_id_5a0dd86e6e292"] == "9" * 40
    assert fields["enquiry_type_5a0dd86e6e293"] == "W"
    assert (fields["leadStatus"], fields["active"]) == ("unqualified", "1")
    assert crm.unknown_fields == {"Shoe Size"}
    desk.fake.edit(desk.records["one"].id, companyName="A <B> & C")
    found = crm.find([lead])["one"]
    assert (found.values["product asked for"], found.values["emailAddress"]) == ("Steel & Iron", f"one@{desk.domain}")
    assert crm.find([desk.lead("one", companyName="x")])["one"].values["companyName"] == "A <B> & C"


def test_a_placeholder_stands_in_for_a_missing_address_only_when_it_is_set(desk: Desk) -> None:
    lead = desk.lead("Q 1", emailAddress="", mobilePhoneNumber="+919876543210")
    assert desk.crm().key_of(lead) is None
    assert only(desk.crm().deliver([lead])).state is RowState.HELD
    assert desk.methods() == []
    crm = desk.crm(placeholder_email="{mobilePhoneNumber}@" + desk.domain)
    assert crm.key_of(lead) == f"919876543210@{desk.domain}"
    assert only(crm.deliver([lead])).state is RowState.CREATED
    assert only(crm.deliver([desk.lead("Q 2", emailAddress="")])).state is RowState.HELD
    assert set(desk.records) == {"919876543210"}
    for wrong in ("all@no-email.invalid", "{query_id}", "{query_id}@no email", "{}@no-email.invalid"):
        with pytest.raises(ValueError, match="placeholder_email"):
            SharpSpringOptions(placeholder_email=wrong)


def test_the_days_calls_are_read_from_the_answers_and_some_are_left(desk: Desk, tmp_path: Path) -> None:
    with FakeSharpSpring(ACCOUNT, SECRET, calls_per_second=1000, calls_per_day=10) as other:
        there = Desk(other, tmp_path / "other.sqlite", desk.domain, 0)
        crm = there.crm(daily_reserve=7)
        assert "calls of the day" in crm.check()
        assert only(crm.deliver([there.lead("a")])).state is RowState.CREATED
        stopped = crm.deliver([there.lead("b")])
        assert (stopped.receipts, stopped.stop and stopped.stop.kind) == ((), StopKind.QUOTA_USED_UP)
        assert len(other.calls) == 3
        rest = there.crm(daily_reserve=0)
        for number in range(7):
            last = rest.deliver([there.lead(f"c{number}")])
        assert (last.receipts, last.stop and last.stop.kind) == ((), StopKind.QUOTA_USED_UP)
        assert other.limit_violations == 0  # the counter told in time


def test_calls_keep_the_pace_between_connectors(desk: Desk) -> None:
    now = [1000.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    def crm() -> SharpSpring:
        return SharpSpring(
            account_id=ACCOUNT,
            secret_key=SECRET,
            rate_file=desk.rate_file,
            record=desk.noted.append,
            options=SharpSpringOptions(url=desk.fake.url),
            clock=lambda: now[0],
            sleep=sleep,
        )

    for connector in (crm(), crm()):
        for number in range(5):
            connector.deliver([desk.lead(f"lead{number}")])
    assert len(desk.methods()) == 2 + 5 + 5 + 5
    assert now[0] >= 1000 + (17 - 1) // 5


@pytest.mark.parametrize("form", [("boolean", "list"), ("text", "null")])
def test_answers_are_read_in_each_form(desk: Desk, tmp_path: Path, form: tuple[Any, Any]) -> None:
    with FakeSharpSpring(
        ACCOUNT, SECRET, calls_per_second=1000, success_form=form[0], write_error_form=form[1]
    ) as other:
        there = Desk(other, tmp_path / "other.sqlite", desk.domain, 0)
        there.add("b-stands", city="Agra")
        leads = [there.lead("a-new"), there.lead("b-stands"), there.lead("c-owner", ownerID="1")]
        assert states(there.crm().deliver(leads)) == [RowState.CREATED, RowState.UPDATED, RowState.REJECTED]


def test_the_check_says_whose_account_it_is_without_keys(desk: Desk) -> None:
    line = desk.crm().check()
    assert "seller.example" in line
    assert "4 of them custom" in line
    assert ACCOUNT not in line


def test_the_default_fields_are_fields_that_every_account_has(desk: Desk) -> None:
    crm = desk.crm()
    book = read_fields(crm._client)
    assert all(book.name_of(name) == name for name in DEFAULT_FIELDS)
    assert not [name for name in DEFAULT_FIELDS if book.by_name[name].is_read_only]


def test_activities_are_held_with_their_reason(desk: Desk) -> None:
    held = only(desk.crm().add_activities([Activity("Q1", "1", "note", datetime(2026, 1, 1, tzinfo=UTC))]))
    assert held.state is RowState.HELD
    assert "author" in held.reason


def _every_fault(desk: Desk, crm: Callable[..., SharpSpring]) -> Iterator[Delivered]:
    for number, fault in enumerate(FaultName):
        desk.fake.inject(fault, seconds=2.0)
        yield crm(timeout_seconds=0.2).deliver(_secret_leads(desk, number))
        desk.fake.clear_faults()


def _secret_leads(desk: Desk, number: int) -> Sequence[OutgoingLead]:
    lead = desk.lead(f"canary{number}", firstName="CanaryName", city="CanaryCity", leadStatus="open")
    bad = desk.lead(f"canary{number}b", ownerID="77777", zipcode="CanaryZip", emailAddress="canary" * 40)
    return [lead, bad, desk.lead(f"canary{number}c", emailAddress="", firstName="CanaryName")]


def test_keys_and_values_are_in_no_receipt_call_error_or_log(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    told = [repr(delivered) for delivered in _every_fault(desk, desk.crm)]
    with pytest.raises(CrmStopError) as stopped:
        desk.crm(url="http://127.0.0.1:9/").check()
    told += [str(stopped.value), repr(desk.noted), caplog.text, repr(desk.fake.calls)]
    text = re.sub(r"query_id='[^']*'", "", "\n".join(told))
    for secret in (ACCOUNT, SECRET, "SECRET%2FOF", "2_ACCOUNT%2F", "Canary", "canary", "77777", desk.domain):
        assert secret not in text
    assert {call.outcome for call in desk.noted} == set(CallOutcome)


class _KilledError(BaseException):
    """The process ends here: no receipt is written."""


def test_faults_and_kills_at_random_leave_each_lead_there_once_with_its_newest_content(desk: Desk) -> None:
    chance = random.Random(5)
    faults = [*RANDOM_FAULTS, FaultName.CALL_205]
    desk.fake.random_faults(5, 0.3, [name for name in faults if name is not FaultName.SLOW_AFTER])

    def record(call: CrmCall) -> None:
        desk.noted.append(call)
        if chance.random() < 0.08:
            raise _KilledError

    due = {lead.query_id: lead for lead in desk.leads(300, city="Agra")}
    created, done = desk.fake.created, dict[str, RowReceipt]()
    for city in ("Agra", "Pune"):
        due = {one: desk.lead(one, city=city, remote_id=done[one].remote_id if done else None) for one in due or done}
        while due:
            crm = desk.crm(rows_per_call=40)
            crm._client._record = record
            batch = list(due.values())[:40]
            try:
                receipts = crm.deliver(batch).receipts
            except _KilledError:
                receipts = tuple(RowReceipt(lead.query_id, RowState.UNSURE) for lead in batch)
            for receipt in receipts:
                if receipt.state.is_done:
                    done[receipt.query_id] = receipt
                    del due[receipt.query_id]
                else:
                    assert receipt.state in (RowState.UNSURE, RowState.FAILED)
                    due[receipt.query_id] = replace(due[receipt.query_id], unsure=receipt.state is RowState.UNSURE)
        assert {name: record.id for name, record in desk.records.items()} == {
            name: receipt.remote_id for name, receipt in done.items()
        }
        assert {record.fields["city"] for record in desk.records.values()} == {city}
    assert (len(done), desk.fake.created - created) == (300, 300)
    assert len(desk.noted) > 40
