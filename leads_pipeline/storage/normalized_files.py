"""Normalised answers on their way to the merge: one Arrow file each, removed once its leads are in the tables.

Nobody else reads them, so they hold the columns as they lie in memory: Parquet takes three times as long to write and
to read.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc

from leads_pipeline.leads.schema import LEADS_ARROW_SCHEMA, SCHEMA_VERSION
from leads_pipeline.storage.atomic import atomic_file, make_private_folder

_PREFIX = b"leads_pipeline."
_SUFFIX = ".arrow"
_WRITE_OPTIONS = pyarrow.ipc.IpcWriteOptions(compression="lz4")


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
        table = leads.replace_schema_metadata(metadata)
        make_private_folder(self._folder)
        with (
            atomic_file(self._path(response_id)) as file,
            pyarrow.ipc.new_file(file, table.schema, options=_WRITE_OPTIONS) as writer,
        ):
            writer.write_table(table)

    def read(self, response_id: str) -> NormalizedFile | None:
        """Return the answer's leads and counts; None if there are none, or of another schema version."""
        path = self._path(response_id)
        if not path.exists():
            return None
        try:
            table = pyarrow.ipc.open_file(path.read_bytes()).read_all()
            table.validate(full=True)
            metadata = table.schema.metadata or {}
            if int(metadata[_PREFIX + b"schema_version"]) != SCHEMA_VERSION:
                return None
            return NormalizedFile(table.cast(LEADS_ARROW_SCHEMA), _counts_in(metadata))
        except (pa.ArrowException, OSError, KeyError, ValueError):
            return None  # it is made again from the raw response

    def counts(self, response_id: str) -> AnswerCounts | None:
        """Return what became of the answer's records, without reading its leads; None if it has no such file."""
        try:
            with pa.memory_map(str(self._path(response_id))) as file:
                return _counts_in(pyarrow.ipc.open_file(file).schema.metadata or {})
        except (pa.ArrowException, OSError, KeyError, ValueError):
            return None

    def remove_all_but(self, response_ids: Iterable[str]) -> None:
        """Drop the files of all other answers: their leads are in the tables, also where a kill left the file."""
        kept = {self._path(response_id).name for response_id in response_ids}
        for path in self._folder.glob("[!.]*"):
            if path.name not in kept:
                path.unlink(missing_ok=True)

    def _path(self, response_id: str) -> Path:
        return self._folder / f"{response_id}{_SUFFIX}"


def _counts_in(metadata: Mapping[bytes, bytes]) -> AnswerCounts:
    names = (field.name for field in fields(AnswerCounts))
    return AnswerCounts(**{name: int(metadata[_PREFIX + name.encode()]) for name in names})
