"""The fields that a SharpSpring account has for leads, and a lead's texts in the form that they take (contract 2.6)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from leads_pipeline.delivery.crm import CrmField
from leads_pipeline.delivery.sharpspring.answers import Kind
from leads_pipeline.delivery.sharpspring.client import SharpSpringClient, unreachable

EMAIL, OWNER, ID, COUNTRY = "emailAddress", "ownerID", "id", "country"
_PAGE = 500
_MOST_PAGES = 20
_EMAIL_NAMES = frozenset({"emailaddress", "email"})
_ID_LIKE = ("accountID", "ownerID", "campaignID", "id")
_READ_ONLY = frozenset(
    {ID, "accountID", "updateTimestamp", "createTimestamp", "isQualified", "isContact", "isCustomer", "status"}
)
_LENGTHS: Mapping[str, int] = {
    EMAIL: 150,
    "firstName": 50,
    "lastName": 50,
    "companyName": 100,
    "state": 50,
    "zipcode": 50,
    "persona": 128,
    **dict.fromkeys(
        ("title", "street", "city", COUNTRY, "website", "phoneNumber", "phoneNumberExtension", "officePhoneNumber"), 255
    ),
    **dict.fromkeys(("mobilePhoneNumber", "faxNumber", "industry", "trackingID"), 255),
}
_LEAD_STATUSES = ("unqualified", "open", "qualified", "contact", "customer")
_OTHERS = ("description", "leadStatus", "leadScore", "active", "isUnsubscribed", *_ID_LIKE)
_KINDS = {"description": "textarea", "leadStatus": "picklist", "active": "bit", "isUnsubscribed": "bit"}


@dataclass(frozen=True)
class FieldBook:
    """The fields by system name, and what else people call them."""

    fields: tuple[CrmField, ...]
    by_name: Mapping[str, CrmField] = field(repr=False)
    by_alias: Mapping[str, str] = field(repr=False)
    """System names by the names and labels in lower case that mean one field only."""

    @classmethod
    def of(cls, fields: Iterable[CrmField]) -> "FieldBook":
        """Return the book of the fields; a label that several fields have names none of them."""
        by_name = {one.name: one for one in fields}
        names: dict[str, set[str]] = {}
        for one in by_name.values():
            names.setdefault(one.label.strip().casefold(), set()).add(one.name)
        labels = {label: next(iter(found)) for label, found in names.items() if label and len(found) == 1}
        return cls(tuple(by_name.values()), by_name, {**labels, **{name.casefold(): name for name in by_name}})

    def name_of(self, name: str) -> str | None:
        """Return the system name of what a mapping calls by system name or label; None if there is no such field."""
        if is_email(name):
            return EMAIL
        return name if name in self.by_name else self.by_alias.get(name.strip().casefold())

    def adapted(self, values: Mapping[str, str]) -> tuple[dict[str, str], set[str]]:
        """Return the texts by system name as the fields take them, and the names that no field has.

        Left out: read-only fields, what a picklist has not, empty texts. Cut: what is too long.
        """
        adapted: dict[str, str] = {}
        unknown = set()
        for called, text in values.items():
            name = self.name_of(called)
            if name is None:
                unknown.add(called)
            elif taken := _taken(self.by_name[name], text):
                adapted[name] = taken
        return adapted, unknown


def is_email(name: str) -> bool:
    """Tell whether a mapping means the e-mail address, by system name or by a usual label; needs no list of fields."""
    return "".join(filter(str.isalnum, name)).casefold() in _EMAIL_NAMES


def email_of(values: Mapping[str, str]) -> str:
    """Return the lead's e-mail address; empty if it has none."""
    return next((text.strip() for name, text in values.items() if is_email(name) and text.strip()), "")


def read_fields(client: SharpSpringClient) -> FieldBook:
    """Return the account's fields: those that every account has, and what the API says. Raises CrmStopError."""
    fields = {one.name: one for one in _standard()}
    for page in range(_MOST_PAGES):
        judged = client.ask("getFields", {"where": {}, "limit": _PAGE, "offset": page * _PAGE})
        rows = judged.result.get("field") if judged.kind is Kind.DONE else None
        if not isinstance(rows, list):
            raise unreachable(judged.reason or "the list of fields has not the form that it has")
        found = [one for one in map(_field, rows) if one is not None]
        fields.update({one.name: one for one in found})
        if len(rows) < _PAGE:
            break
    return FieldBook.of(fields.values())


def _standard() -> Iterable[CrmField]:
    for name, length in _LENGTHS.items():
        yield CrmField(name, name, "string", name == EMAIL, name == EMAIL, max_length=length)
    for name in _OTHERS:
        options = _LEAD_STATUSES if name == "leadStatus" else ()
        yield CrmField(name, name, _KINDS.get(name, "int"), is_read_only=name in _READ_ONLY, options=options)


def _field(row: Any) -> CrmField | None:
    """Return a field as getFields shows it; None for what is no active field of leads."""
    if not isinstance(row, dict) or not isinstance(row.get("systemName"), str) or not row["systemName"]:
        return None
    if str(row.get("relationship") or "lead") != "lead" or str(row.get("isActive") or "1") in ("0", "False"):
        return None
    name = row["systemName"]
    length = str(row.get("dataLength") or "")
    is_standard = str(row.get("isCustom") or "0") in ("0", "False")
    return CrmField(
        name=name,
        label=str(row.get("label") or name),
        kind=str(row.get("dataType") or ""),
        is_required=name == EMAIL or str(row.get("isRequired")) in ("1", "True"),
        is_unique=name == EMAIL,
        is_read_only=name in _READ_ONLY,
        max_length=int(length) if length.isdecimal() and int(length) else _LENGTHS.get(name),
        options=_options(row.get("options"), is_country_list=is_standard and name in (COUNTRY, "state")),
    )


def _options(options: Any, *, is_country_list: bool) -> tuple[str, ...]:
    """Return a picklist's values; a list of countries or states is no border, for others are taken too."""
    if not isinstance(options, list) or is_country_list:
        return ()
    values = [one.get("value") if isinstance(one, dict) else one for one in options]
    return tuple(str(value) for value in values if value not in (None, ""))


def _taken(one: CrmField, text: str) -> str:
    text = text.encode("utf-8", "replace").decode().strip()
    if one.is_read_only or (one.kind in ("int", "bigint") and not text.removeprefix("-").isdecimal()):
        return ""
    if one.kind in ("bit", "boolean"):
        return {"true": "1", "yes": "1", "1": "1", "false": "0", "no": "0", "0": "0"}.get(text.casefold(), "")
    if one.options and one.kind != "checkbox":
        return next((option for option in one.options if option.casefold() == text.casefold()), "")
    if one.max_length and one.name != EMAIL and one.kind not in ("int", "bigint"):
        return text[: one.max_length].rstrip()
    return text
