"""The figure of what arrived in a CRM, how fast, and why the rest did not."""

from leads_pipeline.report import figures
from leads_pipeline.report.drawing import Ink
from leads_pipeline.report.facts import DeliveredTo
from leads_pipeline.report.figures import Bar
from leads_pipeline.report.panels import Key, Numbers, Panel
from leads_pipeline.report.wording import number, share, span

_MOST_REASONS = 4


def delivery_panel(one: DeliveredTo, name: str) -> Panel:
    """Return the figure of one destination; `name` is its own on the page."""
    late_or_not = ((one.arrived - one.late, Ink.ACCENT), (one.late, Ink.SOFT))
    parts = (
        ("Arrived", one.arrived, late_or_not),
        ("Failed, tried again", one.waiting, ((one.waiting, Ink.BAD),)),
        ("Held: can't be sent as they are", one.held, ((one.held, Ink.MUTED),)),
        ("Given up", one.parked, ((one.parked, Ink.BAD),)),
    )
    bars = [
        Bar(label, f"{number(leads)} · {share(leads, one.leads)}", inks)
        for label, leads, inks in parts
        if leads or label == "Arrived"
    ]
    speed = f", half within {span(one.median_seconds)} of the enquiry" if one.median_seconds is not None else ""
    missing = "; ".join(f"{reason.label} ({number(reason.leads)})" for reason in one.reasons[:_MOST_REASONS])
    return Panel(
        name,
        f"{share(one.arrived, one.leads)} of the leads reached {one.destination}{speed}",
        f"Leads of {one.account} on their way to the CRM. {f'Not there: {missing}.' if missing else 'All are there.'}",
        figures.draw_bars(bars, name, longest=float(one.leads)),
        Numbers(
            ("What", "Leads"),
            (
                *((label.lower(), number(leads)) for label, leads, _ in parts),
                ("arrived over an hour after they were seen", number(one.late)),
                *((f"not there: {reason.label}", number(reason.leads)) for reason in one.reasons),
            ),
        ),
        (Key(Ink.ACCENT, "within an hour after it was seen"), Key(Ink.SOFT, "later")),
    )
