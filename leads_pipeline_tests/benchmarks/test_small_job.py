import time
from types import SimpleNamespace

import pytest

from leads_pipeline_tests.benchmarks import small_job, small_job_worker


def test_time_within_another_part_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small_job_worker, "_spent", spent := {})

    def pull() -> None:
        program.ask()

    program = SimpleNamespace(ask=lambda: time.sleep(0.02), pull=pull)
    small_job_worker._timed(program, "pull", "data")
    small_job_worker._timed(program, "ask", "network", within="data")
    program.pull()
    assert spent["network"] >= 0.02
    assert 0 <= spent["data"] < 0.02


def test_the_timed_functions_are_the_assets_own() -> None:
    for name, module in small_job_worker._assets().items():
        assert callable(getattr(module, name))


def test_medians_are_told_in_words() -> None:
    runs = [{"imports": 1.0, "whole": seconds} for seconds in (5.0, 2.0, 3.0)]
    assert small_job.in_words(runs) == "imports 1.00 s, whole 3.00 s"
