"""Who of the leads' senders are one buyer: table `buyers`, and `buyer_id` and `is_repeat` of each lead.

Leads of one account that share a mobile or an e-mail address, first or second, are of one buyer; so are leads that
others join in between. Landlines join nobody, for an office shares them, and neither does what people type to pass
a form (buyers_sql.py). A lead without any mobile or address that tells has no buyer: it could be anybody's.

All of it follows from the leads that stand in the tables, whatever order they came in. A buyer's id follows from the
lead that was first seen, so that a late lead of an older enquiry renames nobody. Since all days count, no Parquet
file holds it; the store works it out anew for the buyers that a refresh touches, and only for those.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from leads_pipeline.leads.schema import LEADS_ARROW_SCHEMA, arrow_schema
from leads_pipeline.storage import buyers_sql as sql
from leads_pipeline.storage.connected import smallest_connected
from leads_pipeline.storage.growing_buyers import GrowingBuyers
from leads_pipeline.storage.tables import LEAD_BUYER_COLUMNS, LEADS

_DECISIVE = (
    *("query_id", "query_type", "query_time", "first_seen_at"),
    *("sender_name", "sender_company", "sender_city", "sender_state", "sender_country_iso"),
    *("sender_mobile", "sender_mobile_alt", "sender_email", "sender_email_alt"),
)
"""The columns of a lead on which its buyer, or what is told of the buyer, depends."""

_MOST_HELD = 100_000
"""Leads kept in memory until their buyers are settled. Updating rows of the same transaction costs far more."""

_STATE_SCHEMA = arrow_schema(LEAD_BUYER_COLUMNS)
_OPEN_STATE = [pa.scalar(sql.OPEN, pa.string()), pa.scalar(None, pa.bool_())]
_KNOWN_SCHEMA = pa.schema([*(LEADS_ARROW_SCHEMA.field(name) for name in _DECISIVE), *_STATE_SCHEMA])


@dataclass
class BuyerUpkeep:
    """Keeps buyers in step with the leads during one refresh of the store, inside its transaction.

    Before rows of a day are deleted, `day_leaves`; before rows of a day are inserted, `day_enters`; after all days of
    an account, `settle`. Many new days at once are inserted while `settled` holds.
    """

    connection: duckdb.DuckDBPyConnection
    _left: dict[date, pa.Table] = field(default_factory=dict)
    _gone: list[pa.Table] = field(default_factory=list)
    _held: list[pa.Table] = field(default_factory=list)
    _are_open: bool = False

    def day_leaves(self, day: date, leaving: str) -> None:
        """Remember what some of the day's leads say of buyers; `leaving` is SQL that tells which are to be deleted."""
        columns = ", ".join(_KNOWN_SCHEMA.names)
        statement = f"SELECT {columns} FROM leads WHERE {leaving}"  # noqa: S608 - constants
        self._left[day] = self.connection.sql(statement).to_arrow_table().cast(_KNOWN_SCHEMA)

    def day_enters(self, day: date, rows: pa.Table) -> pa.Table:
        """Return those of the day's rows that are to be inserted now, with buyer_id and is_repeat.

        Leads that are new or changed are kept until their buyer is settled, which inserts them; when they are very
        many, they are returned with an open buyer.
        """
        before = self._left.pop(day, None)
        if before is None or not before.num_rows:
            return self._hold(rows)
        place = pc.index_in(rows["query_id"].combine_chunks(), value_set=before["query_id"].combine_chunks())
        known = before.take(place)
        is_same = pc.is_valid(place)
        for name in _DECISIVE:
            is_same = pc.and_(is_same, _equal(known[name], rows[name]))
        is_gone = np.ones(before.num_rows, dtype=bool)
        is_gone[place.filter(is_same).to_numpy()] = False
        self._gone.append(before.filter(is_gone))
        known = known.select(_STATE_SCHEMA.names).filter(is_same)
        same = _with_state(rows.filter(is_same), known["buyer_id"], known["is_repeat"])
        return pa.concat_tables([same, self._hold(rows.filter(pc.invert(is_same)))])

    @property
    def are_open(self) -> bool:
        """Tell whether leads were inserted whose buyers are open until they are settled."""
        return self._are_open

    @contextmanager
    def settled(self, account: str, coming: str) -> Iterator[None]:
        """Settle buyers for leads of days that have no rows; the account's other leads are settled already.

        `coming` is SQL that gives the leads in the columns of leads, and more, with a `place` below zero. Meanwhile
        `settled` has for each place the `buyer_id` and `is_repeat` with which the caller inserts the lead.
        """
        self.connection.register("gone", _KNOWN_SCHEMA.empty_table())
        self._run(sql.held_in(coming))
        self._settle(account, is_met=False)
        self._run(sql.DROP_HELD)
        self.connection.unregister("gone")
        yield
        self._run(sql.DROP_SETTLED)

    def settle(self, account: str) -> None:
        """Settle the buyers of the account's leads that are new, changed or gone, and of whom they share with."""
        gone = pa.concat_tables([_KNOWN_SCHEMA.empty_table(), *self._gone, *self._left.values()])
        held = pa.concat_tables([LEADS.schema.empty_table(), *self._held])
        held = held.append_column("place", pa.array(range(-held.num_rows, 0), pa.int64()))
        self.connection.register("gone", gone)
        is_met = bool(held.num_rows) and not self._are_open
        if is_met:
            self.connection.register("held", held)
            left = GrowingBuyers(self.connection).add(account, held.num_rows)
            held = held.filter(pc.is_in(held["place"], value_set=left))
        if self._are_open or gone.num_rows or held.num_rows:
            self.connection.register("held", held)
            self._settle(account, is_met=is_met)
            self._run(sql.ADD_HELD)
            self._run(sql.DROP_SETTLED)
        elif is_met:
            self._run(sql.DROP_MET)
        self.connection.unregister("gone")
        self.connection.unregister("held")
        self._left, self._gone, self._held, self._are_open = {}, [], [], False

    def _hold(self, rows: pa.Table) -> pa.Table:
        """Keep the rows for later, and return none; or return them all, open, where too many are kept already."""
        rows = _with_state(rows, *(pa.repeat(value, rows.num_rows) for value in _OPEN_STATE))
        if sum(held.num_rows for held in self._held) + rows.num_rows > _MOST_HELD:
            self._are_open = True
            return rows
        self._held.append(rows.select(LEADS.schema.names).cast(LEADS.schema))
        return rows.slice(0, 0)

    def _settle(self, account: str, *, is_met: bool) -> None:
        """Settle all but the leads that are held, for which it leaves `settled`."""
        self._run(sql.MAKE_FRESH, account)
        if not is_met:
            self._run(sql.MAKE_MET, account)
        self._run(sql.MAKE_TOUCHED)
        self._run(sql.MAKE_RECALLED, account)
        self._run(sql.MAKE_SCOPE)
        self._run(sql.MAKE_LEAD_KEY)
        self._run(sql.MAKE_FIRST_LEAD)
        self.connection.register("joined", self._joined())
        self._run(sql.MAKE_SETTLED, account)
        self.connection.unregister("joined")
        self._run(sql.MAKE_STANDING)
        self._run(sql.MAKE_OUTDATED)
        if self.connection.sql(sql.ANY_OUTDATED).fetchall():
            self._run(sql.CLEAR_IDENTIFIERS, account)
        self._run(sql.ADD_IDENTIFIERS, account)
        self._run(sql.DROP_SCOPE)
        self._run(sql.MAKE_ASKED, account)
        self._run(sql.MAKE_SAID)
        self._run(sql.CLEAR_BUYERS)
        self._run(sql.ADD_BUYERS, account)
        self._run(sql.SET_BUYERS)
        self._run(sql.DROP_ASKED)

    def _joined(self) -> pa.Table:
        """Return for each lead in scope the lead of the same buyer that was seen first, and whether it is a repeat."""
        enquiry = self._numbers(sql.ENQUIRIES)["enquiry"]
        shared = self._numbers(sql.SHARED)
        first_lead = smallest_connected(enquiry.size, shared["one"], shared["other"])
        first_enquiry = np.full(enquiry.size, np.iinfo(np.int64).max)
        np.minimum.at(first_enquiry, first_lead, enquiry)
        is_repeat = enquiry != first_enquiry[first_lead]
        return pa.table({"lead": np.arange(enquiry.size), "first_lead": first_lead, "is_repeat": is_repeat})

    def _numbers(self, statement: str) -> dict[str, npt.NDArray[np.int64]]:
        return {name: values.astype(np.int64) for name, values in self.connection.sql(statement).fetchnumpy().items()}

    def _run(self, statement: str, *values: str) -> None:
        self.connection.execute(statement, values).fetchall()


def _with_state(rows: pa.Table, *columns: pa.Array) -> pa.Table:
    for column, values in zip(_STATE_SCHEMA, columns, strict=True):
        rows = rows.append_column(column, values)
    return rows


def _equal(one: pa.ChunkedArray, other: pa.ChunkedArray) -> pa.Array:
    """Return where the values are equal; NULL equals NULL."""
    left, right = one.combine_chunks(), other.combine_chunks()
    return pc.or_(pc.fill_null(pc.equal(left, right), False), pc.and_(pc.is_null(left), pc.is_null(right)))
