"""Each figure with what it says: a title that tells the finding, a note with the units, the key, and its numbers."""

from dataclasses import dataclass

from leads_pipeline.report import figures
from leads_pipeline.report.drawing import Ink
from leads_pipeline.report.facts import WAITS, Ranking, SectionFacts, days_by_state
from leads_pipeline.report.figures import Bar
from leads_pipeline.report.wording import (
    STATE_NAMES,
    are_of_type,
    compared,
    counted,
    day,
    number,
    share,
    span,
    type_name,
)

_BARS = 8
_NO_BREAK = "\N{NO-BREAK SPACE}"
_FEW_LEADS = 50
"""So few leads show no habits of weekdays and hours."""
_WEEKDAYS = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")


@dataclass(frozen=True)
class Key:
    """One colour of a figure and what it stands for."""

    ink: Ink
    label: str


@dataclass(frozen=True)
class Numbers:
    """The numbers behind a figure; the first column names the row."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Panel:
    """One figure of the page."""

    name: str
    title: str
    note: str
    svg: str
    numbers: Numbers
    keys: tuple[Key, ...] = ()
    wide_svg: str = ""
    """The same for a wide screen, where it takes the whole width; empty if it is the same everywhere."""


def trend_panel(facts: SectionFacts, prefix: str) -> Panel:
    """Return the figure of the leads per day; `prefix` keeps names apart from those of other sections."""
    return _trend(facts, f"{prefix}-trend")


def lead_panels(facts: SectionFacts, prefix: str) -> list[Panel]:
    """Return the further figures about the leads."""
    return [
        _types(facts, f"{prefix}-types"),
        _hours(facts, f"{prefix}-hours"),
        _products(facts, f"{prefix}-products"),
        *_places(facts, prefix),
        *([_buyers(facts, f"{prefix}-buyers")] if facts.buyers.leads else []),
        _lateness(facts, f"{prefix}-lateness"),
    ]


def coverage_panel(facts: SectionFacts, prefix: str) -> Panel:
    """Return the figure that shows which days are all there."""
    past = facts.past_days
    lacking = sum(not one.is_complete for one in past)
    states = days_by_state(past)
    if not past:
        title = "No day of these is over yet"
    elif not lacking:
        title = f"All {counted(len(past), 'past day')} are complete" if len(past) > 1 else "The past day is complete"
    else:
        title = f"{number(lacking)} of {counted(len(past), 'past day')} {'is' if lacking == 1 else 'are'} not complete"
    name = f"{prefix}-coverage"
    shown = dict.fromkeys([*states, *(figures.state_shown(one, facts.today) for one in facts.days)])
    return Panel(
        name,
        title,
        "A square is a day; weeks run from left to right. Complete: all of it was asked for after it had ended.",
        figures.draw_calendar(facts.days, facts.today, name),
        Numbers(("Days", "Number"), tuple((STATE_NAMES[state], number(days)) for state, days in states.items())),
        tuple(Key(figures.STATE_INKS[state], STATE_NAMES[state]) for state in shown),
    )


def _trend(facts: SectionFacts, name: str) -> Panel:
    if facts.last_weeks:
        last, before = facts.last_weeks
        title = f"{number(round(last, 1))} leads a day in the last 7 days, {compared(last, before)} in the 7 before"
    else:
        title = f"{counted(facts.leads, 'lead')} in {counted(len(facts.days), 'day')}"
    keys = [Key(Ink.SOFT, "leads of the day"), Key(Ink.ACCENT, "mean of the last 7 days")]
    if any(not one.is_complete for one in facts.past_days):
        keys.append(Key(Ink.BAD, "day not complete"))
    rows = [
        (
            day(one.day).replace(" ", _NO_BREAK),
            number(one.leads),
            "" if mean is None else f"{mean:.1f}",
            STATE_NAMES[figures.state_shown(one, facts.today)],
        )
        for one, mean in zip(facts.days, facts.weekly_means, strict=True)
    ]
    return Panel(
        name,
        title,
        "Leads per day in India. The mean counts complete days only, and needs 4 of them.",
        figures.draw_trend(facts, name, is_wide=False),
        Numbers(("Day", "Leads", "7-day mean", "Day is"), tuple(reversed(rows))),
        tuple(keys),
        figures.draw_trend(facts, f"{name}-wide", is_wide=True),
    )


def _types(facts: SectionFacts, name: str) -> Panel:
    top, leads = next(iter(facts.by_type.items()))
    bars = [
        Bar(type_name(kind), f"{number(count)} · {share(count, facts.leads)}", ((count, figures.type_ink(kind)),))
        for kind, count in facts.by_type.items()
    ]
    return Panel(
        name,
        f"{share(leads, facts.leads)} of the leads {are_of_type(top)}",
        "Leads by kind of enquiry; a BuyLead is one that the seller bought.",
        figures.draw_bars(bars, name, longest=facts.leads),
        Numbers(
            ("Kind", "Leads", "Share"),
            tuple((type_name(kind), number(count), share(count, facts.leads)) for kind, count in facts.by_type.items()),
        ),
    )


def _hours(facts: SectionFacts, name: str) -> Panel:
    means = facts.hourly_means
    weekday = max(range(7), key=lambda one: sum(means[one]))
    hour = max(range(24), key=lambda one: sum(row[one] for row in means))
    title = f"Busiest on {_WEEKDAYS[weekday]}, and from {hour}:00 to {hour + 1}:00"
    if facts.leads < _FEW_LEADS:
        title = "When leads come; they are too few yet to show a habit"
    most = max(max(row) for row in means)
    return Panel(
        name,
        title,
        "Mean leads of an hour of that weekday, by India's clock.",
        figures.draw_hours(means, name),
        Numbers(
            ("Hour", *figures.WEEKDAYS),
            tuple((f"{one}:00", *(f"{means[row][one]:.1f}" for row in range(7))) for one in range(24)),
        ),
        (Key(Ink.TRACK, "none"), Key(Ink.ACCENT, f"{number(round(most, 1))} an hour")),
    )


def _products(facts: SectionFacts, name: str) -> Panel:
    ranking = facts.products
    title = "No lead names a product"
    if ranking.top:
        top = ranking.top[0]
        title = f"Asked for most: {top.label}, {share(top.leads, ranking.leads)}"
    note = f"Leads per product, of {counted(ranking.leads, 'lead')} that name one."
    return _ranked(name, title, note, ranking, noun="Product", plural="products")


def _places(facts: SectionFacts, prefix: str) -> list[Panel]:
    kinds = (
        ("states", "State", facts.states),
        ("cities", "City", facts.cities),
        ("countries", "Country", facts.countries),
    )
    panels = []
    for kind, noun, ranking in kinds:
        title = f"No lead names a {noun.lower()}"
        if ranking.top:
            top = ranking.top[0]
            title = f"{share(top.leads, ranking.leads)} of the leads come from {top.label}"
        note = f"Leads per {noun.lower()} of the buyer, of {counted(ranking.leads, 'lead')} that name one."
        panels.append(_ranked(f"{prefix}-{kind}", title, note, ranking, noun=noun, plural=kind))
    return panels


def _ranked(name: str, title: str, note: str, ranking: Ranking, *, noun: str, plural: str) -> Panel:
    bars = [
        Bar(one.label, f"{number(one.leads)} · {share(one.leads, ranking.leads)}", ((one.leads, Ink.ACCENT),))
        for one in ranking.top[:_BARS]
    ]
    rows = [(one.label, number(one.leads), share(one.leads, ranking.leads)) for one in ranking.top]
    if ranking.others:
        more = ranking.labels - len(ranking.top)
        rows.append((f"{number(more)} more {plural}", number(ranking.others), share(ranking.others, ranking.leads)))
    if ranking.labels > len(bars):
        note = f"{note} The first {len(bars)} of {number(ranking.labels)}."
    if ranking.unnamed:
        rows.append(("named none", number(ranking.unnamed), ""))
    return Panel(name, title, note, figures.draw_bars(bars, name), Numbers((noun, "Leads", "Share"), tuple(rows)))


def _buyers(facts: SectionFacts, name: str) -> Panel:
    buyers = facts.buyers
    first = buyers.leads - buyers.repeat_leads
    bars = [
        Bar(
            "Leads of buyers who had asked before",
            f"{number(buyers.repeat_leads)} · {share(buyers.repeat_leads, buyers.leads)}",
            ((buyers.repeat_leads / buyers.leads, Ink.ACCENT), (first / buyers.leads, Ink.SOFT)),
        ),
        *(
            Bar(
                f"Buyers with {one.label}",
                f"{number(one.leads)} · {share(one.leads, buyers.buyers)}",
                ((one.leads / buyers.buyers, Ink.MUTED),),
            )
            for one in buyers.by_enquiries
        ),
    ]
    return Panel(
        name,
        f"{share(buyers.repeat_leads, buyers.leads)} of the leads come from buyers who had asked before",
        f"{counted(buyers.buyers, 'buyer')}, told apart by mobile number and e-mail address.",
        figures.draw_bars(bars, name, longest=1.0),
        Numbers(
            ("What", "Number"),
            (
                ("leads of buyers who had asked before", number(buyers.repeat_leads)),
                ("leads of new buyers", number(first)),
                ("leads of unknown buyers", number(facts.leads - buyers.leads)),
                *((f"buyers with {one.label}", number(one.leads)) for one in buyers.by_enquiries),
            ),
        ),
        (Key(Ink.ACCENT, "had asked before"), Key(Ink.SOFT, "first enquiry")),
    )


def _lateness(facts: SectionFacts, name: str) -> Panel:
    late = facts.lateness
    waits, ink = (late.as_they_went, Ink.ACCENT) if any(late.as_they_went) else (late.afterwards, Ink.SOFT)
    title = "All days were pulled afterwards, so nothing tells how fast leads are seen"
    note = "Leads by the time from the enquiry until an answer of IndiaMART first held it"
    if late.median_seconds is not None and late.most_seconds is not None:
        half, most = span(late.median_seconds), span(late.most_seconds)
        title = f"Half of the leads are seen within {half}, 9 of 10 within {most}"
        if any(late.afterwards):
            title = f"Days pulled as they went: half of the leads seen within {half}, 9 of 10 within {most}"
            note += f"; without {counted(sum(late.afterwards), 'lead')} of days that were pulled afterwards"
    came_late = f"{share(late.late, late.on_proven_days)} came later than the first answer for their whole day."
    labels = [f"up to {wait}" for wait in WAITS[:-1]] + [WAITS[-1]]
    bars = [
        Bar(label, f"{number(leads)} · {share(leads, sum(waits))}", ((leads, ink),))
        for label, leads in zip(labels, waits, strict=True)
    ]
    return Panel(
        name,
        title,
        f"{note}. {came_late}",
        figures.draw_bars(bars, name),
        Numbers(
            ("Seen after", "Day pulled as it went", "Day pulled afterwards"),
            tuple(
                (label, number(went), number(afterwards))
                for label, went, afterwards in zip(labels, late.as_they_went, late.afterwards, strict=True)
            ),
        ),
    )
