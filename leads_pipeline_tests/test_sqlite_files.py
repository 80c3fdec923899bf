import os
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from leads_pipeline.sqlite_files import immediate, sqlite_file
from leads_pipeline_tests.storage.children import CONTEXT

TABLES = "CREATE TABLE IF NOT EXISTS entry (name TEXT PRIMARY KEY); CREATE INDEX IF NOT EXISTS by_name ON entry (name);"


def names(path: Path, version: int = 1, fill: Callable[[sqlite3.Connection], None] | None = None) -> list[str]:
    with sqlite_file(path, TABLES, version, fill) as connection:
        return [row["name"] for row in connection.execute("SELECT name FROM entry ORDER BY name")]


def enter(path: Path, name: str) -> None:
    with sqlite_file(path, TABLES, 1, fill_by_process) as connection, immediate(connection):
        connection.execute("INSERT INTO entry VALUES (?)", (name,))


def fill_by_process(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO entry VALUES (?)", (f"made by {os.getpid()}",))


def fill_with_a(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT OR IGNORE INTO entry VALUES ('a')")


def test_a_file_is_made_for_its_owner_only_and_survives_its_makers(tmp_path: Path) -> None:
    path = tmp_path / "file.sqlite"
    enter(path, "b")
    assert names(path) == ["b", f"made by {os.getpid()}"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_is_filled_once_for_each_version(tmp_path: Path) -> None:
    path = tmp_path / "file.sqlite"
    assert names(path, 1, fill_with_a) == ["a"]
    with sqlite_file(path, TABLES, 1) as connection:
        connection.execute("DELETE FROM entry")
    assert names(path, 1, fill_with_a) == []
    assert names(path, 2, fill_with_a) == ["a"]


def test_tables_may_have_triggers_with_statements_of_their_own(tmp_path: Path) -> None:
    trigger = (
        "CREATE TRIGGER IF NOT EXISTS twice AFTER INSERT ON entry WHEN NEW.name = 'a' BEGIN "
        "INSERT INTO entry VALUES ('b'); INSERT INTO entry VALUES ('c'); END;\n"
    )
    with sqlite_file(tmp_path / "file.sqlite", TABLES + trigger, 1) as connection:
        connection.execute("INSERT INTO entry VALUES ('a')")
        assert [row["name"] for row in connection.execute("SELECT name FROM entry ORDER BY name")] == ["a", "b", "c"]


def test_a_file_whose_filling_failed_is_made_again(tmp_path: Path) -> None:
    def fail(_connection: sqlite3.Connection) -> None:
        raise RuntimeError("the disk is full")

    path = tmp_path / "file.sqlite"
    with pytest.raises(RuntimeError):
        names(path, 1, fail)
    assert names(path, 1, fill_with_a) == ["a"]


def test_a_step_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "file.sqlite"
    with pytest.raises(ZeroDivisionError), sqlite_file(path, TABLES, 1) as connection, immediate(connection):
        connection.execute("INSERT INTO entry VALUES ('half')")
        raise ZeroDivisionError
    assert names(path) == []


def test_of_processes_that_make_a_file_at_once_one_fills_it_and_all_find_it_whole(tmp_path: Path) -> None:
    for attempt in range(3):
        path = tmp_path / f"{attempt}.sqlite"
        processes = [CONTEXT.Process(target=enter, args=(path, f"p{number}")) for number in range(6)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(60)
        assert [process.exitcode for process in processes] == [0] * 6
        made_by, *entered = names(path)
        assert made_by in {f"made by {process.pid}" for process in processes}
        assert entered == [f"p{number}" for number in range(6)]
