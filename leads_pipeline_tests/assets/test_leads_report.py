from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from leads_pipeline.assets.leads_report import build_leads_report
from leads_pipeline.settings import Settings
from leads_pipeline.stages import write_report as stage
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline_tests.report.databases import published_database
from leads_pipeline_tests.storage.lead_tables import DAY
from leads_pipeline_tests.support import make_settings

PRIVATE = "+919812345678"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = make_settings(tmp_path, "http://127.0.0.1:9/")
    settings.data_dir.mkdir()
    return settings


def materialize(settings: Settings) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        [build_leads_report(settings.accounts)],
        resources={"workspace": Workspace(settings)},
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        raise_on_error=False,
    )


def failure_of(result: dg.ExecuteInProcessResult) -> Any:
    [event] = [event for event in result.all_events if event.is_step_failure]
    return event.step_failure_data


def publish(settings: Settings) -> None:
    with published_database(settings.database) as published:
        published.add_leads(DAY, 4)


def test_the_asset_writes_the_report_and_shows_what_is_in_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(settings)
    monkeypatch.setattr(stage, "_rendered", lambda *_: "<!doctype html>")

    result = materialize(settings)

    [event] = result.get_asset_materialization_events()
    metadata = {name: value.value for name, value in event.materialization.metadata.items()}
    assert (settings.data_dir / "reports" / "leads_report.html").read_text() == "<!doctype html>"
    assert metadata == {
        "path": "reports/leads_report.html",
        "version": 7,
        "accounts": "acme",
        "days": 1,
        "leads": 4,
        "bytes": 15,
    }


def test_without_a_database_the_asset_fails_with_one_sentence(settings: Settings) -> None:
    failure = failure_of(materialize(settings)).user_failure_data

    assert failure.description.startswith("There is no database yet")


def test_a_library_that_fails_is_told_without_its_words(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> str:
        raise ValueError(f"no such value: {PRIVATE}")

    publish(settings)
    monkeypatch.setattr(stage, "_rendered", fail)

    failure = failure_of(materialize(settings))

    assert "ValueError at" in str(failure.error)
    assert PRIVATE not in str(failure)
