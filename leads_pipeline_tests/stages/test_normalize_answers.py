"""What normalising takes from the settings of the account that an answer is of."""

from dataclasses import replace
from pathlib import Path

import pytest

from leads_pipeline.days import ONE_DAY, day_end, day_start, utc_now
from leads_pipeline.indiamart.windows import Window
from leads_pipeline.stages import normalize_answers
from leads_pipeline.stages.normalize_answers import normalize_pending, normalized_file, pending_answers
from leads_pipeline.storage.raw import RawStoreError
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


def test_answers_read_side_by_side_come_in_their_order_and_few_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = make_workspace(make_settings(tmp_path, "http://127.0.0.1:9/"))
    days = complete_days(8)
    fetched_at = day_end(days[-1])
    for number, day in enumerate(days):
        leads = [{"UNIQUE_QUERY_ID": f"{number}{one}", "QUERY_TIME": f"{day} 10:00:00"} for one in range(number + 1)]
        window = Window(day_start(day), day_start(day) + ONE_DAY)
        workspace.catalog.add(store_records(workspace, window, leads, fetched_at))
    read: list[str] = []
    kept: list[str] = []
    read_answer, keep = normalize_answers.read_answer, normalize_answers._keep

    def counted_read(*arguments):  # type: ignore[no-untyped-def]
        read.append(arguments[1].response_id)
        return read_answer(*arguments)

    def counted_keep(*arguments):  # type: ignore[no-untyped-def]
        assert len(read) - len(kept) <= 3
        kept.append(arguments[1].response_id)
        return keep(*arguments)

    monkeypatch.setattr(normalize_answers, "read_answer", counted_read)
    monkeypatch.setattr(normalize_answers, "_keep", counted_keep)
    pending = [answer.response_id for answer in pending_answers(workspace, "indiamart", days)]
    result = normalize_pending(workspace, "indiamart", days, lambda _: None)
    assert kept == pending == [answer.response_id for answer in result.answers]
    assert result.counts.leads == sum(range(1, 9))


def test_a_damaged_answer_fails_the_run_and_those_before_it_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = make_workspace(make_settings(tmp_path, "http://127.0.0.1:9/"))
    days = complete_days(3)
    for number, day in enumerate(days):
        lead = {"UNIQUE_QUERY_ID": f"{number}", "QUERY_TIME": f"{day} 10:00:00"}
        window = Window(day_start(day), day_end(day))
        workspace.catalog.add(store_records(workspace, window, [lead], day_end(days[-1])))
    first, second, _ = pending_answers(workspace, "indiamart", days)
    path = next((tmp_path / "data" / "raw").rglob(f"{second.response_id}.zst"))
    path.write_bytes(b"damaged")
    with pytest.raises(RawStoreError):
        normalize_pending(workspace, "indiamart", days, lambda _: None)
    assert workspace.normalized_files("indiamart").read(first.response_id) is not None
