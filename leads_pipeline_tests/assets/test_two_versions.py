"""The first asset of an account with keys for two versions: a call with each, and a dead old key that fails nothing."""

from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from leads_pipeline.fake_indiamart.server import FakeIndiaMart
from leads_pipeline_tests.assets.installations import (
    ACME_KEY,
    DEAD_KEY,
    INTERVAL_SECONDS,
    WEEK,
    Installation,
    account,
    materializations,
    settings_of,
)

V1_KEY = "acme/v1-Key+of-the-tests=="
MOBILE = "9810000457"


@pytest.mark.parametrize("v1_key", [V1_KEY, DEAD_KEY])
def test_a_run_asks_each_version_once_and_a_dead_key_of_the_other_fails_nothing(tmp_path: Path, v1_key: str) -> None:
    options = {"interval_seconds": INTERVAL_SECONDS * 0.9, "mobile": MOBILE, "v1_silence": 0.0}
    with (
        FakeIndiaMart(keys=[ACME_KEY], v1_keys={V1_KEY: ACME_KEY}, **options) as server,  # type: ignore[arg-type]
        dg.DagsterInstance.ephemeral() as instance,
    ):
        main = account(server)
        v1 = replace(main, api_url=server.v1_url, key=v1_key, api_version="v1", mobile=MOBILE)
        both = Installation(settings_of(tmp_path, replace(main, other_version=v1)), instance)
        result = both.run(WEEK)
        facts = materializations(result, "raw_responses")[WEEK[0].isoformat()]

        assert result.success
        assert len(server.calls) == 2
        assert len(both.materialized("leads")) == len(WEEK)
        assert facts["outcome"] == "leads"
        if v1_key == V1_KEY:
            assert (facts["calls"], facts["v1_outcome"], facts["v1_records"]) == ("2", "leads", facts["records"])
        else:
            assert facts["calls"] == "1"
            assert "rejected the CRM key" in facts["v1_failure"]
            assert DEAD_KEY not in str(facts)
