"""The stages' border to Dagster, which stores and shows every error's text: what libraries say of values ends here."""

import sqlite3
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

_PACKAGE = __name__.partition(".")[0]
_SAYS_NO_VALUES = (OSError, sqlite3.Error, dg.Failure, dg.RetryRequested)


class StageFailedError(Exception):
    """A stage failed in a way that nobody foresaw; the text says where and with which kind of error, and no value."""


@contextmanager
def stage_border() -> Iterator[None]:
    """Raise what libraries raise (pandas, pyarrow, DuckDB) again without their words, which quote buyers' values.

    The program's own errors hold no values and pass, and so do those of the operating system and of SQLite.
    """
    try:
        yield
    except _SAYS_NO_VALUES:
        raise
    except Exception as error:
        if type(error).__module__.partition(".")[0] == _PACKAGE:
            raise
        raise StageFailedError(
            f"{type(error).__name__} at {_place(error)}. What was fetched is kept, and the next run continues there. "
            "If it fails again, this is a fault of the program: report it with this line."
        ) from None


def _place(error: Exception) -> str:
    """Return the innermost line of our own that the error came through."""
    package_folder = Path(__file__).parents[1]
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if package_folder in Path(frame.filename).parents
    ]
    return f"{Path(frames[-1].filename).relative_to(package_folder.parent)}:{frames[-1].lineno}"
