"""The form of one account's table in the accounts file."""

import re
from datetime import date, time
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from leads_pipeline.settings.account import HOME_COUNTRY, ApiVersionName
from leads_pipeline.settings.values import HttpUrl, IntervalSeconds, IntradayMinutes, LookbackDays, TimeoutSeconds

_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,63}", re.ASCII)
_KEY_ITSELF = re.compile(r"[0-9A-F]{16,}", re.ASCII)  # SharpSpring's keys; no name is all such digits
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d", re.ASCII)
_LONGEST_LABEL = 100


def _variable(value: str) -> str:
    # a key that somebody wrote here by mistake has small letters, or is a number of base 16
    if not _VARIABLE.fullmatch(value) or _KEY_ITSELF.fullmatch(value):
        raise ValueError("expected the name of an environment variable in capitals, such as ACME_CRM_KEY")
    return value


def _file(value: str) -> str:
    if not value.strip() or "\0" in value or value.startswith("~"):
        raise ValueError("expected the path of a file, whole or from the accounts file's folder")
    return value


def toml_day(value: object) -> object:
    """Return the value if it is a day; raise ValueError, for TOML has days and texts are none."""
    if type(value) is not date:
        raise ValueError("expected a day without quotation marks, for example 2026-04-01")
    return value


def _time(value: str) -> str:
    if not _TIME.fullmatch(value):
        raise ValueError('expected a time in India such as "00:20", from "00:00" to "23:59"')
    return value


def _label(value: str) -> str:
    if not value.strip() or len(value) > _LONGEST_LABEL or not value.isprintable():
        raise ValueError(f"expected a text of 1 to {_LONGEST_LABEL} characters in one line")
    return value


def _country(value: str) -> str:
    if value == HOME_COUNTRY:
        return value
    import phonenumbers  # here, for `leads status` must not wait for it

    if value not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError('expected a country as two capitals (ISO 3166), such as "IN" or "AE"')
    return value


VariableName = Annotated[str, AfterValidator(_variable)]
"""The name of an environment variable."""
FileName = Annotated[str, AfterValidator(_file)]
"""The path of a file, whole or from the accounts file's folder."""


class AccessTable(BaseModel):
    """What one version of the API needs."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    key_env: VariableName | None = None
    key_file: FileName | None = None
    mobile: str | None = Field(None, repr=False)
    mobile_env: VariableName | None = None
    api_url: HttpUrl | None = None

    @model_validator(mode="after")
    def _one_place_each(self) -> Self:
        if (self.key_env is None) == (self.key_file is None):
            raise ValueError("expected key_env or key_file, one of them: where the key is")
        if self.mobile is not None and self.mobile_env is not None:
            raise ValueError("expected mobile or mobile_env, not both")
        return self


class AccountTable(AccessTable):
    """One account; None is as the environment says."""

    api_version: ApiVersionName = "v2"
    start: Annotated[date | None, BeforeValidator(toml_day)] = None
    daily_at: Annotated[str, AfterValidator(_time)] = "00:20"
    intraday_minutes: IntradayMinutes | None = None
    lookback_days: LookbackDays | None = None
    schedules_on: bool | None = None
    alert_urls_env: VariableName | None = None
    alert_urls_file: FileName | None = None
    lead_source: Annotated[str, AfterValidator(_label)] = ""
    default_country: Annotated[str, AfterValidator(_country)] = HOME_COUNTRY
    call_interval_seconds: IntervalSeconds | None = None
    block_seconds: IntervalSeconds | None = None
    timeout_seconds: TimeoutSeconds | None = None
    v1: AccessTable | None = None
    v2: AccessTable | None = None
    deliver: dict[str, Any] = Field(default_factory=dict)
    """The destinations by name; `DestinationReader` reads them."""

    @model_validator(mode="after")
    def _one_place_of_addresses(self) -> Self:
        if self.alert_urls_env is not None and self.alert_urls_file is not None:
            raise ValueError("expected alert_urls_env or alert_urls_file, not both")
        if self.v1 is not None and self.v2 is not None:
            raise ValueError("expected a sub-table for the other version only, not two")
        return self


def time_of(written: str) -> time:
    """Return the time that `daily_at` writes."""
    return time.fromisoformat(written)
