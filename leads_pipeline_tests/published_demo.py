"""The demo's month as an installation publishes it: stored answers, normalised, merged and published, without calls."""

from datetime import datetime, timedelta
from pathlib import Path

from leads_pipeline.days import day_end, day_start
from leads_pipeline.demo_setup import DEMO_DAYS, DEMO_KEY, DEMO_SEED
from leads_pipeline.fake_indiamart.truth import truth_between
from leads_pipeline.indiamart.call_slot import CallInFlight
from leads_pipeline.indiamart.windows import Window
from leads_pipeline.settings import DEMO_ACCOUNT
from leads_pipeline.stages.call_records import record_of_answer
from leads_pipeline.stages.deliver_leads import LeadDelivery
from leads_pipeline.stages.publish_tables import publish_tables
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.storage.publish import PublishResult
from leads_pipeline_tests.delivery.memory_crm import MemoryCrm, destination
from leads_pipeline_tests.end_to_end.runs import merge, quiet, runs_of_a_backfill
from leads_pipeline_tests.stages.stored_answers import store_leads
from leads_pipeline_tests.support import complete_days, make_settings, make_workspace


def publish_demo(root: Path) -> PublishResult:
    """Publish the demo's leads of a month in `root`/data; the last days were asked for twice, and some came late.

    All of them were delivered to a CRM.
    """
    workspace = make_workspace(make_settings(root, "http://127.0.0.1:9/", DEMO_KEY, account=DEMO_ACCOUNT))
    days = complete_days(DEMO_DAYS, ago=3)
    for week in [*runs_of_a_backfill(days), days[-7:]]:
        window = Window(day_start(week[0]), day_end(week[-1]))
        already_asked = len(workspace.call_log.after(0))
        _ask(workspace, window, window.end + timedelta(hours=1 + 4 * already_asked))
    merge(workspace, days)
    crm = MemoryCrm(rows_per_call=500)
    LeadDelivery(workspace, destination(account=DEMO_ACCOUNT), "a-run", crm).deliver(days, quiet)
    return publish_tables(workspace, quiet)


def _ask(workspace: Workspace, window: Window, sent_at: datetime) -> None:
    """Store the answer that IndiaMART would have given then, with its row in the call log."""
    leads = truth_between(DEMO_SEED, DEMO_KEY, window.start, window.end, as_of=sent_at)
    answer = store_leads(workspace, window, leads, sent_at)
    name = answer.response_id
    call = CallInFlight("", "a-run", answer.account, answer.source_api, window, name, sent_at, 0.0, lapsed=True)
    workspace.slots.settle(call, record_of_answer(answer, 0.0))
