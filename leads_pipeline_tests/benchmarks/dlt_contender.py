"""What dlt makes of the same answers: merged on the id into DuckDB, in its default and in its fastest setting.

    python dlt_contender.py default|arrow ANSWERS_FOLDER WORK_FOLDER

Imports nothing of the project, so that any Python that has `dlt[duckdb]` and pyarrow can run it by its path.
"""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

_FETCHED = "fetch_number"
_ID, _TIME = "UNIQUE_QUERY_ID", "QUERY_TIME"
_NEWEST_FIRST = {_FETCHED: {"dedup_sort": "desc"}}


def _answers(folder: Path) -> Iterator[list[dict[str, Any]]]:
    """Yield the records of each answer, with the number of the answer that they came in."""
    for number, path in enumerate(sorted(folder.glob("*.json"))):
        records = json.loads(path.read_text(encoding="utf-8"), strict=False)["RESPONSE"]
        for record in records:
            record[_TIME] = datetime.fromisoformat(record[_TIME])
            record[_FETCHED] = number
        yield records


def _tables(folder: Path) -> Iterator[Any]:
    """Yield each answer as an Arrow table of texts, with the time as a time."""
    import pyarrow as pa

    for records in _answers(folder):
        names = sorted({name for record in records for name in record})
        times, number = [record[_TIME] for record in records], records[0][_FETCHED]
        columns = {
            name: pa.array([None if (value := one.get(name)) is None else str(value) for one in records], pa.string())
            for name in names
        }
        columns[_TIME] = pa.array(times, pa.timestamp("us"))
        columns[_FETCHED] = pa.array([number] * len(records), pa.int64())
        yield pa.table(columns)


def main(arguments: Sequence[str]) -> int:
    """Load the answers with dlt in one of its settings."""
    setting, answers, work = arguments[0], Path(arguments[1]), Path(arguments[2])
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    os.environ["RUNTIME__LOG_LEVEL"] = "ERROR"
    import dlt
    import duckdb

    as_arrow = setting == "arrow"
    database = work / "leads.duckdb"
    pipeline = dlt.pipeline(
        "leads",
        pipelines_dir=str(work / "dlt"),
        destination=dlt.destinations.duckdb(str(database)),
        dataset_name="crm",
    )
    leads = dlt.resource(
        _tables(answers) if as_arrow else _answers(answers),
        name="leads",
        write_disposition="merge",
        primary_key=_ID,
        columns=_NEWEST_FIRST,
    )
    pipeline.run(leads, **({"loader_file_format": "parquet"} if as_arrow else {})).raise_on_failed_jobs()
    with duckdb.connect(str(database)) as connection:
        connection.execute("SET enable_progress_bar = false")
        connection.execute("CREATE VIEW leads AS SELECT *, query_time::DATE AS lead_date FROM crm.leads")
        connection.execute(
            f"COPY (FROM leads) TO '{work / 'days'}' (FORMAT parquet, PARTITION_BY (lead_date), COMPRESSION zstd)"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
