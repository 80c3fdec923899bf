"""Whole runs without Dagster: the stages one after the other, in children that can be killed anywhere.

The children fork from a server that has everything imported, so that a run costs what its work costs.
"""

import hashlib
import os
import shutil
import signal
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import duckdb

from leads_pipeline.days import IST, day_of, days_between, utc_now
from leads_pipeline.fake_indiamart.server import FakeIndiaMart
from leads_pipeline.fake_indiamart.truth import TrueLead
from leads_pipeline.settings import Account, Settings
from leads_pipeline.stages.merge_answers import merge_pending
from leads_pipeline.stages.normalize_answers import normalize_pending
from leads_pipeline.stages.publish_tables import publish_tables
from leads_pipeline.stages.pull import PullLater, PullRequest, pull
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline_tests.storage.children import ONE_THREAD, become, start

ACCOUNT = "acme"
KEY = "e2e/Key+that-opens-the-fake-server-only=="
INTERVAL_SECONDS = 0.2
TIMEOUT_SECONDS = 2.0
SEED = 11
LEADS_PER_DAY = 6.0
_GIVE_UP_SECONDS = 60.0
_PAUSE_SECONDS = 0.25  # of a reader between two looks: it shares two cores with what it watches
_GLANCE_SECONDS = 0.003  # between two looks at the link alone, which cost next to nothing


@dataclass(frozen=True)
class Week:
    """Seven days that a run pulls with one call."""

    first: date

    @property
    def last(self) -> date:
        return self.first + timedelta(days=6)

    @property
    def days(self) -> tuple[date, ...]:
        return tuple(days_between(self.first, self.last))

    def after(self, weeks: int) -> "Week":
        return Week(self.first + timedelta(days=7 * weeks))


BASE_WEEK = Week(day_of(utc_now()) - timedelta(days=40))
"""The week that is published before anything is killed; the weeks after it are long over too."""


@dataclass(frozen=True)
class Installation:
    """A data folder and the server that its account asks."""

    data_dir: Path
    api_url: str
    name: str = ACCOUNT
    origin: str = "fake-indiamart"
    group: str | None = None

    @property
    def account(self) -> Account:
        return Account(
            name=self.name,
            api_url=self.api_url,
            key=KEY,
            call_interval_seconds=INTERVAL_SECONDS,
            block_seconds=3 * INTERVAL_SECONDS,
            timeout_seconds=TIMEOUT_SECONDS,
            origin=self.origin,
        )

    @property
    def workspace(self) -> Workspace:
        return Workspace(Settings(self.data_dir, self.data_dir, None, self.group, (self.account,)))

    @property
    def database(self) -> Path:
        return self.data_dir / "leads.duckdb"

    def copied_to(self, data_dir: Path, api_url: str) -> "Installation":
        shutil.copytree(self.data_dir, data_dir, symlinks=True)
        return replace(self, data_dir=data_dir, api_url=api_url)

    def stored_bodies(self) -> list[str]:
        """The names of the answers whose bytes are on the disk."""
        return sorted(path.stem for path in (self.data_dir / "raw").rglob("*.zst"))


def fake_server(**options: Any) -> FakeIndiaMart:
    """A server that is exactly as strict as the client believes, with few leads a day."""
    settings = {"leads_per_day": LEADS_PER_DAY, "interval_seconds": INTERVAL_SECONDS} | options
    return FakeIndiaMart(SEED, (KEY,), **settings)


def run_week(installation: Installation, week: Week, *, again: bool = False) -> None:
    """What one Dagster run of these days does, waits included."""
    workspace = installation.workspace
    workspace.prepare()
    request = PullRequest(installation.account, week.days, f"run-{os.getpid()}-{time.monotonic_ns()}", again)
    deadline = time.monotonic() + _GIVE_UP_SECONDS
    while isinstance(result := pull(workspace, request, _ignore), PullLater):
        if time.monotonic() > deadline:
            raise TimeoutError(f"the run still waits: {result.reason}")
        time.sleep(result.seconds)
    normalize_pending(workspace, installation.name, week.days, _ignore)
    merge_pending(workspace, installation.name, week.days, _ignore)
    publish_tables(workspace, _ignore)


def run_weeks(installation: Installation, weeks: Sequence[Week], kill_at: str, again: bool) -> None:
    """The runs of several weeks in a row; the process kills itself at the named point."""
    os.environ["LEADS_KILL_AT"] = kill_at
    for week in weeks:
        run_week(installation, week, again=again)


def start_run(
    installation: Installation, weeks: Sequence[Week], kill_at: str = "", *, again: bool = False
) -> ForkServerProcess:
    """The same in a child."""
    return start(run_weeks, installation, weeks, kill_at, again)


def wait_for(process: ForkServerProcess) -> int | None:
    """The child's exit code; -9 when it was killed."""
    process.join(_GIVE_UP_SECONDS)
    return process.exitcode


def run_to_the_end(installation: Installation, weeks: Sequence[Week], *, again: bool = False) -> None:
    """A run in a child, which must end well."""
    code = wait_for(start_run(installation, weeks, again=again))
    assert code == 0, f"the clean run ended with {code}"


def run_killed_at(installation: Installation, weeks: Sequence[Week], kill_at: str, *, again: bool = False) -> None:
    """A run in a child that must die at the named point."""
    code = wait_for(start_run(installation, weeks, kill_at, again=again))
    assert code == -signal.SIGKILL, f"the run was to be killed at {kill_at} and ended with {code}"


@dataclass(frozen=True)
class PublishedState:
    """What one open of the published database showed."""

    leads: int
    ids_sha256: str
    leads_in_coverage: int


_STATE_SQL = """
SELECT (SELECT count(*) FROM leads),
       (SELECT string_agg(lead_date || query_id, ' ' ORDER BY lead_date, query_id) FROM leads),
       (SELECT sum(leads)::BIGINT FROM coverage)
"""


def published_state(link: Path) -> PublishedState:
    """Open the published database the way an analyst does, and say what is in it."""
    with duckdb.connect(str(link), read_only=True, config=ONE_THREAD) as connection:
        return state_of(connection)


def state_of(connection: duckdb.DuckDBPyConnection) -> PublishedState:
    """What an open database shows."""
    leads, ids, in_coverage = connection.execute(_STATE_SQL).fetchall()[0]
    return PublishedState(leads, hashlib.sha256(ids.encode()).hexdigest(), in_coverage)


def true_state(leads: Iterable[TrueLead]) -> PublishedState:
    """What the published database shows when exactly these leads are in it."""
    ids = sorted((lead.query_time.astimezone(IST).date().isoformat(), lead.query_id) for lead in leads)
    text = " ".join(day + query_id for day, query_id in ids)
    return PublishedState(len(ids), hashlib.sha256(text.encode()).hexdigest(), len(ids))


@dataclass(frozen=True)
class Observed:
    """What a reader saw until it was stopped."""

    states: frozenset[PublishedState]
    errors: tuple[str, ...]
    opens: int


def watch(link: Path, pipe: Any) -> None:
    """Open, look, close, again and again: as soon as a version is published, in between, and once after the stop.

    Sends `ready`, then what was observed.
    """
    states: set[PublishedState] = set()
    errors: list[str] = []
    opens = 0
    version: Path | None = None
    stopping = False
    pipe.send("ready")
    while not stopping:
        stopping = is_told_to_stop_before_a_new_version(link, version, pipe)
        version = link.readlink()
        opens += 1
        try:
            states.add(published_state(link))
        except (duckdb.Error, OSError) as error:
            errors.append(f"{type(error).__name__}: {error}")
    pipe.send(Observed(frozenset(states), tuple(errors), opens))


def is_told_to_stop_before_a_new_version(link: Path, version: Path | None, pipe: Any) -> bool:
    """Wait for a stop, but only until the link leads to another version or a pause is over."""
    pause_ends = time.monotonic() + _PAUSE_SECONDS
    while time.monotonic() < pause_ends and link.readlink() == version:
        if pipe.poll(_GLANCE_SECONDS):
            return True
    return bool(pipe.poll(0))


def hold_on(link: Path, pipe: Any) -> None:
    """Open the published database once and look again and again; sends like `watch`."""
    states: set[PublishedState] = set()
    looks = 0
    stopping = False
    with duckdb.connect(str(link), read_only=True, config=ONE_THREAD) as connection:
        pipe.send("ready")
        while not stopping:
            stopping = pipe.poll(_PAUSE_SECONDS / 5)  # what is open already is read cheaply
            looks += 1
            states.add(state_of(connection))
    pipe.send(Observed(frozenset(states), (), looks))


def write_into_a_version(link: Path, pipe: Any) -> None:
    """Override the mode of the live version, empty its leads, hold it open; write more when told to.

    Sends whether a `.wal` lies beside it, then how many rows its own table has.
    """
    version = link.resolve()
    version.chmod(0o600)
    with duckdb.connect(str(link), config=ONE_THREAD) as connection:
        connection.execute("DELETE FROM leads").fetchall()
        connection.execute("CREATE TABLE notes AS SELECT 1 AS note").fetchall()
        pipe.send(version.with_name(f"{version.name}.wal").exists())
        while True:
            pipe.recv()
            connection.execute("INSERT INTO notes VALUES (2)").fetchall()
            pipe.send(connection.execute("SELECT count(*) FROM notes").fetchall()[0][0])


def open_as(link: Path, user: int, group: int, pipe: Any) -> None:
    """Open as another user, for writing and then for reading; send what came of each and the seconds it took."""
    become(user, group)
    began = time.monotonic()
    try:
        with duckdb.connect(str(link), config=ONE_THREAD):
            outcome = "opened"
    except duckdb.Error as error:
        outcome = type(error).__name__
    pipe.send((outcome, time.monotonic() - began))
    pipe.send(published_state(link))


def _ignore(_: str) -> None:
    """Runs say a lot; tests look at what they did."""
