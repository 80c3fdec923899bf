"""The page: facts, tiles and panels through one template to HTML that needs nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from leads_pipeline.report.delivery_panel import delivery_panel
from leads_pipeline.report.drawing import drawing_style
from leads_pipeline.report.facts import ReportFacts, SectionFacts
from leads_pipeline.report.panels import Panel, coverage_panel, lead_panels, trend_panel
from leads_pipeline.report.wording import compared, counted, day, moment, number, share

_TEMPLATE = "page.html.j2"
_SILENCE = timedelta(days=3)
"""So long without a good call is worth a look: a key that is not used for 7 days dies (contract: design)."""
_MUCH_QUARANTINE = 0.01


@dataclass(frozen=True)
class Tile:
    """One number at the top of a section."""

    label: str
    value: str
    note: str


@dataclass(frozen=True)
class HealthLine:
    """One statement about the data."""

    label: str
    value: str
    is_well: bool | None
    """Whether nobody needs to look; None if it says neither."""


@dataclass(frozen=True)
class Section:
    """One account's part of the page, or that of all together."""

    anchor: str
    title: str
    period: str
    tiles: tuple[Tile, ...]
    trend: Panel | None
    """None if there are no leads, as then there are no panels."""
    panels: tuple[Panel, ...]
    coverage: Panel
    health: tuple[HealthLine, ...]

    @property
    def is_well(self) -> bool:
        """Tell whether nobody needs to look at the data."""
        return all(line.is_well is not False for line in self.health)


def render_page(facts: ReportFacts, labels: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return the whole HTML page: no script, no outside resource, everything escaped.

    `labels` are the accounts' lead source labels, by which people know them; one without has its name alone.
    """
    environment = Environment(
        loader=PackageLoader("leads_pipeline.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["drawn"] = Markup
    with drawing_style():
        sections = [_section(section, number, labels) for number, section in enumerate(facts.sections)]
    return environment.get_template(_TEMPLATE).render(
        sections=sections,
        period=f"{day(facts.period.first)} to {day(facts.period.last)}",
        days=counted(facts.period.days, "day"),
        published=moment(facts.published_at),
        version=facts.version,
        accounts=sorted({account for section in facts.sections for account in section.accounts}),
    )


def _section(facts: SectionFacts, number_of_section: int, labels: Mapping[str, str]) -> Section:
    prefix = f"s{number_of_section}"
    name = facts.name or "All accounts"
    label = labels.get(name)
    return Section(
        anchor=prefix,
        title=f"{label} ({name})" if label else name,
        period=f"{day(facts.days[0].day)} to {day(facts.days[-1].day)}",
        tiles=tuple(_tiles(facts)),
        trend=trend_panel(facts, prefix) if facts.leads else None,
        panels=tuple([*lead_panels(facts, prefix), *_delivery_panels(facts, prefix)]) if facts.leads else (),
        coverage=coverage_panel(facts, prefix),
        health=tuple(_health(facts)),
    )


def _delivery_panels(facts: SectionFacts, prefix: str) -> Sequence[Panel]:
    return [
        delivery_panel(one, f"{prefix}-delivery{number_of_destination}")
        for number_of_destination, one in enumerate(facts.deliveries)
    ]


def _tiles(facts: SectionFacts) -> Sequence[Tile]:
    complete = [one for one in facts.days if one.is_complete]
    tiles = [Tile("Leads", number(facts.leads), f"on {counted(len(facts.days), 'day')}")]
    if facts.last_weeks:
        last, before = facts.last_weeks
        tiles.append(Tile("A day, last 7 days", number(round(last, 1)), f"{compared(last, before)} in the 7 before"))
    elif complete:
        mean = sum(one.leads for one in complete) / len(complete)
        tiles.append(Tile("A day", number(round(mean, 1)), f"mean of {counted(len(complete), 'complete day')}"))
    if facts.buyers.leads:
        repeats = share(facts.buyers.repeat_leads, facts.buyers.leads)
        tiles.append(Tile("Buyers", number(facts.buyers.buyers), f"{repeats} of leads from known ones"))
    if facts.calls:
        answered = share(facts.answered_calls, facts.calls)
        tiles.append(Tile("Calls answered", answered, f"{number(facts.answered_calls)} of {number(facts.calls)}"))
    past = facts.past_days
    if past:
        whole = sum(one.is_complete for one in past)
        tiles.append(Tile("Days complete", share(whole, len(past)), f"{number(whole)} of {number(len(past))}"))
    return tiles


def _health(facts: SectionFacts) -> Sequence[HealthLine]:
    health = facts.health
    last = health.last_good_call
    quarantine = share(health.quarantined, health.records)
    past = len(facts.past_days)
    complete = sum(one.is_complete for one in facts.past_days)
    lines = [
        HealthLine("Past days that are complete", f"{number(complete)} of {number(past)}", complete == past),
        HealthLine(
            "Last good call" if facts.name else "Last good call of every account",
            moment(last) if last else "none yet",
            last is not None and facts.published_at - last < _SILENCE,
        ),
        HealthLine("Good calls in 30 days", f"{number(health.good_calls)} of {number(health.calls)}", None),
        HealthLine(
            "Quarantined records",
            f"{number(health.quarantined)} of {number(health.records)} ({quarantine})",
            health.quarantined <= _MUCH_QUARANTINE * health.records,
        ),
        HealthLine("Open alerts", number(len(health.alerts)), not health.alerts),
    ]
    return [
        *lines,
        *(
            HealthLine(f"{alert.level}, {alert.account}", f"{alert.title}, since {moment(alert.since)}", False)
            for alert in health.alerts
        ),
    ]
