"""What v1 and v2 each brought of the same days, lead by lead and field by field; so that a seller moves with proof.

Reads stored answers alone, normalises them in memory and writes nothing. Numbers, dates and texts that are written
differently and mean the same are equal, for the values compared are those of the tables' columns.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import pandas as pd
import pyarrow as pa

from leads_pipeline.days import day_of, days_between
from leads_pipeline.indiamart import v1, v2
from leads_pipeline.leads.frames import to_frame, to_table
from leads_pipeline.leads.merge import merge_leads
from leads_pipeline.leads.normalize import NormalizedAnswer
from leads_pipeline.leads.schema import LEADS_ARROW_SCHEMA, SOURCE_FIELDS
from leads_pipeline.leads.v1_fields import V2_FIELDS_IN_V1
from leads_pipeline.stages.normalize_answers import read_answer
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.storage.catalog import StoredAnswer

V1, V2 = v1.SOURCE_API, v2.SOURCE_API
VERSIONS = (V1, V2)
EXAMPLES = 5
"""How many leads are named of each field that differs."""
NOT_IN_V1 = frozenset(field.column for field in SOURCE_FIELDS if field.field not in V2_FIELDS_IN_V1)
"""Columns that v1 has no field for (contract: v1), so that blanks there are no loss."""

_DAY = "lead_date"
_COMPARED = ("query_type", "query_time_ist", *(field.column for field in SOURCE_FIELDS))
_NEEDED = ("query_id", _DAY, "first_seen_at", "extra", *_COMPARED)

Row = dict[str, Any]


@dataclass(frozen=True)
class Example:
    """One lead in which a field differs; the values are the buyer's, and shown only if a person asks for them."""

    query_id: str
    in_v1: str | None
    in_v2: str | None


@dataclass(frozen=True)
class ComparedField:
    """One column over the leads that both versions hold."""

    column: str
    equal: int
    """Leads with the same value in both, or in neither."""
    differ: int
    blank_in_v1: int
    """Leads with a value in v2 only."""
    blank_in_v2: int
    """Leads with a value in v1 only."""
    examples: tuple[Example, ...]
    """The first leads that are not equal; none of a column that v1 can't have."""

    @property
    def is_not_in_v1(self) -> bool:
        """Tell whether v1 has no such field."""
        return self.column in NOT_IN_V1


@dataclass(frozen=True)
class ComparedVersions:
    """What the stored answers of an account's two versions hold of the same days."""

    account: str
    days: tuple[date, ...]
    """The days compared: both versions have proven them."""
    left_out: dict[str, tuple[date, ...]]
    """By version, the days that it alone has proven; they take no part."""
    only_in_v1: tuple[str, ...]
    """The ids of leads that v2 lacks, sorted."""
    only_in_v2: tuple[str, ...]
    seen_later: frozenset[str]
    """Those of `only_in_v1` that v1 first showed after v2 was last asked for their day."""
    in_both: int
    on_other_day: tuple[str, ...]
    """Leads of both versions that stand on different days, sorted."""
    fields: tuple[ComparedField, ...]
    v1_extra: dict[str, int]
    """Fields of v1 that v2 has no name for, with how many leads in both have a value there."""
    quarantined: dict[str, int]
    """By version, records that can't be leads and so take no part."""

    @property
    def lacks_nothing(self) -> bool:
        """Tell whether v2 holds every lead that v1 holds, and every value of fields that both have."""
        return bool(self.days) and not self.only_in_v1 and not any(one.blank_in_v2 for one in self.fields)


@dataclass
class _Version:
    """What one version's answers hold, as far as it was read."""

    source_api: str
    unmatched: dict[str, Row] = field(default_factory=dict)
    """Leads of days compared that the other version had not on the same day."""
    beyond: dict[str, Row] = field(default_factory=dict)
    """Leads in the same answers that stand on days that are not compared."""
    read: dict[str, NormalizedAnswer] = field(default_factory=dict)
    quarantined: set[str] = field(default_factory=set)
    asked_at: dict[date, datetime] = field(default_factory=dict)
    """When each day was last asked for."""


@dataclass
class _Tally:
    """The pairs of leads counted so far."""

    paired: set[str] = field(default_factory=set)
    on_other_day: list[str] = field(default_factory=list)
    counts: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in _COMPARED})
    examples: dict[str, list[Example]] = field(default_factory=lambda: {name: [] for name in _COMPARED})
    v1_extra: Counter[str] = field(default_factory=Counter)

    def add(self, one: Row, other: Row) -> None:
        """Count a lead of both, v1's row first."""
        self.paired.add(one["query_id"])
        if one[_DAY] != other[_DAY]:
            self.on_other_day.append(one["query_id"])
        for name in _COMPARED:
            kind = _kind(one[name], other[name])
            self.counts[name][kind] += 1
            if kind != "equal" and name not in NOT_IN_V1 and len(self.examples[name]) < EXAMPLES:
                self.examples[name].append(Example(one["query_id"], _text(one[name]), _text(other[name])))
        self.v1_extra.update(_names_in(one["extra"]) - _names_in(other["extra"]))


def compare_versions(
    workspace: Workspace, account: str, first: date | None, last: date | None, now: datetime
) -> ComparedVersions:
    """Compare what v1 and v2 brought of the days, by default of all that both have proven; makes no call."""
    asked = _days(workspace, account, first, last, now)
    proven = {name: _proven(workspace, account, name, asked, now) for name in VERSIONS}
    days = sorted(proven[V1] & proven[V2])
    sides = {name: _Version(name) for name in VERSIONS}
    tally = _Tally()
    for day in days:
        one, other = (_leads_of_day(workspace, account, sides[name], day, {*days}) for name in VERSIONS)
        for query_id in sorted(one.keys() & other.keys()):
            tally.add(one.pop(query_id), other.pop(query_id))
        sides[V1].unmatched |= one
        sides[V2].unmatched |= other
    _match_across_days(sides[V1], sides[V2], tally)
    return ComparedVersions(
        account=account,
        days=tuple(days),
        left_out={name: tuple(sorted(proven[name] - {*days})) for name in VERSIONS},
        only_in_v1=tuple(sorted(sides[V1].unmatched)),
        only_in_v2=tuple(sorted(sides[V2].unmatched)),
        seen_later=frozenset(
            query_id
            for query_id, row in sides[V1].unmatched.items()
            if row["first_seen_at"] > sides[V2].asked_at[row[_DAY]]
        ),
        in_both=len(tally.paired),
        on_other_day=tuple(sorted(tally.on_other_day)),
        fields=tuple(_compared_field(name, tally) for name in _COMPARED),
        v1_extra=dict(sorted(tally.v1_extra.items())),
        quarantined={name: len(sides[name].quarantined) for name in VERSIONS},
    )


def _days(workspace: Workspace, account: str, first: date | None, last: date | None, now: datetime) -> list[date]:
    earliest = workspace.catalog.first_day(account)
    start = first or (day_of(earliest) if earliest else day_of(now))
    return days_between(start, last or day_of(now))


def _proven(workspace: Workspace, account: str, source_api: str, days: Sequence[date], now: datetime) -> set[date]:
    return {day.day for day in workspace.coverage(account, days, now, source_api) if day.fetched}


def _leads_of_day(workspace: Workspace, account: str, side: _Version, day: date, compared: set[date]) -> dict[str, Row]:
    """Return the version's leads of the day by id; of several answers the newest counts, as in the tables."""
    answers = [one for one in workspace.catalog.touching(account, [day]) if _is_asked_of(side, one)]
    about = workspace.answers_about(account, [day], side.source_api)
    side.asked_at[day] = max(one.fetched_at for one in about if _is_asked_of(side, one))
    side.read = {name: read for name, read in side.read.items() if name in {one.response_id for one in answers}}
    rows: dict[str, Row] = {}
    for row in _merged(_read(workspace, side, answers)):
        if row[_DAY] == day:
            rows[row["query_id"]] = row
        elif row[_DAY] not in compared:
            side.beyond[row["query_id"]] = row
    return rows


def _is_asked_of(side: _Version, answer: StoredAnswer) -> bool:
    """Tell whether the version gave the answer when it was asked; what was imported proves nothing of it."""
    return answer.source_api == side.source_api and not answer.is_import


def _read(workspace: Workspace, side: _Version, answers: Iterable[StoredAnswer]) -> Iterator[pd.DataFrame]:
    for answer in answers:
        if answer.response_id not in side.read:
            side.read[answer.response_id] = read_answer(workspace, answer)
        read = side.read[answer.response_id]
        side.quarantined.update(read.quarantine["record_sha256"])
        yield read.leads


def _merged(frames: Iterator[pd.DataFrame]) -> list[Row]:
    tables = [to_table(frame, LEADS_ARROW_SCHEMA) for frame in frames]
    if not tables:
        return []
    nothing = to_frame(LEADS_ARROW_SCHEMA.empty_table())
    newest = merge_leads(nothing, to_frame(pa.concat_tables(tables)))
    rows: list[Row] = to_table(newest, LEADS_ARROW_SCHEMA).select(_NEEDED).to_pylist()
    return rows


def _match_across_days(one: _Version, other: _Version, tally: _Tally) -> None:
    """Count the leads that the versions have on different days, also on days beside those compared."""
    for side in (one, other):
        side.unmatched = {name: row for name, row in side.unmatched.items() if name not in tally.paired}
    for mine, theirs in (
        (one.unmatched, other.unmatched),
        (one.unmatched, other.beyond),
        (one.beyond, other.unmatched),
    ):
        for query_id in sorted(mine.keys() & theirs.keys()):
            tally.add(mine.pop(query_id), theirs.pop(query_id))


def _compared_field(name: str, tally: _Tally) -> ComparedField:
    counts = tally.counts[name]
    return ComparedField(
        name,
        counts["equal"],
        counts["differ"],
        counts["blank in v1"],
        counts["blank in v2"],
        tuple(tally.examples[name]),
    )


def _kind(in_v1: object, in_v2: object) -> str:
    if in_v1 == in_v2:
        return "equal"
    if in_v1 is None:
        return "blank in v1"
    return "blank in v2" if in_v2 is None else "differ"


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _names_in(extra: str | None) -> set[str]:
    return set() if extra is None else {*json.loads(extra)}
