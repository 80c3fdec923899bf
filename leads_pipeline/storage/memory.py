"""How much DuckDB may hold in memory; what is more goes to its temporary folder for the time."""

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

_LIMIT_BYTES = "SELECT parse_formatted_bytes(current_setting('memory_limit'))"


def limit_memory(connection: duckdb.DuckDBPyConnection, most_bytes: int) -> None:
    """Let DuckDB hold so many bytes at most, or as many as it may already where that is less."""
    if _limit(connection) > most_bytes:
        connection.execute(f"SET memory_limit = '{most_bytes} bytes'").fetchall()


@contextmanager
def memory_limited(connection: duckdb.DuckDBPyConnection, most_bytes: int) -> Iterator[None]:
    """Let DuckDB hold so many bytes at most for the time; after an error it stays so."""
    before = _limit(connection)
    limit_memory(connection, most_bytes)
    yield
    connection.execute(f"SET memory_limit = '{before} bytes'").fetchall()


def _limit(connection: duckdb.DuckDBPyConnection) -> int:
    return int(connection.execute(_LIMIT_BYTES).fetchall()[0][0])
