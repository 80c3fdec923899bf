"""Answers and records to normalise and merge, modelled on the contract; all people are made up."""

from datetime import UTC, datetime

import pandas as pd
import pyarrow as pa
from hypothesis import HealthCheck, settings

from leads_pipeline.leads.normalize import AnswerFacts, normalize_answer

WINDOW_START = datetime(2024, 5, 22, 18, 30, tzinfo=UTC)
FETCHED_AT = datetime(2024, 5, 24, 6, 0, tzinfo=UTC)

repeatable = settings(derandomize=True, deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))


def facts(
    response_id: str = "r1",
    *,
    account: str = "indiamart",
    source_api: str = "v2",
    fetched_at: datetime = FETCHED_AT,
) -> AnswerFacts:
    return AnswerFacts(account, source_api, response_id, WINDOW_START, fetched_at)


def record(**fields: object) -> dict[str, object]:
    """Return a record that is a lead, with the given fields."""
    return {"UNIQUE_QUERY_ID": "377413064", "QUERY_TYPE": "W", "QUERY_TIME": "2024-05-23 15:44:28", **fields}


def only_lead(**fields: object) -> dict[str, object]:
    """Return the only lead of an answer with one such record, NULL as None."""
    answer = normalize_answer([record(**fields)], facts())
    assert len(answer.leads) == 1
    return rows_of(answer.leads)[0]


def rows_of(frame: pd.DataFrame) -> list[dict[str, object]]:
    """Return the frame's rows as plain Python values, NULL as None."""
    rows: list[dict[str, object]] = pa.Table.from_pandas(frame, preserve_index=False).to_pylist()
    return rows


def types_of(frame: pd.DataFrame) -> dict[str, pa.DataType]:
    """Return the Arrow type of each column of an Arrow-backed frame, in order."""
    return {str(name): dtype.pyarrow_dtype for name, dtype in frame.dtypes.items()}
