"""Which leads of a day each merge touched, so that the store looks at these and not at all leads of the day.

For each day file one small file under `state/day_changes/` names the ids that merges put in, changed or took out, and
the SHA-256 of the day file before and after each. All other leads are the same in both. A note is of use only to a
store that holds the very content it starts from; where notes are missing, the whole day is compared, so that
whatever is lost here costs time only.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path

from leads_pipeline.storage.atomic import make_private_folder, write_all_atomically
from leads_pipeline.storage.day_paths import safe_name
from leads_pipeline.storage.parquet import LeadFiles

_MOST_IDS = 10_000
"""Ids that the notes of one day name at most, so that notes that no store follows do not grow without end."""


@dataclass(frozen=True)
class DayChange:
    """What one merge did to one day file."""

    before: str
    """SHA-256 of the file that it read, in hex."""
    after: str
    """SHA-256 of the file that it wrote, in hex."""
    query_ids: frozenset[str]
    """The leads that it touched: every other lead stands in both files, with the same values."""


@dataclass(frozen=True)
class DayChanges:
    """The notes on one account's day files. Who notes holds the account's merge lock."""

    files: LeadFiles

    @property
    def folder(self) -> Path:
        """Return the folder of the account's notes."""
        return self.files.data_dir / "state" / "day_changes" / safe_name(self.files.account)

    def path(self, day: date) -> Path:
        """Return the path of the day's notes, which need not exist."""
        return self.folder / f"{day}.json"

    def note(self, changes: Mapping[date, DayChange]) -> None:
        """Note what a merge did to these day files, behind the notes that lead to the files it read."""
        if changes:
            make_private_folder(self.folder)
            write_all_atomically({self.path(day): _to_bytes(self._with(day, one)) for day, one in changes.items()})

    def touched(self, day: date, before: str, after: str) -> frozenset[str] | None:
        """Return the ids of which leads can differ between two contents of the day, or None if nobody noted it."""
        ids: set[str] | None = None
        for change in self._read(day):
            if change.before == before:
                ids = set()
            if ids is not None:
                ids |= change.query_ids
                if change.after == after:
                    return frozenset(ids)
        return None

    def forget(self, day: date) -> None:
        """Remove the day's notes, for the store has followed them."""
        self.path(day).unlink(missing_ok=True)

    def _with(self, day: date, change: DayChange) -> list[DayChange]:
        earlier = self._read(day)
        while earlier and earlier[-1].after != change.before:
            earlier.pop()
        changes = [*earlier, change]
        while changes and sum(len(one.query_ids) for one in changes) > _MOST_IDS:
            changes.pop(0)
        return changes

    def _read(self, day: date) -> list[DayChange]:
        """Return the notes, each of which starts where the one before it ends; none if they can't be read."""
        try:
            noted = json.loads(self.path(day).read_bytes())
            changes = [DayChange(str(one["before"]), str(one["after"]), _ids(one["query_ids"])) for one in noted]
        except (OSError, ValueError, KeyError, TypeError):
            return []
        return changes if _is_chain(changes) else []


def _ids(noted: Iterable[object]) -> frozenset[str]:
    return frozenset(str(one) for one in noted)


def _is_chain(changes: Sequence[DayChange]) -> bool:
    return all(one.after == other.before for one, other in pairwise(changes))


def _to_bytes(changes: Iterable[DayChange]) -> bytes:
    noted = [{"before": one.before, "after": one.after, "query_ids": sorted(one.query_ids)} for one in changes]
    return json.dumps(noted).encode()
