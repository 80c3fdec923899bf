"""What grows with the history, and with the accounts, though it should not.

    python -m leads_pipeline_tests.benchmarks.growth --years 1 3 --accounts 1 10 50

For each number of years a catalogue is made of an account that was asked every 15 minutes and every night: three years
are 105 thousand stored answers. Then: the seconds of a run's own coverage, of a year's coverage, of the coverage table
that a publish takes up after one more answer, and of `leads status` as a process; and of that table the first time,
which later ones are made from. For each number of accounts: the seconds of a process that
loads the code location, and of those the ones in which the definitions are made. Medians of the rounds, CPU seconds
beside them.
"""

import argparse
import json
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from statistics import median

from leads_pipeline.days import ONE_DAY, day_of, day_start, days_between, utc_now
from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline.indiamart.windows import Window
from leads_pipeline.stages.publish_tables import coverage_table
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.storage.atomic import make_private_folder
from leads_pipeline.storage.day_paths import leads_file
from leads_pipeline.storage.raw import ResponseName
from leads_pipeline_tests.benchmarks.installations import LEADS, environment_of, make_installation, run_python
from leads_pipeline_tests.support import make_settings, make_workspace

ACCOUNT = "indiamart"
URL = "http://127.0.0.1:9"
DAYS_PER_YEAR = 365
POLL_EVERY = timedelta(minutes=15)
_COLUMNS = (
    *("response_id", "account", "source_api", "origin", "window_start", "window_end", "proven_until", "fetched_at"),
    *("outcome", "records", "has_records", "merged_at", "received", "leads", "duplicates", "quarantined"),
)
_LOAD = (
    "import json, time; began = time.perf_counter(); from leads_pipeline.definitions import defs; "
    "imported = time.perf_counter(); defs().get_repository_def().load_all_definitions(); "
    "print(json.dumps({'imports': imported - began, 'definitions': time.perf_counter() - imported}))"
)


def polled(days: int, now: datetime) -> Iterator[tuple[Window, datetime]]:
    """Yield the window and the time of each call of an account that is polled by day and asked for a week by night."""
    today = day_of(now)
    for day in days_between(today - (days - 1) * ONE_DAY, today):
        yield Window(day_start(day - 7 * ONE_DAY), day_start(day)), day_start(day) + timedelta(minutes=20)
        moment = day_start(day) + POLL_EVERY
        while moment < min(now, day_start(day + ONE_DAY)):
            yield Window(day_start(day - ONE_DAY), moment), moment + timedelta(seconds=1)
            moment += POLL_EVERY


def fill_catalogue(workspace: Workspace, days: int) -> int:
    """Enter so many days of polling, all of it merged, and make the days' files; return the number of answers."""
    assert not workspace.catalog.accounts()  # makes the file
    now = utc_now()
    rows = []
    for window, at in polled(days, now):
        start, end, moment = window.start.timestamp(), window.end.timestamp(), at.timestamp()
        name = ResponseName(ACCOUNT, "v2", window, at).response_id
        of_call = (name, ACCOUNT, "v2", URL, start, end, moment, moment)
        rows.append((*of_call, Outcome.LEADS.value, 5, 1, moment, 5, 5, 0, 0))
    _enter(workspace, rows)
    for day in days_between(day_of(now) - (days + 7) * ONE_DAY, day_of(now)):
        path = leads_file(workspace.settings.data_dir, ACCOUNT, day)
        make_private_folder(path.parent)
        path.touch()  # that it is there is all that coverage asks
    return len(rows)


def measure_history(folder: Path, days: int, rounds: int) -> dict[str, float]:
    """Return the seconds of each question to a history of so many days; print them with their CPU."""
    root = make_installation(folder)
    workspace = make_workspace(make_settings(root, URL))
    answers = fill_catalogue(workspace, days)
    now = utc_now()
    week = list(days_between(day_of(now) - 7 * ONE_DAY, day_of(now)))
    year = list(days_between(day_of(now) - min(days, DAYS_PER_YEAR) * ONE_DAY, day_of(now)))
    environment = environment_of(root, URL)
    more = count()

    def publish() -> None:
        _poll_once_more(workspace, now, next(more))
        coverage_table(workspace)

    questions: dict[str, Callable[[], object]] = {
        "the first coverage for a publish": lambda: coverage_table(workspace),
        "coverage for a publish": publish,
        "coverage of a week": lambda: workspace.coverage(ACCOUNT, week, now),
        "coverage of a year": lambda: workspace.coverage(ACCOUNT, year, now),
        "leads status": lambda: run_python([*LEADS, "status"], root, environment),
    }
    seconds = {}
    for name, question in questions.items():
        times = 1 if name.startswith("the first") else rounds
        walls, cpus = zip(*(_cost(question) for _ in range(times)), strict=True)
        seconds[name] = median(walls)
        print(f"{days} days, {answers} answers: {name} {seconds[name]:.3f} s, {median(cpus):.3f} s of CPU", flush=True)
    return seconds


def _poll_once_more(workspace: Workspace, now: datetime, number: int) -> None:
    """Enter and merge one more answer of today and yesterday, which says nothing new."""
    window = Window(day_start(day_of(now) - ONE_DAY), now)
    name = ResponseName(ACCOUNT, "v2", window, now + timedelta(milliseconds=number)).response_id
    start, end, at = window.start.timestamp(), window.end.timestamp(), now.timestamp()
    row = (name, ACCOUNT, "v2", URL, start, end, at, at, Outcome.LEADS.value, 5, 1, at, 5, 5, 0, 0)
    _enter(workspace, [row])


def _enter(workspace: Workspace, rows: Sequence[tuple[object, ...]]) -> None:
    places = ", ".join("?" for _ in _COLUMNS)
    with closing(sqlite3.connect(workspace.settings.state_dir / "answers.sqlite")) as connection, connection:
        connection.executemany(f"INSERT INTO response ({', '.join(_COLUMNS)}) VALUES ({places})", rows)  # noqa: S608


def _cost(question: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds and the CPU seconds, children included, of the question."""
    began, cpu = time.perf_counter(), _cpu_seconds()
    question()
    return time.perf_counter() - began, _cpu_seconds() - cpu


def _cpu_seconds() -> float:
    import resource

    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def measure_accounts(folder: Path, accounts: int, rounds: int) -> float:
    """Return the seconds of a process that loads the code location with so many accounts; print them with parts."""
    root = make_installation(folder)
    keys = {f"KEY_{number}": f"made/Up+Key{number:04}==" for number in range(accounts)}
    tables = [f'[accounts.seller{number}]\nkey_env = "KEY_{number}"\napi_url = "{URL}/"' for number in range(accounts)]
    (root / "accounts.toml").write_text("\n\n".join(tables) + "\n")
    environment = environment_of(root, URL) | keys | {"INDIAMART_CRM_KEY": ""}
    walls, parts, cpus = [], [], []
    for _ in range(rounds):
        cpu = _cpu_seconds()
        wall, told = run_python(["-c", _LOAD], root, environment)
        cpus.append(_cpu_seconds() - cpu)
        walls.append(wall)
        parts.append(json.loads(told))
    split = ", ".join(f"{name} {median(part[name] for part in parts):.2f} s" for name in parts[0])
    print(f"{accounts} account(s): loads in {median(walls):.2f} s ({split}), {median(cpus):.2f} s of CPU", flush=True)
    return median(walls)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="growth", description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--years", type=int, nargs="+", default=[1, 3])
    parser.add_argument("--accounts", type=int, nargs="+", default=[1, 10, 50])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=None, help="where all is made, and removed again")
    options = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="leads-growth-", dir=options.folder))
    try:
        for years in options.years:
            measure_history(folder / f"{years}-years", years * DAYS_PER_YEAR, options.rounds)
        for accounts in options.accounts:
            measure_accounts(folder / f"{accounts}-accounts", accounts, options.rounds)
    finally:
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
