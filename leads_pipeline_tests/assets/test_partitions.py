from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest

from leads_pipeline.assets.partitions import lead_days, report_days, table_schema
from leads_pipeline.days import IST
from leads_pipeline.leads.schema import LEAD_COLUMNS

START = date(2026, 11, 1)
MIDNIGHT_IST = datetime(2026, 11, 4, 18, 30, tzinfo=UTC)  # 5 November in India


@pytest.mark.parametrize(
    ("moment", "today"),
    [
        (MIDNIGHT_IST - timedelta(seconds=1), "2026-11-04"),
        (MIDNIGHT_IST, "2026-11-05"),
        (datetime(2026, 11, 5, 0, 0, tzinfo=UTC), "2026-11-05"),
        (datetime(2026, 11, 5, 23, 59, 59, tzinfo=IST), "2026-11-05"),
    ],
)
def test_the_days_run_from_the_start_to_today_in_india(moment: datetime, today: str) -> None:
    days = lead_days(START)

    with dg.partition_loading_context(effective_dt=moment):
        last = days.get_last_partition_key()

    assert last == today
    assert days.get_partition_keys(current_time=moment)[0] == "2026-11-01"
    assert days.get_partition_keys(current_time=moment)[-1] == today


def test_a_partition_spans_the_day_as_the_clocks_in_india_show_it() -> None:
    window = lead_days(START).time_window_for_partition_key("2026-11-02")

    assert window.start.astimezone(UTC) == datetime(2026, 11, 1, 18, 30, tzinfo=UTC)
    assert window.end.astimezone(UTC) == datetime(2026, 11, 2, 18, 30, tzinfo=UTC)


def test_a_day_before_the_start_is_no_partition_and_is_not_reported() -> None:
    """Dagster would take a key that its definition does not know without a word."""
    days = lead_days(START)

    @dg.asset(partitions_def=days)
    def reporting(context: dg.AssetExecutionContext) -> None:
        report_days(context, {}, beyond=[START - timedelta(days=1), START, START + timedelta(days=2)])

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([reporting], instance=instance, partition_key="2026-11-02")
        reported = instance.get_materialized_partitions(reporting.key)

    assert result.success
    assert sorted(reported) == ["2026-11-01", "2026-11-02", "2026-11-03"]


def test_the_schema_in_the_ui_comments_every_column() -> None:
    columns = table_schema(LEAD_COLUMNS).columns

    assert [column.name for column in columns] == [column.name for column in LEAD_COLUMNS]
    assert all(column.description and column.type for column in columns)
