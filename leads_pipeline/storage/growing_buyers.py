"""The usual case of settling buyers, cheaply: new leads that only add to one buyer, later than all of their leads.

Such leads change nothing that was said of other leads, so the leads that stand need not be read: what the new ones
tell is added to the row of their buyer. All others are left to buyers.py, which gives the same from all leads.
"""

from dataclasses import dataclass

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from leads_pipeline.storage import buyers_sql
from leads_pipeline.storage import growing_buyers_sql as sql
from leads_pipeline.storage.arrow_queries import ask
from leads_pipeline.storage.connected import smallest_connected

_Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class GrowingBuyers:
    """Adds leads to buyers in one settling; the caller has registered `gone` and `held`."""

    connection: duckdb.DuckDBPyConnection

    def add(self, account: str, leads: int) -> pa.Array:
        """Insert those of so many held leads that only add to one buyer; return the places of the others."""
        for statement in (sql.MAKE_ARRIVED, sql.MAKE_ARRIVED_KEY):
            self._run(statement)
        self._run(sql.MAKE_MET, account)
        self._run(sql.MAKE_MET_BUYER)
        grows, number = self._growing(leads)
        places = np.arange(-leads, 0)
        if grows.any():
            grown = pa.table({"place": places[grows], "number": number[grows]})
            ask(self.connection, sql.MAKE_SETTLED, grown)
            for statement in (
                *(sql.MAKE_ASKED, buyers_sql.MAKE_SAID, sql.MAKE_GROWN, sql.CLEAR_GROWN, sql.ADD_GROWN),
                *(buyers_sql.ADD_HELD, sql.ADD_IDENTIFIERS, sql.DROP_SETTLED),
            ):
                self._run(statement)
        self._run(sql.DROP_TEMPORARY)
        return pa.array(places[~grows])

    def _growing(self, leads: int) -> tuple[npt.NDArray[np.bool_], _Numbers]:
        """Return of each lead whether it only adds to one buyer, and the number of that buyer."""
        arrived, met = self._numbers(sql.ARRIVALS), self._numbers(sql.MET)
        shared, meetings = self._numbers(sql.SHARED_KEYS), self._numbers(sql.MEETINGS)
        buyers = met["last_query_time"].size
        one = np.concatenate([shared["one"], meetings["one"]]) + leads
        other = np.concatenate([shared["other"] + leads, meetings["other"] + leads])
        root = smallest_connected(leads + buyers, one, other)
        of_leads, of_buyers = root[:leads], root[leads:]
        only_buyer = np.zeros(leads, np.int64)
        only_buyer[of_buyers] = np.arange(buyers)
        grows = np.bincount(of_buyers, minlength=leads) == 1
        for came, stood in (("query_time", "last_query_time"), ("first_seen_at", "first_seen_at")):
            earliest = np.full(leads, np.iinfo(np.int64).max)
            np.minimum.at(earliest, of_leads, arrived[came])
            grows[grows] = earliest[grows] > met[stood][only_buyer[grows]]
        grows[grows] = met["loses"][only_buyer[grows]] == 0
        return grows[of_leads], only_buyer[of_leads]

    def _numbers(self, statement: str) -> dict[str, _Numbers]:
        return {name: values.astype(np.int64) for name, values in self.connection.sql(statement).fetchnumpy().items()}

    def _run(self, statement: str, *values: str) -> None:
        self.connection.execute(statement, values).fetchall()
