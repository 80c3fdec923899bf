"""How many leads came late, and by how much: what people choose the lookback of their schedule by.

A lead is late if no answer held it up to the first one that proved its whole day (`coverage.first_complete_at`): who
asks for each day only once never sees it. Leads that an import gave are left out. Read from the published database;
DuckDB is imported here, and only if there is one, so that `leads status` answers at once without it.
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

LATE_DAYS = 90
"""How many of the last days count: habits of IndiaMART older than that say little."""

_SQL = """
WITH seen AS (
  SELECT account, epoch(first_seen_at - first_complete_at) / 3600 AS hours
  FROM leads JOIN coverage USING (account, lead_date)
  WHERE lead_date >= ? AND first_complete_at IS NOT NULL AND NOT contains(response_id, '.import-')
)
SELECT
  account,
  count(*),
  count(*) FILTER (hours > 0),
  quantile_cont(hours, 0.5) FILTER (hours > 0),
  quantile_cont(hours, 0.9) FILTER (hours > 0),
  max(hours) FILTER (hours > 0)
FROM seen GROUP BY account
"""


@dataclass(frozen=True)
class LateLeads:
    """One account's leads of the days since then that were asked for completely, and those of them that came late."""

    since: date
    leads: int
    late: int
    median_hours: float | None
    """Half of the late ones came within so many hours of the day's first complete answer; None if none was late."""
    most_hours: float | None
    """Nine of ten came within so many hours."""
    max_hours: float | None
    """All came within so many hours."""

    @property
    def share(self) -> float:
        """Return the share of the leads that came late, from 0 to 1."""
        return self.late / self.leads


def late_leads(database: Path, since: date) -> dict[str, LateLeads]:
    """Return the late leads of each account that has leads on such days; nothing if no database can be read."""
    if not database.exists():
        return {}
    import duckdb

    from leads_pipeline.storage.errors import StorageError
    from leads_pipeline.storage.published_reader import open_published

    try:
        with open_published(database) as connection:
            rows = connection.execute(_SQL, [since]).fetchall()
    except (StorageError, duckdb.Error):  # of another version of this program: `leads doctor` says so
        return {}
    return {str(row[0]): LateLeads(since, *row[1:]) for row in rows}
