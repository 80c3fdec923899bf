"""The program beside what people would use instead, on the same answers: time, CPU and memory.

    python -m leads_pipeline_tests.benchmarks.side_by_side --leads 100000 --rounds 3

A year of answers is made (see raw_answers.py); then each contender takes them into Parquet files by day and a DuckDB
table that holds of every lead the newest record. Each runs in a process of its own, all in turn, several rounds.

- program: this program's own stages from the stored raw responses to the published database. It reads compressed raw
  responses, cleans and checks every field, keeps quarantine, history and ledger, survives a kill at any point.
- duckdb: DuckDB alone, the plain part of the work only. It is the floor that ratios are told against.
- pandas: the plain part as most people write it.
- dlt, dlt-arrow: dlt's merge on the id into DuckDB, fed with records, and with Arrow tables and Parquet as its loader
  format. They need `pip install -e .[bench]`; where dlt can't live beside the program, `--dlt-python` names the Python
  of an environment that has it.

Seconds and CPU are those of the whole process, its start and imports included; memory is the peak of its process tree.
Every result is checked: rows, distinct ids, newest records, rows in Parquet. Exits with 1 if one is wrong.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import duckdb
import psutil

from leads_pipeline_tests.benchmarks import dlt_contender
from leads_pipeline_tests.benchmarks.contenders import store_answers
from leads_pipeline_tests.benchmarks.raw_answers import CHANGED_COMPANY, MadeAnswers, make_answers

FLOOR, PROGRAM = "duckdb", "program"
DLT = {"dlt": "default", "dlt-arrow": "arrow"}
NAMES = (PROGRAM, FLOOR, "pandas", "dlt-arrow", "dlt")
_WATCH_SECONDS = 0.05


@dataclass(frozen=True)
class Cost:
    """What one run cost, as its whole process, and the seconds of the parts that it tells of."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    parts: Mapping[str, float]


class WrongResultError(Exception):
    """A contender failed or left something else than the truth."""


def command_of(name: str, answers: Path, work: Path, dlt_python: str) -> list[str]:
    """Return the command that runs a contender."""
    if name in DLT:
        return [dlt_python, str(Path(dlt_contender.__file__)), DLT[name], str(answers), str(work)]
    return [sys.executable, "-m", "leads_pipeline_tests.benchmarks.contenders", name, str(answers), str(work)]


def run_once(name: str, made: MadeAnswers, stored: Path, dlt_python: str) -> Cost:
    """Run a contender in a new folder and return what it cost; raise WrongResultError if its result is wrong."""
    answers = made.files[0].path.parent
    work = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=stored.parent))
    try:
        if name == PROGRAM:
            shutil.copytree(stored, work, dirs_exist_ok=True)
            os.sync()
        cost = _measured(command_of(name, answers, work, dlt_python))
        check(name, work, made)
    finally:
        shutil.rmtree(work)
    return cost


def _measured(command: Sequence[str]) -> Cost:
    began = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
        peak = _PeakMemory(child.pid)
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - began
        peak.stop()
        said.seek(0)
        words = said.read().decode(errors="replace").strip()
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise WrongResultError(f"{' '.join(command)} failed:\n{words[-2000:]}")
    last = words.splitlines()[-1] if words else ""
    parts = json.loads(last) if last.startswith("{") else {}
    return Cost(seconds, usage.ru_utime + usage.ru_stime, max(peak.bytes, usage.ru_maxrss << 10), parts)


class _PeakMemory:
    """Watches the resident memory of a process and its children until it is stopped."""

    def __init__(self, pid: int) -> None:
        self.bytes = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, args=(pid,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop watching."""
        self._ended.set()
        self._thread.join()

    def _watch(self, pid: int) -> None:
        while not self._ended.wait(_WATCH_SECONDS):
            try:
                process = psutil.Process(pid)
                tree = [process, *process.children(recursive=True)]
                self.bytes = max(self.bytes, sum(one.memory_info().rss for one in tree))
            except psutil.Error:
                continue  # a process of the tree ended meanwhile


def check(name: str, work: Path, made: MadeAnswers) -> None:
    """Raise WrongResultError unless the work folder holds the truth."""
    is_program = name == PROGRAM
    database = work / "data" / "leads.duckdb" if is_program else work / "leads.duckdb"
    files = work / "data" / "leads" if is_program else work / "days"
    query_id = "query_id" if is_program else "unique_query_id"
    question = (
        f"SELECT count(*), count(DISTINCT {query_id}), count_if(sender_company = ?), "  # noqa: S608 - constants
        f"(SELECT count(*) FROM read_parquet('{files}/**/*.parquet')) FROM leads"
    )
    with duckdb.connect(str(database), read_only=True) as connection:
        [found] = connection.execute(question, [CHANGED_COMPANY]).fetchall()
    if found != (made.leads, made.leads, made.changed, made.leads):
        raise WrongResultError(f"{name} holds {found} rows, ids, changed leads and rows in Parquet; not the truth")


def table(costs: Mapping[str, Sequence[Cost]]) -> list[str]:
    """Return the medians of the contenders as the lines of a Markdown table, the floor's as 1."""
    floor = median(cost.seconds for cost in costs[FLOOR]) if costs.get(FLOOR) else None
    lines = ["| contender | seconds | times the floor | CPU seconds | peak memory |", "| --- | --: | --: | --: | --: |"]
    for name, of_one in costs.items():
        seconds = median(cost.seconds for cost in of_one)
        ratio = f"{seconds / floor:.2f}" if floor else ""
        cpu, peak = median(cost.cpu_seconds for cost in of_one), median(cost.peak_bytes for cost in of_one)
        lines.append(f"| {name} | {seconds:.1f} | {ratio} | {cpu:.1f} | {peak / 2**20:.0f} MiB |")
    return lines


def _parts(costs: Iterable[Cost]) -> str:
    of_all = [cost.parts for cost in costs]
    return ", ".join(f"{name} {median(parts[name] for parts in of_all):.2f} s" for name in of_all[0])


def compare(folder: Path, leads: int, rounds: int, names: Sequence[str], dlt_python: str) -> dict[str, list[Cost]]:
    """Make the answers, run the contenders in turn so many rounds, and print what they cost."""
    answers, stored = folder / "answers", folder / "stored"
    answers.mkdir()
    stored.mkdir()
    made = make_answers(answers, leads)
    print(f"{made.leads} leads as {made.records} records in {len(made.files)} answers, {made.bytes / 1e6:.0f} MB")
    if PROGRAM in names:
        store_answers(stored, made.files)
    costs: dict[str, list[Cost]] = {name: [] for name in names}
    for number in range(1, rounds + 1):
        for name in names:
            cost = run_once(name, made, stored, dlt_python)
            costs[name].append(cost)
            print(f"round {number}: {name} {cost.seconds:.1f} s, {cost.cpu_seconds:.1f} s of CPU", flush=True)
    for name, of_one in costs.items():
        if of_one[0].parts:
            print(f"{name}: {_parts(of_one)}")
    print("\n".join(table(costs)), flush=True)
    return costs


def has_dlt(python: str) -> bool:
    """Tell whether that Python has dlt."""
    return subprocess.run([python, "-c", "import dlt, duckdb"], capture_output=True, check=False).returncode == 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="side_by_side", description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--leads", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--dlt-python", default=sys.executable, help="the Python of an environment that has dlt")
    parser.add_argument("--folder", type=Path, default=None, help="where all is made, and removed again")
    options = parser.parse_args(arguments)
    names = [name for name in NAMES if name in options.only]
    if set(names) & DLT.keys() and not has_dlt(options.dlt_python):
        print("dlt is left out: install `leads_pipeline[bench]`, or name the Python that has it with --dlt-python.")
        names = [name for name in names if name not in DLT]
    folder = Path(tempfile.mkdtemp(prefix="leads-side-by-side-", dir=options.folder))
    try:
        compare(folder, options.leads, options.rounds, names, options.dlt_python)
    except WrongResultError as error:
        print(error)
        return 1
    finally:
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
