"""What a small job costs: one week of 2,000 leads, the slot free and the server near.

    python -m leads_pipeline_tests.benchmarks.small_job --rounds 5

An installation has pulled a week already; then each round pulls one more week with `leads pull`, and runs four empty
assets in a bare Dagster of its own beside it. Prints medians: the seconds from the start of the command until all is
published, split into imports, network, data (storing, normalising, merging, publishing) and Dagster with all else, and
the ratio to the bare run. Then the seconds of `leads --help` and `leads status`.
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from leads_pipeline.days import ONE_DAY, day_of, utc_now
from leads_pipeline.fake_indiamart.server import FakeIndiaMart
from leads_pipeline_tests.benchmarks.installations import LEADS, environment_of, make_installation, run_python
from leads_pipeline_tests.support import KEY

LEADS_PER_WEEK = 2_000
_WORKER = ("-m", "leads_pipeline_tests.benchmarks.small_job_worker")
_MOST_ROUNDS = 40

Parts = dict[str, float]


def measure(folder: Path, rounds: int) -> tuple[list[Parts], list[Parts]]:
    """Return the parts of each pull and of each bare run; the first of both, which makes what lasts, is left out."""
    installation, home = make_installation(folder / "installation"), make_installation(folder / "bare")
    pulls: list[Parts] = []
    bare_runs: list[Parts] = []
    with FakeIndiaMart(keys=(KEY,), interval_seconds=0, leads_per_day=LEADS_PER_WEEK / 7) as server:
        environment = environment_of(installation, server.url)
        for number in range(rounds + 1):
            first = day_of(utc_now()) - (8 + 7 * number) * ONE_DAY
            last = first + 6 * ONE_DAY
            leads = len(server.truth(first, last))  # drawn now, not while a call waits
            pulls.append(_seconds(("pull", f"{first}", f"{last}"), installation, environment))
            bare_runs.append(_seconds(("bare",), home, {**environment, "DAGSTER_HOME": str(home)}))
            print(f"round {number}: {leads} leads in {pulls[-1]['whole']:.2f} s, bare {bare_runs[-1]['whole']:.2f} s")
        commands = {"--help": ["--help"], "status": ["status"]}
        for name, arguments in commands.items():
            took = median(run_python([*LEADS, *arguments], installation, environment)[0] for _ in range(rounds))
            print(f"leads {name}: {took:.2f} s")
    return pulls[1:], bare_runs[1:]


def _seconds(arguments: Sequence[str], folder: Path, environment: dict[str, str]) -> Parts:
    _, told = run_python([*_WORKER, *arguments], folder, environment)
    parts: Parts = json.loads(told)
    return parts


def in_words(runs: Sequence[Parts]) -> str:
    """Return the medians of the parts in one line."""
    return ", ".join(f"{name} {median(run[name] for run in runs):.2f} s" for name in runs[0])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="small_job", description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=5, choices=range(1, _MOST_ROUNDS + 1), metavar="ROUNDS")
    parser.add_argument("--folder", type=Path, default=None, help="where all is made, and removed again")
    options = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="leads-small-job-", dir=options.folder))
    try:
        pulls, bare_runs = measure(folder, options.rounds)
    finally:
        shutil.rmtree(folder)
    print(f"leads pull: {in_words(pulls)}")
    print(f"bare Dagster: {in_words(bare_runs)}")
    ratio = median(run["whole"] for run in pulls) / median(run["whole"] for run in bare_runs)
    print(f"the pull takes {ratio:.2f} times the bare run")
    return 0


if __name__ == "__main__":
    sys.exit(main())
