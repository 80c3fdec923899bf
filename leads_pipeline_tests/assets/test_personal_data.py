"""What Dagster stores and shows of a run tells nothing about buyers and holds no key."""

import sqlite3
from pathlib import Path

from leads_pipeline_tests.assets.installations import (
    ACME_KEY,
    WEEK,
    Installation,
    PulledWeek,
    account,
    materializations,
    settings_of,
    stored_instance,
    strict_server,
)
from leads_pipeline_tests.private_values import private_values

PREVIEW_ROWS = 5


def text_of_sqlite(path: Path) -> str:
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return "\n".join(connection.iterdump())
    finally:
        connection.close()


def test_the_event_log_of_runs_holds_nothing_of_a_buyer_and_no_key(tmp_path: Path) -> None:
    with strict_server() as server, stored_instance(tmp_path / "dagster") as instance:
        acme = Installation(settings_of(tmp_path, account(server)), instance)
        server.inject("garbage_records")
        good = acme.run(WEEK)
        server.inject("key_incorrect")
        bad = acme.run(WEEK, again=True)
        private = private_values(server.truth(WEEK[0], WEEK[-1]))
    databases = [path for path in (tmp_path / "dagster").rglob("*.db") if path.is_file()]
    stored = "\n".join(text_of_sqlite(path) for path in databases)
    loose = b"\n".join(path.read_bytes() for path in (tmp_path / "dagster").rglob("*") if path.is_file())

    assert good.success
    assert not bad.success
    assert len(private) > 100
    assert "IndiaMART rejected the CRM key" in stored
    assert str(WEEK[0]) in stored
    assert [value for value in private if value in stored or value.encode() in loose] == []
    assert ACME_KEY not in stored
    assert ACME_KEY.encode() not in loose


def test_the_preview_shows_rows_without_telling_who_the_buyers_are(week: PulledWeek) -> None:
    days = materializations(week.result, "leads")
    day = next(day for day in days.values() if day["leads"] >= PREVIEW_ROWS)
    header, _, *rows = day["preview"].splitlines()

    assert header == "| time (IST) | type | product | city | state |"
    assert len(rows) == PREVIEW_ROWS
    assert day["preview"] not in [other["preview"] for other in days.values() if other is not day]
