"""Numbers and picture of days: right, small enough for the UI to show at once, and silent about buyers."""

from collections import Counter
from datetime import date, timedelta
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest

from leads_pipeline.assets.day_facts import DayTypes, day_numbers, picture, picture_svg, types_in
from leads_pipeline.days import ONE_DAY, day_end, utc_now
from leads_pipeline.storage.coverage import DayCoverage, DayState
from leads_pipeline_tests.assets.installations import WEEK, PulledWeek, materializations

FIRST = date(2026, 11, 7)
SHOWN_AT_ONCE = 1000


def days(*counts: dict[str, int] | None) -> list[DayTypes]:
    return [DayTypes(FIRST + number * ONE_DAY, count) for number, count in enumerate(counts)]


def paths_of(svg: str) -> dict[str, str]:
    root = ElementTree.fromstring(svg)  # noqa: S314 - our own text
    return {path.attrib["fill"]: path.attrib["d"] for path in root if "fill" in path.attrib}


def test_bars_stand_on_each_other_and_the_highest_fills_the_picture() -> None:
    paths = paths_of(picture_svg(days({"W": 10, "P": 10}, {"W": 5}, {})))

    assert paths == {"green": "M0 0v-40h1v30h1v10h1V0", "blue": "M0 0v-20h1v10h1v10h1V0"}


def test_the_legend_counts_types_and_days_that_lack() -> None:
    text = picture(days({"W": 3, "other": 1}, None, {"W": 4})).value or ""

    assert text.endswith("2026-11-07 to 2026-11-09; W 7 (blue), other 1 (gray); at most 4 a day; 1 day(s) lack")
    assert unquote(text).count("<path fill") == 2


@pytest.mark.parametrize("highest", [1, 37, 9_999])
def test_two_weeks_of_all_types_are_shown_at_once(highest: int) -> None:
    kinds = ("W", "B", "P", "WA", "BIZ", "other")
    busy = days(*({kind: highest + place * number for place, kind in enumerate(kinds)} for number in range(14)))

    text = picture(busy).value or ""

    assert len(text) < SHOWN_AT_ONCE
    assert f"{busy[0].day} to {busy[-1].day}; " in text
    assert len(paths_of(picture_svg(busy))) == len(kinds)


def test_no_leads_at_all_are_a_picture_too() -> None:
    assert "no leads; at most 0 a day" in (picture(days({}, {})).value or "")


def test_each_day_has_its_numbers_and_the_picture_and_the_last_one_the_lineage(week: PulledWeek) -> None:
    by_day = materializations(week.result, "leads")
    truth = week.server.truth(WEEK[0], WEEK[-1])

    for day in WEEK:
        own = [lead for lead in truth if lead.query_time.date() == day]
        kinds = Counter(lead.query_type for lead in own)
        numbers = by_day[str(day)]
        assert numbers["leads"] == len(own)
        for kind in ("W", "P", "B", "WA", "BIZ"):
            assert numbers[f"leads_{kind}"] == kinds[kind]
        assert f"{WEEK[-1]}; " in numbers["leads_per_day"]
    assert [day for day, numbers in by_day.items() if "dagster/column_lineage" in numbers] == [str(WEEK[-1])]
    lineage = by_day[str(WEEK[-1])]["dagster/column_lineage"].deps_by_column
    assert [(dep.asset_key.path, dep.column_name) for dep in lineage["query_id"]] == [
        (["acme", "normalized_leads"], "query_id")
    ]


def test_leads_first_seen_after_the_day_was_complete_are_late(week: PulledWeek) -> None:
    files, day = week.installation.workspace.lead_files("acme"), WEEK[0]
    rows = files.counts([day])[day]

    def covered(first_complete_ago: timedelta) -> DayCoverage:
        at = utc_now() - first_complete_ago
        return DayCoverage(day, DayState.COMPLETE, True, True, day_end(day), (), first_complete_at=at)

    late, in_time = (day_numbers(files, covered(timedelta(days=ago))) for ago in (3, -1))
    assert (late["late_leads"], late["late_percent"]) == (rows, 100.0)
    assert (in_time["late_leads"], in_time["late_percent"]) == (0, 0.0)
    assert sum(types_in(files.read([day])).values()) == rows
