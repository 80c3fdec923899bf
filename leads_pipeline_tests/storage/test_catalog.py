from datetime import date, timedelta
from pathlib import Path

import pytest

from leads_pipeline.days import ONE_DAY, days_between
from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline.storage.catalog import Catalog, MergedCounts, times_about
from leads_pipeline.storage.coverage import times_of
from leads_pipeline.storage.raw import RawStore, RawStoreError, ResponseName
from leads_pipeline.storage.told_days import keep_told, told_of
from leads_pipeline_tests.storage.raw_responses import BODY, SENT, name_of, response_of, store, window_of

DAY = date(2026, 3, 4)


class Stored:
    """A raw store and its catalogue."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "answers.sqlite"
        self.raw = RawStore(folder)
        self.catalog = Catalog(self.file, self.raw)

    def add(self, first: date, last: date, *, seconds: int = 0, account: str = "indiamart", **changes: object) -> str:
        sent = SENT + timedelta(seconds=seconds)
        response = store(self.raw, name_of(window_of(first, last), account=account, sent_at=sent), **changes)
        self.catalog.add(response)
        return response.response_id

    def lose_the_file(self) -> None:
        for path in self.file.parent.glob("answers.sqlite*"):
            path.unlink()


@pytest.fixture
def stored(tmp_path: Path) -> Stored:
    return Stored(tmp_path)


def about(stored: Stored, *days: date) -> list[str]:
    return [answer.response_id for answer in stored.catalog.about("indiamart", days)]


def merged(response_id: str) -> MergedCounts:
    return MergedCounts(response_id, received=2, leads=1, duplicates=1, quarantined=0)


def test_an_answer_comes_back_with_what_planning_needs(stored: Stored) -> None:
    name = stored.add(DAY, DAY + ONE_DAY)
    [answer] = stored.catalog.about("indiamart", [DAY])
    response = stored.raw.read_sidecar(name)
    assert response is not None
    assert answer.window == response.window
    assert answer.proven_until == response.proven_until
    assert answer.fetched_at == response.received_at
    assert (answer.outcome, answer.records, answer.merged) == (Outcome.LEADS, 2, False)


def test_answers_are_found_by_any_day_that_their_window_touches(stored: Stored) -> None:
    week = stored.add(DAY, DAY + 6 * ONE_DAY)
    for day in days_between(DAY, DAY + 6 * ONE_DAY):
        assert about(stored, day) == [week]
    assert about(stored, DAY - ONE_DAY) == about(stored, DAY + 7 * ONE_DAY) == about(stored) == []
    assert about(stored, DAY - 30 * ONE_DAY, DAY + 30 * ONE_DAY) == [week]


def test_answers_come_oldest_first_whatever_order_they_were_entered_in(stored: Stored) -> None:
    late = stored.add(DAY, DAY, seconds=60)
    early = stored.add(DAY, DAY)
    assert about(stored, DAY) == [early, late]


def test_refusals_say_nothing_of_a_day(stored: Stored) -> None:
    names = {outcome: stored.add(DAY, DAY, seconds=place, outcome=outcome) for place, outcome in enumerate(Outcome)}
    speaking = {Outcome.LEADS, Outcome.NO_LEADS, Outcome.TRUNCATED, Outcome.NOT_YET_AVAILABLE}
    assert {*about(stored, DAY)} == {names[outcome] for outcome in speaking}


def test_answers_that_are_empty_without_saying_why_are_found_by_the_window_that_they_overlap(stored: Stored) -> None:
    stored.add(DAY, DAY, outcome=Outcome.NO_LEADS)
    stored.add(DAY, DAY, seconds=1, outcome=Outcome.AMBIGUOUS_EMPTY, account="other")
    week = stored.add(DAY - 6 * ONE_DAY, DAY, seconds=2, outcome=Outcome.AMBIGUOUS_EMPTY)
    day = stored.add(DAY, DAY, seconds=3, outcome=Outcome.AMBIGUOUS_EMPTY)

    def empties(first: date, last: date) -> list[str]:
        return [one.response_id for one in stored.catalog.ambiguous_empties("indiamart", window_of(first, last))]

    assert empties(DAY, DAY) == empties(DAY, DAY + 6 * ONE_DAY) == [week, day]
    assert empties(DAY - 12 * ONE_DAY, DAY - 6 * ONE_DAY) == [week]
    assert empties(DAY + ONE_DAY, DAY + ONE_DAY) == empties(DAY - 13 * ONE_DAY, DAY - 7 * ONE_DAY) == []


def test_accounts_do_not_mix(stored: Stored) -> None:
    stored.add(DAY, DAY, account="demo", origin="fake")
    mine = stored.add(DAY, DAY)
    assert about(stored, DAY) == [mine]
    assert [answer.response_id for answer in stored.catalog.unmerged("indiamart")] == [mine]
    assert stored.catalog.accounts() == ["demo", "indiamart"]
    assert stored.catalog.origins("demo") == {"fake"}
    assert stored.catalog.origins("nobody") == set()


def test_an_answer_is_announced_before_it_is_stored_and_entered_after(stored: Stored) -> None:
    name = name_of()
    stored.catalog.announce(name.response_id)
    stored.catalog.announce(name.response_id)
    assert stored.catalog.announced() == [name.response_id]
    stored.catalog.add(store(stored.raw, name))
    assert stored.catalog.announced() == []
    stored.catalog.announce("another")
    stored.catalog.withdraw("another")
    assert stored.catalog.announced() == []


def test_entering_an_answer_again_keeps_that_it_is_merged(stored: Stored) -> None:
    name = stored.add(DAY, DAY)
    stored.catalog.mark_merged([merged(name)])
    stored.add(DAY, DAY)
    assert stored.catalog.unmerged("indiamart") == []


def test_the_merge_ledger_tells_which_answers_are_in_the_tables(stored: Stored) -> None:
    one, two = stored.add(DAY, DAY), stored.add(DAY, DAY, seconds=1)
    stored.catalog.mark_merged([merged(one)])
    assert [answer.response_id for answer in stored.catalog.unmerged("indiamart")] == [two]
    assert {answer.response_id: answer.merged for answer in stored.catalog.about("indiamart", [DAY])} == {
        one: True,
        two: False,
    }


def test_an_answer_without_leads_has_nothing_to_merge(stored: Stored) -> None:
    stored.add(DAY, DAY, outcome=Outcome.NO_LEADS, records=0)
    assert stored.catalog.unmerged("indiamart") == []
    assert [answer.merged for answer in stored.catalog.about("indiamart", [DAY])] == [True]


def test_answers_with_leads_are_found_by_the_days_that_they_touch(stored: Stored) -> None:
    week = stored.add(DAY, DAY + 6 * ONE_DAY)
    stored.add(DAY, DAY, seconds=1, outcome=Outcome.NO_LEADS)
    touching = stored.catalog.touching
    assert [answer.response_id for answer in touching("indiamart", [DAY + 3 * ONE_DAY])] == [week]
    assert touching("indiamart", [DAY - ONE_DAY, DAY + 7 * ONE_DAY]) == []
    assert touching("indiamart", []) == []


def test_the_first_day_is_that_of_the_earliest_whole_answer(stored: Stored) -> None:
    assert stored.catalog.first_day("indiamart") is None
    stored.add(DAY, DAY)
    stored.add(DAY - ONE_DAY, DAY, outcome=Outcome.BAD_REQUEST)
    assert stored.catalog.first_day("indiamart") == window_of(DAY, DAY).start


def test_a_lost_catalogue_is_rebuilt_from_the_sidecars_with_everything_unmerged(stored: Stored) -> None:
    name = stored.add(DAY, DAY)
    empty = stored.add(DAY, DAY, seconds=1, outcome=Outcome.NO_LEADS, records=0)
    before = stored.catalog.about("indiamart", [DAY])
    stored.catalog.mark_merged([merged(name)])
    stored.lose_the_file()
    assert stored.catalog.about("indiamart", [DAY]) == before
    assert [answer.response_id for answer in stored.catalog.unmerged("indiamart")] == [name]
    assert about(stored, DAY) == [name, empty]


def test_a_rebuilt_catalogue_announces_answers_whose_sidecar_was_never_written(stored: Stored) -> None:
    stored.raw.write_body(name_of(), BODY)
    assert stored.catalog.announced() == [name_of().response_id]


def test_a_catalogue_is_not_rebuilt_around_a_damaged_sidecar(stored: Stored, tmp_path: Path) -> None:
    name = stored.add(DAY, DAY)
    stored.lose_the_file()
    [sidecar] = tmp_path.rglob("*.json")
    text = sidecar.read_bytes()
    sidecar.write_bytes(b"")
    with pytest.raises(RawStoreError, match=name):
        stored.catalog.announced()
    sidecar.write_bytes(text)
    assert about(stored, DAY) == [name]


def test_forgetting_an_account_forgets_no_other(stored: Stored) -> None:
    for account in ("a_b", "axb", "a_b2"):
        stored.add(DAY, DAY, account=account)
        stored.catalog.announce(f"{account}.v2.later")
    stored.catalog.forget("a_b")
    assert stored.catalog.accounts() == ["a_b2", "axb"]
    assert stored.catalog.announced() == ["a_b2.v2.later", "axb.v2.later"]


def test_the_times_of_answers_are_those_of_the_answers_themselves(stored: Stored) -> None:
    for days in (0, 1, 6):
        stored.add(DAY, DAY + days * ONE_DAY)
    stored.catalog.mark_merged([merged(about(stored, DAY)[0])])
    answers = stored.catalog.about("indiamart", [DAY])
    with stored.catalog.opened() as connection:
        assert times_about(connection, "indiamart", [DAY]) == [times_of(answer) for answer in answers]
        assert times_about(connection, "indiamart", []) == []
    assert {answer.merged for answer in answers} == {True, False}


def test_accounts_and_origins_are_each_named_once_and_imports_have_none(stored: Stored) -> None:
    for number, (account, origin) in enumerate([("b", "https://x"), ("a", "https://y"), ("b", "https://w")] * 3):
        stored.add(DAY, DAY, seconds=number, account=account, origin=origin)
    name = ResponseName("b", "v2", window_of(DAY, DAY), SENT, checksum="0123456789abcdef")
    stored.catalog.add(response_of(name, origin="a file"))
    assert stored.catalog.accounts() == ["a", "b"]
    assert stored.catalog.origins("b") == {"https://w", "https://x"}
    assert stored.catalog.origins("nobody") == set()


def test_the_ledger_tells_of_the_answers_that_are_asked_for(stored: Stored) -> None:
    one, other, unmerged = (stored.add(DAY, DAY, seconds=number) for number in range(3))
    stored.catalog.mark_merged([merged(one), merged(other)])
    assert stored.catalog.merged_counts("indiamart") == {one: merged(one), other: merged(other)}
    assert stored.catalog.merged_counts_of([one, unmerged, "no such answer"]) == {one: merged(one)}
    assert stored.catalog.merged_counts_of([]) == {}


def test_a_catalogue_of_the_version_before_keeps_its_ledger_and_reads_no_sidecar(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = stored.add(DAY, DAY)
    stored.catalog.mark_merged([merged(name)])
    with stored.catalog.opened() as connection:
        for trigger in ("INSERT", "UPDATE", "DELETE"):
            connection.execute(f"DROP TRIGGER told_day_{trigger}")
        connection.execute("DROP TABLE told_day")
        connection.execute("DROP INDEX response_by_origin")
        connection.execute("PRAGMA user_version = 1")
    monkeypatch.setattr(RawStore, "read_sidecar", None)
    assert stored.catalog.merged_counts("indiamart") == {name: merged(name)}
    keep_told(stored.catalog, "indiamart", [DAY])
    [told] = told_of(stored.catalog, "indiamart", [DAY])
    assert (told.proofs, told.all_merged) == ((name,), True)
