import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from leads_pipeline.cli.late_leads import LateLeads, late_leads
from leads_pipeline.days import ONE_DAY, day_end, day_of, utc_now
from leads_pipeline_tests.cli.installation import Installation
from leads_pipeline_tests.end_to_end.runs import folder_in_memory
from leads_pipeline_tests.stages.replays import ACCOUNT, DAYS, Answer, History, new_history, noon, record, window

HOUR = timedelta(hours=1)
FIRST_COMPLETE = day_end(DAYS[3]) + HOUR
LATE_BY = (2, 4, 6, 8, 30)
"""Hours after the first complete answer at which one more lead is seen each."""


def ids(count: int) -> list[dict[str, object]]:
    return [record(str(30_000_000 + number), noon(number % 4)) for number in range(count)]


@pytest.fixture(scope="module")
def filled() -> Iterator[History]:
    """Ten leads: five in the first complete answer, then one more in each later one; and a day that is not over."""
    with folder_in_memory() as folder:
        answers = [Answer(window(0, 3), FIRST_COMPLETE, ids(5))]
        answers += [
            Answer(window(0, 3), FIRST_COMPLETE + hours * HOUR, ids(5 + number))
            for number, hours in enumerate(LATE_BY, 1)
        ]
        yield new_history(folder, "indiamart").fill(answers)


@pytest.fixture
def history(filled: History, tmp_path: Path) -> History:
    return filled.copied_to(tmp_path)


def test_late_are_the_leads_that_the_first_answer_for_their_whole_day_did_not_hold(history: History) -> None:
    found = late_leads(history.data_dir / "leads.duckdb", DAYS[0])
    assert found == {"indiamart": LateLeads(DAYS[0], 10, 5, 6.0, pytest.approx(21.2), 30.0)}
    assert found["indiamart"].share == 0.5


def test_a_lead_of_a_polled_day_is_not_late_though_the_day_was_complete_later(history: History) -> None:
    polled = Answer(window(4, 4), noon(4) + HOUR, [record("30000100", noon(4))])
    whole = Answer(window(4, 4), day_end(DAYS[4]) + HOUR, [record("30000100", noon(4)), record("30000101", noon(4))])
    later = Answer(window(4, 4), day_end(DAYS[4]) + 9 * HOUR, [record("30000102", noon(4))])
    history.fill([polled, whole, later])
    found = late_leads(history.data_dir / "leads.duckdb", DAYS[4])["indiamart"]
    assert (found.leads, found.late, found.max_hours) == (3, 1, 8.0)


def test_days_before_the_first_one_and_days_that_are_not_proven_do_not_count(history: History) -> None:
    history.fill([Answer(window(6, 6), noon(6), [record("30000200", noon(6) - HOUR)])])
    assert late_leads(history.data_dir / "leads.duckdb", DAYS[2])["indiamart"].leads == 4
    assert late_leads(history.data_dir / "leads.duckdb", DAYS[4]) == {}


def test_without_late_leads_there_are_no_hours() -> None:
    with folder_in_memory() as folder:
        history = new_history(folder, ACCOUNT).fill([Answer(window(0, 3), FIRST_COMPLETE, ids(5))])
        found = late_leads(history.data_dir / "leads.duckdb", DAYS[0])
    assert found == {ACCOUNT: LateLeads(DAYS[0], 5, 0, None, None, None)}


def test_the_first_complete_answer_of_each_day_is_published(history: History) -> None:
    half = Answer(window(5, 5), day_end(DAYS[5]) + 3 * HOUR, ids(0))
    history.fill([half])
    day = history.workspace.coverage("indiamart", [DAYS[1], DAYS[5], DAYS[6]], utc_now())
    assert [one.first_complete_at for one in day] == [FIRST_COMPLETE, half.sent_at, None]


def test_status_tells_the_share_and_the_hours_for_people_and_machines(
    installation: Installation, history: History
) -> None:
    installation.monkeypatch.setenv("LEADS_DATA_DIR", str(history.data_dir))
    since = day_of(utc_now()) - 90 * ONE_DAY
    assert (
        f"Late leads 5 of 10 since {since} came after their day's first complete answer (50.0%): half of them within "
        "6.0 h of it, 90 % within 21.2 h, all within 30.0 h" in installation.leads("status").text
    )
    [account] = json.loads(installation.leads("status", "--json").out)["accounts"]
    assert account["late_leads"] == {
        "since": str(since),
        "leads": 10,
        "late": 5,
        "share": 0.5,
        "median_hours": 6.0,
        "p90_hours": 21.2,
        "max_hours": 30.0,
    }


@pytest.mark.parametrize("tables", [(), ("CREATE TABLE leads (account VARCHAR, lead_date DATE)",)])
def test_a_database_of_another_version_tells_nothing_and_does_not_fail(
    installation: Installation, tables: tuple[str, ...]
) -> None:
    installation.publish(*tables)
    [account] = json.loads(installation.leads("status", "--json").out)["accounts"]
    assert account["late_leads"] is None
    assert "Late leads" not in installation.leads("status").text


def test_duckdb_is_imported_only_if_something_is_published(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom datetime import date\nfrom pathlib import Path\n"
        "from leads_pipeline.cli.late_leads import late_leads\n"
        "assert late_leads(Path(sys.argv[1]), date(2026, 3, 1)) == {}\n"
        "sys.exit('duckdb' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "leads.duckdb")], check=False)
    assert done.returncode == 0
