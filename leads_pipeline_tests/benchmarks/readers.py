"""Analysts' readers against a pipeline that publishes: does anybody see an error, a mixed state, or a delay?

    python -m leads_pipeline_tests.benchmarks.readers --publishes 200 --readers 20 --holders 3

Readers open the published database, run five queries and close it, again and again; holders keep one connection for
the whole time. Each answer must be that of one published version. Whether readers delay a publish is told by a second
round, in which as many processes query a database of their own: they cost the same CPU and can't be in the way.

Exits with 1 and names every violation: a reader that failed, answers that don't belong to one version, a holder whose
answers changed, or publishes that readers slowed by more than a quarter.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import duckdb

from leads_pipeline.storage.merge_journal import DayReplacement
from leads_pipeline.storage.parquet import LeadFiles
from leads_pipeline_tests.storage.children import ONE_THREAD, publish, running
from leads_pipeline_tests.storage.lead_tables import day_after, leads_of

DAYS = 14
ROWS_PER_DAY = 200
DELAYED = 1.25
_VERSION = "SELECT version FROM publication"
_QUESTIONS = (
    "SELECT count(*), count(DISTINCT query_id), max(content_hash) FROM leads",
    "SELECT sum(leads)::BIGINT FROM coverage",
    "SELECT sum(leads)::BIGINT FROM leads_per_day",
    "SELECT sum(enquiries)::BIGINT FROM buyers",
)
_PAUSE_SECONDS = 0.02


@dataclass
class Seen:
    """What one reader saw: its answers by version, how often it asked, and its errors."""

    answers: dict[int, set[tuple[object, ...]]] = field(default_factory=dict)
    rounds: int = 0
    errors: list[str] = field(default_factory=list)


@dataclass
class Findings:
    """What all readers saw."""

    lines: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)


def read_and_close(database: Path, pipe: Any) -> None:
    """Open, ask five questions, close, until told to stop; then send a Seen."""
    seen = Seen()
    pipe.send("ready")
    while not pipe.poll(_PAUSE_SECONDS):
        try:
            with duckdb.connect(str(database), read_only=True, config=ONE_THREAD) as connection:
                _ask(connection, seen)
        except (duckdb.Error, OSError) as error:
            seen.errors.append(f"{type(error).__name__}: {error}")
    pipe.send(seen)


def hold_and_read(database: Path, pipe: Any) -> None:
    """Open once, ask five questions again and again until told to stop; then send a Seen."""
    seen = Seen()
    with duckdb.connect(str(database), read_only=True, config=ONE_THREAD) as connection:
        pipe.send("ready")
        while not pipe.poll(_PAUSE_SECONDS):
            try:
                _ask(connection, seen)
            except (duckdb.Error, OSError) as error:
                seen.errors.append(f"{type(error).__name__}: {error}")
    pipe.send(seen)


def _ask(connection: duckdb.DuckDBPyConnection, seen: Seen) -> None:
    ((version,),) = connection.execute(_VERSION).fetchall()
    answer: list[object] = []
    for question in _QUESTIONS:
        answer.extend(connection.execute(question).fetchall()[0])
    seen.answers.setdefault(version, set()).add(tuple(answer))
    seen.rounds += 1


def change_and_publish(data_dir: Path, number: int) -> float:
    """Replace a day by one with another number of leads, publish, and return the seconds that publishing took."""
    day = day_after(number % DAYS)
    ids = [f"{day}-{row}" for row in range(ROWS_PER_DAY + number)]
    leads = leads_of(day, ids, state=f"state {number:06}", sender_mobile=f"+9198765{number:05}")
    replacement = DayReplacement(LeadFiles(data_dir, "demo"))
    replacement.replace({day: leads}, {})
    replacement.clear()
    began = time.perf_counter()
    assert publish(data_dir).published
    return time.perf_counter() - began


def expected_answer(version: int) -> tuple[object, ...]:
    """Return what the questions give of a version, the first of which is 1 and has the first day only."""
    newest = {number % DAYS: number for number in range(version)}
    leads = sum(ROWS_PER_DAY + number for number in newest.values())
    return leads, leads, f"state {version - 1:06}", leads, leads, leads


def publish_beside(
    data_dir: Path, read: Path, publishes: int, readers: int, holders: int
) -> tuple[list[float], list[Any]]:
    """Publish so often while readers and holders query `read`; return the seconds of each publish and what was seen."""
    first = int((data_dir / "leads.duckdb").resolve().stem)  # so many changes were published so far
    kinds: list[Callable[..., None]] = [read_and_close] * readers + [hold_and_read] * holders
    with ExitStack() as stack:
        pipes = [stack.enter_context(running(kind, read)) for kind in kinds]
        for pipe in pipes:
            assert pipe.recv() == "ready"
        seconds = [change_and_publish(data_dir, first + number) for number in range(publishes)]
        for pipe in pipes:
            pipe.send("stop")
        return seconds, [pipe.recv() for pipe in pipes]


def judge(findings: Findings, seen: Sequence[Seen], holders: int) -> None:
    """Look for errors, and for answers that are not those of the version that they came with."""
    versions: set[int] = set()
    for one in seen:
        versions |= one.answers.keys()
        findings.violations += [f"a reader failed: {error}" for error in sorted({*one.errors})]
        findings.violations += [
            f"version {version} gave {answers}, not {expected_answer(version)}"
            for version, answers in one.answers.items()
            if answers != {expected_answer(version)}
        ]
        if not one.rounds:
            findings.violations.append("a reader never read")
    for holder in seen[len(seen) - holders :]:
        if len(holder.answers) != 1:
            findings.violations.append(f"a holder saw {len(holder.answers)} versions")
    rounds = sum(one.rounds for one in seen)
    findings.lines.append(f"readers: {len(seen)}, {5 * rounds} queries, {len(versions)} versions seen")


def compare(publishes: int, readers: int, holders: int, folder: Path) -> Findings:
    """Publish beside readers of the published database, then beside readers of another one; return the findings."""
    findings = Findings()
    data_dir = folder / "data"
    change_and_publish(data_dir, 0)
    database = data_dir / "leads.duckdb"
    beside_readers, seen = publish_beside(data_dir, database, publishes, readers, holders)
    judge(findings, seen, holders)
    elsewhere = folder / "elsewhere.duckdb"
    shutil.copyfile(database, elsewhere)
    beside_others, _ = publish_beside(data_dir, elsewhere, publishes, readers, holders)
    ratio = median(beside_readers) / median(beside_others)
    findings.lines.append(
        f"publishes: {publishes}, median {median(beside_readers):.3f} s and at most {max(beside_readers):.3f} s beside "
        f"readers; {median(beside_others):.3f} s and {max(beside_others):.3f} s beside readers of another file: "
        f"{ratio:.2f} times"
    )
    if ratio > DELAYED:
        findings.violations.append(f"readers slowed publishing {ratio:.2f} times")
    return findings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="readers", description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--publishes", type=int, default=200)
    parser.add_argument("--readers", type=int, default=20)
    parser.add_argument("--holders", type=int, default=3)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="leads-readers-") as folder:
        findings = compare(options.publishes, options.readers, options.holders, Path(folder))
    print(*findings.lines, sep="\n")
    print(*(f"VIOLATION: {violation}" for violation in findings.violations), sep="\n")
    print("failed" if findings.violations else "passed")
    return 1 if findings.violations else 0


if __name__ == "__main__":
    sys.exit(main())
