"""Whether a mapping fits the fields that the CRM has. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from leads_pipeline.delivery.crm import CrmField
from leads_pipeline.delivery.destination import Destination, FieldSource
from leads_pipeline.delivery.mapping import columns_of


@dataclass(frozen=True)
class MappingFinding:
    """What is to be said of one mapped field."""

    field: str
    text: str
    is_error: bool
    """Whether something that was configured can't arrive."""


def check_mapping(destination: Destination, fields: Iterable[CrmField]) -> list[MappingFinding]:
    """Return what does not fit: fields that are not there, are read-only, lack a listed value, or are lacking.

    Fields go by their labels or their names, in either case of letters.
    """
    known = {name.lower(): field for field in fields for name in (field.label, field.name)}
    named = [(source, known.get(source.field.lower())) for source in destination.fields]
    findings = [finding for source, field in named for finding in _of_source(source, field)]
    mapped = {field.name for _, field in named if field is not None}
    lacking = {field.name for field in known.values() if field.is_required and field.name not in mapped}
    findings += [
        MappingFinding(name, "the CRM requires it, and nothing is mapped to it", is_error=True)
        for name in sorted(lacking)
    ]
    if destination.search_key and destination.search_key.lower() not in known:
        text = "the search key is no field of the CRM"
        findings.append(MappingFinding(destination.search_key, text, is_error=True))
    return findings


def _of_source(source: FieldSource, field: CrmField | None) -> Iterator[MappingFinding]:
    if field is None:
        yield MappingFinding(source.field, "the CRM has no such field: it is left out of what is sent", is_error=True)
        return
    if field.is_read_only:
        yield MappingFinding(source.field, "can only be read: it is left out", is_error=True)
    fixed = source.default if not columns_of(source.source) else ""
    if field.options and fixed and fixed not in field.options:
        yield MappingFinding(source.field, f"takes only: {', '.join(field.options)}", is_error=True)
    elif field.options and not fixed:
        yield MappingFinding(
            source.field, "takes only listed values: others are left out of what is sent", is_error=False
        )
