"""Child processes of the storage tests: killed at named points, reading, writing, or with fewer rights.

They fork from a server that has everything imported, so that each costs milliseconds.
"""

import multiprocessing
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from leads_pipeline.storage.merge_journal import DayReplacement
from leads_pipeline.storage.parquet import LeadFiles
from leads_pipeline.storage.publish import PublishResult, refresh_and_publish
from leads_pipeline.storage.store import Sources
from leads_pipeline_tests.storage.lead_tables import alerts, calls, coverage_of_days, leads_of

NOBODY = 65534
ONE_THREAD: dict[str, str | bool | int | float | list[str]] = {"threads": 1}
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload([__name__])


def start(target: Callable[..., None], *arguments: Any) -> ForkServerProcess:
    process = CONTEXT.Process(target=target, args=arguments, daemon=True)
    process.start()
    return process


def exit_code(target: Callable[..., None], *arguments: Any) -> int | None:
    process = start(target, *arguments)
    process.join(60)
    return process.exitcode


@contextmanager
def running(target: Callable[..., None], *arguments: Any) -> Iterator[Any]:
    """A child that gets one end of a pipe as its last argument; yields the other end."""
    ours, theirs = CONTEXT.Pipe()
    process = start(target, *arguments, theirs)
    theirs.close()
    try:
        yield ours
    finally:
        process.kill()
        process.join(30)


def replace_days(data_dir: Path, tables: dict[date, pa.Table], kill_at: str) -> None:
    os.environ["LEADS_KILL_AT"] = kill_at
    DayReplacement(LeadFiles(data_dir, "demo")).replace(tables, {"responses": ["a", "b"]})


def redo_days(data_dir: Path, kill_at: str) -> None:
    os.environ["LEADS_KILL_AT"] = kill_at
    DayReplacement(LeadFiles(data_dir, "demo")).redo()


def publish(data_dir: Path, last_call: int = 0, **options: Any) -> PublishResult:
    days = LeadFiles(data_dir, "demo").days()
    return refresh_and_publish(
        data_dir,
        Sources(
            lambda newest: calls(range(newest + 1, last_call + 1)),
            lambda: coverage_of_days(sorted(days)),
            lambda: alerts([]),
        ),
        **options,
    )


def publish_killed(data_dir: Path, last_call: int, kill_at: str) -> None:
    os.environ["LEADS_KILL_AT"] = kill_at
    publish(data_dir, last_call)


def write_state(data_dir: Path, days: list[date], state: str, rows: int = 10) -> None:
    tables = {day: leads_of(day, [f"{day}-{n}" for n in range(rows)], state=state) for day in days}
    replacement = DayReplacement(LeadFiles(data_dir, "demo"))
    replacement.replace(tables, {})
    replacement.clear()


STATES_SQL = "SELECT count(*), count(DISTINCT content_hash), min(content_hash) FROM leads"


def read_again_and_again(link: Path, pipe: Any) -> None:
    """Open, query, close until told to stop; send back every distinct answer or error."""
    seen: set[object] = set()
    pipe.send("ready")
    while not pipe.poll(0.02):
        try:
            with duckdb.connect(str(link), read_only=True, config=ONE_THREAD) as connection:
                seen.add(connection.execute(STATES_SQL).fetchall()[0])
        except duckdb.Error as error:
            seen.add(repr(error))
    pipe.send(seen)


def read_holding_on(link: Path, pipe: Any) -> None:
    """Query one connection until told to stop; send back every distinct answer or error."""
    seen: set[object] = set()
    with duckdb.connect(str(link), read_only=True, config=ONE_THREAD) as connection:
        pipe.send("ready")
        is_told_to_stop = False
        while not is_told_to_stop:
            is_told_to_stop = pipe.poll(0.05)
            try:
                seen.add(connection.execute(STATES_SQL).fetchall()[0])
            except duckdb.Error as error:
                seen.add(repr(error))
    pipe.send(seen)


def write_in_spite_of_the_mode(link: Path, pipe: Any) -> None:
    link.resolve().chmod(0o600)
    with duckdb.connect(str(link)) as connection:
        connection.execute("CREATE TABLE notes AS SELECT 1 AS note").fetchall()
        pipe.send(link.resolve().with_name(f"{link.resolve().name}.wal").exists())
        pipe.recv()
        connection.execute("INSERT INTO notes VALUES (2)").fetchall()
        pipe.send(connection.execute("SELECT count(*) FROM notes").fetchall())


def open_read_write(link: Path, user: int, group: int, pipe: Any) -> None:
    become(user, group)
    try:
        with duckdb.connect(str(link)):
            pipe.send("opened")
    except duckdb.Error as error:
        pipe.send(type(error).__name__)


def read_as(link: Path, private: Path, user: int, group: int, pipe: Any) -> None:
    """Send the number of leads seen through the link, and whether the private file could be read."""
    become(user, group)
    with duckdb.connect(str(link), read_only=True) as connection:
        leads = connection.execute("SELECT count(*) FROM leads").fetchall()[0][0]
    try:
        private.read_bytes()
        pipe.send((leads, True))
    except PermissionError:
        pipe.send((leads, False))


def become(user: int, group: int) -> None:
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(group)
        os.setuid(user)
