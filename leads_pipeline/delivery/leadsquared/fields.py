"""The fields that a LeadSquared account has for leads, and a lead's texts in the form that they take (contract 1.3)."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from leads_pipeline.delivery.crm import CrmField
from leads_pipeline.delivery.leadsquared.answers import Kind
from leads_pipeline.delivery.leadsquared.client import LeadSquaredClient, unreachable
from leads_pipeline.delivery.leadsquared.options import EMAIL, PHONE

ID = "ProspectID"
SEARCH_BY, SEARCH_BY_ID = "SearchBy", "ProspectId"
"""The search by id is spelt otherwise than the id (contract 1.3)."""
_METADATA = "LeadManagement.svc/LeadsMetaData.Get"
_READ_ONLY = frozenset(
    {ID, "ProspectAutoId", "CreatedOn", "CreatedBy", "ModifiedOn", "ModifiedBy", "LeadConversionDate", SEARCH_BY}
)
_LOCKED = 1
_ALIASES = {PHONE: ("phone", "phonenumber"), EMAIL: ("emailaddress", "email")}
_TAG = re.compile(r"</?[A-Za-z!][^<>]*>")
_ANGLE, _SPACES = re.compile(r"[<>]"), re.compile(r"[ \t]+")


@dataclass(frozen=True)
class FieldBook:
    """The fields by schema name, what else people call them, and those that an update may not change."""

    by_name: Mapping[str, CrmField] = field(repr=False)
    by_alias: Mapping[str, str] = field(repr=False)
    """Schema names by the names and labels in lower case that mean one field only."""
    locked: frozenset[str] = frozenset()

    @classmethod
    def of(cls, fields: Iterable[CrmField], locked: Iterable[str]) -> "FieldBook":
        """Return the book of the fields; a label that several fields have names none of them."""
        by_name = {one.name: one for one in fields}
        names: dict[str, set[str]] = {}
        for one in by_name.values():
            names.setdefault(one.label.strip().casefold(), set()).add(one.name)
        labels = {label: next(iter(found)) for label, found in names.items() if label and len(found) == 1}
        return cls(by_name, {**labels, **{name.casefold(): name for name in by_name}}, frozenset(locked))

    def name_of(self, called: str) -> str | None:
        """Return the schema name of what a mapping calls by schema name or label; None if there is no such field."""
        return called if called in self.by_name else self.by_alias.get(called.strip().casefold())

    @property
    def unique(self) -> frozenset[str]:
        """Return the fields of which no two leads have the same value."""
        return frozenset(one.name for one in self.by_name.values() if one.is_unique)

    def adapted(self, values: Mapping[str, str]) -> tuple[dict[str, str], set[str]]:
        """Return the texts by schema name as the fields take them, and the names that no field has.

        Left out: read-only fields, what a list of options has not, what is no number where one is wanted, empty texts.
        Cut: what is too long, but never what a lead is found by.
        """
        adapted: dict[str, str] = {}
        unknown = set()
        for called, text in sorted(values.items(), key=lambda one: one[0] in self.by_name):  # a schema name wins
            name = self.name_of(called)
            if name is None:
                unknown.add(called)
            elif taken := _taken(self.by_name[name], text):
                adapted[name] = taken
        return adapted, unknown

    def is_same(self, name: str, wanted: str, there: str) -> bool:
        """Tell whether a field has the wanted text, but for white space, case of addresses, and forms of numbers."""
        one, other = (" ".join(text.split()) for text in (wanted, there))
        kind = self.by_name[name].kind if name in self.by_name else ""
        if name == EMAIL or kind == "Email":
            return one.casefold() == other.casefold()
        if kind == "Number":
            return _decimal(one) == _decimal(other)
        if kind in ("Date", "DateTime"):
            return one.removesuffix(".000") == other.removesuffix(".000")
        return one == other


def keys_of(values: Mapping[str, str], search_key: str) -> list[tuple[str, str]]:
    """Return the fields that a lead's record is found by with their values: the search key, phone, e-mail address.

    Needs no list of fields: it knows their schema names in any case, and the usual labels of the last two.
    """
    called = {_squeezed(name): text.strip() for name, text in values.items()}
    keys = []
    for key in dict.fromkeys((search_key, PHONE, EMAIL)):
        texts = [called.get(alias, "") for alias in _ALIASES.get(key, (_squeezed(key),))]
        text = next((text for text in texts if folded(key, text)), "")
        if text:
            keys.append((key, text))
    return keys


def folded(name: str, text: str) -> str:
    """Return a key's value in one form: the digits of a phone number, other texts in lower case."""
    if name in (PHONE, "Mobile"):
        return "".join(filter(str.isdigit, text))
    return " ".join(text.split()).casefold()


def without_markup(values: Mapping[str, str]) -> dict[str, str]:
    """Return the texts without tags and angle brackets; those that have none as they are, empty ones left out."""
    bare = {
        name: _SPACES.sub(" ", _ANGLE.sub(" ", _TAG.sub(" ", text))).strip() if _ANGLE.search(text) else text
        for name, text in values.items()
    }
    return {name: text for name, text in bare.items() if text}


def _squeezed(name: str) -> str:
    return "".join(filter(str.isalnum, name)).casefold()


def read_fields(client: LeadSquaredClient) -> FieldBook:
    """Return the account's fields. Raises CrmStopError."""
    judged = client.ask(_METADATA)
    rows = judged.body if isinstance(judged.body, list) else []
    found = {one.name: one for one in map(_field, rows) if one is not None}
    if judged.kind is not Kind.DONE or not found:
        raise unreachable(judged.reason or "the list of fields has not the form that it has")
    locked = {row["SchemaName"] for row in rows if isinstance(row, dict) and _is_locked(row)}
    return FieldBook.of(found.values(), locked)


def _field(row: Any) -> CrmField | None:
    if not isinstance(row, dict) or not isinstance(row.get("SchemaName"), str) or not row["SchemaName"]:
        return None
    name, length, kind = row["SchemaName"], str(row.get("MaxLength") or ""), str(row.get("DataType") or "")
    options = _options(row.get("Options")) if kind.lower() == "select" else ()
    return CrmField(
        name=name,
        label=str(row.get("DisplayName") or name),
        kind=kind,
        is_required=_is_true(row.get("IsMandatory")),
        is_unique=name in (EMAIL, PHONE, ID) or _is_true(row.get("IsUnique")) or _is_true(row.get("IsLeadIdentifier")),
        is_read_only=name in _READ_ONLY or _is_true(row.get("IsReadOnly")),
        max_length=int(length) if length.isdecimal() and int(length) else None,
        options=options,
    )


def _options(options: Any) -> tuple[str, ...]:
    listed: Sequence[Any] = options if isinstance(options, list) else ()
    values: Iterable[Any] = (one.get("Value") if isinstance(one, dict) else one for one in listed)
    return tuple(str(value) for value in values if value not in (None, ""))


def _is_locked(row: Mapping[str, Any]) -> bool:
    return row.get("LockAfterCreate") in (_LOCKED, str(_LOCKED), True)


def _is_true(value: Any) -> bool:
    return value is True or str(value).lower() in ("1", "true")


def _taken(one: CrmField, text: str) -> str:
    text = text.encode("utf-8", "replace").decode().strip()
    if one.is_read_only or (one.kind == "Number" and _decimal(text) is None):
        return ""
    if one.options:
        same = [option for option in one.options if option.casefold() == text.casefold()]
        return text if text in one.options else next(iter(same), "")
    is_key = one.is_unique or one.kind in ("Phone", "Email", "Number")
    return text if is_key or not one.max_length else text[: one.max_length].rstrip()


def _decimal(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:
        return None
