"""Between Arrow tables and Arrow-backed data frames, always with one of the schemas of schema.py."""

import pandas as pd
import pyarrow as pa


class ColumnsDoNotFit(ValueError):
    """A frame's columns or types are not those of its schema. The message holds no values."""


def to_frame(table: pa.Table) -> pd.DataFrame:
    """Return the table as a frame whose dtypes are exactly the table's Arrow types."""
    frame: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype)
    return frame


def to_table(frame: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    """Return the frame's columns, in the schema's order and types, without its index.

    Raises ColumnsDoNotFit when a column is missing or a value does not fit its type.
    """
    missing = [name for name in schema.names if name not in frame.columns]
    if missing:
        raise ColumnsDoNotFit(f"The frame lacks the columns {', '.join(missing)}.")
    try:
        return pa.Table.from_pandas(frame, schema=schema, preserve_index=False)
    except (pa.ArrowException, TypeError, ValueError):
        # Arrow's own message quotes buyers' values.
        raise ColumnsDoNotFit(f"A value among {len(frame)} rows does not fit its column's type.") from None
