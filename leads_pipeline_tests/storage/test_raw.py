import json
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leads_pipeline.days import IST, day_of
from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline.indiamart.windows import Span, Window, plan_windows
from leads_pipeline.storage.raw import RawResponse, RawStore, RawStoreError, ResponseName, is_import, sha256_of
from leads_pipeline_tests.storage.raw_responses import BODY, SENT, WINDOW, name_of, response_of, store
from leads_pipeline_tests.support import ist

MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))


@pytest.fixture
def raw(tmp_path: Path) -> RawStore:
    return RawStore(tmp_path)


def test_a_name_tells_account_api_window_and_time_of_the_call() -> None:
    assert name_of().response_id == "indiamart.v2.20260301T000000.20260308T000000.20260310T010203456789Z"


@given(MOMENTS, st.integers(0, 400), st.sampled_from(["indiamart", "demo", "shop-2_b"]))
def test_names_of_planned_windows_round_trip(now: datetime, days_ago: int, account: str) -> None:
    day = day_of(now) - timedelta(days=days_ago)
    for window in plan_windows([day, day + timedelta(days=3)], now):
        name = ResponseName(account, "v2", window, now)
        assert ResponseName.parse(name.response_id) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "indiamart.v2",
        "../../etc/passwd",
        "indiamart.v2.20260308T000000.20260301T000000.20260310T010203456789Z",
        "indiamart.v2.20260301T000000.20260309T000000.20260310T010203456789Z",
        "indiamart.v2.20260301T000000.20260308T000000.20260310T010203456789Z.more",
    ],
)
def test_what_is_no_name_of_a_raw_response_is_refused(name: str) -> None:
    with pytest.raises(RawStoreError, match="not the name of a raw response"):
        ResponseName.parse(name)


ANSWERS = st.builds(
    replace,
    st.just(response_of(name_of())),
    message=st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    server_date=st.none() | MOMENTS,
    latency_seconds=st.none() | st.floats(0, 100),
    http_status=st.none() | st.integers(100, 599),
    code=st.none() | st.integers(-(2**31), 2**31),
    total_records=st.none() | st.integers(0, 10**6),
    outcome=st.sampled_from(Outcome),
    key_masked=st.booleans(),
    recovered=st.booleans(),
    received_at=MOMENTS,
)


@given(ANSWERS)
def test_sidecars_round_trip(response: RawResponse) -> None:
    assert RawResponse.from_json(response.to_json()) == response


def test_fields_that_a_later_version_added_are_passed_over() -> None:
    response = response_of(name_of())
    text = json.dumps(json.loads(response.to_json()) | {"colour": "blue"}).encode()
    assert RawResponse.from_json(text) == response


def test_a_sidecar_is_text_with_zones_that_people_can_read() -> None:
    facts = json.loads(response_of(name_of()).to_json())
    assert facts["window_start"] == "2026-03-01T00:00:00+05:30"
    assert facts["outcome"] == "leads"


def test_an_answer_proves_by_the_earlier_clock_less_five_minutes() -> None:
    response = response_of(name_of())
    margin = timedelta(minutes=5)
    assert replace(response, server_date=None).proven_until == SENT - margin
    assert replace(response, server_date=SENT + timedelta(hours=3)).proven_until == SENT - margin
    assert replace(response, server_date=SENT - timedelta(hours=3)).proven_until == SENT - timedelta(hours=3) - margin


@settings(max_examples=30)
@given(st.binary(max_size=2000))
def test_bytes_come_back_as_they_were_received(tmp_path_factory: pytest.TempPathFactory, body: bytes) -> None:
    raw = RawStore(tmp_path_factory.mktemp("raw"))
    raw.write_body(name_of(), body)
    assert raw.read_body(name_of().response_id) == body


def test_answers_lie_by_account_and_first_day_for_their_owner_only(tmp_path: Path, raw: RawStore) -> None:
    store(raw, name_of())
    folder = tmp_path / "raw" / "indiamart" / "2026-03-01"
    assert sorted(path.suffix for path in folder.iterdir()) == [".json", ".zst"]
    assert {path.name.removesuffix(path.suffix) for path in folder.iterdir()} == {name_of().response_id}
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (folder, folder.parent, folder.parent.parent)} == {0o700}


def test_the_folder_is_the_indian_day_whatever_zone_the_window_is_told_in(tmp_path: Path, raw: RawStore) -> None:
    in_utc = Window(WINDOW.start.astimezone(UTC), WINDOW.end.astimezone(UTC))
    raw.write_body(name_of(in_utc), BODY)
    assert (tmp_path / "raw" / "indiamart" / "2026-03-01" / f"{name_of().response_id}.zst").exists()


def test_a_stored_answer_is_found_and_one_that_is_not_is_said_so(raw: RawStore) -> None:
    response = store(raw, name_of())
    other = name_of(sent_at=SENT + timedelta(seconds=1)).response_id
    assert raw.read_sidecar(response.response_id) == response
    assert raw.has_body(response.response_id)
    assert raw.read_sidecar(other) is None
    assert not raw.has_body(other)
    with pytest.raises(RawStoreError, match="can't be read \\(FileNotFoundError\\)"):
        raw.read_body(other)


def test_all_names_are_found_by_account_or_for_all(raw: RawStore) -> None:
    one, two = name_of(), name_of(account="demo")
    raw.write_body(one, BODY)
    raw.write_body(two, BODY)
    assert raw.response_ids() == sorted([one.response_id, two.response_id])
    assert raw.response_ids("demo") == [two.response_id]
    assert RawStore(Path("/nowhere")).response_ids() == []


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied", "replaced"])
def test_a_damaged_body_is_an_error_that_names_it_and_quotes_nothing(
    tmp_path: Path, raw: RawStore, damage: str
) -> None:
    name = name_of()
    raw.write_body(name, BODY + Random(1).randbytes(500) + b"+91-9876543210")
    [path] = tmp_path.rglob("*.zst")
    data = bytearray(path.read_bytes())
    if damage == "flipped":
        data[len(data) // 2] ^= 0x10
    path.write_bytes({"cut": data[:-9], "flipped": data, "emptied": bytearray(), "replaced": bytearray(b"<")}[damage])
    with pytest.raises(RawStoreError) as caught:
        raw.read_body(name.response_id)
    assert name.response_id in str(caught.value)
    assert "98765" not in str(caught.value)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"{}", b"null", b"\xff", b'{"outcome": "new"}', b'{"sent_at": 5}'])
def test_a_damaged_sidecar_is_an_error_that_names_it(tmp_path: Path, raw: RawStore, text: bytes) -> None:
    response = store(raw, name_of())
    [path] = tmp_path.rglob("*.json")
    path.write_bytes(text)
    with pytest.raises(RawStoreError, match=response.response_id):
        raw.read_sidecar(response.response_id)


def test_times_of_a_name_are_indian_and_universal() -> None:
    name = ResponseName.parse(name_of().response_id)
    assert name.window.start == ist("2026-03-01 00:00:00")
    assert name.window.start.tzinfo is IST
    assert name.sent_at == SENT


def test_an_imports_name_tells_its_days_however_many_and_that_it_was_imported() -> None:
    years = Span(WINDOW.start - timedelta(days=900), WINDOW.end)
    name = ResponseName.of_import("indiamart", "push", years, SENT, sha256_of(BODY))
    assert ResponseName.parse(name.response_id) == name
    assert is_import(name.response_id)
    assert not is_import(name_of().response_id)
    with pytest.raises(RawStoreError, match="not the name"):
        ResponseName.parse(f"{name.response_id}0")
