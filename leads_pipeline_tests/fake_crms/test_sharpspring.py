"""The fake SharpSpring keeps the contract: keys, envelope, methods, limits, faults."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from leads_pipeline.fake_crms.sharpspring import FakeSharpSpring, FaultName

KEYS = {"accountID": "2_ACCOUNTOFTHETESTS", "secretKey": "SECRETOFTHETESTS"}
NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def server() -> Iterator[FakeSharpSpring]:
    with FakeSharpSpring(KEYS["accountID"], KEYS["secretKey"], calls_per_second=1000, clock=lambda: NOW) as fake:
        yield fake


def post(
    fake: FakeSharpSpring, method: str, asked: Any, *, url: str = "", timeout: float = 2.0, **more: Any
) -> requests.Response:
    body = {"method": method, "params": asked, "id": "7"}
    return requests.post(url or fake.url, json=body, timeout=timeout, **{"params": KEYS, **more})


def create(fake: FakeSharpSpring, *emails: str, **fields: Any) -> dict[str, Any]:
    objects = [{"emailAddress": email, **fields} for email in emails]
    body: dict[str, Any] = post(fake, "createLeads", {"objects": objects}).json()
    return body


def test_keys_are_taken_from_the_query_or_the_headers_and_the_query_wins(server: FakeSharpSpring) -> None:
    headers = {"X-Account-Id": KEYS["accountID"], "Authorization": f"Bearer {KEYS['secretKey']}"}
    asked = {"where": {}}
    assert post(server, "getFields", asked, params={}, headers=headers).json()["error"] is None
    wrong = post(server, "getFields", asked, params={**KEYS, "secretKey": "wrong"}, headers=headers)
    assert (wrong.status_code, wrong.json()["error"]["code"], wrong.json()["result"]) == (200, 105, None)
    lost = post(server, "getFields", asked, params={**KEYS, "accountID": "wrong"}, headers=headers)
    assert lost.status_code == 401
    assert lost.text.startswith("Unable to determine clusterID")
    without_secret = post(server, "getFields", asked, params={"accountID": KEYS["accountID"]})
    assert without_secret.json()["error"]["code"] == 104


def test_a_call_without_its_parts_gets_the_code_for_it(server: FakeSharpSpring) -> None:
    def code(body: Any) -> int:
        answer = requests.post(server.url, params=KEYS, json=body, timeout=2.0).json()
        return int(answer["error"]["code"])

    assert code([1]) == 101
    assert code({"method": "getLeads", "params": {}}) == 102
    assert code({"params": {}, "id": "1"}) == 201
    assert code({"method": "getLeads", "id": "1"}) == 202
    assert code({"method": "getEverything", "params": {}, "id": "1"}) == 204
    assert code({"method": "getLeads", "params": {}, "id": "1"}) == 206
    assert code({"method": "createLeads", "params": {}, "id": "1"}) == 207
    assert code({"method": "createLeads", "params": {"objects": {}}, "id": "1"}) == 208
    assert code({"method": "createLeads", "params": {"objects": [{}] * 501}, "id": "1"}) == 209


def test_partial_failure_keeps_places_and_mirrors_the_errors(server: FakeSharpSpring) -> None:
    create(server, "Stands@There.example")
    objects: list[dict[str, Any]] = [
        {"emailAddress": "new@partial.example"},
        {"emailAddress": "stands@there.EXAMPLE"},
        {"emailAddress": "null@partial.example", "city": None},
        {"emailAddress": "empty@partial.example", "ownerID": ""},
        {"emailAddress": "stranger@partial.example", "shoeSize": "44"},
        {"emailAddress": "owner@partial.example", "ownerID": "1"},
    ]
    body = post(server, "createLeads", {"objects": objects}).json()
    creates = body["result"]["creates"]
    assert [row["success"] for row in creates] == [True, False, False, False, False, False]
    assert isinstance(creates[0]["id"], int)
    assert [row["error"]["code"] for row in creates[1:]] == [301, 205, 205, 205, 303]
    assert [error["code"] for error in body["error"]] == [301, 205, 205, 205, 303]
    assert creates[4]["error"]["data"]["params"][0]["param"] == "shoeSize"
    assert (body["queryLimit"], body["id"]) == ("50000", "7")
    assert int(body["callCount"]) > 0
    read = post(server, "getLeads", {"where": {"emailAddress": "NEW@partial.example"}}).json()
    assert read["error"] is None
    assert read["result"]["lead"][0]["id"] == str(creates[0]["id"])


def test_success_and_error_take_the_forms_that_the_docs_print() -> None:
    with FakeSharpSpring(*KEYS.values(), success_form="text", write_error_form="null") as fake:
        create(fake, "one@forms.example")
        body = create(fake, "one@forms.example", "two@forms.example")
    assert body["error"] is None
    assert [row["success"] for row in body["result"]["creates"]] == ["false", "true"]


def test_updates_follow_the_tested_table(server: FakeSharpSpring) -> None:
    rows = create(server, "a@table.example", "b@table.example")["result"]["creates"]
    first, second = (row["id"] for row in rows)

    def update(method: str, **values: Any) -> int | None:
        row = post(server, method, {"objects": [values]}).json()["result"]["updates"][0]
        return None if row["success"] else int(row["error"]["code"])

    assert update("updateLeads", emailAddress="nobody@table.example", city="Pune") is None
    assert update("updateLeadsV2", emailAddress="nobody@table.example", city="Pune") == 404
    assert update("updateLeadsV2", id=1, city="Pune") == 404
    assert update("updateLeadsV2", emailAddress="A@table.example", city="Pune") is None
    assert update("updateLeadsV2", emailAddress="a@table.example", city="Pune") == 302
    assert update("updateLeads", id=first, emailAddress="b@table.example", city="Agra") is None
    assert server.records[str(first)].fields["city"] == "Pune"
    assert update("updateLeads", id=second, emailAddress="c@table.example") is None
    assert server.records[str(second)].fields["emailAddress"] == "c@table.example"


def test_an_update_without_the_owner_reassigns_the_lead_and_edits_read_escaped(server: FakeSharpSpring) -> None:
    lead = server.add(emailAddress="owned@fake.example", ownerID="313486202")
    server.edit(lead, companyName="Sharma & Sons")
    shown = post(server, "getLeads", {"where": {"id": lead}}).json()["result"]["lead"][0]
    assert shown["companyName"] == "Sharma &amp; Sons"
    post(server, "updateLeadsV2", {"objects": [{"id": lead, "city": "Surat"}]})
    assert server.records[lead].fields["ownerID"] == "313486201"
    assert (server.records[lead].modified, server.records[lead].fields["companyName"]) == (1, "Sharma & Sons")


def test_v1_speaks_the_companys_time_and_v1_2_utc(server: FakeSharpSpring) -> None:
    lead = server.add(emailAddress="zone@fake.example")
    old = server.url.replace("v1.2", "v1")
    asked = {"where": {"id": lead}, "fields": ["createTimestamp"]}
    shown = [post(server, "getLeads", asked, url=url).json()["result"]["lead"][0] for url in (server.url, old)]
    assert [one["createTimestamp"] for one in shown] == ["2026-07-01 12:00:00", "2026-07-01 08:00:00"]


def test_get_lead_gives_a_row_without_an_id_for_an_unknown_id(server: FakeSharpSpring) -> None:
    (lead,) = post(server, "getLead", {"id": 1}).json()["result"]["lead"]
    assert "id" not in lead


def test_expect_with_a_long_body_gets_502(server: FakeSharpSpring) -> None:
    short = post(server, "getFields", {"where": {}}, headers={"Expect": "100-continue"})
    long = post(server, "getFields", {"where": {}, "x": "y" * 1100}, headers={"Expect": "100-continue"})
    assert (short.status_code, long.status_code) == (200, 502)


def test_calls_beyond_the_limits_are_refused_and_counted() -> None:
    seconds = [0.0]
    limits = {"calls_per_second": 2, "calls_per_day": 3}
    with FakeSharpSpring(*KEYS.values(), **limits, monotonic=lambda: seconds[0]) as fake:
        codes = []
        for moment in (0.0, 0.5, 0.9, 1.6, 9.0):
            seconds[0] = moment
            error = post(fake, "getFields", {"where": {}}).json()["error"]
            codes.append(error and error["code"])
        assert codes == [None, None, 107, None, 106]
        assert fake.limit_violations == 2
        assert [call.refused for call in fake.calls] == [False, False, True, False, True]


@pytest.mark.parametrize("fault", [name for name in FaultName if name.value.endswith("_after")])
def test_faults_after_the_write_leave_it_done(server: FakeSharpSpring, fault: FaultName) -> None:
    email = f"{fault}@faults.example"
    server.inject(fault, seconds=5)
    try:
        answer = post(server, "createLeads", {"objects": [{"emailAddress": email}]}, timeout=0.15)
        spoiled = answer.status_code != 200 or "creates" not in answer.text or '"callCount"' not in answer.text
        assert spoiled
    except requests.RequestException:
        pass
    assert any(record.fields["emailAddress"] == email for record in server.records.values())


@pytest.mark.parametrize(
    "fault", [name for name in FaultName if not name.value.endswith("_after") and not name.is_of_an_object]
)
def test_faults_before_the_write_leave_it_undone(server: FakeSharpSpring, fault: FaultName) -> None:
    before = server.created
    server.inject(fault)
    try:
        answer = post(server, "createLeads", {"objects": [{"emailAddress": f"{fault}@before.example"}]})
        assert answer.status_code != 200 or "success" not in answer.text
    except requests.ConnectionError:
        assert fault is FaultName.RESET
    assert server.created == before


def test_random_faults_repeat_with_their_seed() -> None:
    def met(seed: int) -> list[str]:
        with FakeSharpSpring(*KEYS.values(), calls_per_second=1000) as fake:
            fake.random_faults(seed, 0.5, (FaultName.CALL_999, FaultName.EXCESS_209))
            for _ in range(12):
                post(fake, "getFields", {"where": {}})
            return [call.fault for call in fake.calls]

    assert met(3) == met(3) != met(4)


def test_controls_show_calls_and_records_without_keys(server: FakeSharpSpring) -> None:
    create(server, "control@fake.example")
    calls = requests.get(f"{server.origin}/_fake/calls", timeout=2)
    assert not any(key in calls.text for key in KEYS.values())
    assert calls.json()[-1]["rows"] == 1
    assert "control@fake.example" in requests.get(f"{server.origin}/_fake/records", timeout=2).text
    assert requests.post(f"{server.origin}/_fake/faults", json={"fault": "none"}, timeout=2).status_code == 400
