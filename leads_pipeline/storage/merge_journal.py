"""Replacing the files of several days as one step, which a kill at any line leaves undone or lets finish.

The journal is one small file. While it says "staging", nothing that readers see has changed; from the moment it
says "committing", all staged files are on disk and the step will be finished, by whoever comes next.
"""

import json
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

import pyarrow as pa
from filelock import FileLock

from leads_pipeline.kill_points import reach
from leads_pipeline.storage.atomic import make_private_folder, sync_folder, write_atomically
from leads_pipeline.storage.day_paths import safe_name
from leads_pipeline.storage.errors import StorageError
from leads_pipeline.storage.parquet import STAGED_NAME, LeadFiles

_WRITERS = 2
"""Days that are compressed and written at the same time."""

Phase = Literal["staging", "committing"]
_LOCK_SECONDS = 600.0  # a merge takes seconds; a rebuild of the store from 10M leads under a minute


def merge_lock(data_dir: Path, account: str) -> FileLock:
    """Return the lock of the account's merge, shared by processes; whoever dies gives it back.

    Taking it raises filelock.Timeout after 10 minutes.
    """
    state = data_dir / "state"
    make_private_folder(state)
    return FileLock(state / f"merge-{safe_name(account)}.lock", timeout=_LOCK_SECONDS, mode=0o600)


@dataclass(frozen=True)
class _Journal:
    phase: Phase
    days: list[date]
    payload: dict[str, object]

    def to_bytes(self) -> bytes:
        days = [day.isoformat() for day in self.days]
        return json.dumps({"phase": self.phase, "days": days, "payload": self.payload}).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "_Journal":
        content = json.loads(data)
        phase: Phase = "committing" if content["phase"] == "committing" else "staging"
        return cls(phase, [date.fromisoformat(day) for day in content["days"]], dict(content["payload"]))


@dataclass(frozen=True)
class DayReplacement:
    """Replaces day files of one account, all or none. The caller holds the account's merge lock throughout.

    Order for the caller: `redo` (commit its ledger and `clear` if there is a payload), `replace`, commit the
    ledger, `clear`.
    """

    files: LeadFiles

    @property
    def journal_path(self) -> Path:
        """Return the path of the account's journal."""
        return self.files.data_dir / "state" / f"merge-{safe_name(self.files.account)}.journal.json"

    def replace(self, tables: Mapping[date, pa.Table], payload: Mapping[str, object]) -> dict[date, str]:
        """Replace the files of these days by the tables (leads' schema, also without rows), as one step.

        Returns the SHA-256 of each day's new file, in hex. The payload (anything that JSON holds) is what the caller
        needs to commit its ledger; `redo` gives it back should the process die before that. StorageError when an
        earlier replacement awaits `redo` or `clear`.
        """
        if self.redo() is not None:
            raise StorageError(f"an earlier merge of {self.files.account} is not in its ledger yet")
        days = sorted(tables)
        self._write(_Journal("staging", days, {}))
        reach("merge:staging")
        with ThreadPoolExecutor(_WRITERS) as writers:
            sha256s = list(writers.map(lambda day: self.files.stage(day, tables[day]), days))
        self.files.sync_staged(days)
        reach("merge:staged")
        self._write(_Journal("committing", days, dict(payload)))
        reach("merge:journal")
        self._rename(days)
        return dict(zip(days, sha256s, strict=True))

    def redo(self) -> dict[str, object] | None:
        """Finish or undo what a killed process left; return the payload whose ledger must still be committed.

        Returns None when there is nothing to commit. May be repeated at will until `clear`.
        """
        journal = self._read()
        if journal is None:
            return None
        if journal.phase == "committing":
            self._rename(journal.days)
            return journal.payload
        for day in journal.days:
            self.files.discard(day)
        self.clear()
        return None

    def abandon(self) -> None:
        """Forget a replacement that can't be finished, with what it staged: for who makes all days anew.

        Its answers stay out of the ledger, so they are merged again.
        """
        self.clear()
        for staged in sorted(self.files.folder.glob(f"*/{STAGED_NAME}")):
            staged.unlink(missing_ok=True)
            sync_folder(staged.parent)

    def clear(self) -> None:
        """Forget the replacement, after the caller has committed its ledger."""
        if self.journal_path.exists():
            self.journal_path.unlink()
            sync_folder(self.journal_path.parent)

    def _rename(self, days: Collection[date]) -> None:
        for day in days:
            reach("merge:rename")
            self.files.commit(day)
            reach("merge:rename")
        self.files.sync_folders(days)
        reach("merge:renamed")

    def _write(self, journal: _Journal) -> None:
        make_private_folder(self.journal_path.parent)
        write_atomically(self.journal_path, journal.to_bytes())

    def _read(self) -> _Journal | None:
        try:
            return _Journal.from_bytes(self.journal_path.read_bytes())
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            problem = f"{self.journal_path} is unreadable: remove it, then run `leads replay`"
            raise StorageError(problem) from None
