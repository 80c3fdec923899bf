"""Fields and query types that no answer of the account held before: one warning each, and then they are known."""

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from leads_pipeline.leads.schema import KNOWN_QUERY_TYPES
from leads_pipeline.leads.v1_fields import KEPT_IN_EXTRA
from leads_pipeline.stages.checking.findings import Finding, Scope
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.storage.atomic import write_atomically
from leads_pipeline.storage.day_paths import safe_name

NOT_A_NAME = "(not a name)"
"""Stands for whatever does not look like a name: a value may have got into its place."""
_A_NAME = re.compile(r"[A-Za-z][A-Za-z_ -]*[0-9]{0,2}")
_LONGEST = 40
_EXAMPLES = 10


@dataclass(frozen=True)
class Names:
    """Names of fields that the schema does not know, and query types that the contract does not list."""

    fields: frozenset[str] = frozenset()
    query_types: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.fields or self.query_types)

    def __or__(self, other: "Names") -> "Names":
        return Names(self.fields | other.fields, self.query_types | other.query_types)

    def __sub__(self, other: "Names") -> "Names":
        return Names(self.fields - other.fields, self.query_types - other.query_types)


def check_names(workspace: Workspace, account: str, scope: Scope) -> Finding:
    """Warn of names never seen in the account's answers, and remember them."""
    path = known_names_file(workspace.settings.state_dir, account)
    known = _load(path)
    found = names_in(_tables(workspace, account, scope))
    new = found - known
    if new:
        write_atomically(path, _to_json(known | new))
    return names_finding(new, known | new)


def known_names_file(state_dir: Path, account: str) -> Path:
    """Return where the account's known names are kept."""
    return state_dir / f"known-names-{safe_name(account)}.json"


def names_in(tables: Iterable[pa.Table]) -> Names:
    """Return the names in leads: keys of `extra`, but for those that v1 is known for, and types beyond the contract."""
    fields: set[str] = set()
    types: set[str] = set()
    for table in tables:
        extras = pc.unique(table["extra"].drop_null()).to_pylist()
        fields |= {label(name) for text in extras for name in json.loads(text)}
        types |= {label(kind) for kind in pc.unique(table["query_type"].drop_null()).to_pylist()} - KNOWN_QUERY_TYPES
    return Names(frozenset(fields - KEPT_IN_EXTRA), frozenset(types))


def names_finding(new: Names, known: Names) -> Finding:
    """Judge names never seen before; `known` holds those that have been announced, the new ones too."""
    facts: dict[str, int | str] = {
        "new_fields": len(new.fields),
        "new_query_types": len(new.query_types),
        "fields_in_extra": _examples(known.fields),
        "query_types_beyond_the_contract": _examples(known.query_types),
    }
    if not new:
        return Finding(True, "No field and no query type that was not seen before.", facts)
    parts = [
        f"{len(names)} {what} ({_examples(names)})"
        for what, names in (("new field(s)", new.fields), ("new query type(s)", new.query_types))
        if names
    ]
    sentence = (
        f"IndiaMART's answers hold {' and '.join(parts)}. Nothing is lost: such fields are kept in the column `extra`, "
        "such types in `query_type`. Tell who works with the tables. This is said once."
    )
    return Finding(False, sentence, facts, is_warning=True)


def label(name: str) -> str:
    """Return the name as it may be shown."""
    return name if len(name) <= _LONGEST and _A_NAME.fullmatch(name) else NOT_A_NAME


def _tables(workspace: Workspace, account: str, scope: Scope) -> Iterable[pa.Table]:
    """Yield the leads that are normalised and not merged yet, and those of the days."""
    normalized = workspace.normalized_files(account)
    for answer in workspace.catalog.unmerged(account):
        file = normalized.read(answer.response_id)
        if file is not None:
            yield file.leads
    files = workspace.lead_files(account)
    for day in scope.among(sorted(files.days())):
        yield files.read_columns(day, ("extra", "query_type"))


def _examples(names: Iterable[str]) -> str:
    ordered = sorted(names)
    more = len(ordered) - _EXAMPLES
    return ", ".join(ordered[:_EXAMPLES]) + (f" and {more} more" if more > 0 else "")


def _load(path: Path) -> Names:
    if not path.exists():
        return Names()
    kept = json.loads(path.read_text(encoding="utf-8"))
    return Names(frozenset(kept["fields"]), frozenset(kept["query_types"]))


def _to_json(names: Names) -> bytes:
    return (json.dumps({name: sorted(values) for name, values in asdict(names).items()}, indent=1) + "\n").encode()
