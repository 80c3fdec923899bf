"""What the UI shows of each day's leads: numbers that it plots, and a picture of the last days by type."""

import base64
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
_COLORS = {"W": "#4c78a8", "B": "#f58518", "P": "#54a24b", "WA": "#72b7b2", "BIZ": "#b279a2", OTHER: "#9d9d9d"}
_NAMES = {"W": "web enquiry", "B": "BuyLead", "P": "call", "WA": "WhatsApp", "BIZ": "catalogue view", OTHER: "other"}
_BAR, _GAP, _HEIGHT, _LEFT, _TOP, _FOOT = 18, 4, 160, 36, 28, 34


def day_numbers(files: LeadFiles, day: DayCoverage) -> dict[str, Any]:
    """Return the numbers of one day's leads: rows, late ones and their share, rows by type."""
    if not files.exists(day.day):
        return {}
    table = files.read_columns(day.day, ("query_type", "first_seen_at"))
    rows = table.num_rows
    numbers: dict[str, Any] = {"dagster/partition_row_count": rows, "leads": rows}
    numbers |= {f"leads_{kind}": count for kind, count in types_in(table).items()}
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
    """Return the days' leads by type as a picture inside Markdown."""
    data = base64.b64encode(picture_svg(days).encode()).decode()
    return dg.MetadataValue.md(f"![Leads per day by type](data:image/svg+xml;base64,{data})")


def picture_svg(days: Sequence[DayTypes]) -> str:
    """Return a stacked bar for each day, with a legend; a day without a file has a mark instead."""
    totals = [sum((day.counts or {}).values()) for day in days]
    scale = _HEIGHT / max([*totals, 1])
    width = _LEFT + len(days) * (_BAR + _GAP) + _GAP
    bottom = _TOP + _HEIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{max(width, 470)}" height="{bottom + _FOOT}" '
        'font-family="sans-serif" font-size="11" fill="#555">',
        f'<text x="{_LEFT - 6}" y="{_TOP + 8}" text-anchor="end">{max([*totals, 0])}</text>',
        f'<text x="{_LEFT - 6}" y="{bottom}" text-anchor="end">0</text>',
        *_legend({kind for day in days for kind in day.counts or {}}),
    ]
    for number, day in enumerate(days):
        parts += _bar(_LEFT + _GAP + number * (_BAR + _GAP), bottom, scale, day)
    parts.append("</svg>")
    return "".join(parts)


def _legend(kinds: set[str]) -> list[str]:
    parts: list[str] = []
    x = _LEFT
    for kind in (kind for kind in _COLORS if kind in kinds):
        parts.append(f'<rect x="{x}" y="4" width="10" height="10" fill="{_COLORS[kind]}"/>')
        parts.append(f'<text x="{x + 14}" y="13">{_NAMES[kind]}</text>')
        x += 28 + 6 * len(_NAMES[kind])
    return parts


def _bar(x: int, bottom: int, scale: float, day: DayTypes) -> list[str]:
    label = f'<text x="{x + _BAR / 2}" y="{bottom + 14}" text-anchor="middle">{day.day.day}</text>'
    if day.day.day == 1:
        label += f'<text x="{x}" y="{bottom + 28}">{day.day:%b %Y}</text>'
    if day.counts is None:
        return [label, f'<text x="{x + _BAR / 2}" y="{bottom - 2}" text-anchor="middle">?</text>']
    parts, y = [label], float(bottom)
    for kind in (kind for kind in _COLORS if day.counts.get(kind)):
        height = day.counts[kind] * scale
        y -= height
        parts.append(f'<rect x="{x}" y="{y:.1f}" width="{_BAR}" height="{height:.1f}" fill="{_COLORS[kind]}"/>')
    return parts
