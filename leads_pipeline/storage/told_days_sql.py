"""The SQL of what stored answers tell of each day, kept beside them in the catalogue.

A row that is there is right: whatever changes an answer drops the rows of its days in the same transaction, whoever
does it. Days are counted from 1970 as India's clock counts them. Imports tell nothing of days.
"""

from leads_pipeline.days import ONE_DAY
from leads_pipeline.storage.raw import IMPORT_MARK

_DAY = int(ONE_DAY.total_seconds())
_IST_AHEAD = 19_800


def _drops(event: str, row: str) -> str:
    return (
        f"CREATE TRIGGER IF NOT EXISTS told_day_{event} AFTER {event} ON response "  # noqa: S608 - constants
        f"WHEN instr({row}.response_id, '{IMPORT_MARK}') = 0 BEGIN "
        f"DELETE FROM told_day WHERE account = {row}.account AND day "
        f"BETWEEN CAST(({row}.window_start + {_IST_AHEAD}) / {_DAY} AS INTEGER) "
        f"AND CAST(({row}.window_end + {_IST_AHEAD}) / {_DAY} AS INTEGER); END;\n"
    )


TABLES = (
    "CREATE TABLE IF NOT EXISTS told_day (\n"
    "  account TEXT NOT NULL, day INTEGER NOT NULL, last_outcome TEXT, all_merged INTEGER NOT NULL,\n"
    "  proofs TEXT NOT NULL, asked_until REAL, first_complete_at REAL, PRIMARY KEY (account, day)\n"
    ");\n" + _drops("INSERT", "NEW") + _drops("UPDATE", "NEW") + _drops("DELETE", "OLD")
)

KNOWN = "SELECT day FROM told_day WHERE account = ? AND day BETWEEN ? AND ?"
READ = (
    "SELECT day, last_outcome, all_merged, proofs, asked_until, first_complete_at FROM told_day "
    "WHERE account = ? AND day BETWEEN ? AND ?"
)
KEEP = "INSERT OR REPLACE INTO told_day VALUES (?, ?, ?, ?, ?, ?, ?)"
