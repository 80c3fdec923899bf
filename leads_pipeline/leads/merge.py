"""The join of leads that are stored with leads that came in: one row per account and query_id.

Any order, repetition and batching of answers gives the same table. Which days a lead leaves or enters is the
storage's concern.
"""

from collections.abc import Sequence

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from leads_pipeline.leads.frames import to_frame, to_table
from leads_pipeline.leads.lateness import first_seen_after
from leads_pipeline.leads.schema import FIRST_SEEN_AFTER, LEADS_ARROW_SCHEMA, SOURCE_APIS
from leads_pipeline.leads.versions import join_versions, spread_versions

_LEAD_KEY = ("account", "query_id")
_SOURCE_RANK = "source_rank"
_CONTENT = ("source_api", "content_hash")
_PRECEDENCE = ("fetched_at", _SOURCE_RANK, "response_id", "response_position")


def merge_leads(stored: pd.DataFrame, incoming: pd.DataFrame) -> pd.DataFrame:
    """Return each lead of both frames once, sorted by query_time and query_id, with exactly the schema's types.

    The row with the highest (fetched_at, source rank v2 > push > v1, response_id, response_position) wins with
    all its columns; first_seen_at is the earliest and last_seen_at the latest of all rows, and how late the lead was
    first seen follows from that and the winner's query_time. A lead that has had several contents keeps them all in
    `versions`; where v1 wins with a blank, the value that v2 or push gave stands. Rows that are equal even in
    precedence are the same record normalised twice: there the incoming one wins, so that a replay under better
    cleaning rules takes effect. Both frames may hold any overlap and repetition.

    Raises ColumnsDoNotFit when a frame lacks a column of the schema or holds a value of another type.
    """
    rows = pa.concat_tables([spread_versions(to_table(frame, LEADS_ARROW_SCHEMA)) for frame in (stored, incoming)])
    has_others = _has_others(rows)
    joined = _joined(rows.filter(has_others))
    leads = pa.concat_tables([rows, joined])
    is_result = pa.chunked_array([*pc.invert(has_others).chunks, pa.repeat(True, joined.num_rows)])
    leads = rows_in_order(leads, is_result, ("query_time", "query_id", "account"))
    lateness = first_seen_after(leads.column("first_seen_at"), leads.column("query_time"))
    return to_frame(_with_column(leads, FIRST_SEEN_AFTER, lateness))


def rows_in_order(rows: pa.Table, is_kept: pa.ChunkedArray, names: Sequence[str]) -> pa.Table:
    """Return the rows that are kept, sorted by these columns; whole rows are copied only once, into their order."""
    places = pc.indices_nonzero(is_kept)
    keys = rows.select(names).take(places)
    order = pc.sort_indices(keys, sort_keys=[(name, "ascending") for name in names])
    return rows.take(places.take(order))


def _has_others(rows: pa.Table) -> pa.ChunkedArray:
    """Return false in the rows that are a lead's only one: nothing is to be joined there."""
    ids = rows.column("query_id")
    counted = pc.value_counts(ids)
    repeated = counted.field("values").filter(pc.greater(counted.field("counts"), 1))
    return pc.is_in(ids, value_set=repeated)


def _joined(rows: pa.Table) -> pa.Table:
    """Return each lead of the rows, which are spread, once and in no order; how late it was seen is left out."""
    rank = pc.index_in(rows.column("source_api"), value_set=pa.array(SOURCE_APIS))
    rows = rows.append_column(_SOURCE_RANK, rank)
    # The sort is stable, so among equals the incoming row comes last.
    rows = rows.sort_by([(name, "ascending") for name in (*_LEAD_KEY, *_PRECEDENCE)]).drop_columns([_SOURCE_RANK])
    has_several = _has_several_contents(rows)
    leads = _winners(rows.filter(pc.invert(has_several)))
    if not pc.any(has_several, min_count=0).as_py():
        return leads
    return pa.concat_tables([leads, join_versions(rows.filter(has_several))])


def _winners(rows: pa.Table) -> pa.Table:
    """Return the last row of each lead, with all the times at which the lead was seen; the rows are sorted."""
    seen = rows.group_by(_LEAD_KEY).aggregate([("first_seen_at", "min"), ("last_seen_at", "max")])
    seen = seen.sort_by([(name, "ascending") for name in _LEAD_KEY])  # groups come in no order; winners in this one
    is_first = pc.invert(_continues(rows, _LEAD_KEY))
    is_last = pa.concat_arrays([is_first, pa.array([True])]).slice(1, rows.num_rows)
    winners = rows.filter(is_last)
    winners = _with_column(winners, "first_seen_at", seen.column("first_seen_at_min"))
    return _with_column(winners, "last_seen_at", seen.column("last_seen_at_max")).cast(LEADS_ARROW_SCHEMA)


def _has_several_contents(rows: pa.Table) -> pa.Array:
    """Return true in every row of a lead whose rows, which are sorted by lead, differ in content or API."""
    continues = _continues(rows, _LEAD_KEY)
    lead = pc.cumulative_sum(pc.invert(continues).cast(pa.int64()))
    changes = pc.and_(continues, pc.invert(_continues(rows, _CONTENT)))
    return pc.is_in(lead, value_set=pc.unique(lead.filter(changes)))


def _continues(rows: pa.Table, names: tuple[str, ...]) -> pa.Array:
    """Return true where the row before has the same values in these columns; false in the first row."""
    if rows.num_rows == 0:
        return pa.array([], pa.bool_())
    columns = [rows.column(name).combine_chunks() for name in names]
    same = [pc.equal(column.slice(1), column.slice(0, rows.num_rows - 1)) for column in columns]
    return pa.concat_arrays([pa.array([False]), pc.and_(*same)])


def _with_column(table: pa.Table, name: str, values: pa.ChunkedArray) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), LEADS_ARROW_SCHEMA.field(name), values)
