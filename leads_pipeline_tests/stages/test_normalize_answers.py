"""What normalising takes from the settings of the account that an answer is of."""

from dataclasses import replace
from pathlib import Path

from leads_pipeline.days import day_end, day_start, utc_now
from leads_pipeline.indiamart.windows import Window
from leads_pipeline.stages.normalize_answers import normalize_pending, normalized_file, pending_answers
from leads_pipeline_tests.stages.stored_answers import store_records
from leads_pipeline_tests.support import complete_days, make_settings, make_workspace


def test_phone_numbers_without_a_country_code_are_read_in_the_accounts_country(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, "http://127.0.0.1:9/")
    workspace = make_workspace(replace(settings, accounts=(replace(settings.accounts[0], default_country="AE"),)))
    (day,) = complete_days(1)
    lead = {"UNIQUE_QUERY_ID": "1", "QUERY_TYPE": "W", "QUERY_TIME": f"{day} 10:00:00", "SENDER_PHONE": "042345678"}
    window = Window(day_start(day), day_end(day))
    workspace.catalog.add(store_records(workspace, window, [lead], utc_now()))

    (answer,) = pending_answers(workspace, "indiamart", [day])
    normalize_pending(workspace, "indiamart", [day], lambda _: None)

    assert normalized_file(workspace, answer).leads["sender_phone"].to_pylist() == ["+97142345678"]
