import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from leads_pipeline.days import utc_now
from leads_pipeline.fake_indiamart.server import FakeIndiaMart
from leads_pipeline.indiamart.call_slot import CallInFlight, CallSlots, Claim, Granted, Wait, key_fingerprint
from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline.indiamart.windows import Window
from leads_pipeline.stages.pull import Pulled, PullLater
from leads_pipeline.stages.recovery import recover_calls
from leads_pipeline.storage.raw import ResponseName
from leads_pipeline_tests.stages.pulls import DAYS, SELLERS, FakeSeller, Installation, pull_and_be_killed
from leads_pipeline_tests.storage.children import CONTEXT
from leads_pipeline_tests.storage.raw_responses import response_of, window_of
from leads_pipeline_tests.support import answer_body, make_settings, records_of

TIMEOUT = 0.5
WINDOW: Window = window_of(DAYS[0], DAYS[-1])
BODY = answer_body(200, records=records_of("1", "2"))


_keys = iter(SELLERS)


@pytest.fixture(scope="module")
def server() -> Iterator[FakeIndiaMart]:
    with FakeIndiaMart(keys=SELLERS, interval_seconds=0.05, leads_per_day=4) as shared:
        yield shared


@pytest.fixture
def fake(server: FakeIndiaMart) -> FakeSeller:
    return FakeSeller(server, next(_keys))


@pytest.fixture
def installation(tmp_path: Path, fake: FakeSeller) -> Installation:
    return Installation(make_settings(tmp_path, fake.url, fake.key, timeout=TIMEOUT), fake)


def kill(installation: Installation, point: str) -> None:
    process = CONTEXT.Process(target=pull_and_be_killed, args=(installation.settings, DAYS, point), daemon=True)
    process.start()
    process.join(60)
    assert process.exitcode == -9


@pytest.mark.parametrize(
    ("point", "calls", "outcomes", "recovered"),
    [
        ("call:slot", 1, ["leads"], False),
        ("call:sent", 2, ["unreachable", "leads"], False),
        ("raw:body", 1, ["leads"], True),
        ("raw:sidecar", 1, ["leads"], False),
    ],
)
def test_after_a_kill_at_any_point_one_clean_pull_has_the_days_without_asking_twice(
    installation: Installation, point: str, calls: int, outcomes: list[str], recovered: bool
) -> None:
    kill(installation, point)
    installation.pull_to_the_end(run_id="clean")
    assert installation.fetched() == {*DAYS}
    assert installation.stored_ids() == installation.true_ids()
    assert len(installation.fake.calls) == calls
    assert installation.fake.refused_calls == []
    assert installation.outcomes == outcomes
    assert [answer.recovered for answer in installation.answers] == [recovered]
    assert installation.workspace.catalog.announced() == []
    assert installation.workspace.slots.in_flight() == []
    assert installation.pull(run_id="one more") == Pulled(None, ())


def test_a_killed_call_still_uses_up_its_slot(installation: Installation) -> None:
    kill(installation, "call:sent")
    later = installation.pull(run_id="clean")
    assert isinstance(later, PullLater)
    assert "a call is under way" in later.reason
    assert installation.slot().seconds_left > 0


class CutShort:
    """A call that went as far as a test lets it, as if its process had died then."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.workspace = installation.workspace
        self.name = ResponseName("indiamart", "v2", WINDOW, utc_now())
        self.granted = installation.take_the_slot()
        self.call = CallInFlight(
            key_fingerprint(installation.fake.key),
            "another",
            "indiamart",
            "v2",
            WINDOW,
            self.name.response_id,
            self.name.sent_at,
            0.0,
            False,
        )
        assert self.workspace.slots.begin(self.granted, self.call)
        self.workspace.catalog.announce(self.name.response_id)

    def store_body(self, body: bytes = BODY) -> None:
        self.workspace.raw.write_body(self.name, body)

    def store_sidecar(self) -> None:
        origin = self.installation.settings.accounts[0].origin
        self.workspace.raw.write_sidecar(
            response_of(self.name, BODY, origin=origin, run_id="another", server_date=None)
        )

    def recover(self) -> list[str]:
        lines: list[str] = []
        recover_calls(self.workspace, self.installation.settings.accounts[0], lines.append)
        return lines


@pytest.fixture
def under_way(tmp_path: Path, fake: FakeSeller) -> CutShort:
    """A call whose slot stays closed for long."""
    return CutShort(Installation(make_settings(tmp_path, fake.url, fake.key, interval=300.0), fake))


@pytest.fixture
def lapsed(tmp_path: Path, fake: FakeSeller) -> CutShort:
    """A call whose slot's time is over at once."""
    return CutShort(Installation(make_settings(tmp_path, fake.url, fake.key, interval=1e-6, timeout=1e-6), fake))


def test_a_call_under_way_is_left_alone(under_way: CutShort) -> None:
    assert under_way.recover() == []
    assert under_way.workspace.catalog.announced() == [under_way.name.response_id]
    assert [call.response_id for call in under_way.workspace.slots.in_flight()] == [under_way.name.response_id]
    assert under_way.installation.outcomes == []


def test_a_body_without_sidecar_is_left_to_its_process_while_that_may_live(under_way: CutShort) -> None:
    under_way.store_body()
    assert under_way.recover() == []
    assert under_way.workspace.raw.read_sidecar(under_way.name.response_id) is None


def test_an_answer_with_its_sidecar_is_entered_and_logged_at_once_and_its_slot_stays_closed(
    under_way: CutShort,
) -> None:
    under_way.store_body()
    under_way.store_sidecar()
    under_way.recover()
    assert under_way.installation.fetched() == {*DAYS}
    assert under_way.installation.outcomes == ["leads"]
    assert under_way.installation.slot().seconds_left > 200


def test_recovering_twice_changes_nothing(under_way: CutShort) -> None:
    under_way.store_body()
    under_way.store_sidecar()
    under_way.recover()
    assert under_way.recover() == []
    assert under_way.installation.outcomes == ["leads"]
    assert len(under_way.workspace.catalog.about("indiamart", DAYS)) == 1


def test_a_process_that_lives_on_after_it_was_recovered_does_no_harm(under_way: CutShort) -> None:
    under_way.store_body()
    under_way.store_sidecar()
    under_way.recover()
    response = under_way.workspace.raw.read_sidecar(under_way.name.response_id)
    [logged] = under_way.workspace.call_log.after(0)
    assert response is not None
    under_way.workspace.catalog.add(response)
    under_way.workspace.slots.release(under_way.granted, logged)
    assert under_way.installation.outcomes == ["leads"]
    assert under_way.workspace.catalog.announced() == []


def test_a_call_without_an_answer_is_withdrawn_and_logged_once_its_time_is_over(lapsed: CutShort) -> None:
    [line] = lapsed.recover()
    assert "was cut short" in line
    assert lapsed.workspace.catalog.announced() == []
    [call] = lapsed.workspace.call_log.after(0)
    assert (call.outcome, call.run_id) == (Outcome.UNREACHABLE, "another")
    assert call.message == "the process ended before an answer was stored"


def test_a_body_without_sidecar_is_judged_from_its_name_and_bytes(lapsed: CutShort) -> None:
    lapsed.store_body()
    lapsed.recover()
    [answer] = lapsed.installation.answers
    assert answer.recovered
    assert (answer.outcome, answer.records, answer.http_status) == (Outcome.LEADS, 2, None)
    assert (answer.window, answer.sent_at, answer.received_at) == (WINDOW, lapsed.name.sent_at, lapsed.name.sent_at)
    assert (answer.run_id, answer.key_fingerprint) == ("another", key_fingerprint(lapsed.installation.fake.key))
    assert lapsed.installation.fetched() == {*DAYS}
    assert lapsed.installation.outcomes == ["leads"]


def test_a_recovered_answer_shows_no_key_in_its_message(lapsed: CutShort) -> None:
    escaped = "".join(c if c.isalnum() else f"\\u{ord(c):04x}" for c in lapsed.installation.fake.key)
    lapsed.store_body(f'{{"CODE":500,"MESSAGE":"no such key: {escaped}"}}'.encode())
    lapsed.recover()
    assert [answer.message for answer in lapsed.installation.answers] == ["no such key: ***"]


def test_a_body_that_was_cut_off_by_the_kill_covers_nothing(lapsed: CutShort) -> None:
    lapsed.store_body(BODY[:-30])
    lapsed.recover()
    assert [answer.outcome for answer in lapsed.installation.answers] == [Outcome.UNREADABLE]
    assert lapsed.installation.fetched() == set()


def test_a_killed_calls_answer_counts_even_if_its_slot_opens_while_a_run_asks_for_it(
    tmp_path: Path, fake: FakeSeller, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_short = CutShort(Installation(make_settings(tmp_path, fake.url, fake.key, interval=0.1, timeout=0.4), fake))
    cut_short.store_body()
    request = CallSlots.request

    def after_a_while(slots: CallSlots, claim: Claim) -> Granted | Wait:
        time.sleep(cut_short.installation.slot().seconds_left)
        return request(slots, claim)

    monkeypatch.setattr(CallSlots, "request", after_a_while)
    assert cut_short.installation.pull() == Pulled(None, ())
    assert fake.calls == []
    assert cut_short.installation.outcomes == ["leads"]
    assert [answer.run_id for answer in cut_short.installation.answers] == ["another"]


def test_other_accounts_calls_are_left_to_them(tmp_path: Path, lapsed: CutShort, fake: FakeSeller) -> None:
    other = make_settings(tmp_path, fake.url, fake.key, account="other").accounts[0]
    lapsed.store_body()
    recover_calls(lapsed.workspace, other, lambda _: None)
    assert lapsed.workspace.catalog.announced() == [lapsed.name.response_id]
    assert lapsed.installation.outcomes == []


def test_answers_are_found_again_after_the_catalogue_was_lost(installation: Installation) -> None:
    installation.pull_to_the_end()
    for path in installation.settings.state_dir.glob("answers.sqlite*"):
        path.unlink()
    assert installation.pull(run_id="run-2") == Pulled(None, ())
    assert len(installation.fake.calls) == 1
