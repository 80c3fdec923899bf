"""A backfill as an operator starts it: by clicking, in a browser, in `leads ui --demo`."""

from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from leads_pipeline.days import days_between
from leads_pipeline_tests.assets.installations import STAGES, keys_of
from leads_pipeline_tests.end_to_end.browser import open_browser
from leads_pipeline_tests.end_to_end.command import instance_of
from leads_pipeline_tests.end_to_end.demo_server import Counts, prepare_demo, served_by, url_at
from leads_pipeline_tests.end_to_end.shell import Shell
from leads_pipeline_tests.end_to_end.truth_rows import assert_is_truth, coverage_states
from leads_pipeline_tests.end_to_end.ui_process import free_port, running_ui

BACKFILL_SECONDS = 450.0
DIALOG = "//*[@role='dialog']"


@pytest.mark.timeout(900)
def test_days_chosen_and_launched_by_clicking_are_done_with_one_call(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "project", {})
    url = url_at(free_port())
    first, _ = prepare_demo(shell.data_dir, url).days
    days = days_between(first, first + timedelta(days=2))

    with open_browser() as browser, running_ui(shell, free_port(), tmp_path / "ui.log") as ui:
        ui.wait_until_it_answers()
        browser.open(ui.url)
        browser.click("//a[.='Catalog']")
        for stage in STAGES:
            browser.click(f"//label[input[@data-testid='checkbox-demo/{stage}']]")
        browser.click("//button[contains(., 'Materialize selected (4)')]")
        browser.type_into(f"{DIALOG}//input[@type='text']", f"[{days[0]}...{days[-1]}]")
        browser.click(f"{DIALOG}//button[.='Launch backfill']")
        browser.click("//a[.='View']")
        page = browser.wait_until_it_says("Status\nSucceeded", BACKFILL_SECONDS)
        counts, leads = Counts.at(url), served_by(url)

    assert f"{days[0]}...{days[-1]}" in page
    for stage in STAGES:  # targeted, in progress, succeeded, failed
        assert f"demo / {stage}\n100% completed\n3\n0\n3\n0" in page
    assert counts == Counts(calls=1, refused=0)
    with instance_of(shell.data_dir) as instance:
        for stage in STAGES:
            assert instance.get_materialized_partitions(dg.AssetKey(["demo", stage])) >= {*keys_of(days)}
    database = shell.data_dir / "leads.duckdb"
    assert_is_truth(database, "demo", leads)
    assert {*coverage_states(database, "demo")["complete"]} >= {*keys_of(days)}
