"""The accounts file: one TOML table per account, with the places of keys and never a key.

Everything that is wrong is told at once, each with its line. What an account leaves out is as the environment says.
"""

import difflib
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from leads_pipeline.alert_urls import AlertUrl, parse_alert_urls
from leads_pipeline.days import day_of, utc_now
from leads_pipeline.indiamart.api_versions import api_version
from leads_pipeline.indiamart.outcomes import AlertLevel
from leads_pipeline.settings.account import DEFAULT_ACCOUNT, DEMO_ACCOUNT, KEY_VARIABLE, Account, ApiVersionName
from leads_pipeline.settings.account_table import AccessTable, AccountTable, time_of
from leads_pipeline.settings.environment import TEXT, Environment, Variables
from leads_pipeline.settings.errors import SettingsError
from leads_pipeline.settings.private_files import PrivateFileError, read_private_file
from leads_pipeline.settings.toml_lines import KeyLines
from leads_pipeline.settings.values import (
    SHORTEST_REAL_INTERVAL,
    fewest_minutes,
    is_too_fast,
    origin_of,
    usable_key,
    usable_mobile,
)

if TYPE_CHECKING:
    from leads_pipeline.delivery.destination import Destination

ACCOUNTS_FILE = "accounts.toml"
"""The file's name where LEADS_ACCOUNTS_FILE does not say another."""
ACCOUNTS_FILE_VARIABLE = "LEADS_ACCOUNTS_FILE"
"""The variable that says which file it is."""
RESERVED_NAMES = frozenset(
    {DEMO_ACCOUNT, "reports", "leads_report", "deliveries", *(level.value for level in AlertLevel)}
)
"""Names that mean something else already: the demo, groups of assets, and levels of alerts."""

_ACCOUNTS = "accounts"
_NAME = re.compile(r"(?=.{1,32}$)[a-z][a-z0-9]*(?:_[a-z0-9]+)*", re.ASCII)  # Dagster parts names by two _ in a row
_AT_LINE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
_KEY_ITSELF = frozenset({"key", "crm_key", "api_key", "crm_api_key", "indiamart_crm_key", "glusr_crm_key", "secret"})
_ADDRESSES_THEMSELVES = frozenset({"alert_urls", "alert_url", "alerts", "leads_alert_urls"})
_DECISIVE = frozenset({"api_version", "api_url", "call_interval_seconds"})
"""What decides whether other fields are right."""
_NO_KEY_HERE = (
    'a key never stands in this file: write key_env = "NAME_OF_A_VARIABLE" and put the key into .env under that name, '
    'or key_file = "FILE" and put it into that file'
)
_NO_ADDRESS_HERE = (
    "addresses hold passwords, so they never stand in this file: write alert_urls_env (the name of a variable) or "
    "alert_urls_file"
)


@dataclass(frozen=True)
class FileAccounts:
    """What the accounts file says."""

    accounts: tuple[Account, ...]
    alert_urls: tuple[AlertUrl, ...]
    """The addresses of single accounts, each for the alerts of its account alone."""
    variables: frozenset[str]
    """The names of all variables that the file names."""
    destinations: "tuple[Destination, ...]" = ()
    """The CRM accounts that the accounts' leads go to."""


def read_accounts(path: Path, environment: Environment) -> FileAccounts:
    """Return the file's accounts; raise SettingsError with one text that names everything wrong with its line."""
    try:
        text = path.read_bytes().decode(TEXT).replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"The accounts file {path} can't be read ({type(error).__name__}). It must be a text file in UTF-8; "
            f"remove {ACCOUNTS_FILE_VARIABLE} if there is to be none.",
            [ACCOUNTS_FILE_VARIABLE],
        ) from None
    reader = _Reader(path, environment, KeyLines(""))
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = _AT_LINE.search(str(error))
        line = int(found[1]) if found and found[1] else text.count("\n") + 1
        reader.problems.append((line, _AT_LINE.sub("", str(error))))
    else:
        reader.lines = KeyLines(text)
        reader.read(document)
    if reader.problems:
        raise SettingsError(_explain(path, reader.problems), [ACCOUNTS_FILE_VARIABLE])
    return FileAccounts(
        tuple(reader.accounts),
        tuple(reader.alert_urls),
        frozenset(reader.variables),
        tuple(reader.destinations),
    )


def _explain(path: Path, problems: list[tuple[int, str]]) -> str:
    lines = [f"  {path.name}:{line}: {text}" for line, text in sorted(problems)]
    return "\n".join([f"The accounts file {path} has {len(lines)} error(s); nothing was done.", *lines])


@dataclass
class _Reader:
    """Reads the document's accounts, and gathers what is wrong."""

    path: Path
    environment: Environment
    lines: KeyLines
    problems: list[tuple[int, str]] = field(default_factory=list)
    accounts: list[Account] = field(default_factory=list)
    alert_urls: list[AlertUrl] = field(default_factory=list)
    variables: set[str] = field(default_factory=set)
    destinations: "list[Destination]" = field(default_factory=list)

    def read(self, document: Mapping[str, Any]) -> None:
        """Read all accounts, then compare them."""
        for name in document.keys() - {_ACCOUNTS}:
            self._refuse((name,), f"unknown; the file has tables [{_ACCOUNTS}.NAME] and nothing else")
        tables = document.get(_ACCOUNTS, {})
        if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
            self._refuse((_ACCOUNTS,), "expected one table for each account: [accounts.NAME]")
            return
        if not tables and not self.problems:
            self._refuse((), "there is no account in it: write a table [accounts.NAME], or remove the file")
        read = {name: table for name, content in tables.items() if (table := self._table(name, content))}
        self._refuse_common_places(read)
        for name, table in read.items():
            self._read_account(name, table)
        self._refuse_common_keys()
        self._refuse_second_default()

    def _refuse(self, path: tuple[str, ...], text: str) -> None:
        where = ".".join(path)
        self.problems.append((self.lines.of(*path), f"{where}: {text}" if where else text))

    def _table(self, name: str, content: Mapping[str, Any]) -> AccountTable | None:
        at = (_ACCOUNTS, name)
        if name in RESERVED_NAMES:
            self._refuse(at, "this name means something else already: choose another")
        elif not _NAME.fullmatch(name):
            self._refuse(at, "a name is at most 32 of a-z, 0-9 and single _ between them, and begins with a letter")
        try:
            return AccountTable.model_validate(content)
        except ValidationError as error:
            problems = error.errors(include_url=False, include_input=False)
        for problem in problems:
            path = tuple(str(part) for part in problem["loc"])
            self._refuse((*at, *path), _in_words(problem["type"], problem["msg"], path))
        return _without({str(problem["loc"][0]) for problem in problems if problem["loc"]}, content)

    def _accesses(
        self, name: str, table: AccountTable
    ) -> Iterator[tuple[tuple[str, ...], ApiVersionName, AccessTable]]:
        at = (_ACCOUNTS, name)
        yield at, table.api_version, table
        others: dict[ApiVersionName, AccessTable | None] = {"v1": table.v1, "v2": table.v2}
        for version, other in others.items():
            if other is not None:
                yield (*at, version), version, other

    def _refuse_common_places(self, tables: Mapping[str, AccountTable]) -> None:
        """Refuse a variable or file that two accesses name for their keys, also while there is no key in it."""
        first: dict[str, tuple[str, ...]] = {}
        for name, table in tables.items():
            for at, _, access in self._accesses(name, table):
                place = access.key_env or str(self._file(access.key_file or ""))
                if place in first:
                    which = "key_env" if access.key_env else "key_file"
                    self._refuse(
                        (*at, which), f"{'.'.join(first[place])} has its key there too; each has a key of its own"
                    )
                first.setdefault(place, at)

    def _read_account(self, name: str, table: AccountTable) -> None:
        at, defaults = (_ACCOUNTS, name), self.environment.settings
        if table.start is not None and table.start > day_of(utc_now()):
            self._refuse((*at, "start"), f"{table.start} is still to come: set it to a past day")
        accesses = [self._account(found, name, table) for found in self._accesses(name, table)]
        main, *others = accesses
        if others and others[0].api_version == main.api_version:
            self._refuse((*at, main.api_version), f"the account itself is for {main.api_version} already")
        interval = main.call_interval_seconds
        if any(is_too_fast(access.api_url, interval) for access in accesses):
            self._refuse(
                (*at, "call_interval_seconds"),
                f"{interval:g} seconds, but IndiaMART allows one call per 5 minutes and blocks keys that call more "
                f"often: set it to {SHORTEST_REAL_INTERVAL:g} or more"
                + ("" if table.call_interval_seconds else ", here or in INDIAMART_CALL_INTERVAL_SECONDS"),
            )
        self._refuse_fast_polls(at, table, defaults, interval)
        self._read_alert_urls(at, table)
        if table.deliver:
            self._read_destinations(at, table)
        self.accounts.append(replace(main, other_version=others[0] if others else None))

    def _refuse_fast_polls(
        self, at: tuple[str, ...], table: AccountTable, defaults: Variables, interval: float
    ) -> None:
        fewest = fewest_minutes(interval)
        minutes = table.intraday_minutes
        if minutes is None and "leads_intraday_minutes" in defaults.model_fields_set:
            minutes = defaults.leads_intraday_minutes
        if minutes is not None and minutes < fewest:
            self._refuse(
                (*at, "intraday_minutes"),
                f"{minutes}, but calls are at least {interval:g} seconds apart: set it to {fewest} or more",
            )

    def _account(
        self, found: tuple[tuple[str, ...], ApiVersionName, AccessTable], name: str, table: AccountTable
    ) -> Account:
        (at, version, access), defaults = found, self.environment.settings
        api_url = access.api_url or api_version(version).DEFAULT_URL
        interval = table.call_interval_seconds or defaults.indiamart_call_interval_seconds
        minutes = table.intraday_minutes or max(defaults.leads_intraday_minutes, fewest_minutes(interval))
        lookback = defaults.leads_lookback_days if table.lookback_days is None else table.lookback_days
        key = self._key(at, access)
        return Account(
            name=name,
            api_url=api_url,
            key=key,
            call_interval_seconds=interval,
            block_seconds=table.block_seconds or defaults.indiamart_block_seconds,
            timeout_seconds=table.timeout_seconds or defaults.indiamart_timeout_seconds,
            origin=origin_of(api_url),
            api_version=version,
            mobile=self._mobile(at, version, access, has_key=bool(key)),
            start=table.start,
            key_env=access.key_env or "",
            key_file=self._file(access.key_file) if access.key_file else None,
            daily_at=time_of(table.daily_at),
            intraday_minutes=minutes,
            lookback_days=lookback,
            schedules_on=defaults.leads_schedules_on if table.schedules_on is None else table.schedules_on,
            lead_source=table.lead_source,
            default_country=table.default_country,
        )

    def _key(self, at: tuple[str, ...], access: AccessTable) -> str:
        which = "key_env" if access.key_env else "key_file"
        try:
            return usable_key(self._secret(access.key_env, access.key_file) or "")
        except (PrivateFileError, ValueError) as error:
            self._refuse((*at, which), str(error))
            return ""

    def _mobile(self, at: tuple[str, ...], version: str, access: AccessTable, *, has_key: bool) -> str:
        which = "mobile_env" if access.mobile_env else "mobile"
        try:
            mobile = usable_mobile(access.mobile or self._secret(access.mobile_env, None) or "")
        except ValueError as error:
            self._refuse((*at, which), str(error))
            return ""
        if version != "v1":
            if access.mobile or access.mobile_env:
                self._refuse((*at, which), "v2 takes no mobile number: remove it")
            return ""
        if not mobile and (has_key or not access.mobile_env):
            self._refuse((*at, which), "v1 wants the mobile number of the seller's IndiaMART account beside the key")
        return mobile

    def _read_alert_urls(self, at: tuple[str, ...], table: AccountTable) -> None:
        which = "alert_urls_env" if table.alert_urls_env else "alert_urls_file"
        if not table.alert_urls_env and not table.alert_urls_file:
            return
        setting = table.alert_urls_env or str(self._file(table.alert_urls_file or ""))
        try:
            text = self._secret(table.alert_urls_env, table.alert_urls_file)
            if not text:
                raise ValueError(
                    f"{setting} is empty or not there, so nobody would be told: set it, or remove this line"
                )
            found = parse_alert_urls(text)
        except (PrivateFileError, ValueError) as error:
            self._refuse((*at, which), str(error))
            return
        own = at[-1]
        common = parse_alert_urls(self.environment.settings.leads_alert_urls.get_secret_value())
        for address in found:
            if address.account not in (None, own):
                self._refuse((*at, which), f"entry {address.label} names another account; they are for {own} alone")
            elif any(address.url == other.url and other.account in (None, own) for other in common):
                self._refuse((*at, which), f"entry {address.label} repeats an address of LEADS_ALERT_URLS")
        self.alert_urls += [
            replace(address, account=own, setting=setting, label=f"{own} {address.label}") for address in found
        ]

    def _read_destinations(self, at: tuple[str, ...], table: AccountTable) -> None:
        from leads_pipeline.settings import destination_tables as tables  # here, for most accounts have none

        reader = tables.DestinationReader(at[-1], table.lead_source, self._secret, self._file)
        for found in reader.read(table.deliver):
            if isinstance(found, tables.Problem):
                text = _unknown(found.path[-1], [*found.known]) if found.known else found.text
                self._refuse((*at, *found.path), text)
            else:
                self.destinations.append(found)

    def _secret(self, variable: str | None, file: str | None) -> str | None:
        """Return what the variable or the file holds; None if there is neither."""
        if variable:
            self.variables.add(variable)
            return self.environment.all.get(variable)
        return read_private_file(self._file(file)) if file else None

    def _file(self, name: str) -> Path:
        return self.path.parent / name

    def _refuse_common_keys(self) -> None:
        """Refuse a key that two accesses have: one key's calls are counted together, whoever makes them."""
        first: dict[str, tuple[str, ...]] = {}
        for account in self.accounts:
            for access in account.versions:
                own = (_ACCOUNTS, account.name)
                at = own if access is account else (*own, access.api_version)
                if access.key in first:
                    which = "key_env" if access.key_file is None else "key_file"
                    self._refuse((*at, which), f"this key is also that of {'.'.join(first[access.key])}")
                elif access.key:
                    first[access.key] = at
        common_key = self.environment.settings.indiamart_crm_key.get_secret_value()
        if common_key in first and KEY_VARIABLE not in self.variables:
            self._refuse(first[common_key], f"this key is also that of account {DEFAULT_ACCOUNT} ({KEY_VARIABLE})")

    def _refuse_second_default(self) -> None:
        has_default = (
            self.environment.settings.indiamart_crm_key.get_secret_value() and KEY_VARIABLE not in self.variables
        )
        if has_default and any(account.name == DEFAULT_ACCOUNT for account in self.accounts):
            self._refuse(
                (_ACCOUNTS, DEFAULT_ACCOUNT),
                f"{KEY_VARIABLE} is set too, which makes an account of this name: remove one of them, or write "
                f'key_env = "{KEY_VARIABLE}" here',
            )


def _without(refused: Collection[str], content: Mapping[str, Any]) -> AccountTable | None:
    """Return the table without its refused fields, for the rest to be judged too; None if it depends on them."""
    if not _DECISIVE.isdisjoint(refused):
        return None
    try:
        return AccountTable.model_validate({name: value for name, value in content.items() if name not in refused})
    except ValidationError:
        return None


def _in_words(kind: str, message: str, path: tuple[str, ...]) -> str:
    if kind != "extra_forbidden":
        return message.removeprefix("Value error, ")
    name = path[-1]
    if name.lower() in _KEY_ITSELF:
        return _NO_KEY_HERE
    if name.lower() in _ADDRESSES_THEMSELVES:
        return _NO_ADDRESS_HERE
    return _unknown(name, sorted((AccountTable if len(path) == 1 else AccessTable).model_fields))


def _unknown(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name.lower(), known, 1)
    return f"unknown; did you mean {close[0]}?" if close else f"unknown; known are {', '.join(known)}"
