"""The fields that the fake has for leads, and what it says to attributes that do not fit them (contract 1.3, 1.4)."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from leads_pipeline.fake_crms.leadsquared.answers import INVALID_INPUT, MARKUP, UNKNOWN_ATTRIBUTE, Problem

_TAG = re.compile(r"<\s*/?\s*[A-Za-z!]")
ID, AUTO_ID = "ProspectID", "ProspectAutoId"


@dataclass(frozen=True)
class Field:
    """One field of leads: schema name, label, type, length in characters, and the values of a list."""

    name: str
    label: str
    kind: str = "Text"
    length: int = 200
    options: tuple[str, ...] = ()
    is_unique: bool = False
    is_locked: bool = False
    """Whether updates can't change it (LockAfterCreate 1)."""

    def as_json(self) -> dict[str, Any]:
        """Return the field as LeadsMetaData.Get shows it: a length is text, other things are not."""
        shown: dict[str, Any] = {
            "Entity": "1",
            "SchemaName": self.name,
            "DisplayName": self.label,
            "DataType": self.kind,
            "IsMandatory": False,
            "MaxLength": str(self.length),
            "IsLeadIdentifier": self.is_unique,
            "LockAfterCreate": 1 if self.is_locked else 0,
        }
        if self.options:
            shown["Options"] = [{"Value": option} for option in self.options]
        return shown


STANDARD = (
    Field(ID, "Lead ID", length=100, is_unique=True),
    Field(AUTO_ID, "Lead Number", length=50),
    Field("FirstName", "First Name", length=100),
    Field("LastName", "Last Name", length=100),
    Field("EmailAddress", "Email", "Email", is_unique=True),
    Field("Phone", "Phone Number", "Phone", 50, is_unique=True),
    Field("Mobile", "Mobile Number", "Phone", 50),
    Field("Fax", "Fax", "Phone", 50),
    Field("Company", "Company"),
    Field("JobTitle", "Job Title"),
    Field("Source", "Lead Source", "Select", options=("IndiaMART", "Website", "Referral")),
    Field("SourceMedium", "Source Medium"),
    Field("SourceCampaign", "Source Campaign"),
    Field("SourceContent", "Source Content"),
    Field("SourceReferrer", "Source Referrer"),
    Field("Origin", "Origin"),
    Field("Notes", "Notes", length=4000),
    Field("Website", "Website", "Website"),
    Field("mx_Street1", "Address 1", length=250),
    Field("mx_Street2", "Address 2", length=250),
    Field("mx_City", "City", length=100),
    Field("mx_State", "State", length=100),
    Field("mx_Country", "Country", length=100),
    Field("ProspectStage", "Lead Stage", "Select", options=("Prospect", "Opportunity", "Customer")),
    Field("OwnerId", "Owner", length=36),
    Field("Score", "Lead Score", "Number", 10),
    Field("CreatedOn", "Created On", "Date", 50),
    Field("ModifiedOn", "Modified On", "Date", 50),
)

DEMO_CUSTOM = (
    Field("mx_Enquiry_Id", "Enquiry Id", length=40),
    Field("mx_Product", "Product", length=100),
    Field("mx_Enquiry_Type", "Enquiry Type", "Select", options=("W", "B", "P", "WA", "BIZ")),
)

_READ_ONLY = frozenset({ID, AUTO_ID, "CreatedOn", "ModifiedOn"})


class Rules:
    """What the fake takes as attributes of a lead."""

    def __init__(self, custom: Iterable[Field], *, refuses_markup: bool) -> None:
        """Take the account's own fields, and whether markup in a value gets MXXSSException."""
        self.fields = (*STANDARD, *custom)
        self._by_name = {field.name: field for field in self.fields}
        self._refuses_markup = refuses_markup

    @property
    def names(self) -> tuple[str, ...]:
        """Return the schema names."""
        return tuple(self._by_name)

    @property
    def unique(self) -> tuple[str, ...]:
        """Return the fields of which no two leads have the same value, but for the id."""
        return tuple(field.name for field in self.fields if field.is_unique and field.name != ID)

    def problem(self, values: Mapping[str, str], before: Mapping[str, str] | None) -> Problem | None:
        """Return why the attributes are refused, or None; `before` is the lead that they are to change."""
        unknown = [name for name in values if name not in self._by_name]
        if unknown:
            return Problem(UNKNOWN_ATTRIBUTE, f"Attribute(s) does not exist - {','.join(unknown)}")
        for name, value in values.items():
            field = self._by_name[name]
            if self._refuses_markup and _TAG.search(value):
                return Problem(MARKUP, f"A potentially dangerous value was detected: {value[:50]}")
            if name in _READ_ONLY or not self._fits(field, value):
                return Problem(INVALID_INPUT, f"Invalid Input! Parameter Name: {name}")
            if before is not None and field.is_locked and before.get(name, "") != value:
                return Problem(INVALID_INPUT, f"Invalid Input! Parameter Name: {name} is locked after create")
        return None

    @staticmethod
    def _fits(field: Field, value: str) -> bool:
        if field.options and value and value not in field.options:
            return False
        return len(value) <= field.length
