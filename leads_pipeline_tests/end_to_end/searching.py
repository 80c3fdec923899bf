"""Everything that lies in a data folder as text, however it is stored, so that a test can look for what may not be."""

import base64
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from leads_pipeline_tests.storage.children import ONE_THREAD
from leads_pipeline_tests.support import encodings_of

_SQLITE_MAGIC = b"SQLite format 3\x00"


def texts_in(data_dir: Path) -> Iterator[tuple[str, str]]:
    """Yield each file's path in the data folder and what it holds: its bytes, and its rows or its content unpacked."""
    for path in sorted(data_dir.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield str(path.relative_to(data_dir)), "\n".join([path.read_bytes().decode("latin-1"), *_unpacked(path)])


def _unpacked(path: Path) -> list[str]:
    try:
        if path.suffix == ".zst":
            return [zstandard.decompress(path.read_bytes()).decode("utf-8", "replace")]
        if ".parquet" in path.suffixes:
            return [str(pq.ParquetFile(path).read().to_pylist())]
        if path.suffix == ".duckdb":
            return _rows_of_duckdb(path)
        with path.open("rb") as file:
            is_sqlite = file.read(len(_SQLITE_MAGIC)) == _SQLITE_MAGIC
        return _rows_of_sqlite(path) if is_sqlite else []
    except (pa.ArrowException, duckdb.Error, zstandard.ZstdError):
        return []  # a file that a test has damaged: its bytes are searched


def _rows_of_duckdb(path: Path) -> list[str]:
    with duckdb.connect(str(path), read_only=True, config=ONE_THREAD) as connection:
        tables = connection.execute("SELECT schema_name, table_name FROM duckdb_tables()").fetchall()
        names = [f'"{schema}"."{table}"' for schema, table in tables]
        return [str(connection.execute(f"SELECT * FROM {name}").fetchall()) for name in names]  # noqa: S608


def _rows_of_sqlite(path: Path) -> list[str]:
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return [*connection.iterdump()]
    finally:
        connection.close()


def spellings_of(key: str) -> frozenset[str]:
    """Return the key in every encoding it may have met, and its longest run of letters, which most leave alone."""
    data = key.encode()
    shifted = {base64.b64encode(bytes(shift) + data).decode()[4:-4] for shift in range(3)}
    longest = max("".join(one if one.isalnum() else " " for one in key).split(), key=len)
    return frozenset({*encodings_of(key), *shifted, data.hex(), longest})
