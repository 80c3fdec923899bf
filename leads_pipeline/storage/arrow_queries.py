"""Statements over an Arrow table, which they know as `incoming`.

A registered table would stay in memory until the commit.
"""

import duckdb
import pyarrow as pa


def ask(connection: duckdb.DuckDBPyConnection, statement: str, incoming: pa.Table) -> list[tuple[object, ...]]:
    """Run a statement over the rows; return its answer, empty if it gives none."""
    result = connection.from_arrow(incoming).query("incoming", statement)
    return [] if result is None else result.fetchall()


def insert(connection: duckdb.DuckDBPyConnection, statement: str, incoming: pa.Table) -> None:
    """Run a statement that takes in the rows."""
    ask(connection, statement, incoming)
