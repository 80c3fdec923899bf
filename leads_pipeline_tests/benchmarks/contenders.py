"""The contenders of side_by_side.py but for dlt, each run in a process of its own.

    python -m leads_pipeline_tests.benchmarks.contenders NAME ANSWERS_FOLDER WORK_FOLDER

Each reads the answers, keeps of every lead the version that was fetched last, and leaves a Parquet file per day and a
DuckDB file with a table `leads` in the work folder. What only one of them needs is imported in its own function, so
that no contender pays for another.
"""

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from pathlib import Path

from leads_pipeline_tests.benchmarks.raw_answers import FETCHED_AFTER, AnswerFile

ACCOUNT = "indiamart"
_COLUMNS = (
    *("UNIQUE_QUERY_ID", "QUERY_TYPE", "QUERY_TIME", "SENDER_NAME", "SENDER_MOBILE", "SENDER_EMAIL", "SUBJECT"),
    *("SENDER_COMPANY", "SENDER_ADDRESS", "SENDER_CITY", "SENDER_STATE", "SENDER_PINCODE", "SENDER_COUNTRY_ISO"),
    *("SENDER_MOBILE_ALT", "SENDER_PHONE", "SENDER_PHONE_ALT", "SENDER_EMAIL_ALT", "QUERY_PRODUCT_NAME"),
    *("QUERY_MESSAGE", "QUERY_MCAT_NAME", "CALL_DURATION", "RECEIVER_MOBILE", "RECEIVER_CATALOG"),
)
_ID, _TIME = "UNIQUE_QUERY_ID", "QUERY_TIME"


def store_answers(data_root: Path, files: Iterable[AnswerFile]) -> None:
    """Store the answers as the program's pull would have; what the program's own path starts from."""
    from leads_pipeline.indiamart.outcomes import Outcome
    from leads_pipeline.indiamart.windows import Window
    from leads_pipeline.storage.raw import RawResponse, ResponseName, sha256_of
    from leads_pipeline_tests.support import make_settings, make_workspace

    workspace = make_workspace(make_settings(data_root, "http://127.0.0.1"))
    for file in files:
        body = file.path.read_bytes()
        at = file.end + FETCHED_AFTER
        name = ResponseName(ACCOUNT, "v2", Window(file.start, file.end), at)
        response = RawResponse(
            response_id=name.response_id,
            account=ACCOUNT,
            source_api="v2",
            origin="http://127.0.0.1",
            window_start=file.start,
            window_end=file.end,
            sent_at=at,
            received_at=at,
            server_date=None,
            latency_seconds=1.0,
            http_status=200,
            code=200,
            message="",
            total_records=file.records,
            records=file.records,
            outcome=Outcome.LEADS,
            sha256=sha256_of(body),
            body_bytes=len(body),
            run_id="benchmark",
            key_fingerprint="",
            key_masked=False,
        )
        workspace.raw.write_body(name, body)
        workspace.raw.write_sidecar(response)
        workspace.catalog.add(response)


def program(_: Path, work: Path) -> None:
    """Run the program's own stages over the raw responses that are stored in the work folder."""
    import threading
    import time

    from leads_pipeline.stages.merge_answers import merge_pending
    from leads_pipeline.stages.normalize_answers import normalize_pending
    from leads_pipeline.stages.publish_tables import publish_tables
    from leads_pipeline.storage.mirror import MIRROR_THREAD
    from leads_pipeline_tests.support import make_settings, make_workspace

    workspace = make_workspace(make_settings(work, "http://127.0.0.1"))
    days = [*_days_of(workspace.catalog.all_of(ACCOUNT))]
    parts: dict[str, Callable[[], object]] = {
        "normalize": lambda: normalize_pending(workspace, ACCOUNT, days, _quiet),
        "merge": lambda: merge_pending(workspace, ACCOUNT, days, _quiet),
        "publish": lambda: publish_tables(workspace, _quiet),
    }
    seconds: dict[str, float] = {}
    for name, part in parts.items():
        began = time.perf_counter()
        part()
        seconds[name] = round(time.perf_counter() - began, 3)
    began = time.perf_counter()
    for thread in threading.enumerate():
        if thread.name == MIRROR_THREAD:
            thread.join()
    seconds["mirror"] = round(time.perf_counter() - began, 3)
    print(json.dumps(seconds))


def _days_of(answers: Iterable[object]) -> list[date]:
    from leads_pipeline.days import days_between

    covered = sorted({day for answer in answers for day in answer.window.days})  # type: ignore[attr-defined]
    return list(days_between(covered[0], covered[-1]))


def _quiet(_: str) -> None:
    """Say nothing: the figures are what is wanted."""


def floor(answers: Path, work: Path) -> None:
    """Let DuckDB alone do the plain part: read, cast, keep the newest of each id, Parquet by day, a table.

    `read_text` with `from_json` takes a tenth of the time that `read_json` takes over documents of this kind.
    """
    import duckdb

    record = json.dumps(dict.fromkeys(_COLUMNS, "VARCHAR"))
    texts = ", ".join(f"nullif(trim(record.{name}), '') AS {name.lower()}" for name in _COLUMNS if name != _TIME)
    with duckdb.connect(str(work / "leads.duckdb")) as connection:
        connection.execute("SET enable_progress_bar = false")
        connection.execute(
            f"""
            CREATE TABLE leads AS
            WITH document AS (
              SELECT filename, unnest(from_json(content, '{{"RESPONSE": ["JSON"]}}').RESPONSE) AS record
              FROM read_text('{answers}/*.json')
            ), typed AS (SELECT filename, from_json(record, '{record}') AS record FROM document)
            SELECT {texts}, record.{_TIME}::TIMESTAMP AS query_time, query_time::DATE AS lead_date FROM typed
            QUALIFY row_number() OVER (PARTITION BY record.{_ID} ORDER BY filename DESC) = 1
            """  # noqa: S608 - the command's own folder
        )
        connection.execute(
            f"COPY leads TO '{work / 'days'}' (FORMAT parquet, PARTITION_BY (lead_date), COMPRESSION zstd)"
        )


def pandas_plain(answers: Path, work: Path) -> None:
    """Do the plain part with pandas, as most people write it."""
    import duckdb
    import pandas as pd

    frames = []
    for path in sorted(answers.glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"), strict=False)
        frames.append(pd.DataFrame(document["RESPONSE"]))
    leads = pd.concat(frames, ignore_index=True)
    leads[_TIME] = pd.to_datetime(leads[_TIME])
    texts = [name for name in _COLUMNS if name != _TIME]
    for name in texts:
        leads[name] = leads[name].astype("string").str.strip().replace("", pd.NA)
    leads = leads.drop_duplicates(_ID, keep="last")
    leads["lead_date"] = leads[_TIME].dt.date
    for day, of_day in leads.groupby("lead_date"):
        folder = work / "days" / f"lead_date={day}"
        folder.mkdir(parents=True)
        of_day.to_parquet(folder / "leads.parquet", index=False, compression="zstd")
    leads.columns = leads.columns.str.lower()
    with duckdb.connect(str(work / "leads.duckdb")) as connection:
        connection.register("frame", leads)
        connection.execute("CREATE TABLE leads AS SELECT * FROM frame")


CONTENDERS: dict[str, Callable[[Path, Path], None]] = {"program": program, "duckdb": floor, "pandas": pandas_plain}


def main(arguments: Sequence[str]) -> int:
    """Run one contender."""
    name, answers, work = arguments
    CONTENDERS[name](Path(answers), Path(work))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
