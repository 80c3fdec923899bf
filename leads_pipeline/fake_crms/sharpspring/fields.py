"""The fields that the fake has for leads, and what it says to an object that does not fit them (contract 2.6)."""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Any

from leads_pipeline.fake_crms.sharpspring.answers import Problem, invalid

_ID_LIKE = frozenset({"bigint", "int", "bit", "boolean"})
_IGNORED = frozenset({"id", "accountID", "updateTimestamp", "createTimestamp"})


@dataclass(frozen=True)
class Field:
    """One field of leads: system name, label, type, length in characters, and the values of a picklist."""

    name: str
    label: str
    kind: str = "string"
    length: int = 255
    options: tuple[str, ...] = ()
    is_custom: bool = False
    is_active: bool = True
    relationship: str = "lead"

    def as_json(self, number: int) -> dict[str, Any]:
        """Return the field as getFields shows it: everything is text."""
        shown: dict[str, Any] = {
            "id": str(number),
            "relationship": self.relationship,
            "systemName": self.name,
            "label": self.label,
            "source": "sharpspring",
            "dataType": self.kind,
            "dataLength": str(self.length),
            "isRequired": str(int(self.name == "emailAddress")),
            "isCustom": str(int(self.is_custom)),
            "isActive": str(int(self.is_active)),
            "isAvailableInContactManager": "1",
            "isEditableInContactManager": "1",
            "isAvailableInForms": "1",
        }
        if self.options:
            shown["options"] = [
                {"label": option.title(), "value": option, "displayOrder": str(place)}
                for place, option in enumerate(self.options)
            ]
        return shown


STANDARD = (
    Field("id", "SharpSpring ID", "bigint", 20),
    Field("accountID", "Account ID", "bigint", 20),
    Field("ownerID", "Owner ID", "bigint", 20),
    Field("campaignID", "Campaign ID", "bigint", 20),
    Field("leadStatus", "Lead Status", "picklist", 50, ("unqualified", "open", "qualified", "contact", "customer")),
    Field("leadScore", "Lead Score", "int", 11),
    Field("active", "Is Active", "bit", 1),
    Field("isUnsubscribed", "Is Unsubscribed", "bit", 1),
    Field("firstName", "First Name", length=50),
    Field("lastName", "Last Name", length=50),
    Field("emailAddress", "Email", "email", 150),
    Field("companyName", "Company Name", length=100),
    Field("title", "Title"),
    Field("street", "Street"),
    Field("city", "City"),
    Field("state", "State", "state", 50),
    Field("zipcode", "Zip", length=50),
    Field("country", "Country", "country"),
    Field("website", "Website", "url"),
    Field("phoneNumber", "Phone Number", "phone"),
    Field("phoneNumberExtension", "Extension"),
    Field("officePhoneNumber", "Office Phone Number", "phone"),
    Field("mobilePhoneNumber", "Mobile Phone", "phone"),
    Field("faxNumber", "Fax", "phone"),
    Field("industry", "Industry"),
    Field("trackingID", "Tracking ID"),
    Field("persona", "Persona", length=128),
    Field("description", "Description", "textarea", 65535),
    Field("updateTimestamp", "Last Modified", "datetime", 19),
    Field("createTimestamp", "Created", "datetime", 19),
)

DEMO_CUSTOM = (
    Field("product_asked_for_5a0dd86e6e290", "Product Asked For", is_custom=True),
    Field("lead_source_5a0dd86e6e291", "Lead Source", is_custom=True),
    Field("enquiry_id_5a0dd86e6e292", "Enquiry ID", length=40, is_custom=True),
    Field(
        "enquiry_type_5a0dd86e6e293", "Enquiry Type", "picklist", options=("W", "B", "P", "WA", "BIZ"), is_custom=True
    ),
)


class Rules:
    """What the fake takes as an object of createLeads and updateLeads."""

    def __init__(self, custom: Iterable[Field], refused_countries: Set[str], known_ids: Set[str]) -> None:
        """Take the custom fields, the countries that get 215, and the owners and campaigns that exist."""
        self.fields = (*STANDARD, *custom)
        self._by_name = {field.name: field for field in self.fields if field.relationship == "lead"}
        self._refused_countries = refused_countries
        self._known_ids = known_ids

    @property
    def names(self) -> tuple[str, ...]:
        """Return the system names of the fields of leads."""
        return tuple(self._by_name)

    def stored(self, values: Mapping[str, Any]) -> dict[str, str | None]:
        """Return what is kept of an object: texts, without what can't be set."""
        return {
            name: None if value is None else str(int(value)) if isinstance(value, bool) else str(value)
            for name, value in values.items()
            if name not in _IGNORED
        }

    def problem(self, values: Mapping[str, Any], *, creating: bool) -> Problem | None:
        """Return why the object is refused, or None."""
        if creating and not values.get("emailAddress"):
            return invalid("emailAddress", "Required parameter missing", {"type": "email", "required": True})
        for name, value in values.items():
            problem = None if name in _IGNORED else self._field_problem(name, value)
            if problem is not None:
                return problem
        return None

    def _field_problem(self, name: str, value: Any) -> Problem | None:
        field = self._by_name.get(name)
        if field is None:
            return invalid(name, f"Unknown parameter {name} with value {value}", {})
        is_id_like = field.kind in _ID_LIKE
        form = {"type": field.kind, "length": field.length, "required": name == "emailAddress"}
        if (value is None and not is_id_like) or (value == "" and is_id_like):
            return invalid(name, "Invalid value", form)
        text = "" if value is None else str(value)
        if len(text) > field.length or (field.options and text and text not in field.options):
            return invalid(name, f"Invalid value '{text}'", form)
        if name == "country" and text in self._refused_countries:
            return Problem(215)
        if name in ("ownerID", "campaignID") and text and text not in self._known_ids:
            return Problem(303)
        return None
