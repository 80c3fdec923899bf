"""Where the files of accounts and days lie, by name alone: no file is opened, and nothing slow is imported."""

import re
from collections.abc import Iterable
from datetime import date
from os.path import isfile
from pathlib import Path

FILE_NAME = "leads.parquet"
DAY_PREFIX = "lead_date="
_ACCOUNT_PREFIX = "account="
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def safe_name(name: str) -> str:
    """Return the name unchanged; ValueError unless it is letters, digits, dots, dashes and underscores."""
    if not _SAFE_NAME.fullmatch(name):
        raise ValueError("a name of an account or response in a path needs letters, digits, '.', '-', '_' only")
    return name


def account_folder(root: Path, account: str) -> Path:
    """Return the account's hive folder; ValueError for a name that could leave the root or break hive readers."""
    return root / f"{_ACCOUNT_PREFIX}{safe_name(account)}"


def accounts_in(root: Path) -> list[str]:
    """Return the names of the accounts that have a hive folder under the root, sorted."""
    if not root.is_dir():
        return []
    names = (folder.name.removeprefix(_ACCOUNT_PREFIX) for folder in root.glob(f"{_ACCOUNT_PREFIX}*"))
    return sorted(name for name in names if _SAFE_NAME.fullmatch(name))


def leads_folder(data_dir: Path, account: str) -> Path:
    """Return the folder of the account's leads, one folder per day inside."""
    return account_folder(data_dir / "leads", account)


def days_with_file(data_dir: Path, account: str, days: Iterable[date]) -> set[date]:
    """Return those of the days that have a file of leads, with or without rows."""
    folder = leads_folder(data_dir, account)
    return {
        day
        for day in days
        if isfile(f"{folder}/{DAY_PREFIX}{day.isoformat()}/{FILE_NAME}")  # noqa: PTH113 - a Path takes ten times as long
    }


def leads_file(data_dir: Path, account: str, day: date) -> Path:
    """Return the path of the day's leads, which need not exist; a day whose file has no rows exists."""
    account_name, day_name = f"{_ACCOUNT_PREFIX}{safe_name(account)}", f"{DAY_PREFIX}{day.isoformat()}"
    return Path(data_dir, "leads", account_name, day_name, FILE_NAME)  # one path, not five: a year has many
