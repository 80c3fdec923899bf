"""`leads query`: read-only SQL over the published tables, as a table, JSON or CSV; times as India's clock shows them.

A reader never fails because somebody else has the database open for writing: then a private copy is read.
"""

import csv
import json
import math
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal

import duckdb

from leads_pipeline.cli.errors import FAILED, USAGE, CommandError
from leads_pipeline.cli.query_table import MOST_ROWS, print_table
from leads_pipeline.settings import load_settings
from leads_pipeline.storage.published_reader import first_line, open_published

_BATCH = 1000
_READ_ONLY = "read-only mode"


@dataclass(frozen=True)
class Answer:
    """A query's columns and its rows, which are fetched as they are read."""

    columns: tuple[str, ...]
    """Column names; a repeated one has a number added."""
    rows: Iterator[tuple[object, ...]]


def run_query(sql: str, as_json: bool, as_csv: bool) -> None:
    """Print what the query answers; raise CommandError with one clear text if it can't be answered."""
    if as_json and as_csv:
        raise CommandError("--json and --csv: choose one of them.", USAGE)
    settings = load_settings()
    with open_published(settings.database) as connection, _explained():
        answer = _ask(connection, sql)
        try:
            if as_json:
                _print_json(answer)
            elif as_csv:
                _print_csv(answer)
            else:
                print_table(answer.columns, _first(answer.rows))
            sys.stdout.flush()
        except BrokenPipeError:  # the reader, such as `head`, has had enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _ask(connection: duckdb.DuckDBPyConnection, sql: str) -> Answer:
    result = connection.execute(sql)
    if result is None or result.description is None:  # nothing but blanks and comments
        raise CommandError('The query is empty. Try: leads query "select * from leads limit 5"', USAGE)
    return Answer(_distinct([str(column[0]) for column in result.description]), _rows(result))


def _rows(result: duckdb.DuckDBPyConnection) -> Iterator[tuple[object, ...]]:
    while batch := result.fetchmany(_BATCH):
        yield from batch


def _first(rows: Iterator[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """Return as many rows as a table shows, and one more if there are more."""
    return [row for row, _ in zip(rows, range(MOST_ROWS + 1), strict=False)]


def _distinct(names: Sequence[str]) -> tuple[str, ...]:
    taken: list[str] = []
    for name in names:
        number, unique = 1, name
        while unique in taken:
            unique, number = f"{name}_{number}", number + 1
        taken.append(unique)
    return tuple(taken)


def _print_json(answer: Answer) -> None:
    separator = "[\n"
    for row in answer.rows:
        record = {name: _to_json(value) for name, value in zip(answer.columns, row, strict=True)}
        sys.stdout.write(separator + json.dumps(record, ensure_ascii=False))
        separator = ",\n"
    sys.stdout.write("[]\n" if separator == "[\n" else "\n]\n")


def _print_csv(answer: Answer) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(answer.columns)
    for row in answer.rows:
        writer.writerow(["" if value is None else _to_cell(value) for value in row])


def _to_cell(value: object) -> object:
    plain = _to_json(value)
    return json.dumps(plain, ensure_ascii=False) if isinstance(plain, list | dict | bool) else plain


def _to_json(value: object) -> object:
    """Return the value as JSON can hold it: times in ISO 8601, bytes as hex, what is no number as null."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case datetime() | date() | time():
            return value.isoformat()
        case bytes() | bytearray() | memoryview():
            return bytes(value).hex()
        case list() | tuple():
            return [_to_json(part) for part in value]
        case dict():
            return {str(name): _to_json(part) for name, part in value.items()}
        case _:
            return str(value)


@contextmanager
def _explained() -> Iterator[None]:
    """Say what was wrong with the query in one line, without DuckDB's traces."""
    try:
        yield
    except duckdb.Error as error:
        line = first_line(error)
        if _READ_ONLY in line:
            line = (
                "The published database is for reading only: the pipeline makes it anew, so what you write there "
                "would be lost. Nothing was changed. To keep results, use --csv or --json, or a database of your own "
                f"that attaches it: ATTACH 'data/leads.duckdb' AS leads (READ_ONLY). DuckDB said: {line}"
            )
        raise CommandError(line, FAILED) from None
