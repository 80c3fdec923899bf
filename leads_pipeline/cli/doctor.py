"""`leads doctor`: looks at everything that can keep the pipeline from working, and says what to do. Makes no call."""

import json
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import asdict

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from leads_pipeline.cli import doctor_checks as installation
from leads_pipeline.cli import doctor_data as data
from leads_pipeline.cli.doctor_checks import Check, Level, levels
from leads_pipeline.cli.doctor_deliveries import check_deliveries
from leads_pipeline.cli.errors import FAILED, NEEDS_A_PERSON
from leads_pipeline.days import utc_now
from leads_pipeline.settings import Settings, project_root

_STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.PROBLEM: "red"}


def run_doctor(as_json: bool) -> None:
    """Print all checks; exit with 1 if there is a problem, with 3 if only the holder of the key can solve them."""
    checks = all_checks()
    code = exit_code(checks)
    if as_json:
        print(json.dumps({"healthy": code == 0, "checks": [asdict(check) for check in checks]}, indent=1))
    else:
        _print(checks)
    if code:
        raise typer.Exit(code)


def all_checks() -> list[Check]:
    """Return every check; those of the data only if the settings are valid, as they say where the data is."""
    root = project_root()
    settings_check, settings = installation.check_settings(root)
    checks = [
        installation.check_root(root),
        installation.check_env_file(root),
        settings_check,
        *installation.check_names(root, settings),
        installation.check_versions(),
    ]
    if settings is not None:
        checks += _checks_of_data(settings)
    return checks


def _checks_of_data(settings: Settings) -> list[Check]:
    now = utc_now()
    looks: dict[str, Callable[[], Check | list[Check]]] = {
        "accounts file": lambda: installation.check_accounts_file(settings),
        "CRM key": lambda: data.check_keys(settings),
        "deliveries": lambda: check_deliveries(settings),
        "alert addresses": lambda: installation.check_alert_urls(settings),
        "data folder": lambda: data.check_data_folder(settings),
        "disk": lambda: data.check_disk(settings),
        "clock": lambda: data.check_clock(settings, now),
        "published database": lambda: data.check_published(settings),
        "locks": lambda: data.check_locks(settings),
        "unfinished work": lambda: data.check_unfinished(settings),
        "Dagster's home": lambda: installation.check_dagster_home(settings),
    }
    return [check for name, look in looks.items() for check in _looked(name, look)]


def _looked(name: str, look: Callable[[], Check | list[Check]]) -> list[Check]:
    """Return the checks, or the problem that kept them from being made: one broken file must not hide the others."""
    try:
        result = look()
    except (OSError, sqlite3.Error, ValueError) as error:
        problem = f"it can't be looked at ({type(error).__name__})."
        todo = "Run this as the user who runs the pipeline; if you do, look at the data folder's disk."
        return [Check(name, Level.PROBLEM, problem, todo)]
    return result if isinstance(result, list) else [result]


def exit_code(checks: Iterable[Check]) -> int:
    """Return 0 without a problem, 3 if all problems are for the holder of the key, else 1."""
    problems = levels(checks, Level.PROBLEM)
    if not problems:
        return 0
    return NEEDS_A_PERSON if all(check.needs_key_holder for check in problems) else FAILED


def _print(checks: list[Check]) -> None:
    console = Console(highlight=False, markup=False, emoji=False)
    table = Table("Check", "Result", "Found, and what to do")
    for check in checks:
        text = f"{check.found}\n{check.todo}" if check.todo else check.found
        table.add_row(check.name, Text(check.level.value, style=_STYLES[check.level]), text)
    console.print(table)
    problems, warnings = len(levels(checks, Level.PROBLEM)), len(levels(checks, Level.WARNING))
    if problems or warnings:
        console.print(f"{problems} problem(s), {warnings} warning(s).")
    else:
        console.print("All is well.")
