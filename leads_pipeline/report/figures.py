"""The drawings: each from the facts to one SVG element. What they show in words and numbers is for panels.py to say."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import nan

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from leads_pipeline.report.drawing import (
    NARROW,
    SMALL_TEXT_SIZE,
    TEXT_SIZE,
    WIDE,
    Box,
    Ink,
    canvas,
    fill_boxes,
    plot,
    to_svg,
)
from leads_pipeline.report.facts import Day, SectionFacts

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
"""Not by strftime, which speaks the machine's language."""
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

STATE_INKS = {
    "complete": Ink.GOOD,
    "partial": Ink.WAITING,
    "not_yet_available": Ink.WAITING,
    "missing": Ink.BAD,
    "out_of_reach": Ink.MUTED,
    "today": Ink.SOFT,
}
_ROW, _BAR = 38, 10
_MONTH = 31
_MOST_SINGLE_BARS, _GAP = 100, 0.08
_LONGEST_LABEL = 46
_LACKING_STRENGTH, _FAINTEST = 0.25, 0.08
_TYPE_INKS = {"W": Ink.TYPE_W, "B": Ink.TYPE_B, "P": Ink.TYPE_P, "WA": Ink.TYPE_WA, "BIZ": Ink.TYPE_BIZ}


@dataclass(frozen=True)
class Bar:
    """One bar of a list: its label and number, and the lengths of its parts."""

    label: str
    number: str
    parts: tuple[tuple[float, Ink], ...]

    @property
    def length(self) -> float:
        """Return the length of all parts."""
        return sum(length for length, _ in self.parts)


def type_ink(query_type: str) -> Ink:
    """Return the colour of a query type, the same in every figure."""
    return _TYPE_INKS.get(query_type, Ink.TYPE_OTHER)


def draw_bars(bars: Sequence[Bar], name: str, *, longest: float | None = None) -> str:
    """Draw a list of bars, each under its label; `longest` is the length that fills the width."""
    figure, axes = canvas(NARROW, _ROW * max(1, len(bars)))
    scale = NARROW / (longest or max((bar.length for bar in bars), default=0) or 1)
    boxes: list[Box] = []
    for row, bar in enumerate(bars):
        top = row * _ROW
        axes.text(0, top + 15, _shortened(bar.label), va="baseline")
        axes.text(NARROW, top + 15, bar.number, va="baseline", ha="right", color=Ink.MUTED.value)
        boxes.append(Box(0, top + 21, NARROW, _BAR, Ink.TRACK))
        x = 0.0
        for length, ink in bar.parts:
            boxes.append(Box(x, top + 21, length * scale, _BAR, ink))
            x += length * scale
    fill_boxes(axes, boxes)
    return to_svg(figure, name)


def draw_trend(facts: SectionFacts, name: str, *, is_wide: bool) -> str:
    """Draw the leads of each day, the mean of the last 7 days over them, and which days lack."""
    width, height = (WIDE, 280) if is_wide else (NARROW, 220)
    figure, axes = plot(width, height, left=34, bottom=26, right=8, top=20)
    heights, edges = _outline([day.leads for day in facts.days])
    axes.stairs(heights, edges, fill=True, color=Ink.SOFT.value)
    for first, end in _lacking(facts.past_days):
        axes.axvspan(first, end, facecolor=Ink.BAD.value, alpha=_LACKING_STRENGTH, linewidth=0)
    middles = [number + 0.5 for number in range(len(facts.days))]
    means = [nan if mean is None else mean for mean in facts.weekly_means]
    axes.plot(middles, means, color=Ink.ACCENT.value, linewidth=2.5 if is_wide else 2, solid_capstyle="round")
    axes.set_xlim(0, len(facts.days))
    axes.set_ylim(0, max(1.0, *(day.leads for day in facts.days)) * 1.05)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    _date_ticks(axes, facts.days[0].day, len(facts.days), most=12 if is_wide else 4)
    _mark_last_mean(axes, facts.weekly_means)
    return to_svg(figure, name)


def draw_hours(means: Sequence[Sequence[float]], name: str) -> str:
    """Draw weekdays by hours: the stronger the colour, the more leads."""
    left, head, row = 36, 20, 24
    figure, axes = canvas(NARROW, head + row * len(WEEKDAYS))
    cell = (NARROW - left) / 24
    most = max(max(hours) for hours in means) or 1
    for hour in range(0, 24, 3):
        axes.text(left + hour * cell, 12, f"{hour}:00", size=SMALL_TEXT_SIZE, color=Ink.MUTED.value)
    boxes: list[Box] = []
    for number, weekday in enumerate(WEEKDAYS):
        top = head + number * row
        axes.text(0, top + 16, weekday, color=Ink.MUTED.value)
        for hour, mean in enumerate(means[number]):
            ink, strength = (Ink.ACCENT, _FAINTEST + (1 - _FAINTEST) * mean / most) if mean else (Ink.TRACK, 1.0)
            boxes.append(Box(left + hour * cell, top, cell - 1.5, row - 2, ink, min(1.0, strength)))
    fill_boxes(axes, boxes)
    return to_svg(figure, name)


def draw_calendar(days: Sequence[Day], today: date, name: str) -> str:
    """Draw a square for each day, weeks side by side, in the colour of its state."""
    monday = days[0].day - timedelta(days=days[0].day.weekday())
    weeks = (days[-1].day - monday).days // 7 + 1
    left, head = 36, 20
    step = min(22.0, (NARROW - left) / weeks)
    figure, axes = canvas(NARROW, round(head + 7 * step))
    size = SMALL_TEXT_SIZE if step >= TEXT_SIZE else SMALL_TEXT_SIZE - 2
    for number in range(0, 7, 1 if step >= TEXT_SIZE else 2):
        axes.text(0, head + (number + 0.5) * step, WEEKDAYS[number], va="center", size=size, color=Ink.MUTED.value)
    labelled_until = 0.0
    boxes: list[Box] = []
    for day in days:
        x = left + (day.day - monday).days // 7 * step
        y = head + day.day.weekday() * step
        boxes.append(Box(x, y, step * 0.88, step * 0.88, STATE_INKS[state_shown(day, today)]))
        if (day.day.day == 1 or day is days[0]) and x >= labelled_until and x < NARROW - 24:
            axes.text(x, 12, MONTHS[day.day.month - 1], size=SMALL_TEXT_SIZE, color=Ink.MUTED.value)
            labelled_until = x + 30
    fill_boxes(axes, boxes)
    return to_svg(figure, name)


def state_shown(day: Day, today: date) -> str:
    """Return the day's state, but for a day that is not over, which can't be complete and lacks nothing."""
    return "today" if day.day >= today and not day.is_complete else day.state


def short_day(day: date) -> str:
    """Return a day as it stands on an axis, `3 Nov`."""
    return f"{day.day} {MONTHS[day.month - 1]}"


def _shortened(label: str) -> str:
    return label if len(label) <= _LONGEST_LABEL else f"{label[: _LONGEST_LABEL - 1].rstrip()}…"


def _outline(leads: Sequence[int]) -> tuple[list[float], list[float]]:
    """Return heights and edges of one line around all bars, with a gap between bars that are wide enough for one."""
    if len(leads) > _MOST_SINGLE_BARS:
        return [float(one) for one in leads], [float(edge) for edge in range(len(leads) + 1)]
    heights = [height for one in leads for height in (float(one), 0.0)]
    edges = [edge for number in range(len(leads)) for edge in (number + _GAP, number + 1 - _GAP)]
    return heights[:-1], edges


def _lacking(days: Sequence[Day]) -> list[tuple[int, int]]:
    """Return the ranges of days that are not complete, by their numbers, the end excluded."""
    ranges: list[tuple[int, int]] = []
    for number, day in enumerate(days):
        if day.is_complete:
            continue
        if ranges and ranges[-1][1] == number:
            ranges[-1] = (ranges[-1][0], number + 1)
        else:
            ranges.append((number, number + 1))
    return ranges


def _mark_last_mean(axes: Axes, means: Sequence[float | None]) -> None:
    known = [(number, mean) for number, mean in enumerate(means) if mean is not None]
    if known:
        number, mean = known[-1]
        axes.plot([number + 0.5], [mean], marker="o", markersize=7, color=Ink.ACCENT.value, clip_on=False)


def _date_ticks(axes: Axes, first: date, days: int, most: int) -> None:
    """Label single days, Mondays or first days of months: as many as there is room for."""
    all_days = [first + timedelta(days=number) for number in range(days)]
    rules: list[Callable[[date], bool]] = [
        lambda _: True,
        lambda day: (day - first).days % 2 == 0,
        lambda day: day.weekday() == 0,
        lambda day: day.weekday() == 0 and day.toordinal() // 7 % 2 == 0,
        lambda day: day.day == 1,
        lambda day: day.day == 1 and day.month % 3 == 1,
        lambda day: day.day == 1 and day.month == 1,
    ]
    chosen = next((ticks for rule in rules if len(ticks := [day for day in all_days if rule(day)]) <= most), [first])
    by_month = all(day.day == 1 for day in chosen) and days > _MONTH * 2
    axes.set_xticks(
        [(day - first).days + 0.5 for day in chosen],
        [MONTHS[day.month - 1] if by_month else short_day(day) for day in chosen],
    )
