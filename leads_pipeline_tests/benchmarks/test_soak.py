import json
import subprocess
import sys
from pathlib import Path

import pytest

from leads_pipeline.days import utc_now
from leads_pipeline_tests.benchmarks.fast_clock import FastClock
from leads_pipeline_tests.benchmarks.soak import Crew, Findings, Reading, judge_readers, judge_workers
from leads_pipeline_tests.benchmarks.soak_worker import RunReport, WorkerSettings


def test_a_short_soak_loses_and_doubles_nothing() -> None:
    program = [sys.executable, "-m", "leads_pipeline_tests.benchmarks.soak"]
    result = subprocess.run(
        [*program, "--minutes", "0.2", "--interval", "0.2", "--seed", "3"],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        timeout=220,
    )
    print(result.stdout)
    assert result.returncode == 0
    assert result.stdout.endswith("passed\n")


@pytest.mark.parametrize(("late", "violations"), [(109, []), (111, ["the peak memory of a run grew"])])
def test_a_run_that_takes_a_tenth_more_memory_in_the_end_is_a_violation(
    tmp_path: Path, late: int, violations: list[str]
) -> None:
    peaks = [90] * 5 + [100] * 10 + [100] * 20 + [95] * 9 + [late]
    assert judged(tmp_path, peaks) == violations


def judged(folder: Path, peaks: list[int]) -> list[str]:
    clock = FastClock(0.0, utc_now(), utc_now(), 1.0)
    settings = WorkerSettings(folder, "http://127.0.0.1:9/", 0.2, 2.0, 0.6, clock)
    reports = [vars(RunReport("steady", "intraday", "done", peak)) for peak in peaks]
    settings.report.write_text("".join(f"{json.dumps(report)}\n" for report in reports))
    (folder / "words.txt").touch()
    findings = Findings()
    judge_workers(findings, Crew(settings, ()), settings)
    return findings.violations


def test_a_reader_that_failed_is_a_violation() -> None:
    findings, good, bad = Findings(), Reading(queries=5), Reading(queries=5)
    bad.errors["IOException: the file is locked"] += 2
    judge_readers(findings, [good, bad])
    assert findings.violations == ["readers failed 2 times: IOException: the file is locked"]
