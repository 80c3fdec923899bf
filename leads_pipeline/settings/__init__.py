"""The settings: from the environment, `.env` and the accounts file, validated before anything happens; in typed form.

Names are DESIGN's: every one is an environment variable or a field of the accounts file. Errors name it and say what
is expected, and never show a value that may be secret.
"""

from leads_pipeline.settings.account import (
    DEFAULT_ACCOUNT,
    DEMO_ACCOUNT,
    DEMO_ORIGIN,
    HOME_COUNTRY,
    Account,
    ApiVersionName,
    demo_account,
)
from leads_pipeline.settings.accounts_file import ACCOUNTS_FILE_VARIABLE
from leads_pipeline.settings.environment import setting_names
from leads_pipeline.settings.errors import SettingsError
from leads_pipeline.settings.loading import ROOT_MARKERS, Settings, default_start_date, load_settings, project_root
from leads_pipeline.settings.values import MINUTES_PER_DAY

__all__ = [
    "ACCOUNTS_FILE_VARIABLE",
    "DEFAULT_ACCOUNT",
    "DEMO_ACCOUNT",
    "DEMO_ORIGIN",
    "HOME_COUNTRY",
    "MINUTES_PER_DAY",
    "ROOT_MARKERS",
    "Account",
    "ApiVersionName",
    "Settings",
    "SettingsError",
    "default_start_date",
    "demo_account",
    "load_settings",
    "project_root",
    "setting_names",
]
