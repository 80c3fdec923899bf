"""`leads tables`: what the published database holds, with the comments that every table, view and column has."""

import difflib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace

import duckdb
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from leads_pipeline.cli.errors import USAGE, CommandError
from leads_pipeline.settings import load_settings
from leads_pipeline.storage.errors import without_values
from leads_pipeline.storage.published_reader import open_published

SECONDS_PER_COUNT = 0.05
"""Tables know how many rows they have; a view is counted for so long at most, so that the command answers at once."""
_BETWEEN_INTERRUPTS = 0.02

_RELATIONS = """
SELECT 'table' AS kind, table_name AS name, comment FROM duckdb_tables() WHERE schema_name = 'main' AND NOT internal
UNION ALL
SELECT 'view', view_name, comment FROM duckdb_views() WHERE schema_name = 'main' AND NOT internal
ORDER BY kind, name
"""
_COLUMNS = """
SELECT column_name, data_type, comment FROM duckdb_columns()
WHERE schema_name = 'main' AND table_name = ? ORDER BY column_index
"""


@dataclass(frozen=True)
class Relation:
    """A table or view of the published database."""

    name: str
    kind: str
    """table or view"""
    rows: int | None
    """None where counting would take too long."""
    comment: str


@dataclass(frozen=True)
class DescribedColumn:
    """A column as the database describes it."""

    name: str
    type: str
    comment: str


def show_tables(name: str | None, *, as_json: bool) -> None:
    """Print all tables and views, or the columns of one; CommandError if there is none of that name."""
    with open_published(load_settings().database) as connection, without_values("reading the tables"):
        relations = _relations(connection)
        if name is None:
            _print_all(_counted(connection, relations), as_json=as_json)
            return
        relation = _named(name, relations)
        columns = [DescribedColumn(*row) for row in connection.execute(_COLUMNS, [relation.name]).fetchall()]
        [relation] = _counted(connection, [relation])
    _print_one(relation, columns, as_json=as_json)


def _relations(connection: duckdb.DuckDBPyConnection) -> list[Relation]:
    rows = connection.execute(_RELATIONS).fetchall()
    return [Relation(name, kind, None, comment or "") for kind, name, comment in rows]


def _named(name: str, relations: list[Relation]) -> Relation:
    by_name = {relation.name.lower(): relation for relation in relations}
    found = by_name.get(name.lower())
    if found is not None:
        return found
    near = difflib.get_close_matches(name.lower(), by_name, 3)
    hint = f"Did you mean {' or '.join(near)}?" if near else "`leads tables` lists them."
    raise CommandError(f"There is no table or view {name}. {hint}", USAGE)


def _counted(connection: duckdb.DuckDBPyConnection, relations: list[Relation]) -> list[Relation]:
    return [replace(relation, rows=_rows(connection, relation.name)) for relation in relations]


def _rows(connection: duckdb.DuckDBPyConnection, name: str) -> int | None:
    """Return how many rows there are; None if that takes too long."""
    quoted = '"' + name.replace('"', '""') + '"'
    try:
        with _interrupted_after(connection, SECONDS_PER_COUNT):
            return int(connection.execute(f"SELECT count(*) FROM {quoted}").fetchall()[0][0])  # noqa: S608 - quoted
    except duckdb.InterruptException:
        return None


@contextmanager
def _interrupted_after(connection: duckdb.DuckDBPyConnection, seconds: float) -> Iterator[None]:
    """Interrupt whatever the connection does after so many seconds, again and again until the block ends."""
    is_over = threading.Event()

    def interrupt() -> None:
        is_late = not is_over.wait(seconds)
        while is_late and not is_over.wait(_BETWEEN_INTERRUPTS):
            connection.interrupt()

    watch = threading.Thread(target=interrupt, daemon=True)
    watch.start()
    try:
        yield
    finally:
        is_over.set()
        watch.join()


def _print_all(relations: list[Relation], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([asdict(relation) for relation in relations], indent=2, ensure_ascii=False))
        return
    table = Table("name", "kind", Column("rows", justify="right"), "what it holds")
    for relation in relations:
        table.add_row(Text(relation.name), relation.kind, _number(relation.rows), Text(relation.comment))
    console = Console(highlight=False)
    console.print(table)
    if any(relation.rows is None for relation in relations):
        console.print('? takes longer to count: leads query "select count(*) from NAME"', markup=False)
    console.print("leads tables NAME tells a table's columns.", markup=False)


def _print_one(relation: Relation, columns: list[DescribedColumn], *, as_json: bool) -> None:
    if as_json:
        described = {**asdict(relation), "columns": [asdict(column) for column in columns]}
        print(json.dumps(described, indent=2, ensure_ascii=False))
        return
    table = Table("column", "type", "what it holds")
    for column in columns:
        table.add_row(Text(column.name), Text(column.type), Text(column.comment))
    console = Console(highlight=False, markup=False)
    rows = "" if relation.rows is None else f", {relation.rows:,} row{'' if relation.rows == 1 else 's'}"
    console.print(f"{relation.name} ({relation.kind}{rows}): {relation.comment}")
    console.print(table)


def _number(rows: int | None) -> str:
    return "?" if rows is None else f"{rows:,}"
