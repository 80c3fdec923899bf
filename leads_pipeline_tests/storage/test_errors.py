import subprocess
import sys
from collections.abc import Callable

import duckdb
import pyarrow as pa
import pytest

from leads_pipeline.storage.errors import StorageError, without_values

SECRET = "9876543210"


def cast_by_arrow() -> None:
    pa.array([f"+91-{SECRET}"]).cast(pa.int64())


def cast_by_duckdb() -> None:
    duckdb.sql(f"SELECT CAST('+91-{SECRET}' AS INTEGER)").fetchall()


def unknown_to_arrow() -> None:
    raise pa.ArrowNotImplementedError(SECRET)


def missing() -> None:
    raise KeyError(SECRET)


@pytest.mark.parametrize("failing", [cast_by_arrow, cast_by_duckdb, unknown_to_arrow, missing])
def test_what_libraries_say_of_values_is_not_said_again(failing: Callable[[], None]) -> None:
    with pytest.raises(StorageError) as caught, without_values("Reading the day"):
        failing()
    assert str(caught.value).startswith("Reading the day failed (")
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_the_systems_own_errors_pass() -> None:
    with pytest.raises(PermissionError), without_values("Reading the day"):
        raise PermissionError("no")


def test_neither_library_is_imported_for_it() -> None:
    program = (
        "import sys\n"
        "from leads_pipeline.storage.errors import StorageError, without_values\n"
        "try:\n"
        "    with without_values('Reading'):\n"
        "        int('x')\n"
        "except StorageError as error:\n"
        "    assert str(error) == 'Reading failed (ValueError)'\n"
        "sys.exit(bool({'pyarrow', 'duckdb'} & sys.modules.keys()))\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
