"""From the environment, `.env` and the accounts file to the settings of an installation."""

import sys
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from leads_pipeline.alert_urls import AlertUrl, parse_alert_urls
from leads_pipeline.days import day_of, utc_now
from leads_pipeline.demo_setup import DemoSetup
from leads_pipeline.indiamart.api_versions import api_version
from leads_pipeline.indiamart.windows import REACH_DAYS
from leads_pipeline.settings.account import DEFAULT_ACCOUNT, HOME_COUNTRY, KEY_VARIABLE, Account, demo_account
from leads_pipeline.settings.accounts_file import ACCOUNTS_FILE, ACCOUNTS_FILE_VARIABLE, FileAccounts, read_accounts
from leads_pipeline.settings.environment import Environment, Variables, read_environment
from leads_pipeline.settings.errors import SettingsError
from leads_pipeline.settings.values import fewest_minutes, is_too_fast, origin_of

if TYPE_CHECKING:
    from leads_pipeline.delivery.destination import Destination

ROOT_MARKERS = ("workspace.yaml", "dagster.yaml")


@dataclass(frozen=True)
class Settings:
    """All settings, validated."""

    root: Path
    data_dir: Path
    start_date: date | None
    """The first partition if set; else the one that was persisted at first load."""
    published_group: str | None
    accounts: tuple[Account, ...]
    alert_urls: tuple[AlertUrl, ...] = ()
    """Where alerts go; without any they show in the UI, in `leads alerts list` and in the table `alerts` only."""
    ui_url: str | None = None
    """Address of Dagster's UI, for the links in alerts."""
    accounts_file: Path | None = None
    """The accounts file, if there is one."""
    file_variables: frozenset[str] = frozenset()
    """The names of the variables that the accounts file names."""
    destinations: "tuple[Destination, ...]" = ()
    """The CRM accounts that leads are delivered to; without any nothing leaves this installation."""

    @property
    def state_dir(self) -> Path:
        """Return the folder of locks, journals, call slots and the pipeline's own database."""
        return self.data_dir / "state"

    @property
    def dagster_home(self) -> Path:
        """Return the folder of Dagster's storage."""
        return self.data_dir / "dagster"

    @property
    def database(self) -> Path:
        """Return the path that analysts open."""
        return self.data_dir / "leads.duckdb"

    @property
    def schedules_on(self) -> bool:
        """Tell whether the schedules of any account run without being switched on in the UI."""
        return any(account.schedules_on for account in self.accounts)

    def account(self, name: str) -> Account:
        """Return the account of that name; raise SettingsError if there is none."""
        for account in self.accounts:
            if account.name == name:
                return account
        known = ", ".join(account.name for account in self.accounts)
        raise SettingsError(f"There is no account {name!r}. Accounts: {known}.")

    def default_country(self, name: str) -> str:
        """Return the country of the account's phone numbers that name none, also of an account that is no more."""
        found = (account.default_country for account in self.accounts if account.name == name)
        return next(found, HOME_COUNTRY)


def project_root() -> Path:
    """Return the folder that `data/` and `.env` are in.

    It is the nearest folder upwards from here that holds workspace.yaml and dagster.yaml; else the checkout that
    the package or its virtual environment lies in; else the current folder.
    """
    here = Path.cwd()
    candidates = [here, *here.parents, Path(__file__).resolve().parents[2], Path(sys.prefix).parent]
    for folder in candidates:
        if all((folder / marker).is_file() for marker in ROOT_MARKERS):
            return folder
    return here


def load_settings(root: Path | None = None) -> Settings:
    """Read and validate the settings; raise SettingsError with one clear text that names every bad variable.

    Nothing is kept from one call to the next: whoever loads again has what the files say by then.
    """
    root = root or project_root()
    environment = read_environment(root)
    values = environment.settings
    accounts_file = _accounts_file(root, values)
    in_file = read_accounts(accounts_file, environment) if accounts_file else FileAccounts((), (), frozenset())
    accounts = in_file.accounts
    if not accounts_file or _sets_default_account(environment, in_file):
        accounts = (_default_account(values), *accounts)
    data_dir = root / values.leads_data_dir
    demo = _demo(data_dir)
    return Settings(
        root=root,
        data_dir=data_dir,
        start_date=_checked_start(values.leads_start_date),
        published_group=values.leads_published_group,
        accounts=accounts if demo is None else (*accounts, demo_account(demo)),
        alert_urls=(*parse_alert_urls(values.leads_alert_urls.get_secret_value()), *in_file.alert_urls),
        ui_url=values.leads_ui_url,
        accounts_file=accounts_file,
        file_variables=in_file.variables,
        destinations=in_file.destinations,
    )


def _accounts_file(root: Path, values: Variables) -> Path | None:
    """Return the file that is set, whether or not it is there, or the one that lies beside `.env`."""
    if values.leads_accounts_file is not None:
        path = root / values.leads_accounts_file
        if not path.exists():
            raise SettingsError(
                f"{ACCOUNTS_FILE_VARIABLE} is {values.leads_accounts_file}, but there is no such file in {root}. "
                "Correct it, or remove it: then the account is the one of INDIAMART_CRM_KEY.",
                [ACCOUNTS_FILE_VARIABLE],
            )
        return path
    usual = root / ACCOUNTS_FILE
    return usual if usual.exists() else None


def _sets_default_account(environment: Environment, in_file: FileAccounts) -> bool:
    return bool(environment.settings.indiamart_crm_key.get_secret_value()) and KEY_VARIABLE not in in_file.variables


def _default_account(values: Variables) -> Account:
    _refuse_missing_mobile(values)
    api_url = values.indiamart_api_url or api_version(values.indiamart_api_version).DEFAULT_URL
    _refuse_haste(api_url, values.indiamart_call_interval_seconds)
    return Account(
        name=DEFAULT_ACCOUNT,
        api_url=api_url,
        key=values.indiamart_crm_key.get_secret_value(),
        call_interval_seconds=values.indiamart_call_interval_seconds,
        block_seconds=values.indiamart_block_seconds,
        timeout_seconds=values.indiamart_timeout_seconds,
        origin=origin_of(api_url),
        api_version=values.indiamart_api_version,
        mobile=values.indiamart_mobile.get_secret_value() if values.indiamart_api_version == "v1" else "",
        intraday_minutes=_checked_intraday(values),
        lookback_days=values.leads_lookback_days,
        schedules_on=values.leads_schedules_on,
    )


def _demo(data_dir: Path) -> DemoSetup | None:
    try:
        return DemoSetup.load(data_dir / "state")
    except OSError as error:
        raise SettingsError(
            f"The data folder {data_dir} can't be read ({type(error).__name__}). Give this user access to it, or set "
            "LEADS_DATA_DIR to a folder that it owns.",
            ["LEADS_DATA_DIR"],
        ) from None


def _refuse_missing_mobile(values: Variables) -> None:
    has_key = bool(values.indiamart_crm_key.get_secret_value())
    if has_key and values.indiamart_api_version == "v1" and not values.indiamart_mobile.get_secret_value():
        raise SettingsError(
            "INDIAMART_API_VERSION is v1, which wants the mobile number of the seller's IndiaMART account beside the "
            "key. Set INDIAMART_MOBILE to it, or INDIAMART_API_VERSION to v2 with a key for v2.",
            ["INDIAMART_MOBILE"],
        )


def _refuse_haste(api_url: str, interval: float) -> None:
    if is_too_fast(api_url, interval):
        raise SettingsError(
            f"INDIAMART_CALL_INTERVAL_SECONDS is {interval:g}, but IndiaMART allows one call per 5 minutes and blocks "
            "keys that call more often. Set it to 300 or more, or remove it: the default leaves room for its clock.",
            ["INDIAMART_CALL_INTERVAL_SECONDS"],
        )


def _checked_start(start: date | None) -> date | None:
    if start is not None and start > day_of(utc_now()):
        raise SettingsError(
            f"LEADS_START_DATE is {start}, which is still to come. Set it to a past day.", ["LEADS_START_DATE"]
        )
    return start


def _checked_intraday(values: Variables) -> int:
    fewest = fewest_minutes(values.indiamart_call_interval_seconds)
    if "leads_intraday_minutes" not in values.model_fields_set:
        return max(values.leads_intraday_minutes, fewest)
    if values.leads_intraday_minutes < fewest:
        raise SettingsError(
            f"LEADS_INTRADAY_MINUTES is {values.leads_intraday_minutes}, but calls are at least "
            f"{values.indiamart_call_interval_seconds:g} seconds apart. Set it to {fewest} or more.",
            ["LEADS_INTRADAY_MINUTES", "INDIAMART_CALL_INTERVAL_SECONDS"],
        )
    return values.leads_intraday_minutes


def default_start_date(now: datetime) -> date:
    """Return the first partition of a new installation: the earliest day that the API serves."""
    return day_of(now - timedelta(days=REACH_DAYS)) + timedelta(days=1)
