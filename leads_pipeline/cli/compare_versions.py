"""`leads compare-versions`: what v1 and v2 brought of the same days, and whether a seller may switch."""

import json
from collections.abc import Iterable, Sequence
from datetime import date

from rich.console import Console
from rich.table import Table

from leads_pipeline.cli.day_range import day_range
from leads_pipeline.cli.errors import FAILED, CommandError
from leads_pipeline.days import contiguous_ranges, day_of, utc_now
from leads_pipeline.settings import load_settings
from leads_pipeline.stages.compare_versions import VERSIONS, ComparedField, ComparedVersions, Example, compare_versions
from leads_pipeline.stages.workspace import Workspace

_MOST_LISTED = 10


def run_compare_versions(
    account_name: str, first: str | None, last: str | None, *, as_json: bool, show_values: bool
) -> None:
    """Print the comparison and its verdict; CommandError with exit code 1 if v2 lacks anything or no day is common."""
    workspace = Workspace(load_settings())
    workspace.prepare()
    account = workspace.settings.account(account_name)
    now = utc_now()
    start, end = day_range(first, last or day_of(now).isoformat(), "Nothing was compared.") if first else (None, None)
    if first is None and last is not None:
        end = day_range(None, last, "Nothing was compared.")[1]
    compared = compare_versions(workspace, account.name, start, end, now)
    if as_json:
        print(json.dumps(_facts(compared, show_values=show_values), indent=1, ensure_ascii=False))
    else:
        _print(compared, show_values=show_values)
    if not compared.lacks_nothing:
        raise CommandError(verdict(compared), FAILED)
    if not as_json:
        print(verdict(compared))


def verdict(compared: ComparedVersions) -> str:
    """Return in plain words whether v2 has all that v1 has of the days compared."""
    if not compared.days:
        return (
            "No day is proven by both versions, so nothing can be said. Give the account a key for each, and pull the "
            "same days with both: `leads pull --from DAY --to DAY`."
        )
    days = f"{len(compared.days)} day(s)"
    if compared.only_in_v1:
        text = f"{len(compared.only_in_v1)} lead(s) of v1 are missing in v2 on these {days}: "
        text += f"{_listed(compared.only_in_v1)}."
        if compared.seen_later:
            text += (
                f" {len(compared.seen_later)} of them came after v2 was last asked: pull these days again with both, "
                "`leads pull --again`, before you judge."
            )
        return text
    blank = [f"{one.column} of {one.blank_in_v2} lead(s)" for one in compared.fields if one.blank_in_v2]
    if blank:
        return f"v2 holds every lead that v1 holds for these {days}, but lacks values that v1 has: {', '.join(blank)}."
    differing = sum(one.differ for one in compared.fields)
    if differing or compared.on_other_day:
        return (
            f"v2 holds every lead that v1 holds for these {days} and lacks no value, but {differing} value(s) differ "
            f"and {len(compared.on_other_day)} lead(s) stand on another day: look at them before you switch."
        )
    return f"v2 holds every lead that v1 holds for these {days}; safe to switch."


def _listed(items: Sequence[str]) -> str:
    more = len(items) - _MOST_LISTED
    return ", ".join(items[:_MOST_LISTED]) + (f" and {more} more" if more > 0 else "")


def _ranges(days: Iterable[date]) -> str:
    ranges = contiguous_ranges(sorted(days))
    return _listed([f"{first}" if first == last else f"{first} to {last}" for first, last in ranges])


def _print(compared: ComparedVersions, *, show_values: bool) -> None:
    console = Console(soft_wrap=True, highlight=False, markup=False, emoji=False)
    for version in VERSIONS:
        if compared.left_out[version]:
            console.print(f"Left out, for {version} alone has proven them: {_ranges(compared.left_out[version])}")
    if not compared.days:
        return
    console.print(f"Account {compared.account}, {len(compared.days)} day(s): {_ranges(compared.days)}")
    console.print(
        f"Leads in both: {compared.in_both}; in v1 only: {len(compared.only_in_v1)}; in v2 only: "
        f"{len(compared.only_in_v2)}; on another day: {len(compared.on_other_day)}"
    )
    for title, ids in (("Only in v2", compared.only_in_v2), ("On another day", compared.on_other_day)):
        if ids:
            console.print(f"{title}: {_listed(ids)}")
    for version, count in compared.quarantined.items():
        if count:
            console.print(f"{count} record(s) of {version} are in quarantine and were not compared.")
    console.print(_table(compared.fields))
    if compared.v1_extra:
        told = ", ".join(f"{name} ({count})" for name, count in compared.v1_extra.items())
        console.print(f"v1 says more that v2 has no field for, with the leads that have it: {told}")
    if show_values:
        for one in compared.fields:
            for example in one.examples:
                console.print(f"{one.column} of {example.query_id}: v1 {example.in_v1!r}, v2 {example.in_v2!r}")


def _table(fields: Iterable[ComparedField]) -> Table:
    table = Table(title="The leads that both hold, field by field", title_justify="left")
    table.add_column("Field", no_wrap=True)
    for name in ("Equal", "Differ", "v1 only", "v2 only"):
        table.add_column(name, justify="right")
    table.add_column("For example", overflow="fold")
    for one in fields:
        note = "v1 has no such field" if one.is_not_in_v1 else ", ".join(example.query_id for example in one.examples)
        counts = (one.equal, one.differ, one.blank_in_v2, one.blank_in_v1)
        table.add_row(one.column, *map(str, counts), note)
    return table


def _facts(compared: ComparedVersions, *, show_values: bool) -> dict[str, object]:
    return {
        "account": compared.account,
        "verdict": verdict(compared),
        "v2_lacks_nothing": compared.lacks_nothing,
        "days": [day.isoformat() for day in compared.days],
        "left_out": {version: [day.isoformat() for day in days] for version, days in compared.left_out.items()},
        "in_both": compared.in_both,
        "only_in_v1": list(compared.only_in_v1),
        "only_in_v1_seen_later": sorted(compared.seen_later),
        "only_in_v2": list(compared.only_in_v2),
        "on_another_day": list(compared.on_other_day),
        "fields": [_field_facts(one, show_values=show_values) for one in compared.fields],
        "v1_fields_without_a_name_in_v2": compared.v1_extra,
        "in_quarantine": compared.quarantined,
    }


def _field_facts(one: ComparedField, *, show_values: bool) -> dict[str, object]:
    return {
        "field": one.column,
        "v1_has_no_such_field": one.is_not_in_v1,
        "equal": one.equal,
        "differ": one.differ,
        "blank_in_v1_only": one.blank_in_v1,
        "blank_in_v2_only": one.blank_in_v2,
        "examples": [_example_facts(example, show_values=show_values) for example in one.examples],
    }


def _example_facts(example: Example, *, show_values: bool) -> dict[str, str | None]:
    values = {"v1": example.in_v1, "v2": example.in_v2} if show_values else {}
    return {"query_id": example.query_id, **values}
