"""From a lead's columns to the texts of a CRM's fields: columns, templates, defaults, forms of phone numbers."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime

import phonenumbers

from leads_pipeline.countries import country_name
from leads_pipeline.delivery.destination import FieldSource, PhoneForm

DERIVED_COLUMNS = ("sender_first_name", "sender_last_name", "country_name", "lead_source")
"""What mappings may name beside the columns of leads."""
PHONE_COLUMNS = frozenset({"sender_mobile", "sender_mobile_alt", "sender_phone", "sender_phone_alt", "receiver_mobile"})
DEFAULT_LEAD_SOURCE = "IndiaMART"

_PLACE = re.compile(r"\{([a-z_][a-z0-9_]*)\}")
_BRACES = re.compile(r"[{}]")
_LIST_JOINT = "; "


class MappingError(ValueError):
    """A mapping can't be used; the text says which field and why."""


def columns_of(source: str) -> tuple[str, ...]:
    """Return the columns that a source names, in order; MappingError for braces that hold no name."""
    if not _BRACES.search(source):
        return (source,) if source else ()
    if _BRACES.search(_PLACE.sub("", source)):
        raise MappingError("braces hold the name of one column each, such as {sender_city}")
    return tuple(_PLACE.findall(source))


def check_sources(sources: Iterable[FieldSource], known: Iterable[str]) -> list[tuple[str, str]]:
    """Return (field, problem) for each source that names what is no column; `known` are the columns of leads."""
    columns = {*known, *DERIVED_COLUMNS}
    problems = []
    for source in sources:
        try:
            unknown = [name for name in columns_of(source.source) if name not in columns]
        except MappingError as error:
            problems.append((source.field, str(error)))
            continue
        if unknown:
            problems.append((source.field, f"leads have no column {unknown[0]}; `leads tables leads` lists them"))
    return problems


class LeadMapping:
    """Makes a CRM's field texts of leads."""

    def __init__(self, sources: Iterable[FieldSource], phone_form: PhoneForm, lead_source: str) -> None:
        """Take the fields' sources, how phones are written, and what the leads' source is called."""
        self._sources = tuple(sources)
        self._phone_form = phone_form
        self._lead_source = lead_source or DEFAULT_LEAD_SOURCE
        named = {name for source in self._sources for name in columns_of(source.source)}
        self.columns = frozenset(_needed(named))
        """The columns of leads that it reads."""

    def values(self, lead: Mapping[str, object]) -> dict[str, str]:
        """Return the texts by field; a field whose source and default are empty is left out.

        Of a template of which no column has a value, nothing is left: its words alone say nothing.
        """
        texts: dict[str, str] = {}
        for source in self._sources:
            text = self._text(source.source, lead) or source.default
            if text:
                texts[source.field] = text
        return texts

    def _text(self, source: str, lead: Mapping[str, object]) -> str:
        if not _BRACES.search(source):
            return self._column(source, lead) if source else ""
        found = {name: self._column(name, lead) for name in columns_of(source)}
        if not any(found.values()):
            return ""
        return _PLACE.sub(lambda place: found[place[1]], source).strip()

    def _column(self, name: str, lead: Mapping[str, object]) -> str:
        if name == "lead_source":
            return self._lead_source
        if name == "country_name":
            code = str(lead.get("sender_country_iso") or "")
            return country_name(code) if code else ""
        if name in ("sender_first_name", "sender_last_name"):
            first, _, rest = str(lead.get("sender_name") or "").strip().partition(" ")
            return first if name == "sender_first_name" else (rest.strip() or first)
        value = lead.get(name)
        if name in PHONE_COLUMNS and isinstance(value, str):
            return phone_text(value, self._phone_form)
        return text_of(value)


def _needed(named: Iterable[str]) -> Iterable[str]:
    sources = {
        "sender_first_name": "sender_name",
        "sender_last_name": "sender_name",
        "country_name": "sender_country_iso",
    }
    return {sources.get(name, name) for name in named if name != "lead_source"}


def phone_text(number: str, form: PhoneForm) -> str:
    """Return a number in E.164 in the wanted form; what is no such number as it is."""
    if form == "e164":
        return number
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return number
    national = phonenumbers.national_significant_number(parsed)
    return {
        "dashed": f"+{parsed.country_code}-{national}",
        "digits": f"{parsed.country_code}{national}",
        "national": national,
    }[form]


def text_of(value: object) -> str:
    """Return a column's value as text: times in UTC (`YYYY-MM-DD HH:MM:SS`), days ISO, maps as `label: value`."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        moment = value.astimezone(UTC) if value.tzinfo else value
        return f"{moment:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | tuple):  # pyarrow gives a map as pairs
        parts = (one if isinstance(one, tuple) else (one,) for one in value)
        return _LIST_JOINT.join(": ".join(map(str, part)) for part in parts if part[-1] is not None)
    return str(value).strip()


def payload_hash(values: Mapping[str, str]) -> str:
    """Return the hash of what is sent of a lead; equal texts, equal hash."""
    return hashlib.sha256(json.dumps(dict(values), sort_keys=True, ensure_ascii=False).encode()).hexdigest()
