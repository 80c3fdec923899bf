"""The soak: intraday polling at a short interval, with faults, kills and readers, and a look at what is left.

    python -m leads_pipeline_tests.benchmarks.soak --minutes 30 --interval 0.2 --seed 1

Two workers poll one fake IndiaMART through one data folder. One is killed again and again; the other lives through
it all, and its memory is measured run by run. Faults spoil some of the calls. Two readers query the published database
all the time. A fast clock lets days go by: leads come late, move and change meanwhile, and every night the last 7
complete days are asked for again. In the end two clean runs follow, and then the tables must hold the truth.

Exits with 1 and names every violation: a lead lost, doubled or wrong, a day that is not complete, a call too early or
refused, a reader that failed, a worker that failed, or memory that grew.

Two faults are left out, since no later answer needs to put right what they make of a record (duplicate_records,
lone_surrogate), and one since it changes the width of windows for good (too_wide).
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import duckdb

from leads_pipeline.days import ONE_DAY, day_of, day_start, days_between, utc_now
from leads_pipeline.fake_indiamart.faults import FaultName
from leads_pipeline.fake_indiamart.server import FakeIndiaMart
from leads_pipeline.fake_indiamart.truth import TrueLead
from leads_pipeline_tests.benchmarks.fast_clock import FastClock
from leads_pipeline_tests.benchmarks.soak_worker import ACCOUNT, KEY, TWO_RUNS, WorkerSettings
from leads_pipeline_tests.end_to_end.truth_rows import (
    assert_layers_agree,
    coverage_states,
    expected_row,
    read_rows,
)
from leads_pipeline_tests.storage.children import ONE_THREAD, running

LEFT_OUT = frozenset({FaultName.DUPLICATE_RECORDS, FaultName.LONE_SURROGATE, FaultName.TOO_WIDE})
FAULTS = tuple(fault for fault in FaultName if fault not in LEFT_OUT)
FAULT_SHARE = 0.15
TIMEOUT_SECONDS = 2.0
LEADS_PER_DAY = 40.0
MINUTES_PER_DAY = 3.0
FEWEST_DAYS = 2
EARLY_RUNS, LATE_RUNS, MEMORY_GROWTH = slice(5, 15), slice(-10, None), 1.1
FEWEST_RUNS_FOR_MEMORY = 35
READERS = 2
WORKERS = ("steady", "mortal")
NEVER = 1e11
QUIET = timedelta(minutes=10)
_TICK_SECONDS = 0.05
_GIVE_UP_SECONDS = 120.0


@dataclass(frozen=True)
class Options:
    """How long (real minutes), how close the calls (real seconds), and what decides the chances."""

    minutes: float
    interval: float
    seed: int


@dataclass
class Findings:
    """What the soak saw."""

    violations: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def check(self, holds: bool, violation: str) -> None:
        if not holds:
            self.violations.append(violation)


@dataclass
class Reading:
    """What one reader saw. Errors are counted by their text."""

    queries: int = 0
    leads: int = 0
    errors: Counter[str] = field(default_factory=Counter)


def read_until_told(link: Path, pipe: Any) -> None:
    """Open the published database, look for doubled leads, close it, again and again; send a Reading at the end."""
    seen = Reading()
    pipe.send("ready")
    while not pipe.poll(0.03):
        if not link.exists() and not seen.queries:
            continue  # nothing is published yet
        seen.queries += 1
        try:
            with duckdb.connect(str(link), read_only=True, config=ONE_THREAD) as connection:
                leads, ids = connection.execute("SELECT count(*), count(DISTINCT query_id) FROM leads").fetchall()[0]
        except (duckdb.Error, OSError) as error:
            seen.errors[f"{type(error).__name__}: {error}"] += 1
            continue
        if leads != ids or leads < seen.leads:
            seen.errors[f"{leads} leads with {ids} ids after {seen.leads} leads"] += 1
        seen.leads = leads
    pipe.send(seen)


class Crew:
    """The workers: `steady` lives, `mortal` is killed and replaced."""

    def __init__(self, settings: WorkerSettings, names: Sequence[str]) -> None:
        self._settings = settings
        self.kills = 0
        self.failures: list[str] = []
        self._workers = {name: self._start(name) for name in names}

    def _start(self, name: str) -> "subprocess.Popen[bytes]":
        program = [sys.executable, "-m", "leads_pipeline_tests.benchmarks.soak_worker", name]
        with (self._settings.folder / "words.txt").open("ab") as words:
            return subprocess.Popen([*program, *self._settings.to_arguments()], stderr=words)

    def kill(self) -> None:
        mortal = self._workers["mortal"]
        mortal.kill()
        mortal.wait()
        self.kills += 1
        self._workers["mortal"] = self._start("mortal")

    def look_after(self) -> None:
        for name, worker in self._workers.items():
            if worker.poll() is not None:
                self.failures.append(f"{name} ended with {worker.returncode}")
                self._workers[name] = self._start(name)

    def finish(self) -> None:
        """Let the workers end their runs, then make the last two in a worker of their own."""
        self._settings.stop.touch()
        for name, worker in self._workers.items():
            self._expect_good_end(name, worker)
        self.make_two_runs()

    def make_two_runs(self) -> None:
        """Ask for the last complete days and for today in a worker of its own."""
        self._expect_good_end(TWO_RUNS, self._start(TWO_RUNS))

    def _expect_good_end(self, name: str, worker: "subprocess.Popen[bytes]") -> None:
        try:
            code = worker.wait(_GIVE_UP_SECONDS)
        except subprocess.TimeoutExpired:
            worker.kill()
            code = -signal.SIGKILL
        if code:
            self.failures.append(f"{name} ended with {code}")


def stopped_clock(options: Options) -> FastClock:
    """A clock that will show several days in the given minutes, and whose last moment is one at which nothing happens.

    It starts only when it is given a start in real time.
    """
    span = max(FEWEST_DAYS, round(options.minutes / MINUTES_PER_DAY)) * ONE_DAY
    start = day_start(day_of(utc_now()) - span - 10 * ONE_DAY) + timedelta(hours=2)
    end = start + span
    server = server_of(options, utc_now)
    days = day_of(start) - 8 * ONE_DAY, day_of(end)
    while server.truth(*days, as_of=end) != server.truth(*days, as_of=end + QUIET):
        end += QUIET
    start, end = start.astimezone(UTC), end.astimezone(UTC)
    return FastClock(NEVER, start, end, (end - start).total_seconds() / (60 * options.minutes))


def server_of(options: Options, clock: Callable[[], datetime]) -> FakeIndiaMart:
    return FakeIndiaMart(
        options.seed,
        (KEY,),
        interval_seconds=options.interval,
        block_seconds=3 * options.interval,
        leads_per_day=LEADS_PER_DAY,
        moving_share=0.05,
        changing_share=0.1,
        clock=clock,
    )


def soak(options: Options, folder: Path) -> Findings:
    """Run the soak in the folder and return what it saw."""
    findings = Findings()
    clocks = [stopped_clock(options)]

    def clock() -> datetime:
        return clocks[-1].now()

    with ExitStack() as stack:
        server = stack.enter_context(server_of(options, clock))
        block = 3 * options.interval + 0.1
        settings = WorkerSettings(folder, server.url, options.interval, TIMEOUT_SECONDS, block, clocks[0])
        database = settings.data_dir / "leads.duckdb"
        pipes = [stack.enter_context(running(read_until_told, database)) for _ in range(READERS)]
        for pipe in pipes:
            pipe.recv()
        Crew(settings, ()).make_two_runs()  # whatever comes later finds a week that is complete
        clocks.append(replace(clocks[0], real_start=time.time()))
        settings = replace(settings, clock=clocks[-1])
        crew = Crew(settings, WORKERS)
        torment(options, server, crew, clocks[-1])
        server.clear_faults()
        crew.finish()
        readings = [_ask(pipe) for pipe in pipes]
        judge_calls(findings, server, options.interval)
        judge_workers(findings, crew, settings)
        judge_readers(findings, readings)
        judge_leads(findings, server, settings)
    return findings


def torment(options: Options, server: FakeIndiaMart, crew: Crew, clock: FastClock) -> None:
    """Inject faults and kill the mortal worker until the clock's end."""
    draws = random.Random(options.seed)
    kill_every = min(12.0, 60 * options.minutes / 5)
    next_kill = time.monotonic() + 5.0
    calls = 0
    while not clock.is_over:
        if len(server.calls) > calls:
            calls = len(server.calls)
            if draws.random() < FAULT_SHARE:
                server.inject(draws.choice(FAULTS), seconds=draws.choice((0.3, 1.2 * TIMEOUT_SECONDS)))
        if time.monotonic() >= next_kill:
            crew.kill()
            next_kill = time.monotonic() + draws.uniform(0.5, 1.5) * kill_every
        crew.look_after()
        time.sleep(_TICK_SECONDS)


def _ask(pipe: Any) -> Reading:
    pipe.send("stop")
    reading = pipe.recv()
    assert isinstance(reading, Reading)
    return reading


def judge_calls(findings: Findings, server: FakeIndiaMart, interval: float) -> None:
    calls = server.calls
    closest = min((later.monotonic - earlier.monotonic for earlier, later in pairwise(calls)), default=interval)
    faults = Counter(call.fault for call in calls if call.fault)
    findings.lines.append(f"calls: {len(calls)}, {faults.total()} of them spoilt by {len(faults)} kinds of fault")
    findings.lines.append(f"closest calls: {closest:.4f} s apart, at least {interval} s are due")
    findings.check(closest >= interval, f"two calls were {closest:.4f} s apart")
    findings.check(not server.refused_calls, f"{len(server.refused_calls)} calls were refused")


def judge_workers(findings: Findings, crew: Crew, settings: WorkerSettings) -> None:
    reports = [json.loads(line) for line in settings.report.read_text().splitlines()]
    by_worker = Counter(report["worker"] for report in reports)
    failed = Counter(report["outcome"] for report in reports if report["outcome"] != "done")
    nights = {path.name for path in settings.folder.glob("daily-*")}
    findings.lines.append(f"runs: {dict(by_worker)}, {failed.total()} failed {dict(failed)}; {len(nights)} nights")
    findings.lines.append(f"kills: {crew.kills}")
    words = (settings.folder / "words.txt").read_text(errors="replace")[-2000:]
    findings.check(not crew.failures, f"workers failed: {crew.failures}\n{words}")
    peaks = [report["peak_kib"] for report in reports if report["worker"] == "steady"]
    if len(peaks) < FEWEST_RUNS_FOR_MEMORY or not all(peaks):
        findings.lines.append(f"memory: {len(peaks)} runs are too few to tell whether it grows")
        return
    early, late = median(peaks[EARLY_RUNS]), max(peaks[LATE_RUNS])
    early_peak = max(peaks[EARLY_RUNS])
    findings.lines.append(
        f"memory: runs 5 to 15 peaked at {early_peak / 1024:.0f} MiB (median {early / 1024:.0f}), the last 10 at "
        f"{late / 1024:.0f} MiB (median {median(peaks[LATE_RUNS]) / 1024:.0f}): {late / early_peak:.3f} times"
    )
    findings.check(late <= MEMORY_GROWTH * early_peak, "the peak memory of a run grew")


def judge_readers(findings: Findings, readings: Sequence[Reading]) -> None:
    errors = sum((reading.errors for reading in readings), Counter[str]())
    findings.lines.append(f"readers: {sum(reading.queries for reading in readings)} queries, {errors.total()} failed")
    findings.check(all(reading.queries for reading in readings), "a reader never read")
    for error, times in errors.items():
        findings.violations.append(f"readers failed {times} times: {error}")


def judge_leads(findings: Findings, server: FakeIndiaMart, settings: WorkerSettings) -> None:
    """Compare the published leads with the truth of the moment at which the fast clock ended."""
    end = settings.clock.end
    first, last = day_of(settings.clock.start) - 7 * ONE_DAY, day_of(end)
    truth = [lead for lead in server.truth(first, last, as_of=end) if lead.query_time < end]
    database = settings.data_dir / "leads.duckdb"
    rows = read_rows(database, ACCOUNT)
    found = {str(row["query_id"]): row for row in rows}
    expected = {lead.query_id: expected_row(lead, ACCOUNT) for lead in truth}
    wrong = [name for name in found.keys() & expected.keys() if not expected[name].items() <= found[name].items()]
    findings.lines.append(f"leads: {len(rows)}, the truth has {len(truth)} ({_late(truth)} came late)")
    findings.check(len(found) == len(rows), f"{len(rows) - len(found)} leads are doubled")
    findings.check(found.keys() >= expected.keys(), f"{len(expected.keys() - found.keys())} leads are lost")
    findings.check(expected.keys() >= found.keys(), f"{len(found.keys() - expected.keys())} leads are not true")
    findings.check(not wrong, f"{len(wrong)} leads differ from the truth, such as {sorted(wrong)[:3]}")
    over = {day.isoformat() for day in days_between(first, day_of(end - timedelta(minutes=5)) - ONE_DAY)}
    complete = {*coverage_states(database, ACCOUNT).get("complete", [])}
    findings.check(over <= complete, f"days that are over are not complete: {sorted(over - complete)}")
    try:
        assert_layers_agree(settings.data_dir)
    except AssertionError:
        findings.violations.append("the published database, the store and the files differ")


def _late(truth: Sequence[TrueLead]) -> int:
    return sum(lead.available_from > lead.query_time for lead in truth)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="soak", description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--interval", type=float, default=0.2, help="seconds between calls")
    parser.add_argument("--seed", type=int, default=1)
    options = Options(**vars(parser.parse_args(arguments)))
    began = datetime.now(UTC)
    with tempfile.TemporaryDirectory(prefix="leads-soak-") as folder:
        findings = soak(options, Path(folder))
    print(f"soak: {(datetime.now(UTC) - began).total_seconds():.0f} s, seed {options.seed}")
    print(*findings.lines, sep="\n")
    print(*(f"VIOLATION: {violation}" for violation in findings.violations), sep="\n")
    print("failed" if findings.violations else "passed")
    return 1 if findings.violations else 0


if __name__ == "__main__":
    sys.exit(main())
