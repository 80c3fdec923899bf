from pathlib import Path

import duckdb
import pytest

from leads_pipeline.days import day_start
from leads_pipeline.storage import following
from leads_pipeline.storage.quarantine_files import QuarantineFiles
from leads_pipeline_tests.storage.children import publish
from leads_pipeline_tests.storage.lead_tables import DAY, day_after, quarantined

SEEN = "SELECT response_id, record_sha256 FROM pipeline.quarantine_seen ORDER BY ALL"
FOLLOWED = "SELECT response_id, row_count FROM pipeline.followed_files WHERE kind = 'quarantine' ORDER BY ALL"


def ask(data_dir: Path, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(data_dir / "leads.duckdb"), read_only=True) as connection:
        return connection.execute(sql).fetchall()


@pytest.mark.parametrize("most_bytes", [1, 1000, 2**30])
def test_quarantined_records_of_many_files_come_in_together_or_file_by_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most_bytes: int
) -> None:
    monkeypatch.setattr(following, "_MOST_SEEN_BYTES", most_bytes)
    files = QuarantineFiles(tmp_path, "demo")
    for number in range(5):
        name = f"demo.v2.{number}"
        files.keep(name, day_start(day_after(number)), quarantined(name, ["same", f"{number}"]))
    assert publish(tmp_path).quarantined == 6
    files.keep("demo.v2.3", day_start(day_after(3)), quarantined("demo.v2.3", ["other"]))
    files.remove("demo.v2.4", day_start(day_after(4)))
    files.keep("demo.v2.5", day_start(day_after(5)), quarantined("demo.v2.5", ["same"]))
    assert publish(tmp_path).quarantined == 5
    held = [(f"demo.v2.{number}", name) for number in range(3) for name in (f"{number}", "same")]
    assert ask(tmp_path, SEEN) == [*held, ("demo.v2.3", "other"), ("demo.v2.5", "same")]
    assert ask(tmp_path, FOLLOWED) == [(f"demo.v2.{number}", 2) for number in range(3)] + [
        ("demo.v2.3", 1),
        ("demo.v2.5", 1),
    ]


def test_the_records_of_an_answer_whose_file_moved_to_another_day_stay(tmp_path: Path) -> None:
    files = QuarantineFiles(tmp_path, "demo")
    files.keep("demo.v2.1", day_start(DAY), quarantined("demo.v2.1", ["x"]))
    assert publish(tmp_path).quarantined == 1
    files.keep("demo.v2.1", day_start(day_after(-1)), quarantined("demo.v2.1", ["x"]))
    files.remove("demo.v2.1", day_start(DAY))
    assert publish(tmp_path).quarantined == 1
    assert ask(tmp_path, SEEN) == [("demo.v2.1", "x")]
