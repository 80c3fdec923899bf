"""What a library says of a value it can't take does not reach Dagster, which would store and show it."""

import dagster as dg
import pytest

from leads_pipeline.assets.border import StageFailedError, stage_border
from leads_pipeline.leads.frames import ColumnsDoNotFit
from leads_pipeline.storage.raw import ResponseName
from leads_pipeline_tests.assets.installations import WEEK, Installation

BUYERS_PHONE = "+91-9812345670"


def fail_as_libraries_do(*_: object) -> None:
    raise ValueError(f"could not convert string to float: {BUYERS_PHONE!r}")


@pytest.mark.parametrize(
    ("stage", "work"),
    [
        ("raw_responses", "leads_pipeline.assets.raw_responses.pull_versions"),
        ("normalized_leads", "leads_pipeline.assets.normalized_leads.normalize_pending"),
        ("leads", "leads_pipeline.assets.leads.merge_pending"),
        ("leads_database", "leads_pipeline.assets.leads_database.publish_tables"),
    ],
)
def test_an_unforeseen_error_of_a_stage_is_told_without_its_words(
    acme: Installation, monkeypatch: pytest.MonkeyPatch, stage: str, work: str
) -> None:
    monkeypatch.setattr(work, fail_as_libraries_do)

    result = acme.run(WEEK)
    log = "\n".join(entry.to_json() for entry in acme.instance.all_logs(result.run_id))
    failed = [event.step_key for event in result.all_events if event.is_step_failure]

    assert failed[0] == f"acme__{stage}"
    assert BUYERS_PHONE not in log
    assert f"ValueError at leads_pipeline/assets/{stage}.py:" in log


def test_the_place_is_the_innermost_line_of_our_own() -> None:
    with (
        pytest.raises(StageFailedError, match=r"AttributeError at leads_pipeline/storage/raw\.py:\d+\."),
        stage_border(),
    ):
        ResponseName.parse(None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "error",
    [
        ColumnsDoNotFit("The frame lacks the columns a."),
        OSError(28, "No space left on device"),
        dg.Failure("Wrong key."),
    ],
)
def test_errors_that_hold_no_values_pass_as_they_are(error: Exception) -> None:
    with pytest.raises(type(error)) as raised, stage_border():
        raise error

    assert raised.value is error
