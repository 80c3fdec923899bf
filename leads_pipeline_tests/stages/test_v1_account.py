"""A v1 account pulled through the stages: the same truth as v2's, and no day that a false empty answer covers."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from itertools import count, islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
import requests
import zstandard

from leads_pipeline.days import day_start, utc_now
from leads_pipeline.fake_indiamart.faults import FaultName
from leads_pipeline.fake_indiamart.server import FakeIndiaMart
from leads_pipeline.fake_indiamart.truth import TruthOptions, leads_of_day
from leads_pipeline.indiamart.access import Access
from leads_pipeline.indiamart.call_log import CallRecord, calls_database, insert_call
from leads_pipeline.indiamart.call_slot import CallSlots, key_fingerprint
from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline.indiamart.v1 import address
from leads_pipeline.indiamart.windows import Window
from leads_pipeline.sqlite_files import immediate
from leads_pipeline.stages.merge_answers import merge_pending
from leads_pipeline.stages.normalize_answers import NormalizedAnswers, normalize_pending
from leads_pipeline.stages.pull import MAX_EMPTY_ANSWERS, Pulled, PullFailedError, PullLater
from leads_pipeline.storage.raw import RawResponse
from leads_pipeline_tests.stages.pulls import DAYS, SELLERS, FakeSeller, Installation
from leads_pipeline_tests.storage.raw_responses import window_of
from leads_pipeline_tests.support import complete_days, forms_found, make_settings

INTERVAL = 0.05
LEADS_PER_DAY = 2.0
MOBILE = "9810000457"
MONTH = complete_days(30)
QUIET_DAY = complete_days(1)
"""The day before yesterday: of yesterday nothing is proven in the first minutes after midnight."""
NOW = utc_now()
OPTIONS: dict[str, Any] = {
    "mobile": MOBILE,
    "interval_seconds": INTERVAL,
    "leads_per_day": LEADS_PER_DAY,
    "clock": lambda: NOW,  # no lead comes late between a call and the look at the truth
}


def _quiet_sellers() -> Iterator[str]:
    """Yield sellers without leads on the last two days and with some on each of the five before."""
    days = complete_days(7, ago=1)
    for number in count():
        seller = f"{number}-a-quiet-seller"
        had_leads = (bool(leads_of_day(7, seller, day, TruthOptions(LEADS_PER_DAY))) for day in reversed(days))
        if not next(had_leads) and not next(had_leads) and all(had_leads):
            yield seller


QUIET_SELLERS = [*islice(_quiet_sellers(), 3)]
V1_KEYS = {f"v1/{seller}": seller for seller in [*SELLERS, *QUIET_SELLERS]}
FAULTS = [
    FaultName.SOFT_429,
    FaultName.HARD_429,
    FaultName.UNKNOWN_CODE,
    FaultName.EMPTY_LIST,
    FaultName.HTML_WITH_KEY,
    FaultName.ECHO_KEY,
    FaultName.TRUNCATED_JSON,
    FaultName.FEWER_THAN_TOTAL,
    FaultName.LATIN1,
]
"""Those with a form of v1's own, and those that a stored answer could show a secret by."""
LACKING_IN_V1 = ("sender_pincode", "query_mcat_name", "receiver_catalog")
OF_THE_ANSWER = (
    "account",
    "source_api",
    "first_seen_at",
    "last_seen_at",
    "first_seen_after_seconds",
    "fetched_at",
    "response_id",
    "response_position",
    "content_hash",
    "extra",
    "versions",
)

_keys = iter([f"v1/{seller}" for seller in SELLERS])
_quiet_keys = iter([f"v1/{seller}" for seller in QUIET_SELLERS])


@pytest.fixture(scope="module")
def server() -> Iterator[FakeIndiaMart]:
    with FakeIndiaMart(keys=SELLERS, v1_keys=V1_KEYS, **OPTIONS) as shared:
        yield shared


@pytest.fixture(scope="module")
def silent() -> Iterator[FakeIndiaMart]:
    """A server that never says why it has no leads."""
    with FakeIndiaMart(keys=SELLERS, v1_keys=V1_KEYS, v1_silence=1.0, **OPTIONS) as shared:
        yield shared


def v1_installation(folder: Path, server: FakeIndiaMart, key: str = "", **options: Any) -> Installation:
    fake = FakeSeller(server, key or next(_keys), server.v1_url)
    options = {"interval": INTERVAL, "api_version": "v1", "mobile": MOBILE} | options
    return Installation(make_settings(folder, fake.url, fake.key, **options), fake)


@pytest.fixture
def installation(tmp_path: Path, server: FakeIndiaMart) -> Installation:
    return v1_installation(tmp_path, server)


def merge(one: Installation, days: Sequence[date]) -> NormalizedAnswers:
    """The second and third stage of a run of these days."""
    normalized = normalize_pending(one.workspace, "indiamart", days, one.lines.append)
    merge_pending(one.workspace, "indiamart", days, one.lines.append)
    return normalized


def leads_in(one: Installation, days: Sequence[date]) -> pa.Table:
    return one.workspace.lead_files("indiamart").read(days).sort_by("query_id")


def trust_the_key(one: Installation) -> None:
    """Enter a call of three days ago that brought leads with the account's key."""
    sent = utc_now() - timedelta(days=3)
    window = Window(sent - timedelta(days=1), sent)
    call = CallRecord(
        account="indiamart",
        source_api="v1",
        window_start=window.start,
        window_end=window.end,
        sent_at=sent,
        received_at=sent,
        latency_seconds=0.1,
        waited_seconds=0.0,
        outcome=Outcome.LEADS,
        http_status=200,
        code=None,
        message="",
        records=1,
        total_records=1,
        response_id="an-earlier-one",
        run_id="an-earlier-run",
        key_fingerprint=key_fingerprint(one.fake.key),
    )
    with calls_database(one.settings.state_dir / "calls.sqlite") as connection, immediate(connection):
        insert_call(connection, call)


def response_of(result: Pulled) -> RawResponse:
    assert result.response is not None
    return result.response


# The truth


def test_a_v1_account_has_the_same_leads_as_v2_in_every_field_that_v1_has(
    tmp_path: Path, installation: Installation, server: FakeIndiaMart
) -> None:
    v2_key = V1_KEYS[installation.fake.key]
    settings = make_settings(tmp_path / "v2", server.url, v2_key, interval=INTERVAL)
    other = Installation(settings, FakeSeller(server, v2_key))
    tables = []
    for one in (installation, other):
        one.pull_until_fetched(DAYS)
        merge(one, DAYS)
        tables.append(leads_in(one, DAYS))
    in_v1, in_v2 = tables

    assert {*in_v1["query_id"].to_pylist()} == installation.true_ids(DAYS)
    for name in in_v2.column_names:
        left_out = name in (*OF_THE_ANSWER, *LACKING_IN_V1) or name.endswith("_original")
        assert left_out or in_v1[name].equals(in_v2[name]), name
    for name in LACKING_IN_V1:
        assert pc.all(pc.is_null(in_v1[name])).as_py()
    assert in_v2["sender_pincode"].null_count < in_v2.num_rows
    assert {*in_v1["source_api"].to_pylist()} == {"v1"}


def test_a_careless_caller_s_month_is_asked_in_windows_that_v1_answers_in_full(installation: Installation) -> None:
    installation.pull_until_fetched(MONTH)
    assert installation.fetched(MONTH) == {*MONTH}
    assert installation.stored_ids() >= installation.true_ids(MONTH)
    spans = [call.end - call.start for call in installation.fake.calls if call.start and call.end]
    assert max(spans) == timedelta(days=7)
    assert len(spans) == 5


def test_v1_s_own_fields_are_no_unknown_ones(installation: Installation) -> None:
    installation.pull()
    assert {*merge(installation, DAYS).unknown_fields} <= {"QUERY_SOURCE_NEW"}


def test_records_that_are_no_leads_are_quarantined_and_repeats_counted(installation: Installation) -> None:
    for fault in ("garbage_records", "duplicate_records"):
        installation.fake.inject(fault)
        installation.pull_to_the_end(run_id=fault, again=True)
    counts = merge(installation, DAYS).counts
    truth = len(installation.true_ids())
    assert (counts.received, counts.duplicates, counts.quarantined) == (2 * truth + 5, 2, 3)


@pytest.mark.parametrize("fault", FAULTS)
def test_after_a_fault_clean_runs_end_in_the_truth_and_no_file_holds_a_secret(
    installation: Installation, fault: FaultName
) -> None:
    installation.fake.inject(fault, seconds=0.05)
    try:
        installation.pull()
    except PullFailedError as error:
        assert error.outcome is not None
        assert not forms_found(installation.fake.key, str(error))
    installation.pull_until_fetched()
    assert installation.fetched() == {*DAYS}
    assert installation.stored_ids() >= installation.true_ids()
    assert installation.fake.refused_calls == []
    text = everything_written(installation)
    assert not forms_found(installation.fake.key, text)
    assert f"GLUSR_MOBILE/{MOBILE}" not in text


def everything_written(one: Installation) -> str:
    """The text of every file, with raw bodies unpacked, and of the log."""
    files = [path for path in one.settings.data_dir.rglob("*") if path.is_file()]
    bodies = [zstandard.decompress(path.read_bytes()) for path in files if path.suffix == ".zst"]
    return b"\n".join([*(path.read_bytes() for path in files), *bodies]).decode("latin-1") + "\n".join(one.lines)


# Empty answers


class BusyKey:
    """A key that another tool uses as well: seconds before each of our calls, until it stops."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.other_tool_calls = True
        self.one: Installation | None = None

    def monotonic(self) -> float:
        return self.seconds

    def begin(self, slots: CallSlots, *arguments: Any) -> bool:
        assert self.one is not None
        self.seconds += 310
        if self.other_tool_calls:
            access = Access(self.one.fake.url, self.one.fake.key, MOBILE)
            requests.get(address(access, window_of(DAYS[0], DAYS[0])), timeout=5)
            self.seconds += 100
        return _BEGIN(slots, *arguments)


_BEGIN = CallSlots.begin


def test_an_empty_answer_to_a_call_that_came_too_early_never_covers_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = BusyKey()

    def begin(slots: CallSlots, *arguments: Any) -> bool:
        return busy.begin(slots, *arguments)

    monkeypatch.setattr(CallSlots, "begin", begin)
    with FakeIndiaMart(
        keys=SELLERS[:1],
        v1_keys={"v1/a+busy=key==": SELLERS[0]},
        mobile=MOBILE,
        interval_seconds=300,
        leads_per_day=LEADS_PER_DAY,
        v1_silence=1.0,
        monotonic=busy.monotonic,
    ) as own:
        installation = busy.one = v1_installation(tmp_path, own, "v1/a+busy=key==")
        with pytest.raises(PullFailedError, match="wrong or new") as caught:
            installation.pull_to_the_end()
        assert caught.value.outcome is Outcome.AMBIGUOUS_EMPTY
        assert installation.outcomes == ["ambiguous_empty"] * MAX_EMPTY_ANSWERS
        assert [call.outcome for call in own.calls] == ["leads", "rate_limited"] * MAX_EMPTY_ANSWERS
        assert installation.fetched() == set()

        busy.other_tool_calls = False
        installation.pull_until_fetched()
        assert installation.fetched() == {*DAYS}
        assert installation.stored_ids() >= installation.true_ids()


def test_days_with_known_leads_show_that_an_empty_answer_is_false(tmp_path: Path, silent: FakeIndiaMart) -> None:
    installation = v1_installation(tmp_path, silent)
    trust_the_key(installation)
    installation.pull(DAYS)
    merge(installation, DAYS)
    installation.fake.inject("empty_list", times=MAX_EMPTY_ANSWERS)
    with pytest.raises(PullFailedError, match=r"lead\(s\) of these days are known"):
        installation.pull_to_the_end(DAYS, "again", again=True)
    assert installation.outcomes[2:] == ["ambiguous_empty"] * MAX_EMPTY_ANSWERS


def test_an_empty_day_is_asked_again_with_its_neighbours_whose_leads_prove_it(
    tmp_path: Path, silent: FakeIndiaMart
) -> None:
    installation = v1_installation(tmp_path, silent, next(_quiet_keys))
    first = installation.pull(QUIET_DAY)
    assert isinstance(first, PullLater)
    assert "a second call must say the same" in first.reason or "wrong or new" in first.reason
    assert installation.fetched(QUIET_DAY) == set()

    response = response_of(installation.pull_to_the_end(QUIET_DAY))
    assert response.outcome is Outcome.LEADS
    assert response.window.days == [*complete_days(7, ago=1)]
    assert installation.fetched(QUIET_DAY) == {*QUIET_DAY}
    assert installation.outcomes == ["ambiguous_empty", "leads"]


def test_without_neighbours_a_second_call_with_a_trusted_key_confirms_an_empty_day(
    tmp_path: Path, silent: FakeIndiaMart
) -> None:
    installation = v1_installation(tmp_path, silent, next(_quiet_keys), start=QUIET_DAY[0])
    trust_the_key(installation)
    response = response_of(installation.pull_to_the_end(QUIET_DAY))
    assert (response.outcome, response.records) == (Outcome.NO_LEADS, 0)
    assert response.message.endswith("was: no leads.")
    assert installation.outcomes[1:] == ["ambiguous_empty", "no_leads"]
    assert installation.fetched(QUIET_DAY) == {*QUIET_DAY}
    assert [call.start for call in installation.fake.calls] == [day_start(QUIET_DAY[0])] * 2
    merge(installation, QUIET_DAY)
    assert installation.pull(QUIET_DAY, "later") == Pulled(None, ())


def test_answers_of_another_key_confirm_nothing(tmp_path: Path, silent: FakeIndiaMart) -> None:
    installation = v1_installation(tmp_path, silent, "v1/a+wrong=key==", start=QUIET_DAY[0])
    assert isinstance(installation.pull(QUIET_DAY), PullLater)
    right = next(_quiet_keys)
    account = replace(installation.settings.accounts[0], key=right)
    changed = Installation(
        replace(installation.settings, accounts=(account,)), FakeSeller(silent, right, silent.v1_url)
    )
    trust_the_key(changed)
    assert isinstance(changed.pull(QUIET_DAY, "run-2"), PullLater)
    assert changed.fetched(QUIET_DAY) == set()
    assert response_of(changed.pull_to_the_end(QUIET_DAY, "run-2")).outcome is Outcome.NO_LEADS


def test_a_wrong_key_that_is_answered_with_nothing_covers_nothing_and_is_not_asked_for_ever(
    tmp_path: Path, silent: FakeIndiaMart
) -> None:
    installation = v1_installation(tmp_path, silent, "v1/another+wrong=key==")
    with pytest.raises(PullFailedError, match="wrong or new"):
        installation.pull_to_the_end()
    assert [call.outcome for call in installation.fake.calls] == ["key_rejected"] * MAX_EMPTY_ANSWERS
    assert installation.outcomes == ["ambiguous_empty"] * MAX_EMPTY_ANSWERS
    assert installation.fetched() == set()


# Keys


def test_a_replaced_key_fails_with_the_time_of_the_newer_one_whose_older_days_are_then_withheld(
    tmp_path: Path,
) -> None:
    key, newer = "v1/an+older=key==", "v1/a+newer=key=="
    with FakeIndiaMart(
        keys=SELLERS[:1], v1_keys={key: SELLERS[0]}, mobile=MOBILE, interval_seconds=INTERVAL, v1_silence=1.0
    ) as own:
        own.replace_key(key, newer)
        installation = v1_installation(tmp_path, own, key)
        with pytest.raises(
            PullFailedError, match=r"The newer key was made at \d\d \w+ \d{4} \d\d:\d\d IST\."
        ) as caught:
            installation.pull()
        assert caught.value.outcome is Outcome.KEY_REJECTED

        account = replace(installation.settings.accounts[0], key=newer)
        changed = Installation(replace(installation.settings, accounts=(account,)), FakeSeller(own, newer, own.v1_url))
        with pytest.raises(PullFailedError) as caught:
            changed.pull_to_the_end(run_id="run-2")
    assert caught.value.outcome is Outcome.NOT_YET_AVAILABLE
    assert changed.outcomes == ["key_rejected", "not_yet_available"]
    assert changed.fetched() == set()
