"""What the UI shows of each day's leads: numbers that it plots, and a picture of the last days by type."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from leads_pipeline.leads.schema import KNOWN_QUERY_TYPES
from leads_pipeline.storage.coverage import DayCoverage
from leads_pipeline.storage.parquet import LeadFiles

OTHER = "other"
_COLORS = {"W": "blue", "B": "orange", "P": "green", "WA": "brown", "BIZ": "purple", OTHER: "gray"}
_SHOWN_AT_ONCE = 1000  # characters of Markdown, in Dagster 1.13's UI
_UNITS = 40
_HEIGHT = 120
_DAY_WIDTH = 24


def day_numbers(files: LeadFiles, day: DayCoverage) -> dict[str, Any]:
    """Return the numbers of one day's leads: rows, rows by type, late ones and their share.

    A type that did not come has its 0, for the UI's curves to go through it.
    """
    if not files.exists(day.day):
        return {}
    table = files.read_columns(day.day, ("query_type", "first_seen_at"))
    rows = table.num_rows
    types = types_in(table)
    numbers: dict[str, Any] = {"leads": rows} | {f"leads_{kind}": types.get(kind, 0) for kind in _COLORS}
    if day.first_complete_at is not None:
        late = pc.greater(table["first_seen_at"], pa.scalar(day.first_complete_at, table["first_seen_at"].type))
        late_leads = int(pc.sum(late).as_py() or 0)
        numbers |= {"late_leads": late_leads, "late_percent": round(100 * late_leads / rows, 2) if rows else 0.0}
    return numbers


def types_in(table: pa.Table) -> dict[str, int]:
    """Return how many leads there are of each type, in a fixed order; unknown types count as other."""
    counts = Counter({entry["values"]: entry["counts"] for entry in pc.value_counts(table["query_type"]).to_pylist()})
    known = {kind: counts[kind] for kind in _COLORS if kind in KNOWN_QUERY_TYPES and counts[kind]}
    other = counts.total() - sum(known.values())
    return {**known, OTHER: other} if other else known


@dataclass(frozen=True)
class DayTypes:
    """One day's leads by type; None if the day has no file."""

    day: date
    counts: Mapping[str, int] | None


def day_types(files: LeadFiles, days: Sequence[date]) -> list[DayTypes]:
    """Return the days' leads by type, from their files."""
    return [
        DayTypes(day, types_in(files.read_columns(day, ("query_type",))) if files.exists(day) else None) for day in days
    ]


def picture(days: Sequence[DayTypes]) -> dg.MarkdownMetadataValue:
    """Return the newest of the days' leads by type, as a picture inside Markdown with its legend.

    As many days as fit: the UI shows longer Markdown only behind a click.
    """
    for count in range(len(days), 0, -1):
        text = _markdown(days[-count:])
        if len(text) < _SHOWN_AT_ONCE:
            return dg.MetadataValue.md(text)
    return dg.MetadataValue.md("")


def _markdown(days: Sequence[DayTypes]) -> str:
    totals = sum((Counter(day.counts or {}) for day in days), Counter[str]())
    highest = max(sum((day.counts or {}).values()) for day in days)
    legend = ", ".join(f"{kind} {totals[kind]} ({color})" for kind, color in _COLORS.items() if totals[kind])
    unknown = sum(day.counts is None for day in days)
    facts = [f"{days[0].day} to {days[-1].day}", legend or "no leads", f"at most {highest} a day"]
    facts += [f"{unknown} day(s) lack"] if unknown else []
    return f"![](<data:image/svg+xml,{_in_url(picture_svg(days))}>)\n\n" + "; ".join(facts)


def picture_svg(days: Sequence[DayTypes]) -> str:
    """Return a stacked bar for each day: an area per type, from the ground up, the highest painted first."""
    highest = max([1, *(sum((day.counts or {}).values()) for day in days)])
    areas = [
        f"<path fill='{_COLORS[kind]}' d='{_area(days, list(_COLORS)[: place + 1], _UNITS / highest)}'/>"
        for place, kind in reversed([*enumerate(_COLORS)])
        if any((day.counts or {}).get(kind) for day in days)
    ]
    width = len(days)
    gaps = f"<path d='M0-{_UNITS // 2}h{width}' stroke='white' stroke-width='{_UNITS}' stroke-dasharray='.2 .8'/>"
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{_DAY_WIDTH * width}' height='{_HEIGHT}' "
        f"viewBox='0 -{_UNITS} {width} {_UNITS}' preserveAspectRatio='none'>{''.join(areas)}{gaps}</svg>"
    )


def _area(days: Sequence[DayTypes], kinds: Sequence[str], scale: float) -> str:
    """Return the outline of bars of these types together, one unit wide each, as steps up (below 0) and down."""
    steps, height = "M0 0", 0
    for day in days:
        own = round(sum((day.counts or {}).get(kind, 0) for kind in kinds) * scale)
        steps += (f"v{height - own}" if own != height else "") + "h1"
        height = own
    return f"{steps}V0"


def _in_url(svg: str) -> str:
    return svg.replace("<", "%3C").replace(">", "%3E")
