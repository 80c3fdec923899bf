"""The contents that one lead has had: kept in its row while there are several, told one by one for analysts.

A lead whose content never changed has no versions in its row (NULL). Otherwise `versions` is a JSON list with one
entry per API and content, and the row is a function of that list alone, so that any order of answers gives the same.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from leads_pipeline.leads.schema import (
    COMPANIONS,
    FIRST_SEEN_AFTER,
    LEADS_ARROW_SCHEMA,
    SOURCE_APIS,
    SOURCE_FIELDS,
    VERSION_COLUMNS,
    VERSIONS,
    arrow_schema,
)
from leads_pipeline.leads.values import json_text

Row = dict[str, Any]

_OF_THE_LEAD = frozenset({"account", "query_id", FIRST_SEEN_AFTER, VERSIONS})
_OF_A_VERSION = tuple(field for field in LEADS_ARROW_SCHEMA if field.name not in _OF_THE_LEAD)
_COMPARED = ("query_type", "query_time", *(field.column for field in SOURCE_FIELDS), "extra")
_LEAST_TRUSTED = SOURCE_APIS[0]


def spread_versions(leads: pa.Table) -> pa.Table:
    """Return the leads (LEADS_ARROW_SCHEMA) with one row per version, each with its own times seen, in any order."""
    has_versions = pc.is_valid(leads[VERSIONS])
    if not pc.any(has_versions, min_count=0).as_py():
        return leads
    rows = [
        {**version, "account": lead["account"], "query_id": lead["query_id"], FIRST_SEEN_AFTER: 0}
        for lead in leads.filter(has_versions).select(["account", "query_id", VERSIONS]).to_pylist()
        for version in _decoded(lead[VERSIONS])
    ]
    return pa.concat_tables(
        [leads.filter(pc.invert(has_versions)), pa.Table.from_pylist(rows, schema=LEADS_ARROW_SCHEMA)]
    )


def join_versions(rows: pa.Table) -> pa.Table:
    """Return one row per lead, with its versions where it has several.

    The rows (LEADS_ARROW_SCHEMA) are spread, sorted by lead and then by rising precedence; how late the lead was
    first seen is left to the caller.
    """
    leads: list[Row] = []
    of_one_lead: list[Row] = []
    for row in rows.to_pylist():
        if of_one_lead and _lead(row) != _lead(of_one_lead[0]):
            leads.append(_joined(of_one_lead))
            of_one_lead = []
        of_one_lead.append(row)
    if of_one_lead:
        leads.append(_joined(of_one_lead))
    return pa.Table.from_pylist(leads, schema=LEADS_ARROW_SCHEMA)


def lead_versions(leads: pa.Table) -> pa.Table:
    """Return the versions of the leads (LEADS_ARROW_SCHEMA) that have several, in VERSION_COLUMNS, oldest first."""
    rows: list[Row] = []
    told_of_leads = leads.select(["account", "query_id", "lead_date", "source_api", "content_hash", VERSIONS])
    for lead in told_of_leads.filter(pc.is_valid(leads[VERSIONS])).to_pylist():
        before: Row | None = None
        for number, version in enumerate(_decoded(lead[VERSIONS]), start=1):
            changed = [] if before is None else [name for name in _COMPARED if version[name] != before[name]]
            told = {"version": number, "is_current": _is_current(version, lead), "changed_columns": changed}
            rows.append({**version, "account": lead["account"], "query_id": lead["query_id"], **told})
            rows[-1]["lead_date"] = lead["lead_date"]
            before = version
    schema = arrow_schema(VERSION_COLUMNS)
    return pa.Table.from_pylist([{name: row[name] for name in schema.names} for row in rows], schema=schema)


def _lead(row: Row) -> tuple[str, str]:
    return row["account"], row["query_id"]


def _is_current(version: Row, lead: Row) -> bool:
    return all(version[name] == lead[name] for name in ("source_api", "content_hash"))


def _joined(rows: Sequence[Row]) -> Row:
    """Return the lead that these versions of it make; the last has the highest precedence."""
    versions: dict[tuple[str, str], Row] = {}
    for row in rows:
        content = row["source_api"], row["content_hash"]
        versions[content] = _with_all_times_seen(row, versions.pop(content, row))
    winner = rows[-1]
    current = _never_blanked(winner, list(versions.values())) | {
        "first_seen_at": min(row["first_seen_at"] for row in rows),
        "last_seen_at": max(row["last_seen_at"] for row in rows),
    }
    if len(versions) == 1:
        return current
    # A stable sort: of contents first seen at the same moment, the one with the higher precedence comes later.
    oldest_first = sorted(versions.values(), key=lambda version: version["first_seen_at"])
    return current | {VERSIONS: _encoded(oldest_first)}


def _with_all_times_seen(row: Row, other: Row) -> Row:
    return row | {
        "first_seen_at": min(row["first_seen_at"], other["first_seen_at"]),
        "last_seen_at": max(row["last_seen_at"], other["last_seen_at"]),
    }


def _never_blanked(winner: Row, versions: Sequence[Row]) -> Row:
    """Return the winner with what a more trusted API gave where v1, which knows fewer fields, gives nothing."""
    trusted = [version for version in versions if version["source_api"] != _LEAST_TRUSTED]
    if winner["source_api"] != _LEAST_TRUSTED or not trusted:
        return dict(winner)
    given = trusted[-1]
    filled = dict(winner)
    for field in SOURCE_FIELDS:
        if winner[field.column] is None and given[field.column] is not None:
            filled |= {name: given[name] for name in (field.column, *COMPANIONS.get(field.column, ()))}
    filled["extra"] = _both_extras(given["extra"], winner["extra"])
    return filled


def _both_extras(given: str | None, winner: str | None) -> str | None:
    if given is None or winner is None:
        return winner or given
    return json_text({**json.loads(given), **json.loads(winner)})


def _encoded(versions: Iterable[Row]) -> str:
    entries = [
        {field.name: _to_json(version[field.name]) for field in _OF_A_VERSION if version[field.name] is not None}
        for version in versions
    ]
    return json_text(entries)


def _decoded(text: str) -> list[Row]:
    return [_decoded_entry(entry) for entry in json.loads(text)]


def _decoded_entry(entry: Mapping[str, Any]) -> Row:
    return {**_NOTHING, **{name: _FROM_JSON[name](value) for name, value in entry.items()}}


def _to_json(value: Any) -> Any:
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


def _from_json(type_: pa.DataType) -> Callable[[Any], Any]:
    if pa.types.is_timestamp(type_):
        return datetime.fromisoformat
    if pa.types.is_date(type_):
        return date.fromisoformat
    if pa.types.is_map(type_):
        return _pairs
    return Decimal if pa.types.is_decimal(type_) else _as_it_is


def _pairs(value: Any) -> Any:
    return [tuple(pair) for pair in value]


def _as_it_is(value: Any) -> Any:
    return value


_FROM_JSON = {field.name: _from_json(field.type) for field in _OF_A_VERSION}
_NOTHING: Row = {VERSIONS: None} | {field.name: None for field in _OF_A_VERSION}
