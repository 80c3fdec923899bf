"""The settings: from the environment and `.env`, validated before anything happens; what they mean in typed form.

Names are DESIGN's: every one is an environment variable. Errors name the variable and say what is expected, and
never show a value that may be secret.
"""

import sys
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from leads_pipeline.days import day_of, utc_now
from leads_pipeline.demo_setup import DEMO_INTERVAL_SECONDS, DEMO_KEY, DemoSetup
from leads_pipeline.indiamart.v2 import DEFAULT_URL
from leads_pipeline.indiamart.windows import REACH_DAYS

DEFAULT_ACCOUNT = "indiamart"
DEMO_ACCOUNT = "demo"
DEMO_ORIGIN = "fake-indiamart"

_ROOT_MARKERS = ("workspace.yaml", "dagster.yaml")
_KEY_LENGTH = range(8, 257)


class SettingsError(Exception):
    """The settings can't be used; the text says which, why, and what to do. Holds no secret value."""


def _http_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("expected an address such as https://mapi.indiamart.com/wservce/crm/crmListing/v2/")
    if parts.query or parts.username:
        raise ValueError("expected an address without parameters or a user name")
    return value


def _crm_key(value: SecretStr) -> SecretStr:
    key = value.get_secret_value()
    if key and (
        len(key) not in _KEY_LENGTH or not key.isascii() or any(not c.isprintable() or c == " " for c in key)
    ):
        raise ValueError(
            "expected the CRM key as the seller panel shows it: 8 to 256 characters without spaces"
        )
    return value


class _Environment(BaseSettings):
    """The variables as they are named outside."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", hide_input_in_errors=True)

    indiamart_crm_key: Annotated[SecretStr, AfterValidator(_crm_key)] = SecretStr("")
    indiamart_api_url: Annotated[str, AfterValidator(_http_url)] = DEFAULT_URL
    indiamart_call_interval_seconds: float = Field(310.0, gt=0, le=86_400)
    indiamart_block_seconds: float = Field(930.0, gt=0, le=86_400)
    indiamart_timeout_seconds: float = Field(60.0, gt=0, le=600)
    leads_data_dir: Path = Path("data")
    leads_start_date: date | None = None
    leads_published_group: str | None = None


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
    source_api: str = "v2"
    start: date | None = None
    """The account's first day; earlier days are never asked for."""

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
        if all((folder / marker).is_file() for marker in _ROOT_MARKERS):
            return folder
    return here


def load_settings(root: Path | None = None) -> Settings:
    """Read and validate the settings; raise SettingsError with one clear text that names every bad variable."""
    root = root or project_root()
    values = _read_environment(root)
    data_dir = values.leads_data_dir.expanduser()
    data_dir = data_dir if data_dir.is_absolute() else root / data_dir
    start_date = _checked_start(values.leads_start_date)
    parts = urlsplit(values.indiamart_api_url)
    default = Account(
        name=DEFAULT_ACCOUNT,
        api_url=values.indiamart_api_url,
        key=values.indiamart_crm_key.get_secret_value(),
        call_interval_seconds=values.indiamart_call_interval_seconds,
        block_seconds=values.indiamart_block_seconds,
        timeout_seconds=values.indiamart_timeout_seconds,
        origin=f"{parts.scheme}://{parts.netloc}",
    )
    demo = DemoSetup.load(data_dir / "state")
    accounts = (default,) if demo is None else (default, demo_account(demo))
    return Settings(root, data_dir, start_date, values.leads_published_group, accounts)


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
        return _Environment(_env_file=env_file, _env_file_encoding="utf-8")
    except ValidationError as error:
        raise SettingsError(_explain(error)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{env_file} can't be read ({type(error).__name__}). It must be a text file in UTF-8 with lines "
            "NAME=value; .env.example shows one."
        ) from None


def _refuse_broken_lines(env_file: Path) -> None:
    """Refuse what python-dotenv would only warn of: a setting that is silently not read is worse than none."""
    if not env_file.is_file():
        return
    lines = env_file.read_text(encoding="utf-8").splitlines()
    broken = [str(number) for number, line in enumerate(lines, 1) if _is_broken(line)]
    if broken:
        raise SettingsError(
            f"{env_file} has lines that are not NAME=value: line {', '.join(broken)}. .env.example shows the form."
        )


def _is_broken(line: str) -> bool:
    text = line.strip().removeprefix("export ")
    return bool(text) and not text.startswith("#") and not text.partition("=")[0].strip().isidentifier()


def _explain(error: ValidationError) -> str:
    lines = [
        f"  {'.'.join(str(part) for part in problem['loc']).upper()}: "
        f"{problem['msg'].removeprefix('Value error, ')}"
        for problem in error.errors(include_url=False, include_input=False)
    ]
    return "\n".join([f"The settings have {len(lines)} error(s); nothing was done.", *lines])


def _checked_start(start: date | None) -> date | None:
    if start is not None and start > day_of(utc_now()):
        raise SettingsError(f"LEADS_START_DATE is {start}, which is still to come. Set it to a past day.")
    return start


def default_start_date(now: datetime) -> date:
    """Return the first partition of a new installation: the earliest day that the API serves."""
    return day_of(now - timedelta(days=REACH_DAYS)) + timedelta(days=1)
