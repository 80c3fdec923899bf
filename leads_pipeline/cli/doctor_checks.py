"""What `leads doctor` checks of the installation itself: settings, `.env`, names, versions, alert addresses, folders.

What it checks of the data is doctor_data.py's. No check makes a call, shows a key, or writes anything.
"""

import difflib
import importlib.metadata
import os
import platform
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from dotenv import dotenv_values

from leads_pipeline.alert_urls import AlertUrl
from leads_pipeline.alerts.channels import open_channel
from leads_pipeline.settings import (
    ACCOUNTS_FILE_VARIABLE,
    ROOT_MARKERS,
    Settings,
    SettingsError,
    load_settings,
    setting_names,
)

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
OTHERS = stat.S_IRWXG | stat.S_IRWXO
"""The mode bits of everybody but the owner."""

_KEY_VARIABLE = "INDIAMART_CRM_KEY"
_PREFIXES = ("LEADS_", "INDIAMART_")
_FOR_TESTS = frozenset({"LEADS_KILL_AT"})
_ALIKE = 0.85  # how like a known name a name without our prefix must be to count as a slip
_PACKAGE = "leads_pipeline"
_BOUND = re.compile(r"(>=|<)\s*([0-9.]+)")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class Level(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    level: Level
    found: str
    """What was found, in one sentence. Never a key."""
    todo: str = ""
    """What to do about it; empty if all is well."""
    needs_key_holder: bool = False
    """Whether only the person who has the seller's CRM key can put it right."""


def check_root(root: Path) -> Check:
    """Check that the folder of `.env` and `data/` is the project's, not whichever folder this was started in."""
    if all((root / marker).is_file() for marker in ROOT_MARKERS):
        return Check("project folder", Level.OK, f"{root}")
    return Check(
        "project folder",
        Level.WARNING,
        f"{' and '.join(ROOT_MARKERS)} were not found here or above, so {root} counts as the project folder.",
        "Run the commands inside the project folder, or set LEADS_DATA_DIR to a folder by its full path.",
    )


def check_settings(root: Path) -> tuple[Check, Settings | None]:
    """Check that the settings can be read and are valid; return them too if they are."""
    try:
        settings = load_settings(root)
    except SettingsError as error:
        only_the_key = error.variables == {_KEY_VARIABLE}
        of_file = error.variables == {ACCOUNTS_FILE_VARIABLE}
        todo = "Correct the accounts file." if of_file else "Correct them in .env or the environment."
        return Check("settings", Level.PROBLEM, str(error), todo, only_the_key), None
    except OSError as error:
        found = f"what the data folder holds of them can't be read ({type(error).__name__})."
        return Check("settings", Level.PROBLEM, found, "Run this as the user who runs the pipeline."), None
    accounts = ", ".join(account.name for account in settings.accounts)
    return Check("settings", Level.OK, f"valid; accounts: {accounts}"), settings


def check_accounts_file(settings: Settings) -> Check:
    """Check that nobody but its owner can change the accounts file: it says where keys are sent."""
    path = settings.accounts_file
    if path is None:
        return Check("accounts file", Level.OK, "there is none: the account is the one of .env and the environment")
    if path.stat().st_mode & _OTHERS_WRITE:
        found = f"other users of this machine may change {path}, which says where keys are sent."
        return Check("accounts file", Level.WARNING, found, f"Run `chmod go-w {path}`.")
    return Check("accounts file", Level.OK, str(path))


def check_env_file(root: Path) -> Check:
    """Check that `.env` is there and for its owner only."""
    path = root / ".env"
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        if os.environ.get(_KEY_VARIABLE):
            return Check(".env", Level.OK, "there is none; the key comes from the environment")
        return Check(
            ".env",
            Level.WARNING,
            f"there is none in {root}, so every setting has its default.",
            "Copy .env.example to .env, put the key into it, and run `chmod 600 .env`.",
        )
    if mode & OTHERS:
        return Check(
            ".env", Level.WARNING, "other users of this machine may read it.", f"Run `chmod 600 {path}`: it holds keys."
        )
    return Check(".env", Level.OK, "there, and for its owner only")


def check_names(root: Path, settings: Settings | None) -> list[Check]:
    """Check the environment and `.env` for names that look like a setting's and are none."""
    known = setting_names() | (settings.file_variables if settings else frozenset())
    in_file = _names_in(root / ".env")
    suspects = [name for name in in_file if name.upper() not in known and (_is_ours(name) or _closest(name))]
    suspects += [name for name in sorted(os.environ) if name.upper() not in known | {*in_file} and _is_ours(name)]
    if not suspects:
        return [Check("names of settings", Level.OK, "every name is known")]
    return [_unknown_name(name) for name in suspects]


def _names_in(env_file: Path) -> list[str]:
    try:
        return sorted(dotenv_values(env_file, encoding="utf-8-sig", interpolate=False))
    except (OSError, UnicodeDecodeError):
        return []  # check_settings says so


def _is_ours(name: str) -> bool:
    return name.upper().startswith(_PREFIXES) and name not in _FOR_TESTS


def _closest(name: str, likeness: float = _ALIKE) -> str | None:
    return next(iter(difflib.get_close_matches(name.upper(), sorted(setting_names()), 1, likeness)), None)


def _unknown_name(name: str) -> Check:
    closest = _closest(name, likeness=0.6)
    return Check(
        "names of settings",
        Level.WARNING,
        f"{name} is no setting of this program, so it has no effect.",
        f"Did you mean {closest}?" if closest else "Remove it, or look for the right name in .env.example.",
    )


def check_alert_urls(settings: Settings) -> list[Check]:
    """Check that Apprise can read each address that alerts go to; sends nothing and shows no address."""
    if not settings.alert_urls:
        return [Check("alert addresses", Level.OK, "none: alerts show in the UI and in `leads alerts list` only")]
    accounts = frozenset(account.name for account in settings.accounts)
    wrong = []
    for address in settings.alert_urls:
        try:
            open_channel(address, accounts)
        except SettingsError as error:
            todo = f"Correct it in {address.setting}; `leads alerts test` then shows whether messages arrive."
            wrong.append(Check(f"alert address {address.label}", Level.PROBLEM, str(error), todo))
    return wrong or [Check("alert addresses", Level.OK, "; ".join(map(_whose, settings.alert_urls)))]


def _whose(address: AlertUrl) -> str:
    return f"{address.label} for {address.account or 'all accounts'}, from level {address.level} up"


def check_versions() -> Check:
    """Check Python's and the libraries' versions against the ranges that the package was tested with."""
    try:
        requirements = importlib.metadata.requires(_PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        return Check("versions", Level.WARNING, "the package is not installed.", "Run `pip install .` in its folder.")
    wrong = [problem for text in requirements if (problem := version_problem(text))]
    if wrong:
        return Check(
            "versions",
            Level.PROBLEM,
            "; ".join(wrong),
            "Run the README's install command again: it takes the versions of constraints.txt.",
        )
    return Check("versions", Level.OK, f"Python {platform.python_version()}; all libraries are in their ranges")


def version_problem(requirement: str) -> str | None:
    """Return what is wrong with the installed version of a requirement such as `pandas<4,>=3.1`, or None.

    Requirements of extras (the development tools) count for nothing.
    """
    name = _NAME.match(requirement)
    if name is None or "extra ==" in requirement:
        return None
    try:
        installed = importlib.metadata.version(name[0])
    except importlib.metadata.PackageNotFoundError:
        return f"{name[0]} is not installed"
    bounds = _BOUND.findall(requirement.partition(";")[0])
    if all(_keeps(installed, sign, bound) for sign, bound in bounds):
        return None
    return f"{name[0]} {installed} is outside {','.join(f'{sign}{bound}' for sign, bound in bounds)}"


def _keeps(installed: str, sign: str, bound: str) -> bool:
    have, limit = _numbers(installed), _numbers(bound)
    return have >= limit if sign == ">=" else have < limit


def _numbers(version: str) -> list[int]:
    """Return the release numbers of a version without trailing zeros, so that 2.0 equals 2."""
    match = re.match(r"[0-9]+(\.[0-9]+)*", version)
    numbers = [int(part) for part in match[0].split(".")] if match else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return numbers


def check_dagster_home(settings: Settings) -> Check:
    """Check that DAGSTER_HOME, if set, is the home that the commands use."""
    home = os.environ.get("DAGSTER_HOME")
    if not home or Path(home).resolve() == settings.dagster_home.resolve():
        return Check("Dagster's home", Level.OK, str(settings.dagster_home))
    return Check(
        "Dagster's home",
        Level.WARNING,
        f"DAGSTER_HOME is {home}, but the leads commands keep their runs in {settings.dagster_home}.",
        "Unset DAGSTER_HOME: a `dagster dev` that follows it does not see the runs of the leads commands.",
    )


def levels(checks: Iterable[Check], level: Level) -> list[Check]:
    """Return the checks that came out so."""
    return [check for check in checks if check.level is level]
