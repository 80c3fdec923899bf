import sqlite3
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from leads_pipeline.days import ONE_DAY, day_start, days_between
from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline.indiamart.windows import MAX_WINDOW, Window
from leads_pipeline.storage import told_days, told_days_sql
from leads_pipeline.storage.catalog import AnswerTimes, Catalog, MergedCounts, times_about
from leads_pipeline.storage.coverage import ToldDay, coverage_of, day_number, judged, times_of
from leads_pipeline.storage.coverage import told_days as tell
from leads_pipeline.storage.raw import RawResponse, RawStore, ResponseName
from leads_pipeline.storage.told_days import keep_told, told_of
from leads_pipeline_tests.storage.raw_responses import BODY, name_of, response_of, window_of

ACCOUNTS = ("indiamart", "second")
FIRST = date(2026, 2, 20)
DAYS = days_between(FIRST - 9 * ONE_DAY, FIRST + 21 * ONE_DAY)
NOW = day_start(FIRST + 20 * ONE_DAY)
OUTCOMES = [*Outcome, *[Outcome.LEADS] * 12]


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog(tmp_path / "answers.sqlite", RawStore(tmp_path))


def plain(catalog: Catalog, account: str) -> list[ToldDay]:
    """Return what all answers tell of the days, without the catalogue's own way to find them."""
    answers = [times_of(answer) for answer in catalog.all_of(account)]
    speaking = {"leads", "no_leads", "truncated", "not_yet_available"}
    return tell(DAYS, [answer for answer in answers if answer.outcome in speaking])


class History:
    """An account's answers as they come, are merged and forgotten, at random."""

    def __init__(self, catalog: Catalog, seed: int) -> None:
        self.catalog, self.random = catalog, Random(seed)
        self.entered: list[str] = []

    def answer(self) -> RawResponse:
        choose = self.random
        start = day_start(FIRST + choose.randrange(18) * ONE_DAY)
        if choose.random() < 0.4:
            start += timedelta(seconds=choose.randrange(1, 86_400))
        long = choose.choice([MAX_WINDOW, ONE_DAY, 2 * ONE_DAY, timedelta(seconds=choose.randrange(1, 604_800))])
        if choose.random() < 0.3:  # until a moment of a later day, as an intraday poll asks
            long = min(long + timedelta(seconds=choose.randrange(3600)), MAX_WINDOW)
        window = Window(start, start + long)
        sent = window.end + timedelta(seconds=choose.choice([-80_000, -1, 0, 299, 300, 301, 90_000]))
        name = name_of(window, account=choose.choice(ACCOUNTS), sent_at=sent + self.unique())
        if choose.random() < 0.1:
            name = ResponseName(name.account, name.source_api, window, name.sent_at, checksum="0123456789abcdef")
        return response_of(name, BODY, outcome=choose.choice(OUTCOMES), server_date=None)

    def unique(self) -> timedelta:
        return timedelta(microseconds=len(self.entered) + 1)

    def step(self) -> None:
        deed = self.random.random()
        if deed < 0.6 or not self.entered:
            response = self.answer()
            self.catalog.add(response)
            self.entered.append(response.response_id)
        elif deed < 0.8:
            some = self.random.sample(self.entered, min(len(self.entered), 3))
            self.catalog.mark_merged(
                [MergedCounts(one, received=1, leads=1, duplicates=0, quarantined=0) for one in some]
            )
        elif deed < 0.97:
            some = self.random.sample(DAYS, self.random.randrange(1, len(DAYS)))
            keep_told(self.catalog, self.random.choice(ACCOUNTS), some)
        else:
            self.catalog.forget(self.random.choice(ACCOUNTS))


@pytest.mark.parametrize("seed", range(12))
def test_what_is_kept_is_what_the_answers_tell_at_each_moment_of_any_history(catalog: Catalog, seed: int) -> None:
    history = History(catalog, seed)
    for _ in range(60):
        history.step()
        for account in ACCOUNTS:
            assert told_of(catalog, account, DAYS) == plain(catalog, account)
    for account in ACCOUNTS:
        keep_told(catalog, account, DAYS)
        assert told_of(catalog, account, reversed(DAYS)) == plain(catalog, account)


def test_coverage_by_way_of_kept_days_is_the_plain_one(catalog: Catalog) -> None:
    history = History(catalog, seed=77)
    for _ in range(40):
        history.step()
    with catalog.opened() as connection:
        times = times_about(connection, ACCOUNTS[0], DAYS)
    in_tables = DAYS[::2]
    keep_told(catalog, ACCOUNTS[0], DAYS)
    kept = [judged(one, one.day in in_tables, DAYS[5]) for one in told_of(catalog, ACCOUNTS[0], DAYS)]
    plainly = coverage_of(DAYS, times, in_tables, NOW + timedelta(days=365))
    assert [(day.fetched, day.merged, day.proofs, day.fetched_until, day.first_complete_at) for day in kept] == [
        (day.fetched, day.merged, day.proofs, day.fetched_until, day.first_complete_at) for day in plainly
    ]


@pytest.fixture
def week(catalog: Catalog) -> Iterator[list[date]]:
    """A week that one answer tells of, kept."""
    catalog.add(response_of(name_of(window_of(FIRST, FIRST + 6 * ONE_DAY), sent_at=NOW), server_date=None))
    days = days_between(FIRST, FIRST + 6 * ONE_DAY)
    keep_told(catalog, ACCOUNTS[0], days)
    yield days


def kept_days(catalog: Catalog) -> set[int]:
    with catalog.opened() as connection:
        return {row[0] for row in connection.execute(told_days_sql.KNOWN, (ACCOUNTS[0], 0, 100_000))}


def test_kept_days_are_read_and_not_computed(
    catalog: Catalog, week: list[date], monkeypatch: pytest.MonkeyPatch
) -> None:
    def computed(*_: object) -> list[AnswerTimes]:
        raise AssertionError("all of these days are kept")

    monkeypatch.setattr(told_days, "times_about", computed)
    assert len({told.proofs for told in told_of(catalog, ACCOUNTS[0], week)}) == 1
    keep_told(catalog, ACCOUNTS[0], week)
    with pytest.raises(AssertionError, match="kept"):
        told_of(catalog, ACCOUNTS[0], [*week, week[-1] + ONE_DAY])


def test_the_answers_of_one_version_are_told_apart_from_what_is_kept_of_all(catalog: Catalog, week: list[date]) -> None:
    assert all(told.proofs for told in told_of(catalog, ACCOUNTS[0], week, "v2"))
    assert not any(told.proofs for told in told_of(catalog, ACCOUNTS[0], week, "v1"))


def test_an_answer_drops_what_is_kept_of_its_own_days_and_of_no_others(catalog: Catalog, week: list[date]) -> None:
    noon = day_start(week[3]) + timedelta(hours=12)
    catalog.add(response_of(name_of(Window(day_start(week[2]), noon), sent_at=noon)))
    assert kept_days(catalog) == {day_number(day) for day in week} - {day_number(week[2]), day_number(week[3])}


def test_an_import_tells_nothing_and_drops_nothing(catalog: Catalog, week: list[date]) -> None:
    window = window_of(week[0], week[1])
    catalog.add(response_of(ResponseName(ACCOUNTS[0], "v2", window, NOW, checksum="0123456789abcdef")))
    assert len(kept_days(catalog)) == 7


def test_a_change_that_is_taken_back_drops_nothing(catalog: Catalog, week: list[date]) -> None:
    with catalog.opened() as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE response SET merged_at = 1.0")
        assert not connection.execute("SELECT count(*) FROM told_day").fetchone()[0]
        connection.execute("ROLLBACK")
    assert len(kept_days(catalog)) == 7


def test_whoever_changes_the_answers_drops_what_is_kept(catalog: Catalog, week: list[date], tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "answers.sqlite") as other:
        other.execute("UPDATE response SET merged_at = 1.0")
    assert all(told.all_merged for told in told_of(catalog, ACCOUNTS[0], week))


def test_no_answer_is_entered_between_what_is_read_and_what_is_kept(
    catalog: Catalog, week: list[date], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_slowly(connection: sqlite3.Connection, account: str, days: list[date]) -> list[AnswerTimes]:
        times = times_about(connection, account, days)
        with (
            sqlite3.connect(tmp_path / "answers.sqlite", timeout=0) as other,
            pytest.raises(sqlite3.OperationalError, match="locked"),
        ):
            other.execute("DELETE FROM response")
        return times

    monkeypatch.setattr(told_days, "times_about", read_slowly)
    keep_told(catalog, ACCOUNTS[0], [week[0] - ONE_DAY])


def test_nothing_is_asked_of_no_days(catalog: Catalog) -> None:
    keep_told(catalog, ACCOUNTS[0], [])
    assert told_of(catalog, ACCOUNTS[0], []) == []


def test_a_day_has_the_same_number_for_whoever_drops_it_and_whoever_keeps_it(catalog: Catalog) -> None:
    with catalog.opened() as connection:
        for day in (date(1971, 1, 1), date(2026, 3, 1), date(2055, 12, 31)):
            moment: datetime = day_start(day)
            number = connection.execute("SELECT CAST((? + 19800) / 86400 AS INTEGER)", (moment.timestamp(),)).fetchone()
            assert number[0] == day_number(day)
