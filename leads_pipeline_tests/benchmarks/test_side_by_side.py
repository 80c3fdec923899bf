import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from leads_pipeline_tests.benchmarks import raw_answers, side_by_side
from leads_pipeline_tests.benchmarks.contenders import CONTENDERS, store_answers
from leads_pipeline_tests.benchmarks.raw_answers import MadeAnswers, make_answers
from leads_pipeline_tests.benchmarks.side_by_side import Cost, WrongResultError, check, run_once, table

LEADS = 300


@pytest.fixture
def short_span() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(raw_answers, "SPAN", timedelta(days=9))
        yield


@pytest.fixture
def made(tmp_path: Path, short_span: None) -> MadeAnswers:
    (tmp_path / "answers").mkdir()
    return make_answers(tmp_path / "answers", LEADS)


def test_answers_are_the_same_for_the_same_seed_and_hold_what_they_say(made: MadeAnswers, tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    again = make_answers(tmp_path / "again", LEADS)
    assert [file.path.read_bytes() for file in again.files] == [file.path.read_bytes() for file in made.files]
    newest: dict[str, dict[str, object]] = {}
    for file in made.files:
        records = json.loads(file.path.read_bytes())["RESPONSE"]
        assert len(records) == file.records
        newest |= {record["UNIQUE_QUERY_ID"]: record for record in records}
    assert len(newest) == LEADS < made.records
    changed = [one for one in newest.values() if one.get("SENDER_COMPANY") == raw_answers.CHANGED_COMPANY]
    assert len(changed) == made.changed
    assert any("डिलीवरी" in str(one.get("QUERY_MESSAGE")) for one in newest.values())


@pytest.mark.parametrize("name", sorted(CONTENDERS))
def test_every_contender_leaves_the_truth(name: str, made: MadeAnswers, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    if name == side_by_side.PROGRAM:
        store_answers(work, made.files)
    CONTENDERS[name](made.files[0].path.parent, work)
    check(name, work, made)
    with pytest.raises(WrongResultError):
        check(name, work, replace(made, leads=LEADS + 1))


def test_a_run_is_a_process_whose_cost_is_told(made: MadeAnswers, tmp_path: Path) -> None:
    cost = run_once(side_by_side.FLOOR, made, tmp_path / "stored", "no dlt")
    assert cost.cpu_seconds > 0
    assert cost.seconds > 0
    assert cost.peak_bytes > 20 * 2**20
    assert not list(tmp_path.glob("duckdb-*"))


def test_the_table_tells_medians_and_ratios_to_the_floor() -> None:
    costs = {
        "program": [Cost(seconds, 5.0, 2**30, {}) for seconds in (9.0, 3.0, 4.0)],
        "duckdb": [Cost(2.0, 3.0, 2**20, {})],
    }
    assert table(costs)[2:] == ["| program | 4.0 | 2.00 | 5.0 | 1024 MiB |", "| duckdb | 2.0 | 1.00 | 3.0 | 1 MiB |"]
