from pathlib import Path

import pytest
from rich.console import Console

from leads_pipeline.cli import demo_crm
from leads_pipeline.cli.errors import CommandError
from leads_pipeline.days import day_end, day_start
from leads_pipeline.demo_setup import DEMO_KEY, DemoSetup
from leads_pipeline.fake_indiamart.truth import truth_between
from leads_pipeline.indiamart.windows import Window
from leads_pipeline.settings import DEMO_ACCOUNT
from leads_pipeline_tests.end_to_end.runs import merge
from leads_pipeline_tests.stages.stored_answers import store_leads
from leads_pipeline_tests.support import complete_days, make_settings, make_workspace


@pytest.mark.parametrize("crm", demo_crm.CRMS)
def test_the_demo_shows_delivers_and_then_has_nothing_to_do(
    tmp_path: Path, crm: str, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = make_workspace(make_settings(tmp_path, "http://127.0.0.1:9/", DEMO_KEY, account=DEMO_ACCOUNT))
    [day] = complete_days(1, ago=3)
    window = Window(day_start(day), day_end(day))
    leads = truth_between(7, DEMO_KEY, window.start, window.end, as_of=window.end)
    store_leads(workspace, window, leads, window.end)
    merge(workspace, [day])
    setup = DemoSetup(day.isoformat(), day.isoformat(), "http://127.0.0.1:9/")

    for _ in range(2):  # the second demo begins anew, for its CRM is empty again
        demo_crm.run_crm_demo(workspace.settings, setup, demo_crm.crm_name(crm), Console(stderr=True, soft_wrap=True))
        shown = capsys.readouterr()

        assert f"demo.{crm}: {len(leads)} lead(s) would be sent" in shown.out
        assert " created" in shown.err
        assert f"Delivered to demo.{crm}: nothing was due." in shown.err


def test_another_crm_is_refused() -> None:
    with pytest.raises(CommandError, match="leadsquared and sharpspring"):
        demo_crm.crm_name("salesforce")
