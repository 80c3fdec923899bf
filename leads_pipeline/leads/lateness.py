"""How late a lead was first seen, as a column that follows from two others."""

import pyarrow as pa
import pyarrow.compute as pc

_SECONDS = pa.duration("s")


def first_seen_after(first_seen_at: pa.Array | pa.Scalar, query_time: pa.Array) -> pa.Array:
    """Return the seconds from query_time to first_seen_at (int64), without their fraction.

    Below zero where an answer held a lead before it was asked by IndiaMART's clock: then the two clocks differ.
    """
    return pc.subtract(first_seen_at, query_time).cast(_SECONDS, safe=False).cast(pa.int64())
