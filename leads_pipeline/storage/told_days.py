"""What stored answers tell of days, kept in the catalogue: a long history is not gone through again for each question.

Kept rows and computed ones are the same; the catalogue drops a row when an answer about its day is entered, merged or
forgotten (`told_days_sql`), and whoever publishes keeps anew what lacks. Asking writes nothing.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from datetime import date
from itertools import groupby

from leads_pipeline.sqlite_files import immediate
from leads_pipeline.storage import told_days_sql as sql
from leads_pipeline.storage.catalog import Catalog, times_about
from leads_pipeline.storage.coverage import ToldDay, day_number, told_days

_DAYS_AT_ONCE = 28
"""The answers of so many days are in memory at once, however long the history is."""


def told_of(catalog: Catalog, account: str, days: Iterable[date], source_api: str | None = None) -> list[ToldDay]:
    """Return what the account's answers, or those of one version of the API alone, tell of each day, in order."""
    wanted = sorted(set(days))
    if not wanted:
        return []
    with catalog.opened() as connection:
        found = {} if source_api else _kept(connection, account, wanted)
        for near in _in_parts([day for day in wanted if day not in found]):
            times = times_about(connection, account, near)
            told = told_days(near, [one for one in times if source_api in (None, one.source_api)])
            found |= {one.day: one for one in told}
    return [found[day] for day in wanted]


def keep_told(catalog: Catalog, account: str, days: Iterable[date]) -> None:
    """Keep what the account's answers tell of those of the days that it is not kept of."""
    wanted = sorted(set(days))
    if not wanted:
        return
    with catalog.opened() as connection:
        known = {row[0] for row in connection.execute(sql.KNOWN, (account, *_ends(wanted)))}
        for near in _in_parts([day for day in wanted if day_number(day) not in known]):
            with immediate(connection):  # no answer can be entered between what is read and what is kept of it
                rows = told_days(near, times_about(connection, account, near))
                connection.executemany(sql.KEEP, [_row(account, told) for told in rows])


def _kept(connection: sqlite3.Connection, account: str, wanted: Sequence[date]) -> dict[date, ToldDay]:
    days = {day_number(day): day for day in wanted}
    return {
        days[number]: ToldDay(days[number], last, bool(merged), tuple(proofs.split("\n") if proofs else ()), *moments)
        for number, last, merged, proofs, *moments in connection.execute(sql.READ, (account, *_ends(wanted)))
        if number in days
    }


def _row(account: str, told: ToldDay) -> tuple[object, ...]:
    proofs = "\n".join(told.proofs)
    moments = told.asked_until, told.first_complete_at
    return account, day_number(told.day), told.last_outcome, told.all_merged, proofs, *moments


def _ends(days: Sequence[date]) -> tuple[int, int]:
    return day_number(days[0]), day_number(days[-1])


def _in_parts(days: Sequence[date]) -> Iterable[list[date]]:
    return (list(near) for _, near in groupby(days, key=lambda day: day.toordinal() // _DAYS_AT_ONCE))
