"""Normalised answers on their way to the merge: one Parquet file each, removed once its leads are in the tables."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from leads_pipeline.leads.schema import LEADS_ARROW_SCHEMA, SCHEMA_VERSION
from leads_pipeline.storage.atomic import make_private_folder, write_atomically

_PREFIX = b"leads_pipeline."


@dataclass(frozen=True)
class AnswerCounts:
    """What became of one answer's records: received = leads + duplicates + quarantined."""

    received: int
    leads: int
    duplicates: int
    quarantined: int

    @property
    def add_up(self) -> bool:
        """Tell whether every record received is accounted for."""
        return self.received == self.leads + self.duplicates + self.quarantined


@dataclass(frozen=True)
class NormalizedFile:
    """The typed leads of one answer and its counts."""

    leads: pa.Table
    counts: AnswerCounts


class NormalizedFiles:
    """The account's normalised answers that are not merged yet."""

    def __init__(self, data_dir: Path, account: str) -> None:
        self._folder = data_dir / "state" / "normalized" / account

    def write(self, response_id: str, leads: pa.Table, counts: AnswerCounts) -> None:
        """Keep an answer's typed leads until they are merged."""
        facts = {**asdict(counts), "schema_version": SCHEMA_VERSION}
        metadata = {_PREFIX + name.encode(): str(value).encode() for name, value in facts.items()}
        sink = pa.BufferOutputStream()
        pq.write_table(leads.replace_schema_metadata(metadata), sink, compression="zstd")
        make_private_folder(self._folder)
        write_atomically(self._path(response_id), sink.getvalue().to_pybytes())

    def read(self, response_id: str) -> NormalizedFile | None:
        """Return the answer's leads and counts; None if there are none, or of another schema version."""
        path = self._path(response_id)
        if not path.exists():
            return None
        try:
            table = pq.ParquetFile(path).read()
            metadata = table.schema.metadata or {}
            if int(metadata[_PREFIX + b"schema_version"]) != SCHEMA_VERSION:
                return None
            return NormalizedFile(table.cast(LEADS_ARROW_SCHEMA), _counts_in(metadata))
        except (pa.ArrowException, OSError, KeyError, ValueError):
            return None  # it is made again from the raw response

    def counts(self, response_id: str) -> AnswerCounts | None:
        """Return what became of the answer's records, without reading its leads; None if it has no such file."""
        try:
            metadata = pq.read_schema(self._path(response_id)).metadata or {}
            return _counts_in(metadata)
        except (pa.ArrowException, OSError, KeyError, ValueError):
            return None

    def remove_all_but(self, response_ids: Iterable[str]) -> None:
        """Drop the files of all other answers: their leads are in the tables, also where a kill left the file."""
        kept = {self._path(response_id).name for response_id in response_ids}
        for path in self._folder.glob("[!.]*.parquet"):
            if path.name not in kept:
                path.unlink(missing_ok=True)

    def _path(self, response_id: str) -> Path:
        return self._folder / f"{response_id}.parquet"


def _counts_in(metadata: Mapping[bytes, bytes]) -> AnswerCounts:
    names = (field.name for field in fields(AnswerCounts))
    return AnswerCounts(**{name: int(metadata[_PREFIX + name.encode()]) for name in names})
