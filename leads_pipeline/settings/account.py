"""What an account is: one seller's access to the API, with how it is pulled and who is told."""

from dataclasses import dataclass, field
from datetime import date, time, timedelta
from pathlib import Path
from typing import Literal

from leads_pipeline.demo_setup import DEMO_INTERVAL_SECONDS, DEMO_KEY, DemoSetup
from leads_pipeline.indiamart.access import Access

DEFAULT_ACCOUNT = "indiamart"
DEMO_ACCOUNT = "demo"
DEMO_ORIGIN = "fake-indiamart"
HOME_COUNTRY = "IN"
KEY_VARIABLE = "INDIAMART_CRM_KEY"
"""Where the default account's key is looked for."""

ApiVersionName = Literal["v2", "v1"]
"""Which API an account asks."""

_KEY_LIVES: dict[str, timedelta] = {"v2": timedelta(days=7), "v1": timedelta(days=30)}  # contract: rules 8; v1


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
    other_version: "Account | None" = None
    """The same seller's access to the other version of the API, while they move from one to the other: it has the
    same name, and a key, an address and call slots of its own."""
    key_env: str = KEY_VARIABLE
    """The environment variable that the key is looked for in, unless there is a `key_file`."""
    key_file: Path | None = None
    daily_at: time = time(0, 20)
    """When the nightly pull starts, by the clock in India."""
    intraday_minutes: int = 180
    """Minutes between two polls of today."""
    lookback_days: int = 1
    """How many days before today each of those polls asks for as well, for leads that come late."""
    schedules_on: bool = False
    """Whether the account's schedules and gap sensor run without being switched on in the UI."""
    lead_source: str = ""
    """What reports and deliveries call the source of the account's leads; empty if nothing was set."""
    default_country: str = HOME_COUNTRY
    """The country (ISO 3166, two letters) of phone numbers that have no country code."""

    @property
    def access(self) -> Access:
        """Return what its calls need to be let in."""
        return Access(self.api_url, self.key, self.mobile)

    @property
    def has_key(self) -> bool:
        """Tell whether a key is set; without one everything loads, but no call can be made."""
        return bool(self.key)

    @property
    def key_place(self) -> str:
        """Return where the key is looked for: a variable's name or a file's path."""
        return self.key_env if self.key_file is None else str(self.key_file)

    @property
    def key_hint(self) -> str:
        """Return what to put where for the account to have its key, to stand after "put"."""
        return f"{self.key_env}=... into .env" if self.key_file is None else f"the key into the file {self.key_file}"

    @property
    def key_life(self) -> timedelta:
        """Return how long the key lives without a call: 7 days with v2, 30 with v1 (contract)."""
        return _KEY_LIVES[self.api_version]

    @property
    def versions(self) -> "tuple[Account, ...]":
        """Return this access and, if there is one, that to the other version."""
        return (self,) if self.other_version is None else (self, self.other_version)


def demo_account(demo: DemoSetup) -> Account:
    """Return the account that the demo pulls, from the fake IndiaMART alone.

    Its schedules never run by themselves: its IndiaMART answers only while `leads demo` or `leads ui --demo` runs.
    """
    return Account(
        name=DEMO_ACCOUNT,
        api_url=demo.url,
        key=DEMO_KEY,
        call_interval_seconds=DEMO_INTERVAL_SECONDS,
        block_seconds=3 * DEMO_INTERVAL_SECONDS,
        timeout_seconds=20.0,
        origin=DEMO_ORIGIN,
    )
