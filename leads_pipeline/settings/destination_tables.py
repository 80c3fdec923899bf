"""The form of a destination's table in the accounts file: `[accounts.NAME.deliver.DESTINATION]`."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from leads_pipeline.delivery.crm import Sync, Update
from leads_pipeline.delivery.crms import default_fields
from leads_pipeline.delivery.destination import CrmName, Destination, FieldSource, PhoneForm
from leads_pipeline.delivery.leadsquared.options import DISCOVERY_HOST, base_url
from leads_pipeline.delivery.rate import RateLimit
from leads_pipeline.delivery.sharpspring.options import placeholder_problem
from leads_pipeline.settings.account_table import FileName, VariableName, toml_day
from leads_pipeline.settings.private_files import PrivateFileError
from leads_pipeline.settings.values import TimeoutSeconds

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_NAME = re.compile(r"(?=.{1,32}$)[a-z][a-z0-9]*(?:_[a-z0-9]+)*", re.ASCII)
_PLAIN_HOST = re.compile(r"(?:https?://)?[A-Za-z0-9.-]+(?::\d{1,5})?(?:/[A-Za-z0-9./]*)?", re.ASCII)
_KEY_LENGTH = range(6, 513)
_SECONDS_OF_LEADSQUARED = 5.0  # contract: LeadSquared, 1.6


def _address(value: str) -> str:
    if not _PLAIN_HOST.fullmatch(value):
        raise ValueError("expected a host such as api-in21.leadsquared.com, or an address without parameters")
    return value


_Address = Annotated[str, AfterValidator(_address)]
_CallLimit = Annotated[int, Field(ge=1, le=1000)]


class FieldTable(BaseModel):
    """One field of the mapping, written out."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    source: str = Field("", alias="from")
    default: str = ""
    on: bool = True

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.on and not self.source and not self.default:
            raise ValueError('expected from = "COLUMN or text with {COLUMN}", default = "TEXT", or on = false')
        return self


def _field(value: object) -> object:
    if isinstance(value, str):
        return {"from": value}
    if value is False:
        return {"on": False}
    if not isinstance(value, dict):
        raise ValueError('expected a column, a text with {columns}, false, or { from = "...", default = "..." }')
    return value


class DestinationTable(BaseModel):
    """What all destinations have in common."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    crm: CrmName | None = None
    sync: Sync = "create_and_update"
    update: Update = "overwrite"
    phone_form: PhoneForm | None = None
    start: Annotated[date | None, BeforeValidator(toml_day)] = None
    address: _Address = ""
    secret_key_env: VariableName | None = None
    secret_key_file: FileName | None = None
    timeout_seconds: TimeoutSeconds = 60.0
    fields: dict[str, Annotated[FieldTable, BeforeValidator(_field)]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_place_of_the_secret(self) -> Self:
        _refuse_two_places(self, "secret_key")
        return self


class LeadSquaredTable(DestinationTable):
    """A LeadSquared account (contract: LeadSquared)."""

    access_key_env: VariableName | None = None
    access_key_file: FileName | None = None
    search_key: str = "Phone"
    activity: str | int = ""
    calls_per_5_seconds: _CallLimit = 10
    bulk_calls_per_5_seconds: _CallLimit = 1

    @model_validator(mode="after")
    def _one_place_of_the_key(self) -> Self:
        _refuse_two_places(self, "access_key")
        return self


class SharpSpringTable(DestinationTable):
    """A SharpSpring account (contract: SharpSpring)."""

    account_id_env: VariableName | None = None
    account_id_file: FileName | None = None
    placeholder_email: str = ""
    calls_per_second: _CallLimit = 5
    leads_per_call: Annotated[int, Field(ge=1, le=500)] = 250

    @model_validator(mode="after")
    def _one_place_of_the_key(self) -> Self:
        _refuse_two_places(self, "account_id")
        return self


_TABLES: dict[CrmName, type[LeadSquaredTable | SharpSpringTable]] = {
    "leadsquared": LeadSquaredTable,
    "sharpspring": SharpSpringTable,
}
_PHONE_FORMS: dict[CrmName, PhoneForm] = {"leadsquared": "dashed", "sharpspring": "e164"}  # contract: LeadSquared, 1.4


_KEYS_THEMSELVES = frozenset({"access_key", "account_id", "secret_key"})


def _refuse_two_places(table: DestinationTable, which: str) -> None:
    if (getattr(table, f"{which}_env") is None) == (getattr(table, f"{which}_file") is None):
        raise ValueError(f"expected {which}_env or {which}_file, one of them: where the CRM's {which} is")


@dataclass(frozen=True)
class Problem:
    """Something wrong in a destination's table."""

    path: tuple[str, ...]
    """From the account's table on."""
    text: str
    known: tuple[str, ...] = ()
    """If the path's last name is unknown: the names that are known there."""


@dataclass(frozen=True)
class DestinationReader:
    """Reads the destinations of one account's table."""

    account: str
    lead_source: str
    secret: Callable[[str | None, str | None], str | None]
    """Returns what a variable or a file holds, None if there is neither; raises PrivateFileError."""
    file: Callable[[str], Path]

    def read(self, tables: Mapping[str, object]) -> Iterator[Destination | Problem]:
        """Yield each destination, or what is wrong with it."""
        for name, content in tables.items():
            yield from self._read_one(name, content)

    def _read_one(self, name: str, content: object) -> Iterator[Destination | Problem]:
        at = ("deliver", name)
        if not _NAME.fullmatch(name):
            yield Problem(at, "a name is at most 32 of a-z, 0-9 and single _ between them, and begins with a letter")
            return
        if not isinstance(content, dict):
            yield Problem(at, f"expected a table [accounts.{self.account}.deliver.{name}]")
            return
        crm = content.get("crm", name)
        if not isinstance(crm, str) or crm not in _TABLES:
            yield Problem((*at, "crm"), f'expected crm = "leadsquared" or "sharpspring", for {name} is neither')
            return
        try:
            table = _TABLES[crm].model_validate(content)
        except ValidationError as error:
            for problem in error.errors(include_url=False, include_input=False):
                yield _in_words(at, _TABLES[crm], problem)
            return
        yield from self._destination(at, name, crm, table)

    def _destination(
        self, at: tuple[str, ...], name: str, crm: CrmName, table: LeadSquaredTable | SharpSpringTable
    ) -> Iterator[Destination | Problem]:
        first = "access_key" if crm == "leadsquared" else "account_id"
        problems: list[Problem] = []
        key_id = self._key(at, first, table, problems)
        secret_key = self._key(at, "secret_key", table, problems)
        fields = field_sources(default_fields(crm), table.fields)
        problems += _wrong_sources(at, table, fields)
        problems += [Problem((*at, option), text) for option, text in _wrong_options(table)]
        if problems:
            yield from problems
            return
        yield Destination(
            account=self.account,
            name=name,
            crm=crm,
            key_id=key_id,
            secret_key=secret_key,
            key_places=(self._place(first, table), self._place("secret_key", table)),
            fields=fields,
            address=table.address,
            sync=table.sync,
            update=table.update,
            phone_form=table.phone_form or _PHONE_FORMS[crm],
            lead_source=self.lead_source,
            start=table.start,
            timeout_seconds=table.timeout_seconds,
            **_options(table),
        )

    def _key(self, at: tuple[str, ...], which: str, table: DestinationTable, problems: list[Problem]) -> str:
        variable, file = getattr(table, f"{which}_env"), getattr(table, f"{which}_file")
        where = (*at, f"{which}_env" if variable else f"{which}_file")
        try:
            key = self.secret(variable, file) or ""
        except PrivateFileError as error:
            problems.append(Problem(where, str(error)))
            return ""
        if key and (len(key) not in _KEY_LENGTH or not key.isascii() or not key.isprintable() or " " in key):
            problems.append(Problem(where, "expected the key as the CRM shows it: 6 to 512 characters without spaces"))
        return key

    def _place(self, which: str, table: DestinationTable) -> str:
        variable, file = getattr(table, f"{which}_env"), getattr(table, f"{which}_file")
        return variable or str(self.file(file))


def _in_words(at: tuple[str, ...], model: type[DestinationTable], problem: "ErrorDetails") -> Problem:
    """Return the problem that pydantic found, in words of ours where its own don't help."""
    path = tuple(str(part) for part in problem["loc"])
    if problem["type"] != "extra_forbidden":
        return Problem((*at, *path), problem["msg"].removeprefix("Value error, "))
    if path[-1] in _KEYS_THEMSELVES:
        text = (
            f'a key never stands in this file: write {path[-1]}_env = "NAME_OF_A_VARIABLE" or {path[-1]}_file = "FILE"'
        )
        return Problem((*at, *path), text)
    table = model if len(path) == 1 else FieldTable
    return Problem((*at, *path), "unknown", tuple(sorted(field.alias or n for n, field in table.model_fields.items())))


def field_sources(defaults: Mapping[str, str], own: Mapping[str, FieldTable]) -> tuple[FieldSource, ...]:
    """Return the shipped mapping as the accounts file changes it: fields added, replaced, or switched off."""
    sources = {name: FieldSource(name, source) for name, source in defaults.items()}
    for name, table in own.items():
        if table.on:
            sources[name] = FieldSource(name, table.source, table.default)
        else:
            sources.pop(name, None)
    return tuple(sources.values())


def _wrong_sources(at: tuple[str, ...], table: DestinationTable, fields: tuple[FieldSource, ...]) -> list[Problem]:
    if not table.fields:
        return []
    from leads_pipeline.delivery.mapping import check_sources  # here and below: they import what takes time
    from leads_pipeline.leads.schema import LEAD_COLUMNS

    return [
        Problem((*at, "fields", field), text)
        for field, text in check_sources(fields, (column.name for column in LEAD_COLUMNS))
    ]


def _wrong_options(table: LeadSquaredTable | SharpSpringTable) -> Iterator[tuple[str, str]]:
    if isinstance(table, SharpSpringTable):
        if text := placeholder_problem(table.placeholder_email):
            yield "placeholder_email", text
        return
    if not table.search_key:
        yield "search_key", "expected the name of a field, such as Phone"
    try:
        base_url(table.address or DISCOVERY_HOST)
    except ValueError as error:
        yield "address", str(error)


def _options(table: LeadSquaredTable | SharpSpringTable) -> dict[str, Any]:
    if isinstance(table, LeadSquaredTable):
        return {
            "search_key": table.search_key,
            "activity": str(table.activity),
            "limits": {
                "calls": RateLimit(table.calls_per_5_seconds, _SECONDS_OF_LEADSQUARED),
                "bulk_calls": RateLimit(table.bulk_calls_per_5_seconds, _SECONDS_OF_LEADSQUARED),
            },
        }
    return {
        "placeholder_email": table.placeholder_email,
        "limits": {"calls": RateLimit(table.calls_per_second, 1.0)},
        "rows_per_call": table.leads_per_call,
    }
