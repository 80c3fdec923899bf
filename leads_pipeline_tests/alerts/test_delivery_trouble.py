"""What a destination's last runs and parked leads are alerted for."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from leads_pipeline.alerts.delivery_trouble import RUNS_LOOKED_AT, DeliveryFacts, find_delivery_trouble
from leads_pipeline.delivery.outbox_rows import DeliveryRun
from leads_pipeline_tests.delivery.memory_crm import NOON

NOW = NOON + timedelta(days=1)


def run(stop: str = "", done: int = 0, failed: int = 0, held: int = 0, parked: int = 0) -> DeliveryRun:
    return DeliveryRun("acme", "crm", "run", NOON, stop, f"Why: {stop}." if stop else "", done, failed, held, parked)


FINE = run(done=10)


@pytest.mark.parametrize(
    ("runs", "parked", "kinds"),
    [
        ([], 0, []),
        ([FINE], 0, []),
        ([run("bad_keys"), FINE], 0, ["delivery_keys critical"]),
        ([run("misconfigured"), FINE], 0, ["delivery_keys critical"]),
        ([FINE, run("bad_keys")], 0, []),
        ([run("quota_used_up", done=5)], 0, ["delivery_quota warning"]),
        ([run("unreachable")] * 4, 0, []),
        ([run("unreachable")] * 5, 0, ["delivery_runs_failed critical"]),
        ([run(failed=1)] * 5, 0, ["delivery_runs_failed critical", "delivery_rows_failed warning"]),
        ([run("unreachable")] * 4 + [run(done=1, failed=9)], 0, ["delivery_rows_failed warning"]),
        ([*[run(failed=1)] * 4, FINE], 0, []),
        ([run(done=7, failed=3)], 0, []),
        ([run(done=6, failed=2, parked=2)], 0, ["delivery_rows_failed warning"]),
        ([run(done=1, failed=3)], 0, []),
        ([run(done=2, held=100)], 0, []),
        ([FINE, FINE, FINE, FINE, FINE, run("bad_keys", failed=1_000)], 0, []),
        ([FINE], 2, ["delivery_parked warning"]),
    ],
)
def test_what_is_alerted(runs: Sequence[DeliveryRun], parked: int, kinds: list[str]) -> None:
    facts = DeliveryFacts("crm", runs, parked, {"refused the city": 1, "refused": 7})

    found = find_delivery_trouble(facts, NOW)

    assert [f"{one.kind_name} {one.level.value}" for one in found] == kinds
    assert all(one.detail == "crm" and one.what.startswith("Destination crm: ") for one in found)
    assert all(one.since in (NOON, NOW) for one in found)
    reasons = {run.reason for run in runs[:RUNS_LOOKED_AT] if run.reason}
    for one in found:
        if one.kind_name in ("delivery_keys", "delivery_quota"):
            assert any(reason in one.what for reason in reasons)
        if one.kind_name == "delivery_parked":
            assert "2 lead(s) were given up, most because of: refused." in one.what
