from pathlib import Path

import duckdb
import pytest

from leads_pipeline_tests.benchmarks import large_store


def test_pulls_into_a_store_bring_what_they_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"DAYS": 4, "PULL": 40, "SEEN_BEFORE": 12, "MOVING": 2}.items():
        monkeypatch.setattr(large_store, name, value)
    done = large_store.measure(tmp_path, 80, rounds=2)
    assert all(one.judged > 0 for one in done)
    with duckdb.connect(str(tmp_path / "data" / "leads.duckdb"), read_only=True) as connection:
        [(leads, repeats)] = connection.execute("SELECT count(*), count_if(is_repeat) FROM leads").fetchall()
    assert leads == 80 + 3 * 28 + 10  # the first pull finds none of the leads that one before it would have brought
    assert repeats > 0
