import importlib
import json
import shutil
import socket
import subprocess
import sys
from collections import namedtuple
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest

from leads_pipeline.cli.doctor_checks import version_problem
from leads_pipeline.days import ONE_DAY, day_of, utc_now
from leads_pipeline.indiamart.call_slot import key_fingerprint
from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline_tests.accounts_files import write_full
from leads_pipeline_tests.alerts.post import PASSWORD
from leads_pipeline_tests.cli.installation import KEY, Installation
from leads_pipeline_tests.support import forms_found

doctor = importlib.import_module("leads_pipeline.cli.doctor")  # the package has a command of that name
YESTERDAY = day_of(utc_now()) - ONE_DAY

HOLD_LOCK = """
import sys
from filelock import FileLock
lock = FileLock(sys.argv[1])
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True)
class Found:
    level: str
    text: str


def checks(installation: Installation, name: str) -> list[Found]:
    printed = installation.leads("doctor", "--json")
    return [
        Found(check["level"], f"{check['found']} {check['todo']}")
        for check in json.loads(printed.out)["checks"]
        if check["name"] == name
    ]


def check(installation: Installation, name: str) -> Found:
    (found,) = checks(installation, name)
    return found


def test_a_good_installation_is_well_and_its_key_is_shown_as_fingerprint_only(installation: Installation) -> None:
    installation.set_key()
    printed = installation.leads("doctor")
    assert printed.code == 0
    assert "All is well." in printed.text
    assert f"set, fingerprint {key_fingerprint(KEY)}" in printed.text
    assert KEY not in printed.out + printed.err + installation.leads("doctor", "--json").out


def test_it_makes_no_call_and_no_file(installation: Installation) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a connection was opened")

    installation.set_key()
    installation.monkeypatch.setattr(socket.socket, "connect", refuse)
    before = sorted(installation.root.rglob("*"))
    assert installation.leads("doctor").code == 0
    assert sorted(installation.root.rglob("*")) == before


def test_a_missing_key_alone_needs_a_person(installation: Installation) -> None:
    printed = installation.leads("doctor")
    assert printed.code == 3
    assert "Put INDIAMART_CRM_KEY=... into .env" in printed.text
    assert "1 problem(s), 1 warning(s)." in printed.text


def test_another_problem_beside_the_missing_key_is_a_failure(installation: Installation) -> None:
    installation.data_dir.mkdir(mode=0o700)
    (installation.data_dir / "leads.duckdb").touch()
    assert installation.leads("doctor").code == 1


@pytest.mark.parametrize("key", ["your-key-here", "xxxxxxxxxxxx", "<paste-it>", "0000000000"])
def test_a_placeholder_is_no_key(installation: Installation, key: str) -> None:
    installation.set_key(key)
    assert check(installation, "CRM key of indiamart").text.startswith("it looks like a placeholder.")
    printed = installation.leads("doctor")
    assert printed.code == 3
    assert key not in printed.text


def test_a_key_of_the_wrong_shape_needs_a_person(installation: Installation) -> None:
    installation.set_key("short")
    printed = installation.leads("doctor")
    assert printed.code == 3
    assert "INDIAMART_CRM_KEY: expected the CRM key as the seller panel shows it" in printed.text
    assert "short" not in printed.text


def test_a_key_that_was_rejected_last_needs_a_person_until_it_is_changed(installation: Installation) -> None:
    installation.set_key()
    installation.answered(YESTERDAY, YESTERDAY, Outcome.KEY_REJECTED)
    assert installation.leads("doctor").code == 3
    assert "key_rejected" in check(installation, "CRM key of indiamart").text
    installation.set_key("another/Key+entirely==")
    assert installation.leads("doctor").code == 0


def test_settings_that_are_not_valid_are_a_problem_and_the_rest_is_checked(installation: Installation) -> None:
    installation.set_key()
    installation.monkeypatch.setenv("INDIAMART_TIMEOUT_SECONDS", "soon")
    printed = installation.leads("doctor")
    assert printed.code == 1
    assert "INDIAMART_TIMEOUT_SECONDS: " in printed.text
    assert "versions" in printed.text


def test_an_env_file_that_others_may_read_is_a_warning(installation: Installation) -> None:
    installation.set_key()
    (installation.root / ".env").chmod(0o644)
    found = check(installation, ".env")
    assert found.level == "warning"
    assert f"chmod 600 {installation.root / '.env'}" in found.text
    assert installation.leads("doctor").code == 0


def test_no_env_file_is_fine_when_the_key_comes_from_the_environment(installation: Installation) -> None:
    installation.monkeypatch.setenv("INDIAMART_CRM_KEY", KEY)
    assert check(installation, ".env").level == "ok"


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("INDIAMART_CRM_KY", "INDIAMART_CRM_KEY"),
        ("LEADS_DATADIR", "LEADS_DATA_DIR"),
        ("INDIMART_CRM_KEY", "INDIAMART_CRM_KEY"),
    ],
)
def test_a_slip_in_a_name_in_the_env_file_is_a_warning_with_the_right_name(
    installation: Installation, name: str, meant: str
) -> None:
    (installation.root / ".env").write_text(f"INDIAMART_CRM_KEY={KEY}\n{name}=canary-value\nOTHER_TOOL=1\n")
    found = check(installation, "names of settings")
    assert found == Found(
        "warning", f"{name} is no setting of this program, so it has no effect. Did you mean {meant}?"
    )


def test_a_slip_in_the_environment_is_a_warning_too(installation: Installation) -> None:
    installation.monkeypatch.setenv("LEADS_START_DAT", "2026-01-01")
    assert "Did you mean LEADS_START_DATE?" in check(installation, "names of settings").text


def test_known_names_and_other_programs_names_are_passed_over(installation: Installation) -> None:
    (installation.root / ".env").write_text(f"indiamart_crm_key={KEY}\nLEADS_START_DATE=2026-01-01\nPGPASSWORD=x\n")
    assert check(installation, "names of settings").level == "ok"


def test_the_mark_that_windows_editors_put_before_the_first_name_is_no_slip(installation: Installation) -> None:
    (installation.root / ".env").write_text(f"INDIAMART_CRM_KEY={KEY}\n", encoding="utf-8-sig")
    assert check(installation, "names of settings").level == "ok"
    assert check(installation, "CRM key of indiamart").level == "ok"


def test_an_unwritable_data_folder_is_a_problem(installation: Installation) -> None:
    installation.set_key()
    installation.data_dir.touch()
    assert check(installation, "data folder").level == "problem"
    assert installation.leads("doctor").code == 1


def test_folders_that_others_may_look_into_are_a_warning(installation: Installation) -> None:
    installation.set_key()
    installation.workspace.raw  # noqa: B018 - makes the data folder
    raw = installation.data_dir / "raw"
    raw.mkdir(mode=0o755)
    assert f"chmod 700 {raw}" in check(installation, "access to the data").text
    raw.chmod(0o700)
    assert checks(installation, "access to the data") == []


def test_a_published_folder_that_is_open_to_the_set_group_is_no_warning(installation: Installation) -> None:
    installation.set_key()
    installation.publish("CREATE TABLE leads (query_id VARCHAR)")
    (installation.data_dir / "published").chmod(0o750)
    assert checks(installation, "access to the data")[0].level == "warning"
    installation.monkeypatch.setenv("LEADS_PUBLISHED_GROUP", "analysts")
    assert checks(installation, "access to the data") == []


@pytest.mark.parametrize(("free_mib", "level"), [(100, "problem"), (500, "warning"), (5000, "ok")])
def test_little_disk_space_is_told(installation: Installation, free_mib: int, level: str) -> None:
    usage = namedtuple("usage", ["total", "used", "free"])(0, 0, free_mib << 20)
    installation.monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert check(installation, "disk").level == level


@pytest.mark.parametrize(
    ("ahead", "level", "says"),
    [
        (timedelta(seconds=2), "ok", "2 s behind IndiaMART's"),
        (timedelta(minutes=3), "warning", "3 min behind IndiaMART's"),
        (timedelta(minutes=-20), "problem", "20 min ahead of IndiaMART's"),
    ],
)
def test_the_clock_is_compared_with_the_last_answers_date(
    installation: Installation, ahead: timedelta, level: str, says: str
) -> None:
    installation.set_key()
    installation.answered(YESTERDAY, YESTERDAY, server_is_ahead_by=ahead)
    found = check(installation, "clock")
    assert found.level == level
    assert says in found.text


@pytest.mark.parametrize("now", ["1970-01-01T00:00:10+00:00", "2200-01-01T00:00:00+00:00"])
def test_an_impossible_year_is_a_problem(installation: Installation, now: str) -> None:
    installation.set_key()
    installation.monkeypatch.setattr(doctor, "utc_now", lambda: datetime.fromisoformat(now))
    assert check(installation, "clock").level == "problem"


def test_a_clock_that_was_set_back_before_the_last_call_is_a_problem(installation: Installation) -> None:
    installation.set_key()
    installation.answered(YESTERDAY, YESTERDAY)
    installation.monkeypatch.setattr(doctor, "utc_now", lambda: utc_now() - timedelta(hours=2))
    found = check(installation, "clock")
    assert found.level == "problem"
    assert "it was set back" in found.text


def test_alert_addresses_that_can_be_used_are_told_with_whom_they_are_for(installation: Installation) -> None:
    installation.set_key()
    assert check(installation, "alert addresses").text.startswith("none: alerts show in the UI")

    urls = f"mailto://me:{PASSWORD}@example.org critical,indiamart=json://example.org/{PASSWORD}"
    installation.monkeypatch.setenv("LEADS_ALERT_URLS", urls)
    found = check(installation, "alert addresses")
    assert found.level == "ok"
    assert "1 (mailto) for all accounts, from level warning up; 2 (json) for indiamart, from level crit" in found.text


def test_each_alert_address_that_cannot_be_used_is_named_by_its_place_and_not_shown(installation: Installation) -> None:
    installation.set_key()
    urls = f"slack://{PASSWORD} json://example.org/{PASSWORD} critical=nonsense://{PASSWORD} acme=xml://{PASSWORD}/"
    installation.monkeypatch.setenv("LEADS_ALERT_URLS", urls)
    printed = installation.leads("doctor", "--json")
    found = {one["name"]: one["found"] for one in json.loads(printed.out)["checks"] if "alert" in one["name"]}

    assert printed.code == 1
    assert [*found] == ["alert address 1 (slack)", "alert address 3 (nonsense)", "alert address 4 (xml)"]
    assert "is no address that Apprise can use" in found["alert address 3 (nonsense)"]
    assert "names neither a level nor an account" in found["alert address 4 (xml)"]
    shown = printed.out + printed.err + installation.leads("doctor").out
    assert forms_found(PASSWORD, shown) == set()


def test_versions_within_the_ranges_are_well(installation: Installation) -> None:
    assert check(installation, "versions").level == "ok"


@pytest.mark.parametrize(
    ("requirement", "problem"),
    [
        ("pandas<4,>=3.1", None),
        ("pandas<3", "pandas 3."),
        ("pandas>=99.1", "is outside >=99.1"),
        ("no-such-library-here>=1", "no-such-library-here is not installed"),
        ('no-such-library-here>=1; extra == "dev"', None),
    ],
)
def test_a_version_outside_its_range_is_named(requirement: str, problem: str | None) -> None:
    found = version_problem(requirement)
    assert (found is None) if problem is None else (found is not None and problem in found)


def test_a_link_to_a_version_is_well_and_one_to_nothing_is_a_warning(installation: Installation) -> None:
    installation.set_key()
    assert "nothing is published yet" in check(installation, "published database").text
    version = installation.publish("CREATE TABLE leads (query_id VARCHAR)")
    assert check(installation, "published database").level == "ok"
    version.with_name("1.duckdb.wal").touch()
    assert "somebody writes, or wrote" in check(installation, "published database").text
    version.unlink()
    assert "leads to published/1.duckdb, which is gone" in check(installation, "published database").text


def test_a_file_in_the_links_place_is_a_problem(installation: Installation) -> None:
    installation.set_key()
    installation.data_dir.mkdir(mode=0o700)
    installation.data_dir.joinpath("leads.duckdb").touch()
    found = check(installation, "published database")
    assert found.level == "problem"
    assert "Move it away" in found.text


def test_another_dagster_home_is_a_warning(installation: Installation) -> None:
    installation.set_key()
    installation.monkeypatch.setenv("DAGSTER_HOME", str(installation.root / "elsewhere"))
    assert check(installation, "Dagster's home").level == "warning"
    installation.monkeypatch.setenv("DAGSTER_HOME", str(installation.data_dir / "dagster"))
    assert check(installation, "Dagster's home").level == "ok"


@pytest.mark.parametrize("name", ["merge-indiamart.lock", "store.lock"])
def test_a_lock_that_a_process_holds_is_named(installation: Installation, name: str) -> None:
    installation.workspace.prepare()
    lock = installation.state_dir / name
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD_LOCK, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        held = check(installation, "locks")
    finally:
        holder.communicate("")
    assert held.level == "warning"
    assert f"a process holds {name}" in held.text
    assert check(installation, "locks") == Found("ok", "all free ")


def test_unfinished_work_is_told_and_needs_nobody(installation: Installation) -> None:
    installation.set_key()
    assert check(installation, "unfinished work").level == "ok"
    installation.answered(YESTERDAY, YESTERDAY, merged=False)
    (installation.state_dir / "merge-indiamart.journal.json").touch()
    assert "1 stored answer(s) of indiamart are not in the tables yet" in check(installation, "unfinished answers").text
    assert "merge-indiamart.journal.json was cut short" in check(installation, "unfinished merges").text
    assert installation.leads("doctor").code == 0


def test_a_project_folder_without_its_files_is_a_warning(installation: Installation) -> None:
    installation.monkeypatch.setattr(doctor, "project_root", lambda: installation.root)
    (installation.root / "workspace.yaml").unlink()
    found = check(installation, "project folder")
    assert found.level == "warning"
    assert str(installation.root) in found.text


def test_a_broken_state_file_is_one_problem_and_hides_no_other_check(installation: Installation) -> None:
    installation.set_key()
    installation.workspace.prepare()
    (installation.state_dir / "calls.sqlite").write_bytes(b"this is no database, and it is longer than a page's head")
    printed = installation.leads("doctor")
    assert printed.code == 1
    assert "it can't be looked at (DatabaseError)." in printed.text
    assert "published database" in printed.text


def test_the_json_says_whether_all_is_well(installation: Installation) -> None:
    installation.set_key()
    report = json.loads(installation.leads("doctor", "--json").out)
    assert report["healthy"] is True
    assert {*report["checks"][0]} == {"name", "level", "found", "todo", "needs_key_holder"}


def test_accounts_of_a_file_are_checked_each_with_its_own_key_place(installation: Installation) -> None:
    path = write_full(installation.root)
    (installation.root / "secrets" / "beta.key").unlink()

    assert check(installation, "accounts file") == Found("ok", f"{path} ")
    assert check(installation, "CRM key of acme").level == "ok"
    assert check(installation, "CRM key of beta (v1)").level == "ok"
    lacking = check(installation, "CRM key of beta (v2)")
    assert lacking.level == "problem"
    assert f"Put the key into the file {installation.root / 'secrets' / 'beta.key'};" in lacking.text
    assert check(installation, "names of settings").level == "ok"


def test_an_accounts_file_that_others_may_change_is_a_warning(installation: Installation) -> None:
    path = write_full(installation.root)
    path.chmod(0o664)

    found = check(installation, "accounts file")

    assert (found.level, f"chmod go-w {path}" in found.text) == ("warning", True)


def test_what_is_wrong_with_the_accounts_file_is_told_by_line(installation: Installation) -> None:
    (installation.root / "accounts.toml").write_text('[accounts.acme]\nkey_env = "A"\nlookback = 2\n')

    found = check(installation, "settings")

    assert "accounts.toml:3: accounts.acme.lookback: unknown; did you mean lookback_days?" in found.text
    assert found.text.endswith("Correct the accounts file.")
