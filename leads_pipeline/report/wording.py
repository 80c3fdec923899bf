"""How the report writes numbers, shares, spans and moments for people; digits grouped as in India."""

from datetime import date, datetime

from leads_pipeline.days import IST
from leads_pipeline.report.figures import MONTHS

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_ALIKE = 0.05

TYPE_NAMES = {"W": "Web enquiry", "B": "BuyLead", "P": "Phone call", "WA": "WhatsApp", "BIZ": "Catalogue view"}
_TYPES_TOGETHER = {
    "W": "are web enquiries",
    "B": "are bought BuyLeads",
    "P": "are phone calls",
    "WA": "are WhatsApp enquiries",
    "BIZ": "are catalogue views",
}
STATE_NAMES = {
    "complete": "complete",
    "partial": "partly pulled",
    "missing": "not pulled",
    "not_yet_available": "not yet available",
    "out_of_reach": "out of reach",
    "today": "not over yet",
}


def type_name(query_type: str) -> str:
    """Return what a query type is for people; one that IndiaMART has not explained is named as it is."""
    return TYPE_NAMES.get(query_type, f"Type {query_type}" if query_type else "Without a type")


def are_of_type(query_type: str) -> str:
    """Return what leads of a query type are, `are phone calls`."""
    return _TYPES_TOGETHER.get(query_type, f"are of type {query_type}" if query_type else "name no type")


def number(value: float) -> str:
    """Return a count as India writes it (12,34,567); below 10 with one decimal place unless it is whole."""
    if value != int(value) and value < 10:  # noqa: PLR2004
        return f"{value:.1f}".removesuffix(".0")
    digits = str(round(value))
    head, tail = digits[:-3], digits[-3:]
    pairs = [head[max(0, end - 2) : end] for end in range(len(head), 0, -2)][::-1]
    return ",".join([*pairs, tail])


def counted(value: int, noun: str) -> str:
    """Return a count with its noun, which takes an s in the plural."""
    return f"{number(value)} {noun}{'' if value == 1 else 's'}"


def share(part: float, whole: float) -> str:
    """Return the part in percent, with a decimal place where rounding would hide a difference, or that some is left."""
    percent = 100 * part / whole if whole else 0.0
    if 0 < percent < 0.1:  # noqa: PLR2004
        return "under 0.1%"
    is_near_an_end = 0 < percent < 10 or 99 < percent < 100  # noqa: PLR2004
    return f"{percent:.1f}%" if is_near_an_end else f"{percent:.0f}%"


def compared(new: float, old: float) -> str:
    """Return how the new number compares with the old one: `12% more than`, `about as many as`."""
    if old == 0:
        return "as many as" if new == 0 else "more than"
    change = new / old - 1
    if abs(change) < _ALIKE:
        return "about as many as"
    return f"{abs(change):.0%} {'more' if change > 0 else 'fewer'} than"


def span(seconds: float) -> str:
    """Return a length of time in the largest fitting unit, rounded to what people say."""
    if seconds < 2 * _HOUR:
        return f"{max(1, round(seconds / _MINUTE))} min"
    if seconds < 2 * _DAY:
        return f"{number(round(seconds / _HOUR, 1))} hours"
    return f"{number(round(seconds / _DAY, 1))} days"


def day(value: date) -> str:
    """Return a day with its year, `3 Nov 2026`."""
    return f"{value.day} {MONTHS[value.month - 1]} {value.year}"


def moment(value: datetime) -> str:
    """Return a zone-aware moment as the clock in India showed it."""
    local = value.astimezone(IST)
    return f"{day(local.date())}, {local:%H:%M} IST"
