"""Reading the published database as analysts do: a reader never fails because somebody else writes to it."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from leads_pipeline.days import IST
from leads_pipeline.storage.errors import StorageError

_ATTEMPTS = 3  # the link may swing, or a writer may be at the file, between two steps
_HELD_BY_A_WRITER = "Conflicting lock"  # DuckDB 2.0's text when another process has the file open for writing


@contextmanager
def open_published(database: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the published database read-only, or a private copy while another process writes to it.

    Times are shown as India's clock shows them. Raises StorageError if there is none, or none that opens.
    """
    if not database.exists():
        raise StorageError(
            f"There is no database yet ({database}). Pull some days first (`leads pull --from DAY --to DAY`), or see "
            "it all at work without a key: `leads demo`."
        )
    connection = _open(database)
    try:
        connection.execute(f"SET TimeZone = '{IST.key}'").fetchall()
        yield connection
    finally:
        connection.close()


def _open(database: Path) -> duckdb.DuckDBPyConnection:
    problem = ""
    for _ in range(_ATTEMPTS):
        try:
            return duckdb.connect(str(database), read_only=True)
        except duckdb.Error as error:
            problem = first_line(error)
        if _HELD_BY_A_WRITER in problem:
            try:
                return _open_copy(database)
            except (duckdb.Error, OSError) as error:
                problem = first_line(error)
    raise StorageError(f"The database can't be opened: {problem}. `leads doctor` looks closer.")


def _open_copy(database: Path) -> duckdb.DuckDBPyConnection:
    """Open a copy of the version as it was published: what the writer has in its `.wal` is the writer's own."""
    with tempfile.TemporaryDirectory(prefix="leads-query-") as folder:  # mode 0700
        copy = Path(folder) / "leads.duckdb"
        copy.touch(mode=0o600)
        with database.open("rb") as source, copy.open("wb") as target:
            while block := source.read(1 << 22):
                target.write(block)
        return duckdb.connect(str(copy), read_only=True)  # an open file outlives its name: nothing stays behind


def first_line(error: Exception) -> str:
    """Return the first line of an error's text: DuckDB's further lines are traces and the query again."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
