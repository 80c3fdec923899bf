"""`leads ui --demo`: a backfill of two weeks of the demo as the UI starts it, with the daemon running."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from leads_pipeline.days import days_between
from leads_pipeline_tests.assets.installations import STAGES
from leads_pipeline_tests.end_to_end.demo_server import Counts, prepare_demo, served_by, url_at
from leads_pipeline_tests.end_to_end.shell import Shell
from leads_pipeline_tests.end_to_end.truth_rows import assert_is_truth, coverage_states
from leads_pipeline_tests.end_to_end.ui_process import Ui, free_port, running_ui

BACKFILL_SECONDS = 400.0
STOP_SECONDS = 40.0

LAUNCH = """
mutation ($backfill: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $backfill) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""
LOOK = """
query ($id: String!) {
  partitionBackfillOrError(backfillId: $id) {
    __typename
    ... on PartitionBackfill { status runs(limit: 100) { status tags { key value } } }
  }
}
"""


def run_backfill(ui: Ui, account: str, days: list[str]) -> Any:
    """Start a backfill of the account's whole chain over the days; return it once it has ended."""
    assets = [{"path": [account, stage]} for stage in STAGES]
    launched = ui.ask(LAUNCH, backfill={"assetSelection": assets, "partitionNames": days})
    assert launched["__typename"] == "LaunchBackfillSuccess", launched
    deadline = time.monotonic() + BACKFILL_SECONDS
    while time.monotonic() < deadline:
        backfill = ui.ask(LOOK, id=launched["backfillId"])
        if backfill["status"] != "REQUESTED":
            return backfill
        time.sleep(1.0)
    raise AssertionError("the backfill does not end")


@pytest.mark.timeout(900)
def test_a_backfill_of_two_weeks_in_the_ui_is_two_runs_with_two_calls(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "project", {})
    url = url_at(free_port())
    setup = prepare_demo(shell.data_dir, url)
    days = [day.isoformat() for day in days_between(*setup.days)][-14:]

    with running_ui(shell, free_port(), tmp_path / "ui.log") as ui:
        ui.wait_until_it_answers()
        backfill = run_backfill(ui, "demo", days)
        counts, leads = Counts.at(url), served_by(url)
        started = psutil.Process(ui.process.pid).children(recursive=True)
        ui.process.send_signal(signal.SIGINT)
        exit_code = ui.process.wait(STOP_SECONDS)
        _, alive = psutil.wait_procs(started, timeout=STOP_SECONDS)

    assert backfill["status"] == "COMPLETED_SUCCESS"
    assert [run["status"] for run in backfill["runs"]] == ["SUCCESS"] * 2
    assert sorted(ranges_of(backfill)) == [(days[0], days[6]), (days[7], days[13])]
    assert counts == Counts(calls=2, refused=0)
    database = shell.data_dir / "leads.duckdb"
    assert_is_truth(database, "demo", leads)
    assert coverage_states(database, "demo")["complete"] == days
    assert exit_code == 0
    assert len(started) >= 4  # webserver, daemon, code servers, the fake IndiaMART
    assert alive == []


def ranges_of(backfill: Any) -> Iterator[tuple[str, str]]:
    for run in backfill["runs"]:
        tags = {tag["key"]: tag["value"] for tag in run["tags"]}
        yield tags["dagster/asset_partition_range_start"], tags["dagster/asset_partition_range_end"]
