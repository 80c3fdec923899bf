from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from leads_pipeline.definitions import build_definitions
from leads_pipeline.jobs import REPLAY_JOB, accounts_of
from leads_pipeline.stages import replay_tables
from leads_pipeline.storage.process_locks import PROCESS_TAG, is_alive
from leads_pipeline_tests.end_to_end.runs import folder_in_memory
from leads_pipeline_tests.stages.replays import ACCOUNT, DAYS, SECRET, History, new_history, other_rules


@pytest.fixture(scope="module")
def filled() -> Iterator[History]:
    with folder_in_memory() as folder:
        yield new_history(folder).fill()


@pytest.fixture
def history(filled: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> History:
    monkeypatch.setattr(replay_tables, "_PUBLISHING_SECONDS", 0.0)
    return filled.copied_to(tmp_path)


def run_replay(history: History, instance: dg.DagsterInstance, **config: object) -> dg.ExecuteInProcessResult:
    job = build_definitions(history.settings).resolve_job_def(REPLAY_JOB)
    return job.execute_in_process(
        instance=instance,
        raise_on_error=False,
        run_config={
            "ops": {"replay_raw_responses": {"config": config}},
            "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
        },
    )


def failure_of(result: dg.ExecuteInProcessResult) -> Any:
    assert not any(event.is_step_up_for_retry for event in result.all_events)
    [event] = [event for event in result.all_events if event.is_step_failure]
    return event.step_failure_data.user_failure_data


def output_of(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    [event] = [event for event in result.all_events if event.is_successful_output]
    return {name: value.value for name, value in event.step_output_data.metadata.items()}


def replay_of(account: str) -> dict[str, Any]:
    return {"ops": {"replay_raw_responses": {"config": {"account": account, "check": True}}}}


@pytest.mark.parametrize(
    ("run", "accounts"),
    [
        (dg.DagsterRun("pull_acme"), {"acme"}),
        (dg.DagsterRun("__ASSET_JOB", asset_selection={dg.AssetKey(["acme", "leads"])}), {"acme"}),
        (dg.DagsterRun("__ASSET_JOB", tags={"leads/account": "acme, bharat"}), {"acme", "bharat"}),
        (dg.DagsterRun("replay", run_config=replay_of("acme")), {"acme"}),
        (dg.DagsterRun("replay", run_config=replay_of("")), None),
        (dg.DagsterRun("replay"), None),
        (dg.DagsterRun("report"), None),
    ],
)
def test_a_run_says_by_its_assets_its_job_or_its_tag_for_which_accounts_it_works(
    run: dg.DagsterRun, accounts: set[str] | None
) -> None:
    assert accounts_of(run) == accounts


def test_the_replay_job_checks_replaces_and_shows_the_days_that_differed_without_values(history: History) -> None:
    before = history.files()
    history.workspace.lead_files(ACCOUNT).path(DAYS[1]).unlink()
    row = {"account": ACCOUNT, "where": "leads", "day": str(DAYS[1]), "missing": 3, "extra": 0, "changed": 0}
    with dg.DagsterInstance.ephemeral() as instance:
        checked = run_replay(history, instance, check=True)
        assert not checked.success
        failure = failure_of(checked)
        assert failure.description.startswith("What stands is not what the raw responses give.")
        [record] = failure.metadata["differences"].records
        assert record.data == {**row, "columns": "no file"}

        elsewhere = run_replay(history, instance, check=True, account=ACCOUNT, first=str(DAYS[2]))
        assert output_of(elsewhere) | {"differences": None} == {
            "answers": 4,
            "leads": 10,
            "days_replaced": 0,
            "differences": None,
        }

        replaced = run_replay(history, instance)
        assert replaced.success
        assert output_of(replaced)["days_replaced"] == 1
        run = instance.get_run_by_id(replaced.run_id)
    assert history.files() == before
    assert run is not None
    assert is_alive(history.settings.state_dir, run.tags[PROCESS_TAG])


def test_a_replay_that_cannot_go_on_fails_with_its_reason_and_without_retries(history: History) -> None:
    newest = history.workspace.catalog.all_of(ACCOUNT)[-1]
    [body] = (history.data_dir / "raw").rglob(f"{newest.response_id}.zst")
    body.unlink()
    with dg.DagsterInstance.ephemeral() as instance:
        for config, words in (
            ({}, "missing"),
            ({"first": "1 March"}, "a day is written YYYY-MM-DD"),
            ({"account": "nobody"}, "There is no account 'nobody'"),
        ):
            failure = failure_of(run_replay(history, instance, **config))
            assert words in failure.description


def test_nothing_of_a_buyer_is_stored_with_the_run(history: History) -> None:
    with dg.DagsterInstance.ephemeral() as instance, other_rules():
        result = run_replay(history, instance)
        assert result.success
        assert output_of(result)["days_replaced"] == 6
        logged = " ".join(str(entry) for entry in instance.all_logs(result.run_id))
    assert "sender_name" in logged
    assert SECRET.lower() not in logged.lower()
