import os
from dataclasses import replace
from pathlib import Path

import pytest

from leads_pipeline.delivery.outbox import Outbox
from leads_pipeline.fake_crms.leadsquared import FakeLeadSquared, Limit
from leads_pipeline_tests.benchmarks.deliveries import Leads
from leads_pipeline_tests.benchmarks.delivery_worker import ACCOUNT, DeliverySetup, deliver
from leads_pipeline_tests.storage.children import exit_code

LEADS = 5
POINTS = ("delivery:begun", "delivery:answered", "delivery:receipts", "delivery:activities")
FAST = (100, 1.0)
HOUR = 3600.0


def deliver_killed(setup: DeliverySetup, kill_at: str) -> None:
    os.environ["LEADS_KILL_AT"] = kill_at
    deliver(setup)


@pytest.mark.parametrize("kill_at", POINTS)
def test_a_kill_at_any_named_point_of_a_delivery_loses_and_doubles_nothing(tmp_path: Path, kill_at: str) -> None:
    limit = Limit(2 * FAST[0], FAST[1])
    with FakeLeadSquared(call_limit=limit, bulk_limit=limit) as fake:
        setup = DeliverySetup(
            str(tmp_path),
            "leadsquared",
            fake.url,
            fake.access_key,
            fake.secret_key,
            FAST,
            25,
            30.0,
            "IndiaMART Enquiry",
        )
        leads = Leads(LEADS, seed=1)
        leads.write(tmp_path / "data")
        assert exit_code(deliver_killed, setup, kill_at) == -9
        assert deliver(replace(setup, ahead_seconds=HOUR)) == ""
        rows = Outbox(tmp_path / "data" / "state").of_leads(ACCOUNT, "leadsquared", leads.rows)

        assert {row.remote_id for row in rows.values()} == set(fake.records)
        assert all(row.state.is_done for row in rows.values())
        assert fake.created == len({row["sender_mobile"] for row in leads.rows.values()})
        # Nobody can ask whether an activity stands there: one that was under way is never sent again.
        assert len(fake.activities) == (0 if kill_at == "delivery:activities" else LEADS)
        assert {row.activity for row in rows.values()} == {"unsure" if kill_at == "delivery:activities" else "done"}
