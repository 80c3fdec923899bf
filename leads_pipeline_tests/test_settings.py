import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import pytest

from leads_pipeline.days import day_of, utc_now
from leads_pipeline.demo_setup import DEMO_KEY, DemoSetup, setup_file
from leads_pipeline.indiamart import v1
from leads_pipeline.indiamart.v2 import DEFAULT_URL
from leads_pipeline.settings import (
    ROOT_MARKERS,
    SettingsError,
    default_start_date,
    load_settings,
    project_root,
    setting_names,
)
from leads_pipeline_tests.storage.children import NOBODY
from leads_pipeline_tests.support import KEY, forms_found, ist

MOBILE = "9810000457"


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in setting_names():
        monkeypatch.delenv(name, raising=False)


def refusal(root: Path) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        load_settings(root)
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    assert not forms_found(KEY, str(caught.value))
    return caught.value


def test_with_nothing_set_everything_has_its_default(tmp_path: Path) -> None:
    settings = load_settings(tmp_path)
    [account] = settings.accounts
    assert (account.name, account.api_url, account.api_version) == ("indiamart", DEFAULT_URL, "v2")
    assert (account.call_interval_seconds, account.block_seconds, account.timeout_seconds) == (310, 930, 60)
    assert not account.has_key
    assert account.origin == "https://mapi.indiamart.com"
    assert settings.data_dir == tmp_path / "data"
    assert settings.state_dir == tmp_path / "data" / "state"
    assert settings.start_date is None
    assert list(tmp_path.iterdir()) == []


def test_every_variable_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = {
        "INDIAMART_CRM_KEY": KEY,
        "INDIAMART_API_URL": "http://127.0.0.1:8765/crm/",
        "INDIAMART_CALL_INTERVAL_SECONDS": "2.5",
        "INDIAMART_BLOCK_SECONDS": "0.75",
        "INDIAMART_TIMEOUT_SECONDS": "1e1",
        "LEADS_DATA_DIR": "elsewhere/data",
        "LEADS_START_DATE": "2026-04-01",
        "LEADS_PUBLISHED_GROUP": "analysts",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    settings = load_settings(tmp_path)
    account = settings.account("indiamart")
    assert account.key == KEY
    assert account.origin == "http://127.0.0.1:8765"
    assert (account.call_interval_seconds, account.block_seconds, account.timeout_seconds) == (2.5, 0.75, 10)
    assert settings.data_dir == tmp_path / "elsewhere" / "data"
    assert settings.start_date == date(2026, 4, 1)
    assert settings.published_group == "analysts"
    assert {*values} <= setting_names()


@pytest.mark.parametrize(
    "written", [MOBILE, f"+91-{MOBILE}", f"+91{MOBILE}", f"91 {MOBILE}", f"0{MOBILE}", f"+91 {MOBILE}"]
)
def test_a_v1_account_has_the_sellers_number_as_v1_writes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    monkeypatch.setenv("INDIAMART_API_VERSION", "v1")
    monkeypatch.setenv("INDIAMART_CRM_KEY", KEY)
    monkeypatch.setenv("INDIAMART_MOBILE", written)
    account = load_settings(tmp_path).account("indiamart")
    assert (account.api_version, account.api_url, account.mobile) == ("v1", v1.DEFAULT_URL, MOBILE)
    assert account.access.secrets == (KEY, MOBILE)
    assert not forms_found(MOBILE, f"{account!r} {account.access!r}")


def test_a_seller_abroad_has_a_number_of_another_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INDIAMART_API_VERSION", "v1")
    monkeypatch.setenv("INDIAMART_MOBILE", "+6581234567")
    assert load_settings(tmp_path).account("indiamart").mobile == "6581234567"


def test_v1_with_a_key_needs_the_sellers_number_and_v2_does_not_take_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INDIAMART_API_VERSION", "v1")
    assert not load_settings(tmp_path).account("indiamart").has_key
    monkeypatch.setenv("INDIAMART_CRM_KEY", KEY)
    error = refusal(tmp_path)
    assert error.variables == {"INDIAMART_MOBILE"}
    monkeypatch.setenv("INDIAMART_API_VERSION", "v2")
    monkeypatch.setenv("INDIAMART_MOBILE", MOBILE)
    assert load_settings(tmp_path).account("indiamart").mobile == ""


@pytest.mark.parametrize("folder", ["/srv/leads", "~/leads"])
def test_a_data_folder_of_its_own_need_not_lie_in_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    monkeypatch.setenv("HOME", "/home/seller")
    monkeypatch.setenv("LEADS_DATA_DIR", folder)
    assert load_settings(tmp_path).data_dir == Path(folder.replace("~", "/home/seller"))


def test_the_real_api_is_never_asked_faster_than_it_allows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INDIAMART_CALL_INTERVAL_SECONDS", "299")
    with pytest.raises(SettingsError, match=r"INDIAMART_CALL_INTERVAL_SECONDS is 299.*5 minutes"):
        load_settings(tmp_path)
    monkeypatch.setenv("INDIAMART_API_URL", "http://127.0.0.1:8765/crm/")
    assert load_settings(tmp_path).account("indiamart").call_interval_seconds == 299


BAD_VALUES = [
    ("INDIAMART_CRM_KEY", "short"),
    ("INDIAMART_CRM_KEY", "k" * 257),
    ("INDIAMART_CRM_KEY", "with a space inside"),
    ("INDIAMART_CRM_KEY", "with\ttab inside"),
    ("INDIAMART_CRM_KEY", "schl\u00fcssel-mit-umlaut"),
    ("INDIAMART_API_URL", "mapi.indiamart.com/v2/"),
    ("INDIAMART_API_URL", "ftp://mapi.indiamart.com/"),
    ("INDIAMART_API_URL", "https://"),
    ("INDIAMART_API_URL", f"https://mapi.indiamart.com/?glusr_crm_key={KEY}"),
    ("INDIAMART_API_URL", f"https://user:{KEY.replace('/', '')}@mapi.indiamart.com/"),
    ("INDIAMART_API_URL", "https://mapi.indiamart.com/#part"),
    ("INDIAMART_API_URL", "http://localhost:port/"),
    ("INDIAMART_API_URL", "http://localhost:99999/"),
    ("INDIAMART_API_URL", "http://localhost:0/"),
    ("INDIAMART_API_URL", "http://[::1/"),
    ("INDIAMART_API_VERSION", "v3"),
    ("INDIAMART_MOBILE", "98100"),
    ("INDIAMART_MOBILE", "nine eight one zero"),
    ("INDIAMART_MOBILE", "98-1000-0457"),
    ("INDIAMART_CALL_INTERVAL_SECONDS", "0"),
    ("INDIAMART_CALL_INTERVAL_SECONDS", "-1"),
    ("INDIAMART_CALL_INTERVAL_SECONDS", "five minutes"),
    ("INDIAMART_CALL_INTERVAL_SECONDS", "310,5"),
    ("INDIAMART_CALL_INTERVAL_SECONDS", "nan"),
    ("INDIAMART_CALL_INTERVAL_SECONDS", "inf"),
    ("INDIAMART_BLOCK_SECONDS", "1000000"),
    ("INDIAMART_TIMEOUT_SECONDS", "601"),
    ("LEADS_DATA_DIR", "~no-such-user-here/data"),
    ("LEADS_START_DATE", "01-04-2026"),
    ("LEADS_START_DATE", "2026-02-30"),
    ("LEADS_START_DATE", "20260401"),
    ("LEADS_START_DATE", "1775001600"),
    ("LEADS_START_DATE", "2999-01-01"),
]


@pytest.mark.parametrize(("name", "value"), BAD_VALUES)
def test_a_bad_variable_is_named_and_its_value_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    error = refusal(tmp_path)
    assert name in str(error)
    assert error.variables == {name}
    if name in ("INDIAMART_CRM_KEY", "INDIAMART_MOBILE"):
        assert value not in str(error)


def test_all_bad_variables_are_named_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INDIAMART_CRM_KEY", f"{KEY} and more")
    monkeypatch.setenv("INDIAMART_BLOCK_SECONDS", "long")
    error = refusal(tmp_path)
    assert error.variables == {"INDIAMART_CRM_KEY", "INDIAMART_BLOCK_SECONDS"}
    first, *others = str(error).splitlines()
    assert first == "The settings have 2 error(s); nothing was done."
    assert len(others) == 2


def test_a_bad_key_in_the_env_file_is_not_shown_either(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"INDIAMART_CRM_KEY='{KEY} {KEY}'\n")
    assert "INDIAMART_CRM_KEY" in str(refusal(tmp_path))


def test_an_account_does_not_show_its_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INDIAMART_CRM_KEY", KEY)
    assert not forms_found(KEY, repr(load_settings(tmp_path)))


def test_the_env_file_is_read_and_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text(
        "# settings\n\n"
        f'export INDIAMART_CRM_KEY="{KEY}"\n'
        "INDIAMART_TIMEOUT_SECONDS = 5.5\n"
        "INDIAMART_BLOCK_SECONDS=7 # a comment\n"
        "SOMETHING_ELSE=1\n"
    )
    monkeypatch.setenv("INDIAMART_TIMEOUT_SECONDS", "6.5")
    account = load_settings(tmp_path).account("indiamart")
    assert (account.key, account.timeout_seconds, account.block_seconds) == (KEY, 6.5, 7)
    assert os.environ.get("INDIAMART_CRM_KEY") is None


def test_an_empty_variable_counts_as_not_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text(f"INDIAMART_CRM_KEY={KEY}\nINDIAMART_BLOCK_SECONDS=\n")
    monkeypatch.setenv("INDIAMART_CRM_KEY", "")
    account = load_settings(tmp_path).account("indiamart")
    assert (account.key, account.block_seconds) == (KEY, 930)


def test_an_env_file_as_windows_editors_write_it_is_read(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfINDIAMART_CRM_KEY=" + KEY.encode() + b"\r\nLEADS_DATA_DIR=d\r\n")
    settings = load_settings(tmp_path)
    assert (settings.account("indiamart").key, settings.data_dir) == (KEY, tmp_path / "d")


@pytest.mark.parametrize(
    "line", [KEY.rstrip("="), "INDIAMART_CRM_KEY", f"INDIAMART_CRM_KEY: {KEY}", f"= {KEY}", "a b=1"]
)
def test_a_line_of_the_env_file_that_would_not_be_read_is_refused_by_its_number(tmp_path: Path, line: str) -> None:
    (tmp_path / ".env").write_text(f"LEADS_DATA_DIR=data\n{line}\n")
    assert "line 2." in str(refusal(tmp_path))


def test_an_env_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes("LEADS_DATA_DIR=donn\u00e9es".encode("latin-1"))
    assert "UTF-8" in str(refusal(tmp_path))


@contextmanager
def without_rights() -> Iterator[None]:
    """Lay down root's rights for the block, where the tests run as root."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)


@pytest.fixture
def open_folder(tmp_path: Path) -> Path:
    """A folder that everybody can enter."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.getuid() and folder != folder.parent:
            folder.chmod(folder.stat().st_mode | 0o011)
    return tmp_path


def test_an_env_file_that_may_not_be_read_is_refused(open_folder: Path) -> None:
    (open_folder / ".env").write_text(f"INDIAMART_CRM_KEY={KEY}\n")
    (open_folder / ".env").chmod(0)
    with without_rights():
        assert ".env can't be read (PermissionError)" in str(refusal(open_folder))


def test_a_data_folder_that_may_not_be_entered_is_refused(open_folder: Path) -> None:
    (open_folder / "data").mkdir()
    (open_folder / "data").chmod(0)
    with without_rights():
        error = refusal(open_folder)
    assert "can't be read (PermissionError)" in str(error)
    assert error.variables == {"LEADS_DATA_DIR"}


def test_the_demos_account_is_there_once_a_demo_was_set_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INDIAMART_CRM_KEY", KEY)
    demo = DemoSetup.for_moment(ist("2026-11-30 12:00:00"), "http://127.0.0.1:8765/")
    path = setup_file(tmp_path / "data" / "state")
    path.parent.mkdir(parents=True)
    path.write_bytes(demo.to_json())
    settings = load_settings(tmp_path)
    assert [account.name for account in settings.accounts] == ["indiamart", "demo"]
    account = settings.account("demo")
    assert (account.key, account.api_url) == (DEMO_KEY, demo.url)
    assert account.origin != settings.account("indiamart").origin


def test_an_account_that_does_not_exist_is_refused_with_those_that_do(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"no account 'other'\. Accounts: indiamart"):
        load_settings(tmp_path).account("other")


def test_today_may_be_the_start_date_and_tomorrow_may_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leads_pipeline.settings.loading.utc_now", lambda: ist("2026-11-30 23:59:59"))
    monkeypatch.setenv("LEADS_START_DATE", "2026-11-30")
    assert load_settings(tmp_path).start_date == date(2026, 11, 30)
    monkeypatch.setenv("LEADS_START_DATE", "2026-12-01")
    assert "still to come" in str(refusal(tmp_path))


def test_by_default_days_start_where_the_api_starts() -> None:
    assert default_start_date(ist("2026-11-30 00:30:00")) == date(2025, 12, 1)
    assert day_of(utc_now()) - default_start_date(utc_now()) == timedelta(days=364)


def test_the_project_is_the_nearest_folder_upwards_with_its_markers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    for marker in ROOT_MARKERS:
        (tmp_path / marker).touch()
    monkeypatch.chdir(inner)
    assert project_root() == tmp_path
