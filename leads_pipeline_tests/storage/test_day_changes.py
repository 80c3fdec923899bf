import json
import random
from collections.abc import Iterable
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from leads_pipeline.leads.schema import LEADS_ARROW_SCHEMA
from leads_pipeline.storage import day_changes
from leads_pipeline.storage.day_changes import DayChange, DayChanges
from leads_pipeline.storage.lead_rows import LeadRows
from leads_pipeline.storage.merge_journal import DayReplacement
from leads_pipeline.storage.parquet import LeadFiles
from leads_pipeline_tests.storage.children import publish
from leads_pipeline_tests.storage.lead_tables import DAY, day_after, leads_of

DAYS = [day_after(offset) for offset in range(3)]


@pytest.fixture
def files(tmp_path: Path) -> LeadFiles:
    return LeadFiles(tmp_path / "data", "demo")


def change(before: str, after: str, *ids: str) -> DayChange:
    return DayChange(before, after, frozenset(ids))


def ids_between(changes: DayChanges, before: str, after: str) -> set[str] | None:
    touched = changes.touched(DAY, before, after)
    return None if touched is None else set(touched)


def test_the_changes_between_two_contents_are_added_up(files: LeadFiles) -> None:
    changes = DayChanges(files)
    for one in (change("a", "b", "1"), change("b", "c", "2", "3"), change("c", "d", "1", "4")):
        changes.note({DAY: one})
    assert ids_between(changes, "a", "b") == {"1"}
    assert ids_between(changes, "b", "d") == {"1", "2", "3", "4"}
    for before, after in (("d", "a"), ("x", "d"), ("a", "x"), ("c", "b")):
        assert ids_between(changes, before, after) is None
    assert changes.touched(day_after(1), "a", "b") is None
    changes.forget(DAY)
    changes.forget(DAY)
    assert ids_between(changes, "a", "b") is None


def test_a_merge_that_somebody_undid_is_not_followed(files: LeadFiles) -> None:
    changes = DayChanges(files)
    for one in (change("a", "b", "1"), change("b", "lost", "2"), change("b", "c", "3")):
        changes.note({DAY: one})
    assert ids_between(changes, "a", "c") == {"1", "3"}
    changes.note({DAY: change("made by another program", "e", "4")})
    assert ids_between(changes, "a", "e") is None
    assert ids_between(changes, "made by another program", "e") == {"4"}


def test_content_that_comes_back_is_compared_from_its_last_time(files: LeadFiles) -> None:
    changes = DayChanges(files)
    for one in (change("a", "b", "1"), change("b", "a", "1"), change("a", "c", "2")):
        changes.note({DAY: one})
    assert ids_between(changes, "a", "c") == {"2"}
    assert ids_between(changes, "b", "c") == {"1", "2"}


@pytest.mark.parametrize("damage", [b"", b"{", b"[1]", b'{"a": 1}', b'[{"before": "a", "after": "b"}]', b"\xff"])
def test_notes_that_cannot_be_read_are_none(files: LeadFiles, damage: bytes) -> None:
    changes = DayChanges(files)
    changes.note({DAY: change("a", "b", "1")})
    assert changes.path(DAY).stat().st_mode & 0o777 == 0o600
    changes.path(DAY).write_bytes(damage)
    assert ids_between(changes, "a", "b") is None
    changes.note({DAY: change("b", "c", "2")})
    assert ids_between(changes, "b", "c") == {"2"}


def test_the_oldest_notes_go_when_they_name_too_many_leads(files: LeadFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(day_changes, "_MOST_IDS", 3)
    changes = DayChanges(files)
    for one in (change("a", "b", "1", "2"), change("b", "c", "3", "4")):
        changes.note({DAY: one})
    assert ids_between(changes, "a", "c") is None
    assert ids_between(changes, "b", "c") == {"3", "4"}
    changes.note({DAY: change("c", "d", *"12345")})
    assert ids_between(changes, "c", "d") is None


def merge(files: LeadFiles, incoming: dict[str, date], mark: str, *, note: bool = True) -> None:
    """Give these leads this mark, a version and a day, where all other leads stay; note it as a merge does."""
    contents = files.contents(DAYS)
    ids = pa.array(sorted(incoming), pa.string())
    replacement = DayReplacement(files)
    tables, touched = {}, {}
    for position, day in enumerate(DAYS):
        before = contents[day].leads if day in contents else LEADS_ARROW_SCHEMA.empty_table()
        is_touched = pc.is_in(before["query_id"], value_set=ids)
        coming = sorted(one for one, its_day in incoming.items() if its_day == day)
        mobile = f"+9198{position}{len(mark):07}"
        new = leads_of(day, coming, state=mark, sender_mobile=mobile, versions=_versions(mark))
        tables[day] = pa.concat_tables([before.filter(pc.invert(is_touched)), new])
        touched[day] = frozenset([*before["query_id"].filter(is_touched).to_pylist(), *coming])
    written = replacement.replace(tables, {})
    if note:
        changed = {day: DayChange(one.sha256, written[day], touched[day]) for day, one in contents.items()}
        DayChanges(files).note(changed)
    replacement.clear()


def _versions(mark: str) -> str:
    seen = dict.fromkeys(("query_time", "first_seen_at", "last_seen_at", "fetched_at"), "2026-03-05T00:00:00+00:00")
    told = {"source_api": "v2", "query_type": "W", "query_time_ist": "2026-03-05T05:30:00", "response_id": "r"}
    return json.dumps([{**seen, **told, "response_position": 0, "content_hash": mark}])


def published(data_dir: Path) -> list[object]:
    with duckdb.connect(str(data_dir / "leads.duckdb"), read_only=True) as connection:
        return [
            connection.execute(f"FROM {table} ORDER BY ALL").fetchall()
            for table in ("leads", "lead_versions", "buyers", "pipeline.buyer_identifiers")
        ]


def ids_of(random_: random.Random, count: int) -> Iterable[str]:
    return (f"{random_.randrange(40):02}" for _ in range(count))


def test_a_store_that_follows_noted_merges_is_that_of_a_rebuild(files: LeadFiles) -> None:
    random_ = random.Random(11)
    for number in range(5):
        for part in range(random_.randint(1, 2)):
            incoming = {one: random_.choice(DAYS) for one in ids_of(random_, 6)}
            merge(files, incoming, "x" * (number % 3) + str(part), note=number != 3)
        publish(files.data_dir)
    followed = published(files.data_dir)
    assert not any(DayChanges(files).path(day).exists() for day in DAYS)
    publish(files.data_dir, rebuild=True)
    assert published(files.data_dir) == followed


def test_only_what_noted_merges_touched_is_looked_at(files: LeadFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[tuple[list[str], int]] = []
    replace_some = LeadRows.replace_some

    def counted(rows: LeadRows, account: str, day: date, query_ids: pa.Array, leads: pa.Table) -> None:
        looked_at.append((query_ids.to_pylist(), leads.num_rows))
        replace_some(rows, account, day, query_ids, leads)

    merge(files, {f"{number:02}": DAYS[number % 2] for number in range(20)}, "first")
    publish(files.data_dir)
    monkeypatch.setattr(LeadRows, "replace_some", counted)
    monkeypatch.delattr(LeadRows, "replace_day")
    merge(files, {"00": DAYS[1], "30": DAYS[1]}, "second")
    publish(files.data_dir)
    assert looked_at == [(["00"], 0), (["00", "30"], 2)]
