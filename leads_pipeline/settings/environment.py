"""The settings' variables, from the environment and `.env`; the environment wins."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from leads_pipeline.settings.account import ApiVersionName
from leads_pipeline.settings.errors import SettingsError
from leads_pipeline.settings.values import (
    ExpandedPath,
    HttpUrl,
    IntervalSeconds,
    IntradayMinutes,
    LookbackDays,
    SecretAlertUrls,
    SecretKey,
    SecretMobile,
    TimeoutSeconds,
    UiUrl,
    WrittenDay,
)

TEXT = "utf-8-sig"  # UTF-8, with or without the mark that Windows editors put at its start


class Variables(BaseModel):
    """The variables as they are named outside. No pydantic-settings: its import alone takes 0.2 s."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    indiamart_crm_key: SecretKey = SecretStr("")
    indiamart_api_version: ApiVersionName = "v2"
    indiamart_mobile: SecretMobile = SecretStr("")
    indiamart_api_url: HttpUrl | None = None
    indiamart_call_interval_seconds: IntervalSeconds = 310.0
    indiamart_block_seconds: IntervalSeconds = 930.0
    indiamart_timeout_seconds: TimeoutSeconds = 60.0
    leads_data_dir: ExpandedPath = Path("data")
    leads_start_date: WrittenDay | None = None
    leads_published_group: str | None = None
    leads_intraday_minutes: IntradayMinutes = 180
    leads_lookback_days: LookbackDays = 1
    leads_schedules_on: bool = False
    leads_alert_urls: SecretAlertUrls = SecretStr("")
    leads_ui_url: UiUrl | None = None
    leads_accounts_file: ExpandedPath | None = None


@dataclass(frozen=True)
class Environment:
    """The settings' variables, and all others too, for the accounts file may name any."""

    settings: Variables
    all: Mapping[str, str] = field(repr=False)
    """Every variable that is not empty, by its exact name."""


def read_environment(root: Path) -> Environment:
    """Return the variables of the environment and of `.env` in that folder; SettingsError names every bad one."""
    env_file = root / ".env"
    try:
        _refuse_broken_lines(env_file)
        values = [*dotenv_values(env_file, encoding=TEXT).items(), *os.environ.items()]
        known = {name: value for name, value in values if value}
        by_lower = {name.lower(): value for name, value in values if value}
        return Environment(Variables.model_validate(by_lower), known)
    except ValidationError as error:
        raise SettingsError(_explain(error), _variables(error)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{env_file} can't be read ({type(error).__name__}). It must be a text file in UTF-8 with lines "
            "NAME=value; .env.example shows one."
        ) from None


def setting_names() -> frozenset[str]:
    """Return the names of all variables that settings are read from."""
    return frozenset(name.upper() for name in Variables.model_fields)


def _refuse_broken_lines(env_file: Path) -> None:
    """Refuse what python-dotenv would only warn of: a setting that is silently not read is worse than none."""
    if not env_file.is_file():
        return
    lines = env_file.read_text(encoding=TEXT).splitlines()
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
