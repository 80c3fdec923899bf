"""The join of leads that are stored with leads that came in: one row per account and query_id.

Any order, repetition and batching of answers gives the same table. Which days a lead leaves or enters is the
storage's concern.
"""

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from leads_pipeline.leads.frames import to_frame, to_table
from leads_pipeline.leads.lateness import first_seen_after
from leads_pipeline.leads.schema import FIRST_SEEN_AFTER, LEADS_ARROW_SCHEMA, SOURCE_APIS

_LEAD_KEY = ("account", "query_id")
_SOURCE_RANK = "source_rank"
_PRECEDENCE = ("fetched_at", _SOURCE_RANK, "response_id", "response_position")


def merge_leads(stored: pd.DataFrame, incoming: pd.DataFrame) -> pd.DataFrame:
    """Return each lead of both frames once, sorted by query_time and query_id, with exactly the schema's types.

    The row with the highest (fetched_at, source rank v2 > push > v1, response_id, response_position) wins with
    all its columns; first_seen_at is the earliest and last_seen_at the latest of all rows, and how late the lead was
    first seen follows from that and the winner's query_time. Rows that are equal even in precedence are the same
    record normalised twice: there the incoming one wins, so that a replay under better cleaning rules takes effect.
    Both frames may hold any overlap and repetition.

    Raises ColumnsDoNotFit when a frame lacks a column of the schema or holds a value of another type.
    """
    rows = pa.concat_tables([to_table(frame, LEADS_ARROW_SCHEMA) for frame in (stored, incoming)])
    rank = pc.index_in(rows.column("source_api"), value_set=pa.array(SOURCE_APIS))
    rows = rows.append_column(_SOURCE_RANK, rank)
    # The sort is stable, so among equals the incoming row comes last.
    rows = rows.sort_by([(name, "ascending") for name in (*_LEAD_KEY, *_PRECEDENCE)])
    seen = rows.group_by(_LEAD_KEY).aggregate([("first_seen_at", "min"), ("last_seen_at", "max")])
    seen = seen.sort_by([(name, "ascending") for name in _LEAD_KEY])  # groups come in no order; winners in this one
    winners = rows.filter(_last_of_each_lead(rows)).drop_columns([_SOURCE_RANK])
    for name, of_all in (("first_seen_at", "first_seen_at_min"), ("last_seen_at", "last_seen_at_max")):
        place = winners.schema.get_field_index(name)
        winners = winners.set_column(place, LEADS_ARROW_SCHEMA.field(name), seen.column(of_all))
    lateness = first_seen_after(winners.column("first_seen_at"), winners.column("query_time"))
    place = winners.schema.get_field_index(FIRST_SEEN_AFTER)
    winners = winners.set_column(place, LEADS_ARROW_SCHEMA.field(FIRST_SEEN_AFTER), lateness)
    merged = winners.sort_by([(name, "ascending") for name in ("query_time", "query_id", "account")])
    return to_frame(merged.cast(LEADS_ARROW_SCHEMA))


def _last_of_each_lead(rows: pa.Table) -> pa.Array:
    """Return true where the next row, in a table sorted by lead, is another lead's."""
    if rows.num_rows == 0:
        return pa.array([], pa.bool_())
    columns = [rows.column(name).combine_chunks() for name in _LEAD_KEY]
    changes = [pc.not_equal(column.slice(1), column.slice(0, rows.num_rows - 1)) for column in columns]
    return pa.concat_arrays([pc.or_(*changes), pa.array([True])])
