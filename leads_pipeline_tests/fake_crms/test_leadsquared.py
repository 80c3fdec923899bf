"""The fake LeadSquared keeps the contract: keys, hosts, calls, duplicates, look-ups, limits, faults."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from leads_pipeline.fake_crms.leadsquared import DEMO_ACTIVITY_TYPES, FakeLeadSquared, FaultName, Field, Limit

KEYS = {"accessKey": "u$rACCESSOFTHETESTS", "secretKey": "SECRETOFTHETESTS"}
HEADERS = {"x-LSQ-AccessKey": KEYS["accessKey"], "x-LSQ-SecretKey": KEYS["secretKey"]}
FREE = Limit(10_000, 1.0)
NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
LEADS, ACTIVITIES = "LeadManagement.svc/", "ProspectActivity.svc/"
UPSERT, CREATE = f"{LEADS}Lead/Bulk/CreateOrUpdate", f"{LEADS}Lead/Bulk/Create"


@pytest.fixture(scope="module")
def server() -> Iterator[FakeLeadSquared]:
    custom = (Field("mx_Locked", "Locked", is_locked=True), Field("mx_Short", "Short", length=5))
    with FakeLeadSquared(*KEYS.values(), call_limit=FREE, bulk_limit=FREE, custom=custom, clock=lambda: NOW) as fake:
        yield fake


def pairs(**values: str) -> list[dict[str, str]]:
    return [{"Attribute": name, "Value": value} for name, value in values.items()]


def ask(fake: FakeLeadSquared, path: str, body: Any = None, **query: str) -> requests.Response:
    method = "GET" if body is None else "POST"
    return requests.request(method, f"{fake.url}/v2/{path}", params=query, json=body, headers=HEADERS, timeout=2.0)


def write(fake: FakeLeadSquared, path: str, *leads: list[dict[str, str]]) -> list[dict[str, Any]]:
    answer: list[dict[str, Any]] = ask(fake, path, list(leads)).json()
    return answer


def test_keys_are_taken_from_headers_or_the_url_and_wrong_ones_get_401(server: FakeLeadSquared) -> None:
    url = f"{server.url}/v2/{LEADS}LeadsMetaData.Get"
    assert requests.get(url, headers=HEADERS, timeout=2.0).status_code == 200
    assert requests.get(url, params=KEYS, timeout=2.0).status_code == 200
    assert [call.keys_in_url for call in server.calls[-2:]] == [False, True]
    for wrong in ({}, {**HEADERS, "x-LSQ-SecretKey": "wrong"}):
        refused = requests.get(url, headers=wrong, timeout=2.0)
        assert (refused.status_code, refused.json()["ExceptionType"]) == (401, "MXInvalidAccessDetailsException")
    assert ask(server, "LeadManagement.svc/Nothing.Get").status_code == 404
    assert requests.put(url, headers=HEADERS, timeout=2.0).status_code == 405


def test_the_keys_host_is_told_by_every_host_and_named_by_the_refusal_of_a_wrong_one(server: FakeLeadSquared) -> None:
    who = ask(server, "Authentication.svc/UserByAccessKey.Get").json()
    assert (who["LSQCommonServiceURLs"]["api"], who["TimeZone"]) == (server.host, "Asia/Kolkata")
    with FakeLeadSquared(*KEYS.values(), own_host="api-in21.leadsquared.com") as wrong:
        who = ask(wrong, "Authentication.svc/UserByAccessKey.Get").json()
        assert who["LSQCommonServiceURLs"]["api"] == "api-in21.leadsquared.com"
        refused = ask(wrong, f"{LEADS}LeadsMetaData.Get")
        assert refused.status_code == 401
        assert "api-in21.leadsquared.com" in refused.json()["ExceptionMessage"]


def test_bulk_rows_succeed_and_fail_apart(server: FakeLeadSquared) -> None:
    known = server.add(Phone="+91-9000000001", EmailAddress="known@rows.example")
    rows = write(
        server,
        UPSERT,
        pairs(Phone="+91-9000000001", mx_City="Pune", SearchBy="Phone"),
        pairs(Phone="9000000001", EmailAddress="known@ROWS.example", SearchBy="Phone"),
        pairs(Phone="919000000001", SearchBy="Phone"),
        pairs(Phone="+91-9000000002", mx_Shoe="44", City="Pune", SearchBy="Phone"),
        pairs(Phone="+91-9000000003", SearchBy="EmailAddress"),
        pairs(ProspectID=known, Phone="+91-9000000009", SearchBy="ProspectId"),
        pairs(ProspectID=known, SearchBy="ProspectID"),
        pairs(ProspectID="no-such-id", FirstName="A", SearchBy="ProspectId"),
    )
    assert [row["RowNumber"] for row in rows] == list(range(1, 9))
    assert [(row["LeadCreated"], row["LeadUpdated"]) for row in rows[:3]] == [
        (False, True),
        (False, False),
        (True, False),
    ]
    assert rows[1]["LeadId"] == ""
    assert rows[1]["ErrorMessage"] == "Duplicate entry 'known@ROWS.example' for key 'UQ_Prospect_Base_EmailAddress'"
    assert rows[3]["ErrorMessage"] == "Attribute(s) does not exist - mx_Shoe,City"
    assert [row.get("ExceptionType", "") for row in rows[3:]] == [
        "MXUnknownAttributeException",
        "MXMandatoryAttributeMissingException",
        "",
        "MXInvalidInputException",
        "MXInvalidEntityException",
    ]
    assert rows[6]["ErrorMessage"] == "Invalid SearchBy value provided"
    assert server.records[known].fields["Phone"] == "+91-9000000009"
    assert server.records[known].modified == 2


def test_bulk_create_never_changes_a_lead_that_stands(server: FakeLeadSquared) -> None:
    known = server.add(Phone="+91-9100000001", EmailAddress="known@create.example")
    rows = write(
        server,
        CREATE,
        pairs(Phone="+91-9100000001", mx_City="Pune"),
        pairs(EmailAddress="new@create.example", mx_City="Pune"),
    )
    assert [row["LeadCreated"] for row in rows] == [False, True]
    assert rows[0]["ExceptionType"] == "MXDuplicateEntryException"
    assert server.records[known].modified == 0
    assert write(server, CREATE, *[pairs(FirstName=str(number)) for number in range(50)])[49]["LeadCreated"]
    too_many = ask(server, UPSERT, [pairs(FirstName="A")] * 26)
    assert (too_many.status_code, too_many.json()["ExceptionType"]) == (500, "MXInvalidInputException")


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"mx_Short": "longer"}, "MXInvalidInputException"),
        ({"Source": "indiamart"}, "MXInvalidInputException"),
        ({"Notes": "a <b>text</b>"}, "MXXSSException"),
        ({"Notes": "5 < 6 & 7 > 6"}, ""),
        ({"CreatedOn": "2026-01-01"}, "MXInvalidInputException"),
    ],
)
def test_values_that_do_not_fit_reject_the_whole_lead(
    server: FakeLeadSquared, values: Mapping[str, str], problem: str
) -> None:
    (row,) = write(server, CREATE, pairs(FirstName="A", **values))
    assert (row.get("ExceptionType", ""), row["LeadCreated"]) == (problem, not problem)


def test_an_update_by_id_keeps_locked_fields_and_unique_ones(server: FakeLeadSquared) -> None:
    one = server.add(Phone="+91-9200000001", mx_Locked="first")
    server.add(Phone="+91-9200000002")

    def update(**values: str) -> requests.Response:
        return ask(server, f"{LEADS}Lead.Update", pairs(**values), leadId=one)

    assert update(mx_City="Pune", mx_Locked="first").json() == {"Status": "Success", "Message": {"AffectedRows": 1}}
    locked, taken = update(mx_Locked="second"), update(Phone="+91-9200000002")
    assert (locked.status_code, locked.json()["ExceptionType"]) == (500, "MXInvalidInputException")
    assert (taken.status_code, taken.json()["ExceptionType"]) == (500, "MXDuplicateEntryException")
    gone = ask(server, f"{LEADS}Lead.Update", pairs(mx_City="Pune"), leadId="none")
    assert gone.json()["ExceptionMessage"] == "Lead does not exist in the system"


def test_look_ups_show_flat_leads(server: FakeLeadSquared) -> None:
    one = server.add(Phone="+91-9300000001", EmailAddress="One@Look.example", mx_City="Pune")
    mobile = server.add(Mobile="9300000001", EmailAddress="two@look.example")

    def ids(path: str, **query: str) -> set[str]:
        return {lead["ProspectID"] for lead in ask(server, f"{LEADS}{path}", **query).json()}

    assert ids("Leads.GetById", id=one) == {one}
    assert ids("Leads.GetById", id="none") == set()
    assert ids("Leads.GetByEmailaddress", emailaddress="one@look.example") == {one}
    assert ids("Leads.GetByQuickSearch", key="Pune") >= {one}
    for form in ("9300000001", "919300000001", "+919300000001"):
        assert ids("RetrieveLeadByPhoneNumber", phone=form) == {one, mobile}
    assert ids("RetrieveLeadByPhoneNumber", phone="+91-9300000001") == set()
    (lead,) = ask(server, f"{LEADS}Leads.GetById", id=one).json()
    assert (lead["CreatedOn"], lead["LastName"]) == ("2026-07-01 12:00:00.000", None)
    assert all(value is None or isinstance(value, str) for value in lead.values())
    assert ask(server, f"{LEADS}Leads.GetById").status_code == 500


def test_activities_are_noted_all_or_none(server: FakeLeadSquared) -> None:
    path, lead = f"{ACTIVITIES}Bulk/CustomActivity/Add/ByLeadId", server.add(Phone="+91-9400000001")
    kinds = {
        kind["ActivityEvent"]: kind["ActivityEventName"]
        for kind in ask(server, f"{ACTIVITIES}ActivityTypes.Get").json()
    }
    assert kinds == DEMO_ACTIVITY_TYPES
    note = {
        "RelatedProspectId": lead,
        "ActivityEvent": 216,
        "ActivityNote": "Rods",
        "ActivityDateTime": "2026-07-01 04:30:00",
    }
    assert ask(server, path, [note, {**note, "RelatedProspectId": "none"}]).status_code == 500
    assert (
        ask(server, path, [{**note, "ActivityEvent": 9}]).json()["ExceptionType"]
        == "MXUnknownProspectActivityException"
    )
    before = len(server.activities)
    rows = ask(server, path, [note, note]).json()["Response"]
    noted = server.activities
    assert (before, [row["ProspectActivityId"] for row in rows]) == (0, [one.id for one in noted])
    assert [(one.lead_id, one.event, one.at) for one in noted] == [(lead, 216, "2026-07-01 04:30:00")] * 2


def test_calls_beyond_the_limits_are_refused_and_counted() -> None:
    now = [0.0]
    with FakeLeadSquared(*KEYS.values(), rate_status=403, calls_per_day=13, monotonic=lambda: now[0]) as fake:
        meta = f"{LEADS}LeadsMetaData.Get"
        assert write(fake, CREATE, pairs(FirstName="A"))[0]["LeadCreated"]
        refused = ask(fake, CREATE, [pairs(FirstName="B")])
        assert (refused.status_code, refused.json()["ExceptionType"]) == (403, "MXAPIRateLimitExceededException")
        for _ in range(9):
            assert isinstance(ask(fake, meta).json(), list)
        message = ask(fake, meta).json()["ExceptionMessage"]
        assert message == "API calls exceeded the limit of 10 in 5 second(s)"
        now[0] += 5.0
        for _ in range(3):
            assert isinstance(ask(fake, meta).json(), list)
        assert "1 day(s)" in ask(fake, meta).json()["ExceptionMessage"]
        assert (fake.limit_violations, len(fake.records)) == (3, 1)


def test_faults_come_in_order_and_those_after_have_done_what_was_asked() -> None:
    with FakeLeadSquared(*KEYS.values(), call_limit=FREE, bulk_limit=FREE) as fake:
        for status in (429, 403, 200):
            fake.inject(f"rate_{status}")
            refused = ask(fake, f"{LEADS}LeadsMetaData.Get")
            assert (refused.status_code, refused.json()["Status"]) == (status, "Error")
        fake.inject(FaultName.ROWS_REORDERED)
        fake.inject("html_502")
        assert ask(fake, f"{LEADS}LeadsMetaData.Get").status_code == 200  # a fault of rows waits for a bulk call
        rows = write(fake, CREATE, pairs(FirstName="A"), pairs(FirstName="B"))
        assert [row["RowNumber"] for row in rows] == [2, 1]
        assert ask(fake, CREATE, [pairs(FirstName="C")]).status_code == 502
        assert len(fake.records) == 2
        for fault in (name for name in FaultName if name.value.endswith("_after")):
            before = len(fake.records)
            fake.inject(fault, seconds=3.0)
            try:
                body = requests.post(
                    f"{fake.url}/v2/{CREATE}", json=[pairs(FirstName=fault)], headers=HEADERS, timeout=0.3
                ).text
            except requests.RequestException:
                body = ""
            assert '"LeadCreated": true' not in body
            assert len(fake.records) == before + 1
        with pytest.raises(ValueError, match="no_such_fault"):
            fake.inject("no_such_fault")


def test_controls_and_edits_of_sales_people(server: FakeLeadSquared) -> None:
    one = server.add(Phone="+91-9500000001")
    server.edit(one, mx_City="Agra", Phone="+91-9500000002")
    record = requests.get(f"{server.url}/_fake/records", timeout=2.0).json()[one]
    assert (record["fields"]["mx_City"], record["modified"]) == ("Agra", 0)
    server.add(Phone="+91-9500000001")
    with pytest.raises(ValueError, match="MXDuplicateEntryException"):
        server.add(Phone="+91-9500000002")
    server.remove(one)
    assert one not in server.records
    posted = requests.post(f"{server.url}/_fake/faults", json={"fault": "html_502", "times": 2}, timeout=2.0).json()
    assert [fault["name"] for fault in posted] == ["html_502"] * 2
    assert requests.delete(f"{server.url}/_fake/faults", timeout=2.0).json() == []
    assert requests.get(f"{server.url}/_fake/health", timeout=2.0).json()["name"] == "fake-leadsquared"
