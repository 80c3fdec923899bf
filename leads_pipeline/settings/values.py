"""What single settings may be, whether they come from the environment or the accounts file; no error shows a value."""

import math
import re
from datetime import date
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from leads_pipeline.alert_urls import parse_alert_urls
from leads_pipeline.indiamart.windows import MAX_WINDOW

MINUTES_PER_DAY = 1440
SHORTEST_REAL_INTERVAL = 300.0  # contract: design 3
_REAL_HOST = "indiamart.com"
_KEY_LENGTH = range(8, 257)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_MOBILE = re.compile(r"(?:\+?91[ -]?|0)?(?P<indian>[6-9]\d{9})|\+?(?P<other>\d{6,15})", re.ASCII)


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


def _expanded(value: Path) -> Path:
    try:
        return value.expanduser()
    except RuntimeError:
        raise ValueError("expected a path; there is no user of the name after ~") from None


def usable_key(key: str) -> str:
    """Return the CRM key, which may be empty; raise ValueError, without showing it, if it can't be one."""
    if key and (len(key) not in _KEY_LENGTH or not key.isascii() or any(not c.isprintable() or c == " " for c in key)):
        raise ValueError("expected the CRM key as the seller panel shows it: 8 to 256 characters without spaces")
    return key


def usable_mobile(number: str) -> str:
    """Return the number as v1's address has it, an Indian one as its 10 digits; ValueError if it is none."""
    if not number:
        return number
    found = _MOBILE.fullmatch(number)
    if found is None:
        raise ValueError("expected the mobile number of the seller's IndiaMART account, such as 9876543210")
    return found["indian"] or found["other"]


def is_too_fast(api_url: str, interval: float) -> bool:
    """Tell whether the interval gets the key blocked at the real API; fakes may be asked as fast as one likes."""
    return (urlsplit(api_url).hostname or "").endswith(_REAL_HOST) and interval < SHORTEST_REAL_INTERVAL


def fewest_minutes(interval: float) -> int:
    """Return the fewest whole minutes between two polls that are made so many seconds apart."""
    return math.ceil(interval / 60)


def origin_of(api_url: str) -> str:
    """Return where answers of that address come from: its scheme, host and port."""
    parts = urlsplit(api_url)
    return f"{parts.scheme}://{parts.netloc}"


HttpUrl = Annotated[str, AfterValidator(_http_url)]
UiUrl = Annotated[str, AfterValidator(_ui_url)]
SecretKey = Annotated[SecretStr, AfterValidator(lambda value: SecretStr(usable_key(value.get_secret_value())))]
SecretMobile = Annotated[SecretStr, AfterValidator(lambda value: SecretStr(usable_mobile(value.get_secret_value())))]
SecretAlertUrls = Annotated[SecretStr, AfterValidator(_alert_urls)]
WrittenDay = Annotated[date, BeforeValidator(_written_day)]
ExpandedPath = Annotated[Path, AfterValidator(_expanded)]
IntervalSeconds = Annotated[float, Field(gt=0, le=86_400)]
TimeoutSeconds = Annotated[float, Field(gt=0, le=600)]
IntradayMinutes = Annotated[int, Field(ge=1, le=MINUTES_PER_DAY)]
LookbackDays = Annotated[int, Field(ge=0, lt=MAX_WINDOW.days)]
