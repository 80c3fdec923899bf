"""A seller who moves from v1 to v2: both keys ask for the same days, and the comparison finds what differs."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from leads_pipeline.cli.compare_versions import verdict
from leads_pipeline.cli.pull import plan_pull
from leads_pipeline.days import day_end, day_start, utc_now
from leads_pipeline.fake_indiamart.server import FakeIndiaMart
from leads_pipeline.indiamart.call_slot import Claim, Granted, SlotTimes, key_fingerprint
from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline.indiamart.windows import Window
from leads_pipeline.settings import Settings
from leads_pipeline.stages.compare_versions import ComparedVersions, compare_versions
from leads_pipeline.stages.merge_answers import merge_pending
from leads_pipeline.stages.normalize_answers import normalize_pending
from leads_pipeline.stages.pull import PullFailedError, PullLater, PullRequest
from leads_pipeline.stages.pull_versions import VersionsPulled, pull_versions
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline_tests.stages.stored_answers import store_records
from leads_pipeline_tests.support import complete_days, make_settings, make_workspace

DAYS = complete_days(7)
MOBILE = "9810000457"
KEYS = [f"seller-{number}/of+the-moves==" for number in range(20)]
V1_KEYS = {f"v1/{key}": key for key in KEYS}
DEAD_KEY = "v1/a+key-that-died=="
INTERVAL = 0.1
NOW = utc_now()
_keys = iter(KEYS)


@pytest.fixture(scope="module")
def server() -> Iterator[FakeIndiaMart]:
    with FakeIndiaMart(
        keys=KEYS,
        v1_keys=V1_KEYS,
        mobile=MOBILE,
        interval_seconds=INTERVAL * 0.9,
        leads_per_day=4.0,
        v1_silence=0.0,
        clock=lambda: NOW,
    ) as shared:
        yield shared


def settings_of_both(folder: Path, server: FakeIndiaMart, *, v1_key: str = "", main: str = "v2") -> Settings:
    key = next(_keys)
    settings = make_settings(folder, server.url, key, interval=INTERVAL, block=INTERVAL)
    [v2] = settings.accounts
    v1 = replace(v2, api_url=server.v1_url, key=v1_key or f"v1/{key}", api_version="v1", mobile=MOBILE)
    chosen = replace(v2, other_version=v1) if main == "v2" else replace(v1, other_version=v2)
    return replace(settings, accounts=(chosen,))


class Seller:
    """An installation whose one account has two keys."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.workspace: Workspace = make_workspace(settings)
        self.account = settings.accounts[0]
        self.lines: list[str] = []

    def attempt(self, run_id: str = "run-1", *, again: bool = False) -> VersionsPulled | PullLater:
        request = PullRequest(self.account, DAYS, run_id, again)
        return pull_versions(self.workspace, request, self.lines.append)

    def pull(self, run_id: str = "run-1", *, again: bool = False) -> VersionsPulled:
        """Pull as a run does: wait as long as it is told, and try again."""
        for _ in range(30):
            result = self.attempt(run_id, again=again)
            if isinstance(result, VersionsPulled):
                return result
            time.sleep(max(result.seconds, 0.001))
        raise AssertionError("the run never ends")

    @property
    def calls(self) -> list[tuple[str, Outcome]]:
        return [(call.source_api, call.outcome) for call in self.workspace.call_log.after(0)]

    def compare(self, first: date | None = None) -> ComparedVersions:
        return compare_versions(self.workspace, self.account.name, first, None, utc_now())


def fetched(seller: Seller, source_api: str | None = None) -> set[date]:
    coverage = seller.workspace.coverage(seller.account.name, DAYS, utc_now(), source_api)
    return {day.day for day in coverage if day.fetched}


def take_slot(seller: Seller, key: str, seconds: float) -> None:
    """Take the key's slot as another tool does, which then keeps it closed for so long."""
    claim = Claim(key_fingerprint(key), "another tool", SlotTimes(seconds, timeout=0.0, block=0.0))
    assert isinstance(seller.workspace.slots.request(claim), Granted)


def test_both_keys_pull_the_same_days_once_each_and_one_lead_stays_one_lead(
    tmp_path: Path, server: FakeIndiaMart
) -> None:
    seller = Seller(settings_of_both(tmp_path, server))
    result = seller.pull()
    seller.pull("run-2")

    name = seller.account.name
    normalize_pending(seller.workspace, name, DAYS, seller.lines.append)
    merge_pending(seller.workspace, name, DAYS, seller.lines.append)
    ids = seller.workspace.lead_files(name).read(DAYS)["query_id"].to_pylist()
    true_ids = [lead.query_id for lead in server.truth(DAYS[0], DAYS[-1], key=seller.account.key)]
    compared = seller.compare()

    assert seller.calls == [("v2", Outcome.LEADS), ("v1", Outcome.LEADS)]
    assert result.other is not None
    assert result.other.failure == ""
    assert sorted(ids) == sorted(true_ids)
    assert fetched(seller, "v1") == fetched(seller, "v2") == {*DAYS}
    assert (compared.days, compared.in_both, compared.only_in_v1, compared.only_in_v2) == (DAYS, len(true_ids), (), ())
    assert {one.column for one in compared.fields if one.equal != len(true_ids)} <= {
        "sender_pincode",
        "query_mcat_name",
        "receiver_catalog",
    }
    assert compared.v1_extra["READ_STATUS"] > 0
    assert verdict(compared) == "v2 holds every lead that v1 holds for these 7 day(s); safe to switch."


def test_a_version_that_lacks_days_asks_for_them_though_the_other_has_proven_them(
    tmp_path: Path, server: FakeIndiaMart
) -> None:
    both = settings_of_both(tmp_path, server)
    alone = Seller(replace(both, accounts=(replace(both.accounts[0], other_version=None),)))
    alone.pull("before")
    seller = Seller(both)

    plan = plan_pull(seller.workspace, seller.account, DAYS, again=False)
    left_out = seller.compare()
    seller.pull()

    assert plan.versions == (("v1",),)
    assert "1 call(s), about" in plan.summary
    assert (left_out.days, left_out.left_out["v2"]) == ((), DAYS)
    assert "No day is proven by both" in verdict(left_out)
    assert [api for api, _ in seller.calls] == ["v2", "v1"]
    again = plan_pull(seller.workspace, seller.account, DAYS, again=True)
    assert "2 call(s) (1 to v2, 1 to v1), about" in again.summary


@pytest.mark.parametrize("closed", ["v2", "v1"])
def test_a_run_that_waits_for_one_version_keeps_what_it_has_of_the_other(
    tmp_path: Path, server: FakeIndiaMart, closed: str
) -> None:
    seller = Seller(settings_of_both(tmp_path, server))
    main = seller.account
    take_slot(seller, main.key if closed == "v2" else f"v1/{main.key}", 1.0)

    first = seller.attempt(again=True)
    before = [api for api, _ in seller.calls]
    result = seller.pull(again=True)

    assert isinstance(first, PullLater)
    assert before == [{"v2": "v1", "v1": "v2"}[closed]]
    assert sorted(api for api, _ in seller.calls) == ["v1", "v2"]
    assert result.main.response is not None
    assert result.other is not None
    assert result.other.pulled is not None
    assert result.other.pulled.response is not None
    assert result.other.pulled.response.source_api == "v1"


def test_a_dead_key_of_the_other_version_fails_no_day_and_is_not_asked_with_in_every_run(
    tmp_path: Path, server: FakeIndiaMart
) -> None:
    seller = Seller(settings_of_both(tmp_path, server, v1_key=DEAD_KEY))
    result = seller.pull()
    seller.pull("run-2", again=True)

    assert seller.calls == [("v2", Outcome.LEADS), ("v1", Outcome.KEY_REJECTED), ("v2", Outcome.LEADS)]
    assert fetched(seller) == {*DAYS}
    assert result.other is not None
    assert result.other.failure.startswith(Outcome.KEY_REJECTED.rule.sentence)
    assert any(line.startswith("WARNING: v1, the account's other version") for line in seller.lines)
    assert plan_pull(seller.workspace, seller.account, DAYS, again=False).windows == ()


def test_a_dead_key_of_the_main_version_fails_the_run(tmp_path: Path, server: FakeIndiaMart) -> None:
    seller = Seller(settings_of_both(tmp_path, server, v1_key=DEAD_KEY, main="v1"))
    with pytest.raises(PullFailedError, match="rejected the CRM key"):
        seller.pull()
    assert seller.calls == [("v1", Outcome.KEY_REJECTED)]


def v1_record(number: int, day: date, **fields: str) -> dict[str, Any]:
    return {
        "RN": "1",
        "QUERY_ID": str(20_000_000 + number),
        "QTYPE": "W",
        "SENDERNAME": "Asha",
        "SENDEREMAIL": "asha@example.com",
        "MOB": "+91-9876543210",
        "LOG_TIME": f"{day:%Y%m%d}120000",
        **fields,
    }


def v2_record(number: int, day: date, **fields: str) -> dict[str, Any]:
    return {
        "UNIQUE_QUERY_ID": str(20_000_000 + number),
        "QUERY_TYPE": "W",
        "QUERY_TIME": f"{day} 12:00:00",
        "SENDER_NAME": "Asha",
        "SENDER_EMAIL": "ASHA@example.com",
        "SENDER_MOBILE": "9876543210",
        "SENDER_PINCODE": "411001",
        **fields,
    }


def test_the_comparison_finds_exactly_what_differs(tmp_path: Path) -> None:
    seller = Seller(make_settings(tmp_path, "http://127.0.0.1:9/"))
    days = DAYS[:3]
    window = Window(day_start(days[0]), day_end(days[-1]))
    v1 = [v1_record(number, days[0]) for number in range(5)]
    v2 = [v2_record(number, days[0]) for number in range(1, 6)]  # v1's first is missing, and one more came
    v2[0] |= {"SENDER_NAME": "Usha"}
    v2[1] |= {"SENDER_EMAIL": ""}
    v2[2] |= {"QUERY_TIME": f"{days[1]} 00:00:01"}
    sent = window.end + timedelta(hours=1)
    for api, records, later in (("v2", v2, 0), ("v1", v1, 1)):
        stored = store_records(seller.workspace, window, records, sent + later * timedelta(hours=1), source_api=api)
        seller.workspace.catalog.add(stored)
    alone = Window(day_start(DAYS[4]), day_end(DAYS[4]))
    stored = store_records(seller.workspace, alone, [v2_record(9, DAYS[4])], alone.end + timedelta(hours=1))
    seller.workspace.catalog.add(stored)

    compared = seller.compare()
    fields = {one.column: one for one in compared.fields}
    unequal = {name: (one.differ, one.blank_in_v1, one.blank_in_v2) for name, one in fields.items() if one.equal != 4}

    assert compared.days == days
    assert compared.left_out == {"v1": (), "v2": (DAYS[4],)}
    assert (compared.only_in_v1, compared.only_in_v2) == (("20000000",), ("20000005",))
    assert compared.seen_later == {"20000000"}
    assert (compared.in_both, compared.on_other_day) == (4, ("20000003",))
    assert unequal == {
        "query_time_ist": (1, 0, 0),
        "sender_name": (1, 0, 0),
        "sender_email": (0, 0, 1),
        "sender_pincode": (0, 4, 0),
    }
    [example] = fields["sender_name"].examples
    assert (example.query_id, example.in_v1, example.in_v2) == ("20000001", "Asha", "Usha")
    assert fields["sender_pincode"].is_not_in_v1
    assert not fields["sender_pincode"].examples
    assert verdict(compared).startswith("1 lead(s) of v1 are missing in v2 on these 3 day(s): 20000000. 1 of them came")
    assert verdict(replace(compared, only_in_v1=())).endswith("lacks values that v1 has: sender_email of 1 lead(s).")
    assert seller.compare(days[2]).lacks_nothing
