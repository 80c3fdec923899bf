from datetime import datetime, timedelta

import pytest

from leads_pipeline.days import IST
from leads_pipeline.fake_indiamart.rules import Refusal, Window, read_time, read_window, window_refusal
from leads_pipeline_tests.fake_indiamart.asking import NOW


@pytest.mark.parametrize(
    ("text", "moment", "whole_day"),
    [
        ("25-01-2026 16:30:05", datetime(2026, 1, 25, 16, 30, 5, tzinfo=IST), False),
        ("25-Jan-202616:30:05", datetime(2026, 1, 25, 16, 30, 5, tzinfo=IST), False),
        ("25-JAN-2026", datetime(2026, 1, 25, tzinfo=IST), True),
        ("25-dec-2026", datetime(2026, 12, 25, tzinfo=IST), True),
        ("25-01-2026", datetime(2026, 1, 25, tzinfo=IST), True),
        ("25-01-2026 00:00:00", datetime(2026, 1, 25, tzinfo=IST), False),
    ],
)
def test_the_four_forms_are_read_as_indian_time(text: str, moment: datetime, whole_day: bool) -> None:
    written = read_time(text)

    assert written is not None
    assert (written.moment, written.whole_day) == (moment, whole_day)
    assert written.moment.utcoffset() == timedelta(hours=5, minutes=30)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-01-25",
        "2026-01-25 16:30:05",
        "25/01/2026",
        "25-01-2026T16:30:05",
        "25-01-202616:30:05",
        "25-Jan-2026 16:30:05",
        "25-01-2026 16:30",
        "25-01-2026  16:30:05",
        " 25-01-2026",
        "25-01-2026 ",
        "25-1-2026",
        "25-01-26",
        "32-01-2026",
        "29-02-2025",
        "25-13-2026",
        "25-Foo-2026",
        "25-01-2026 24:00:00",
        "25-01-2026 16:60:00",
        "31-12-9999",
        "01-01-0001",
        "२५-01-2026",
        "yesterday",
    ],
)
def test_nothing_else_is_read(text: str) -> None:
    assert read_time(text) is None


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"start_time": "25-01-2026"},
        {"end_time": "25-01-2026"},
        {"start_time": "x", "end_time": "25-01-2026"},
    ],
)
def test_a_window_needs_both_times(parameters: dict[str, str]) -> None:
    assert read_window(parameters, inclusive_end=False) is None


@pytest.mark.parametrize("inclusive_end", [False, True])
def test_a_date_alone_as_the_end_means_the_end_of_that_day(inclusive_end: bool) -> None:
    window = read_window({"start_time": "25-01-2026", "end_time": "25-01-2026"}, inclusive_end=inclusive_end)

    assert window is not None
    assert window.start == datetime(2026, 1, 25, tzinfo=IST)
    assert window.end_exclusive == datetime(2026, 1, 26, tzinfo=IST)


def test_an_end_with_a_time_includes_its_second_only_where_the_server_says_so() -> None:
    parameters = {"start_time": "25-01-2026", "end_time": "25-01-2026 10:00:00"}
    end = datetime(2026, 1, 25, 10, tzinfo=IST)
    exclusive = read_window(parameters, inclusive_end=False)
    inclusive = read_window(parameters, inclusive_end=True)

    assert exclusive is not None
    assert inclusive is not None
    assert exclusive.end_exclusive == end
    assert inclusive.end_exclusive == end + timedelta(seconds=1)


SECOND = timedelta(seconds=1)
WEEK = timedelta(days=7)


@pytest.mark.parametrize(
    ("start", "length", "refusal"),
    [
        (NOW - WEEK, WEEK, None),
        (NOW - WEEK, WEEK + SECOND, Refusal.TOO_WIDE),
        (NOW, timedelta(), None),
        (NOW, -SECOND, Refusal.UNREADABLE_TIMES),
        (NOW - timedelta(days=365), WEEK, None),
        (NOW - timedelta(days=365) - SECOND, WEEK, Refusal.TOO_OLD),
        (NOW - timedelta(days=1), timedelta(days=3), None),
        (NOW - timedelta(days=500), timedelta(days=200), Refusal.TOO_WIDE),
    ],
)
def test_windows_are_refused_from_the_very_second_on(
    start: datetime, length: timedelta, refusal: Refusal | None
) -> None:
    assert window_refusal(Window(start, start + length), NOW) is refusal
