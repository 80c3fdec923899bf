"""The settings: from the environment and `.env`, validated before anything happens; what they mean in typed form.

Names are DESIGN's: every one is an environment variable. Errors name the variable and say what is expected, and
never show a value that may be secret.
"""

import math
import os
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from leads_pipeline.alert_urls import AlertUrl, parse_alert_urls
from leads_pipeline.days import day_of, utc_now
from leads_pipeline.demo_setup import DEMO_INTERVAL_SECONDS, DEMO_KEY, DemoSetup
from leads_pipeline.indiamart.access import Access
from leads_pipeline.indiamart.versions import api_version
from leads_pipeline.indiamart.windows import MAX_WINDOW, REACH_DAYS

DEFAULT_ACCOUNT = "indiamart"
DEMO_ACCOUNT = "demo"
DEMO_ORIGIN = "fake-indiamart"

ROOT_MARKERS = ("workspace.yaml", "dagster.yaml")
MINUTES_PER_DAY = 1440
_REAL_HOST = "indiamart.com"
_SHORTEST_REAL_INTERVAL = 300.0  # contract: design 3
_KEY_LENGTH = range(8, 257)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_MOBILE = re.compile(r"(?:\+?91[ -]?|0)?(?P<indian>[6-9]\d{9})|\+?(?P<other>\d{6,15})", re.ASCII)
_TEXT = "utf-8-sig"  # UTF-8, with or without the mark that Windows editors put at its start


ApiVersionName = Literal["v2", "v1"]
"""Which API an account asks."""


class SettingsError(Exception):
    """The settings can't be used; the text says which, why, and what to do. Holds no secret value."""

    def __init__(self, message: str, variables: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.variables = frozenset(variables)
        """The names of the variables at fault, where they are known."""


def _http_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("expected an address such as https://mapi.indiamart.com/wservce/crm/crmListing/v2/")
    if parts.query or parts.fragment or parts.username:
        raise ValueError("expected an address without parameters or a user name")
    if parts.port == 0:  # reading a port that is none raises ValueError
        raise ValueError("expected a port above 0")
    return value


def _ui_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise ValueError("expected the address of Dagster's UI as people open it, such as http://127.0.0.1:3000")
    return value


def _alert_urls(value: SecretStr) -> SecretStr:
    parse_alert_urls(value.get_secret_value())  # raises ValueError, without showing an address
    return value


def _written_day(value: object) -> object:
    if isinstance(value, str) and not _DAY.fullmatch(value):  # a bare number would be read as seconds since 1970
        raise ValueError("expected a day written YYYY-MM-DD, for example 2026-04-01")
    return value


def _folder(value: Path) -> Path:
    try:
        return value.expanduser()
    except RuntimeError:
        raise ValueError("expected a folder; there is no user of the name after ~") from None


def _crm_key(value: SecretStr) -> SecretStr:
    key = value.get_secret_value()
    if key and (len(key) not in _KEY_LENGTH or not key.isascii() or any(not c.isprintable() or c == " " for c in key)):
        raise ValueError("expected the CRM key as the seller panel shows it: 8 to 256 characters without spaces")
    return value


def _mobile(value: SecretStr) -> SecretStr:
    """Return the number as v1's address has it: an Indian one as its 10 digits."""
    if not value.get_secret_value():
        return value
    found = _MOBILE.fullmatch(value.get_secret_value())
    if found is None:
        raise ValueError("expected the mobile number of the seller's IndiaMART account, such as 9876543210")
    return SecretStr(found["indian"] or found["other"])


class _Environment(BaseModel):
    """The variables as they are named outside. No pydantic-settings: its import alone takes 0.2 s."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    indiamart_crm_key: Annotated[SecretStr, AfterValidator(_crm_key)] = SecretStr("")
    indiamart_api_version: ApiVersionName = "v2"
    indiamart_mobile: Annotated[SecretStr, AfterValidator(_mobile)] = SecretStr("")
    indiamart_api_url: Annotated[str, AfterValidator(_http_url)] | None = None
    indiamart_call_interval_seconds: float = Field(310.0, gt=0, le=86_400)
    indiamart_block_seconds: float = Field(930.0, gt=0, le=86_400)
    indiamart_timeout_seconds: float = Field(60.0, gt=0, le=600)
    leads_data_dir: Annotated[Path, AfterValidator(_folder)] = Path("data")
    leads_start_date: Annotated[date | None, BeforeValidator(_written_day)] = None
    leads_published_group: str | None = None
    leads_intraday_minutes: int = Field(180, ge=1, le=MINUTES_PER_DAY)
    leads_lookback_days: int = Field(1, ge=0, lt=MAX_WINDOW.days)
    leads_schedules_on: bool = False
    leads_alert_urls: Annotated[SecretStr, AfterValidator(_alert_urls)] = SecretStr("")
    leads_ui_url: Annotated[str, AfterValidator(_ui_url)] | None = None


@dataclass(frozen=True)
class Account:
    """One seller's access to the API."""

    name: str
    api_url: str
    key: str = field(repr=False)
    call_interval_seconds: float
    block_seconds: float
    timeout_seconds: float
    origin: str
    """Where answers come from; an account's answers all have one origin, so that demo and real leads can't mix."""
    api_version: ApiVersionName = "v2"
    mobile: str = field(default="", repr=False)
    """The seller's mobile number, which v1 wants beside the key; empty for v2."""
    start: date | None = None
    """The account's first day; earlier days are never asked for."""

    @property
    def access(self) -> Access:
        """Return what its calls need to be let in."""
        return Access(self.api_url, self.key, self.mobile)

    @property
    def has_key(self) -> bool:
        """Tell whether a key is set; without one everything loads, but no call can be made."""
        return bool(self.key)


@dataclass(frozen=True)
class Settings:
    """All settings, validated."""

    root: Path
    data_dir: Path
    start_date: date | None
    """The first partition if set; else the one that was persisted at first load."""
    published_group: str | None
    accounts: tuple[Account, ...]
    intraday_minutes: int = 180
    """Minutes between two polls of today."""
    lookback_days: int = 1
    """How many days before today each of those polls asks for as well, for leads that come late."""
    schedules_on: bool = False
    """Whether schedules and gap sensors run without being switched on in the UI; never those of the demo."""
    alert_urls: tuple[AlertUrl, ...] = ()
    """Where alerts go; without any they show in the UI, in `leads alerts list` and in the table `alerts` only."""
    ui_url: str | None = None
    """Address of Dagster's UI, for the links in alerts."""

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

    def account(self, name: str) -> Account:
        """Return the account of that name; raise SettingsError if there is none."""
        for account in self.accounts:
            if account.name == name:
                return account
        known = ", ".join(account.name for account in self.accounts)
        raise SettingsError(f"There is no account {name!r}. Accounts: {known}.")


def project_root() -> Path:
    """Return the folder that `data/` and `.env` are in.

    It is the nearest folder upwards from here that holds workspace.yaml and dagster.yaml; else the checkout that
    the package or its virtual environment lies in; else the current folder.
    """
    here = Path.cwd()
    candidates = [here, *here.parents, Path(__file__).resolve().parents[1], Path(sys.prefix).parent]
    for folder in candidates:
        if all((folder / marker).is_file() for marker in ROOT_MARKERS):
            return folder
    return here


def load_settings(root: Path | None = None) -> Settings:
    """Read and validate the settings; raise SettingsError with one clear text that names every bad variable."""
    root = root or project_root()
    values = _read_environment(root)
    data_dir = root / values.leads_data_dir
    start_date = _checked_start(values.leads_start_date)
    api_url = values.indiamart_api_url or api_version(values.indiamart_api_version).DEFAULT_URL
    parts = urlsplit(api_url)
    _refuse_missing_mobile(values)
    _refuse_haste(parts.hostname or "", values.indiamart_call_interval_seconds)
    default = Account(
        name=DEFAULT_ACCOUNT,
        api_url=api_url,
        key=values.indiamart_crm_key.get_secret_value(),
        call_interval_seconds=values.indiamart_call_interval_seconds,
        block_seconds=values.indiamart_block_seconds,
        timeout_seconds=values.indiamart_timeout_seconds,
        origin=f"{parts.scheme}://{parts.netloc}",
        api_version=values.indiamart_api_version,
        mobile=values.indiamart_mobile.get_secret_value() if values.indiamart_api_version == "v1" else "",
    )
    try:
        demo = DemoSetup.load(data_dir / "state")
    except OSError as error:
        raise SettingsError(
            f"The data folder {data_dir} can't be read ({type(error).__name__}). Give this user access to it, or set "
            "LEADS_DATA_DIR to a folder that it owns.",
            ["LEADS_DATA_DIR"],
        ) from None
    accounts = (default,) if demo is None else (default, demo_account(demo))
    return Settings(
        root,
        data_dir,
        start_date,
        values.leads_published_group,
        accounts,
        _checked_intraday(values),
        values.leads_lookback_days,
        values.leads_schedules_on,
        parse_alert_urls(values.leads_alert_urls.get_secret_value()),
        values.leads_ui_url,
    )


def setting_names() -> frozenset[str]:
    """Return the names of all variables that settings are read from."""
    return frozenset(name.upper() for name in _Environment.model_fields)


def demo_account(demo: DemoSetup) -> Account:
    """Return the account that the demo pulls, from the fake IndiaMART alone."""
    return Account(
        name=DEMO_ACCOUNT,
        api_url=demo.url,
        key=DEMO_KEY,
        call_interval_seconds=DEMO_INTERVAL_SECONDS,
        block_seconds=3 * DEMO_INTERVAL_SECONDS,
        timeout_seconds=20.0,
        origin=DEMO_ORIGIN,
    )


def _read_environment(root: Path) -> _Environment:
    env_file = root / ".env"
    try:
        _refuse_broken_lines(env_file)
        values = [*dotenv_values(env_file, encoding=_TEXT).items(), *os.environ.items()]
        return _Environment.model_validate({name.lower(): value for name, value in values if value})
    except ValidationError as error:
        raise SettingsError(_explain(error), _variables(error)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{env_file} can't be read ({type(error).__name__}). It must be a text file in UTF-8 with lines "
            "NAME=value; .env.example shows one."
        ) from None


def _refuse_broken_lines(env_file: Path) -> None:
    """Refuse what python-dotenv would only warn of: a setting that is silently not read is worse than none."""
    if not env_file.is_file():
        return
    lines = env_file.read_text(encoding=_TEXT).splitlines()
    broken = [str(number) for number, line in enumerate(lines, 1) if _is_broken(line)]
    if broken:
        raise SettingsError(
            f"{env_file} has lines that are not NAME=value: line {', '.join(broken)}. .env.example shows the form."
        )


def _is_broken(line: str) -> bool:
    text = line.strip().removeprefix("export ")
    name, equals, _ = text.partition("=")
    return bool(text) and not text.startswith("#") and not (equals and name.strip().isidentifier())


def _variables(error: ValidationError) -> list[str]:
    problems = error.errors(include_url=False, include_input=False)
    return [str(part).upper() for problem in problems for part in problem["loc"][:1]]


def _explain(error: ValidationError) -> str:
    lines = [
        f"  {'.'.join(str(part) for part in problem['loc']).upper()}: {problem['msg'].removeprefix('Value error, ')}"
        for problem in error.errors(include_url=False, include_input=False)
    ]
    return "\n".join([f"The settings have {len(lines)} error(s); nothing was done.", *lines])


def _refuse_missing_mobile(values: _Environment) -> None:
    has_key = bool(values.indiamart_crm_key.get_secret_value())
    if has_key and values.indiamart_api_version == "v1" and not values.indiamart_mobile.get_secret_value():
        raise SettingsError(
            "INDIAMART_API_VERSION is v1, which wants the mobile number of the seller's IndiaMART account beside the "
            "key. Set INDIAMART_MOBILE to it, or INDIAMART_API_VERSION to v2 with a key for v2.",
            ["INDIAMART_MOBILE"],
        )


def _refuse_haste(host: str, interval: float) -> None:
    """Refuse an interval that gets the key blocked at the real API; fakes may be asked as fast as one likes."""
    if host.endswith(_REAL_HOST) and interval < _SHORTEST_REAL_INTERVAL:
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


def _checked_intraday(values: _Environment) -> int:
    fewest = math.ceil(values.indiamart_call_interval_seconds / 60)
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
