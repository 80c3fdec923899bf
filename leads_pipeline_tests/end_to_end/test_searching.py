"""The search that other tests rely on finding nothing finds what is there, however it is stored."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from leads_pipeline_tests.end_to_end.error_runs import KEY, SECOND_KEY, assert_nowhere
from leads_pipeline_tests.end_to_end.searching import spellings_of, texts_in

SECRET = "canary buyer of the tests"
REPEATED = " ".join([SECRET] * 200)  # so that a format that compresses does so


def put_into_zstd(path: Path) -> None:
    path.with_suffix(".zst").write_bytes(zstandard.compress(REPEATED.encode(), level=19))


def put_into_parquet(path: Path) -> None:
    table = pa.table({"a": [REPEATED[:number] for number in range(1000, 2000)]})
    pq.write_table(table, path.with_suffix(".parquet"), compression="zstd")


def put_into_duckdb(path: Path) -> None:
    with duckdb.connect(str(path.with_suffix(".duckdb"))) as connection:
        connection.execute("CREATE TABLE t AS SELECT ? || i AS a FROM range(2000) AS r(i)", [SECRET]).fetchall()


def put_into_sqlite(path: Path) -> None:
    connection = sqlite3.connect(path.with_suffix(".db"))
    connection.execute("CREATE TABLE t (a TEXT)")
    connection.execute("INSERT INTO t VALUES (?)", (f"{'x' * 4050}{SECRET}",))  # across two pages
    connection.commit()
    connection.close()


def put_into_text(path: Path) -> None:
    path.with_suffix(".log").write_text(REPEATED)


@pytest.mark.parametrize("put", [put_into_zstd, put_into_parquet, put_into_duckdb, put_into_sqlite, put_into_text])
def test_what_is_stored_is_found(tmp_path: Path, put: Callable[[Path], None]) -> None:
    put(tmp_path / "file")

    ((_, text),) = texts_in(tmp_path)

    assert SECRET in text


@pytest.mark.parametrize("key", [KEY, SECOND_KEY])
def test_each_spelling_of_the_key_raises_an_alarm(tmp_path: Path, key: str) -> None:
    for spelling in spellings_of(key):
        with pytest.raises(AssertionError, match="holds the key"):
            assert_nowhere(key, frozenset(), tmp_path, [("standard error", f"before{spelling}after")])


def test_a_buyer_raises_an_alarm_only_where_they_may_not_be(tmp_path: Path) -> None:
    buyers = frozenset({SECRET})
    (tmp_path / "raw").mkdir()
    put_into_zstd(tmp_path / "raw" / "answer")
    assert_nowhere(KEY, buyers, tmp_path, [])

    put_into_sqlite(tmp_path / "calls")
    with pytest.raises(AssertionError, match=r"calls\.db tells 1 thing"):
        assert_nowhere(KEY, buyers, tmp_path, [])
