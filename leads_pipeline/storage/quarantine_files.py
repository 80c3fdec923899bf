"""Quarantined records on disk: one Parquet file per answer that has any.

`quarantine/account=<a>/window_day=<day>/<response_id>.parquet` under the data folder. The day is that of the
window's start in India; its folder's key differs in name from the column window_start (an instant), or hive readers
would refuse the file. The account stands in the folder's name only.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from leads_pipeline.days import day_of
from leads_pipeline.leads.schema import QUARANTINE_ARROW_SCHEMA
from leads_pipeline.storage.atomic import make_private_folder, sync_folder, write_atomically
from leads_pipeline.storage.day_paths import account_folder, safe_name
from leads_pipeline.storage.errors import StorageError, without_values
from leads_pipeline.storage.parquet import from_parquet, to_parquet, without_columns

FILE_SCHEMA = without_columns(QUARANTINE_ARROW_SCHEMA, ["account"])


def read_quarantine_file(data: bytes, account: str, response_id: str) -> pa.Table:
    """Return one answer's quarantined records from its file's bytes, in the quarantine's schema."""
    table = from_parquet(data, FILE_SCHEMA, f"the quarantined records of {response_id} ({account})")
    accounts = pa.repeat(pa.scalar(account, pa.string()), table.num_rows)
    return table.add_column(0, QUARANTINE_ARROW_SCHEMA.field("account"), accounts)


@dataclass(frozen=True)
class QuarantineFiles:
    """One account's quarantined records, a file per answer."""

    data_dir: Path
    account: str

    @property
    def folder(self) -> Path:
        """Return the account's folder."""
        return account_folder(self.data_dir / "quarantine", self.account)

    def path(self, response_id: str, window_start: datetime) -> Path:
        """Return the path of the answer's file, which need not exist; window_start is zone-aware."""
        return self.folder / f"window_day={day_of(window_start).isoformat()}" / f"{safe_name(response_id)}.parquet"

    def keep(self, response_id: str, window_start: datetime, records: pa.Table) -> None:
        """Make the answer's quarantine exactly these records (quarantine's schema); none removes its file.

        Keeping the same records again changes nothing on disk. StorageError when a record names another answer.
        """
        if records.num_rows == 0:
            self.remove(response_id, window_start)
            return
        owners = pc.unique(records["response_id"]).to_pylist(), pc.unique(records["account"]).to_pylist()
        if owners != ([response_id], [self.account]):
            raise StorageError(f"{records.num_rows} records for {response_id} name another response or account")
        path = self.path(response_id, window_start)
        data = to_parquet(records.sort_by("response_position"), FILE_SCHEMA)
        if path.exists() and path.read_bytes() == data:
            return
        make_private_folder(path.parent)
        write_atomically(path, data)
        for folder in path.parents[1:3]:
            sync_folder(folder)

    def remove(self, response_id: str, window_start: datetime) -> None:
        """Remove the answer's file, if there is one: a replay found that every record is a lead now."""
        path = self.path(response_id, window_start)
        if path.exists():
            path.unlink()
            sync_folder(path.parent)

    def count(self, response_id: str, window_start: datetime) -> int:
        """Return how many records of the answer are quarantined; reads none of them."""
        path = self.path(response_id, window_start)
        if not path.exists():
            return 0
        with without_values(f"counting the quarantined records of {response_id}"):
            return int(pq.read_metadata(path).num_rows)

    def paths(self) -> Iterator[Path]:
        """Yield the path of each answer's file, by day and response; opens none of them."""
        yield from sorted(self.folder.glob("window_day=*/[!.]*.parquet"))

    def read(self, path: Path) -> pa.Table:
        """Return one file's records in the quarantine's schema."""
        return read_quarantine_file(path.read_bytes(), self.account, path.stem)
