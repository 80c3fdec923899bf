import sqlite3
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path

import pytest

from leads_pipeline.days import ONE_DAY, days_between
from leads_pipeline.storage import told_days
from leads_pipeline.storage.catalog import AnswerTimes, times_about
from leads_pipeline.storage.coverage import DayState, coverage_of
from leads_pipeline_tests.storage.raw_responses import name_of, response_of, window_of
from leads_pipeline_tests.support import ist, make_settings, make_workspace

ACCOUNT = "indiamart"
WEEKS = [date(2025, 10, 1) + timedelta(weeks=week) for week in range(18)]
NOT_ASKED = {WEEKS[4], WEEKS[11]}
NOW = ist("2026-03-20 12:00:00")


def test_coverage_of_a_long_history_takes_the_answers_of_a_few_weeks_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = make_workspace(make_settings(tmp_path, "http://127.0.0.1:9/"))
    for first in WEEKS:
        window = window_of(first, first + 6 * ONE_DAY)
        name = name_of(window, sent_at=window.end + timedelta(hours=1))
        if first not in NOT_ASKED:
            workspace.catalog.add(response_of(name, server_date=None))
    days = days_between(WEEKS[0] - ONE_DAY, WEEKS[-1] + 7 * ONE_DAY)
    with workspace.catalog.opened() as connection:
        expected = coverage_of(days, times_about(connection, ACCOUNT, days), (), NOW)
    taken: list[int] = []

    def counted(connection: sqlite3.Connection, account: str, asked: Iterable[date]) -> list[AnswerTimes]:
        answers = times_about(connection, account, asked)
        taken.append(len(answers))
        return answers

    monkeypatch.setattr(told_days, "times_about", counted)
    coverage = workspace.coverage(ACCOUNT, reversed(days), NOW)

    assert coverage == expected
    assert {day.day for day in coverage if day.state is DayState.MISSING} > NOT_ASKED
    assert max(taken) <= 6, "those of 4 weeks, and those that reach into them"

    workspace.keep_coverage(ACCOUNT, days)
    taken.clear()
    assert workspace.coverage(ACCOUNT, days, NOW) == expected
    assert not taken, "what is kept needs no answer"
