"""Errors of the storage layer. Their texts never hold a value of a record: libraries' own texts do."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class StorageError(RuntimeError):
    """Something on disk cannot be read or written; the text says what and what to do, without any buyer's value."""


@contextmanager
def without_values(doing: str) -> Iterator[None]:
    """Raise errors of pyarrow and DuckDB again as StorageError with `doing` and the error's kind only.

    Their texts quote values (a failed cast prints the phone number), and Dagster stores texts. Errors of the
    operating system (disk full, no permission) name paths only and pass as they are.
    """
    try:
        yield
    except _quoting_errors() as error:
        raise StorageError(f"{doing} failed ({type(error).__name__})") from None


def _quoting_errors() -> tuple[type[Exception], ...]:
    """Return whatever may quote a value; a library that is not imported, which takes long, has raised nothing."""
    of_libraries = (("pyarrow", "ArrowException"), ("duckdb", "Error"))
    loaded = [getattr(sys.modules[library], name) for library, name in of_libraries if library in sys.modules]
    return KeyError, ValueError, *loaded
