import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import partial
from importlib import import_module
from pathlib import Path

import duckdb
import pytest

from leads_pipeline.cli.account_status import account_status
from leads_pipeline.cli.status import show_status
from leads_pipeline.days import ONE_DAY, day_of, day_start, days_between, utc_now
from leads_pipeline.indiamart.call_slot import Claim, Granted, SlotTimes, key_fingerprint
from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline.storage.coverage import DayState
from leads_pipeline.storage.day_paths import leads_file
from leads_pipeline_tests.cli.installation import KEY, RUN_ID, Installation
from leads_pipeline_tests.support import make_settings


@pytest.fixture
def today() -> date:
    return day_of(utc_now())


def facts(installation: Installation, *arguments: str) -> dict[str, object]:
    printed = installation.leads("status", "--json", *arguments)
    assert printed.code == 0
    everything = json.loads(printed.out)
    (account,) = everything["accounts"]
    return account


def snapshot(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in sorted(folder.rglob("*")) if path.is_file()}


def test_before_anything_was_pulled_it_says_how_to_start_and_makes_no_folder(installation: Installation) -> None:
    printed = installation.leads("status", "--days", "3")
    assert printed.code == 0
    assert "Nothing was pulled yet. `leads demo`" in printed.text
    assert "CRM key" in printed.text
    assert not installation.data_dir.exists()


def test_the_json_before_anything_was_pulled_has_the_same_keys(installation: Installation) -> None:
    assert facts(installation) == {
        "account": "indiamart",
        "key_set": False,
        "last_successful_call": None,
        "last_call": None,
        "next_free_slot": None,
        "next_free_slot_of_other_version": None,
        "queue": [],
        "coverage": None,
        "late_leads": None,
        "days": [],
    }
    assert not installation.data_dir.exists()


def test_it_counts_complete_partial_and_missing_days_since_the_first_covered_one(
    installation: Installation, today: date
) -> None:
    installation.set_key()
    installation.answered(today - 9 * ONE_DAY, today - 6 * ONE_DAY, interval=0.001)
    installation.answered(today - 5 * ONE_DAY, today - 5 * ONE_DAY, merged=False, interval=0.001)
    installation.answered(today - 3 * ONE_DAY, today - 3 * ONE_DAY, Outcome.NO_LEADS)
    coverage = facts(installation)["coverage"]
    assert coverage == {
        "since": str(today - 9 * ONE_DAY),
        "until": str(today - ONE_DAY),
        "complete": 5,
        "partial": 1,
        "missing": 3,
        "not_yet_available": 0,
        "out_of_reach": 0,
        "newest_complete_day": str(today - 3 * ONE_DAY),
        "today": {
            "day": str(today),
            "state": "missing",
            "fetched": False,
            "merged": False,
            "fetched_until": None,
            "response_ids": [],
        },
    }
    text = installation.leads("status").text
    assert f"5 of 9 from {today - 9 * ONE_DAY} to {today - ONE_DAY} (1 partial, 3 missing)" in text
    assert f"Newest complete day {today - 3 * ONE_DAY}" in text


def test_a_start_date_that_was_set_counts_before_the_first_covered_day(installation: Installation, today: date) -> None:
    installation.set_key()
    installation.monkeypatch.setenv("LEADS_START_DATE", str(today - 20 * ONE_DAY))
    installation.answered(today - 2 * ONE_DAY, today - ONE_DAY)
    coverage = facts(installation)["coverage"]
    assert isinstance(coverage, dict)
    assert (coverage["since"], coverage["complete"], coverage["missing"]) == (str(today - 20 * ONE_DAY), 2, 18)


def test_the_last_days_are_listed_newest_first_with_what_proves_them(installation: Installation, today: date) -> None:
    installation.set_key()
    now = utc_now()
    whole = installation.answered(today - 2 * ONE_DAY, today - ONE_DAY, interval=0.001)
    if now > day_start(today) + timedelta(minutes=1):
        installation.answered(today, today, until=now, sent_at=now)
    listed = facts(installation, "--days", "4")["days"]
    assert isinstance(listed, list)
    assert [day["day"] for day in listed] == [str(today - back * ONE_DAY) for back in range(4)]
    assert [day["state"] for day in listed][1:] == ["complete", "complete", "missing"]
    assert [day["response_ids"] for day in listed] == [[], [whole], [whole], []]
    assert listed[1]["fetched_until"] == f"{today}T00:00:00+05:30"
    assert "The last 4 days of account indiamart" in installation.leads("status", "--days", "4").text


def test_a_successful_call_and_the_closed_slot_are_shown_in_indias_time(
    installation: Installation, today: date
) -> None:
    installation.set_key()
    sent_at = utc_now() - timedelta(minutes=5)
    installation.answered(today - 7 * ONE_DAY, today - ONE_DAY, sent_at=sent_at)
    account = facts(installation)
    assert account["last_call"] == account["last_successful_call"]
    slot, call = account["next_free_slot"], account["last_call"]
    assert isinstance(slot, dict) and isinstance(call, dict)
    assert (call["outcome"], call["records"], call["run_id"]) == ("leads", 3, RUN_ID)
    assert call["window_start"] == f"{today - 7 * ONE_DAY}T00:00:00+05:30"
    assert slot["reason"] == "the last call ended as leads"
    assert 300 < slot["seconds_left"] <= 310
    assert timedelta(seconds=295) < datetime.fromisoformat(slot["at"]) - utc_now() <= timedelta(seconds=310)
    assert slot["holder"] is None
    text = installation.leads("status").text
    assert "IST (5 min ago): leads, 3 records, for" in text
    assert "the last call ended as leads" in text
    assert "Last call" not in text  # it is the same as the last successful one


def test_a_refused_call_stands_beside_the_last_successful_one_and_says_who_must_act(
    installation: Installation, today: date
) -> None:
    installation.set_key()
    installation.answered(today - 2 * ONE_DAY, today - 2 * ONE_DAY, interval=0.001)
    installation.answered(today - ONE_DAY, today - ONE_DAY, Outcome.KEY_REJECTED)
    account = facts(installation)
    last, success = account["last_call"], account["last_successful_call"]
    assert isinstance(last, dict) and isinstance(success, dict)
    assert (last["outcome"], success["outcome"]) == ("key_rejected", "leads")
    assert "Copy the current key from the seller panel" in installation.leads("status").text


def test_who_waits_is_listed_in_the_order_of_their_turns(installation: Installation, today: date) -> None:
    installation.set_key()
    installation.answered(today - ONE_DAY, today - ONE_DAY)
    installation.wants_the_slot("bbbbbbbb-2222", turn="2026-11-08")
    installation.wants_the_slot("aaaaaaaa-1111", turn="2026-11-01")
    queue = facts(installation)["queue"]
    assert isinstance(queue, list)
    assert [(turn["holder"], turn["turn"]) for turn in queue] == [
        ("aaaaaaaa-1111", "2026-11-01"),
        ("bbbbbbbb-2222", "2026-11-08"),
    ]
    text = installation.leads("status").text
    assert "1. run aaaaaaaa, due " in text
    assert "for days from 2026-11-01" in text


def test_a_call_under_way_shows_who_holds_the_slot(installation: Installation) -> None:
    installation.set_key()
    claim = Claim(key_fingerprint(KEY), RUN_ID, SlotTimes(310.0, 60.0, 930.0))
    assert isinstance(installation.workspace.slots.request(claim), Granted)
    slot = facts(installation)["next_free_slot"]
    assert isinstance(slot, dict)
    assert (slot["holder"], slot["reason"]) == (RUN_ID, "a call is under way")
    assert 360 < slot["seconds_left"] <= 370
    assert f"a call is under way, held by run {RUN_ID[:8]}" in installation.leads("status").text


def test_nothing_is_written_and_the_key_is_not_shown(installation: Installation, today: date) -> None:
    installation.set_key()
    installation.answered(today - 2 * ONE_DAY, today - ONE_DAY)
    before = snapshot(installation.root)
    printed = [installation.leads("status", *options) for options in ((), ("--days", "9"), ("--json", "--days", "9"))]
    assert snapshot(installation.root) == before
    assert all(KEY not in part.out + part.err for part in printed)


def test_a_wrong_number_of_days_is_refused(installation: Installation) -> None:
    printed = installation.leads("status", "--days=-1")
    assert printed.code == 2
    assert "--days takes a number from 0" in printed.err


def test_an_unreadable_state_gives_one_clear_line(installation: Installation, today: date) -> None:
    installation.set_key()
    installation.answered(today - ONE_DAY, today - ONE_DAY)
    (installation.state_dir / "calls.sqlite").write_bytes(b"this is no database, and it is longer than a page's head")
    for left_over in installation.state_dir.glob("calls.sqlite-*"):
        left_over.unlink()
    printed = installation.leads("status")
    assert printed.code == 1
    assert printed.err.startswith("The pipeline's state can't be read (DatabaseError)")
    assert "Traceback" not in printed.err


@pytest.mark.parametrize("published", [False, True])
def test_neither_dagster_nor_a_table_library_is_imported(
    installation: Installation, today: date, published: bool
) -> None:
    installation.set_key()
    installation.answered(today - 2 * ONE_DAY, today - ONE_DAY)
    if published:
        publish_a_late_lead(installation, today)
    slow = {"dagster", "pandas", "pyarrow", "numpy", "requests", *(() if published else ("duckdb",))}
    program = (
        "import sys\n"
        "from leads_pipeline.cli import app\n"
        "app(['status', '--days', '3'], standalone_mode=False)\n"
        f"slow = {slow} & sys.modules.keys()\n"
        "sys.exit(f'imported: {sorted(slow)}' if slow else 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=installation.root,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert ("Late leads" in done.stdout) == published
    assert key_fingerprint(KEY) not in done.stdout


@pytest.mark.parametrize("kept", [False, True])
def test_days_are_counted_by_what_is_known_of_each(installation: Installation, today: date, kept: bool) -> None:
    """Days that one answer completes, that two do, that wait to be merged, that lost their file, that are partial."""
    installation.set_key()
    answered, noon = partial(installation.answered, interval=0.001), timedelta(hours=12)
    answered(ago(today, 12), ago(today, 10))
    answered(ago(today, 9), ago(today, 9), until=day_start(ago(today, 9)) + noon)
    answered(ago(today, 8), ago(today, 7), until=day_start(ago(today, 7)) + noon)
    answered(ago(today, 7), ago(today, 6), start=day_start(ago(today, 7)) + noon)
    answered(ago(today, 6), ago(today, 5), merged=False)
    answered(ago(today, 4), ago(today, 3), Outcome.NO_LEADS)
    answered(ago(today, 2), ago(today, 2), sent_at=day_start(ago(today, 2)) + noon)
    workspace = installation.workspace
    leads_file(installation.data_dir, "indiamart", ago(today, 3)).unlink()
    days = days_between(ago(today, 15), ago(today, 1))
    full = {day.day: day.state for day in workspace.coverage("indiamart", days, utc_now())}
    assert {day for day, state in full.items() if state is DayState.COMPLETE} == {
        ago(today, back) for back in (12, 11, 10, 8, 7, 4)
    }
    if kept:
        workspace.keep_coverage("indiamart", days)
    summary = account_status(workspace, workspace.settings.account("indiamart"), 0, utc_now()).coverage
    assert summary is not None
    assert {state: count for state, count in summary.states.items() if count} == Counter(
        state for day, state in full.items() if day >= summary.since
    )


def publish_a_late_lead(installation: Installation, today: date) -> None:
    with duckdb.connect(str(installation.data_dir / "leads.duckdb")) as connection:
        connection.execute(
            "CREATE TABLE leads AS SELECT 'indiamart' account, ? lead_date, 'an answer' response_id, "
            "TIMESTAMPTZ '2026-03-01 12:00:00+05:30' first_seen_at",
            [today - ONE_DAY],
        )
        connection.execute(
            "CREATE TABLE coverage AS SELECT account, lead_date, "
            "first_seen_at - INTERVAL 1 HOUR AS first_complete_at FROM leads"
        )


def ago(today: date, days: int) -> date:
    return today - days * ONE_DAY


def test_an_account_of_two_versions_shows_the_slots_of_both(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings(tmp_path, "http://127.0.0.1:9/")
    [main] = settings.accounts
    other = replace(main, api_version="v1", key="v1/Key+of-the-same-seller==", mobile="9876543210")
    both = replace(settings, accounts=(replace(main, other_version=other),))
    monkeypatch.setattr(import_module("leads_pipeline.cli.status"), "load_settings", lambda: both)
    show_status(0, as_json=False)
    printed = capsys.readouterr().out
    assert "Next free slot, v1" in printed
    assert other.key not in printed
