"""What one more pull costs in a store that holds a year of leads: merge, Parquet and publish, by the size of the store.

    python -m leads_pipeline_tests.benchmarks.large_store --leads 1000000 10000000 --rounds 5

For each size a year of day files is made, then pulls of 2,000 leads come in: most of them new ones of today, half of
known buyers, some that the pull before brought too, and a few that come back with another time, of another day. Each
pull goes the program's own way: raw answer, normalised, merged, Parquet, published. Prints for each size the seconds of
each part (median of the rounds), the peak memory of the process, and the published file's size after the first and the
last round; in the end the ratio between the largest and the smallest size. `mirror` is what goes on in the background
once all is published; rounds wait for it, as calls are minutes apart.
"""

import argparse
import itertools
import json
import resource
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from statistics import median

import pyarrow as pa
import pyarrow.compute as pc

from leads_pipeline.days import ONE_DAY, day_of, day_start, days_between, utc_now
from leads_pipeline.fake_indiamart.truth import MOST_LEADS_PER_DAY, TruthOptions, leads_of_day
from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline.indiamart.windows import Window
from leads_pipeline.leads.frames import to_table
from leads_pipeline.leads.normalize import AnswerFacts, normalize_answer
from leads_pipeline.leads.schema import LEADS_ARROW_SCHEMA
from leads_pipeline.stages.merge_answers import merge_pending
from leads_pipeline.stages.normalize_answers import normalize_pending
from leads_pipeline.stages.publish_tables import publish_tables
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.storage.mirror import MIRROR_THREAD
from leads_pipeline.storage.parquet import LeadFiles
from leads_pipeline.storage.raw import RawResponse, ResponseName, sha256_of
from leads_pipeline_tests.support import KEY, make_settings, make_workspace

ACCOUNT = "indiamart"
DAYS = 365
PULL, SEEN_BEFORE, MOVING = 2_000, 200, 10
COMES_BACK_AFTER = 30  # days
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Round:
    """Seconds of one pull's parts, and the published file's bytes.

    `mirror` is what goes on in the background when all is published, until the next pull can be as quick.
    """

    normalize: float
    merge: float
    publish: float
    mirror: float
    bytes: int

    @property
    def judged(self) -> float:
        """Return the seconds of merge, Parquet and publish together."""
        return self.merge + self.publish


def template_records(count: int) -> list[dict[str, object]]:
    """Return so many records, as IndiaMART gives them, with different ids and buyers."""
    options = TruthOptions(leads_per_day=MOST_LEADS_PER_DAY)
    records: list[dict[str, object]] = []
    for seed in itertools.count(1):
        for lead in leads_of_day(seed, KEY, day_of(utc_now()) - 3 * ONE_DAY, options):
            records.append({name: value or "" for name, value in lead.fields.items()})
            records[-1]["UNIQUE_QUERY_ID"] = f"{len(records):06}"
            if len(records) == count:
                return records
    raise AssertionError("seeds never end")


def write_year(files: LeadFiles, days: Sequence[date], leads: int) -> None:
    """Write day files with so many leads in all; half of each day's buyers ask every 30 days, half only once."""
    per_day = leads // len(days)
    records = template_records(per_day)
    facts = AnswerFacts(ACCOUNT, "v2", "made", day_start(days[0]), utc_now())
    template = to_table(normalize_answer(records, facts).leads, LEADS_ARROW_SCHEMA)
    origin = template["lead_date"][0].as_py()
    for number, day in enumerate(days):
        files.stage(day, _moved(template, day - origin, number))
        files.commit(day)


def _moved(template: pa.Table, by: timedelta, number: int) -> pa.Table:
    rows = template.num_rows
    buyers = pa.array([_buyer(number, place, rows) for place in range(rows)])
    nobody = pa.nulls(rows, pa.string())
    replaced = {
        "query_id": pc.binary_join_element_wise(f"{number:03}", template["query_id"], ""),
        "query_time": pc.add(template["query_time"], pa.scalar(by)),
        "query_time_ist": pc.add(template["query_time_ist"], pa.scalar(by)),
        "lead_date": pc.cast(pc.add(pc.cast(template["lead_date"], pa.timestamp("s")), pa.scalar(by)), pa.date32()),
        "sender_mobile": pc.binary_join_element_wise("+91", buyers, ""),
        "sender_email": pc.if_else(
            pc.is_valid(template["sender_email"]), pc.binary_join_element_wise(buyers, "@buyer.example", ""), None
        ),
        "sender_mobile_alt": nobody,
        "sender_email_alt": nobody,
    }
    for name, values in replaced.items():
        field = LEADS_ARROW_SCHEMA.field(name)
        template = template.set_column(template.schema.get_field_index(name), field, values.cast(field.type))
    return template


def _buyer(number: int, place: int, rows: int) -> str:
    """Return the mobile of a day's buyer: the first half of them come back every so many days."""
    if place < rows // 2:
        return f"98{number % COMES_BACK_AFTER * rows + place:08}"
    return f"97{number * rows + place:08}"


def pull_of(
    files: LeadFiles, days: Sequence[date], number: int, templates: Sequence[dict[str, object]]
) -> list[dict[str, object]]:
    """Return the records of one pull: new leads, some that the pull before it brought too, some that moved."""
    per_day = files.counts(days[:1])[days[0]]
    new = [_new_record(days[-1], number, place, per_day, templates) for place in range(PULL - SEEN_BEFORE)]
    again = [_new_record(days[-1], number - 1, place, per_day, templates) for place in range(SEEN_BEFORE - MOVING)]
    known = files.read_columns(days[-2], ("query_id", "query_time_ist", "sender_mobile"))
    moved = [
        {
            **templates[place],
            **_sender(row["sender_mobile"].removeprefix("+91")),
            "UNIQUE_QUERY_ID": row["query_id"],
            "QUERY_TIME": f"{row['query_time_ist'] + ONE_DAY:%F %T}",
        }
        for place, row in enumerate(known.slice(number * MOVING, MOVING).to_pylist())
    ]
    return [*new, *again, *moved]


def _new_record(
    day: date, number: int, place: int, per_day: int, templates: Sequence[dict[str, object]]
) -> dict[str, object]:
    """Return a lead of the day that the pull of that number was the first to bring; every other buyer is known."""
    buyer = _buyer(number, place % per_day, per_day) if place % 2 else f"96{(number + 1) * PULL + place:08}"
    minute = (number * 37 + place) % (24 * 60)
    return {
        **templates[place],
        "UNIQUE_QUERY_ID": f"9{number + 1:04}{place:06}",
        "QUERY_TIME": f"{datetime.combine(day, datetime.min.time()) + minute * _MINUTE:%F %T}",
        **_sender(buyer),
    }


def _sender(mobile: str) -> dict[str, str]:
    """Return the fields that tell who asked, of somebody with this mobile."""
    return {
        "SENDER_MOBILE": f"+91-{mobile}",
        "SENDER_EMAIL": f"{mobile}@buyer.example",
        "SENDER_MOBILE_ALT": "",
        "SENDER_EMAIL_ALT": "",
    }


def store_answer(workspace: Workspace, window: Window, records: list[dict[str, object]]) -> None:
    """Store the records as an answer that just came."""
    body = json.dumps(
        {"CODE": 200, "STATUS": "SUCCESS", "MESSAGE": "", "TOTAL_RECORDS": len(records), "RESPONSE": records}
    ).encode()
    now = utc_now()
    name = ResponseName(ACCOUNT, "v2", window, now)
    workspace.catalog.announce(name.response_id)
    workspace.raw.write_body(name, body)
    response = RawResponse(
        response_id=name.response_id,
        account=ACCOUNT,
        source_api="v2",
        origin="http://127.0.0.1",
        window_start=window.start,
        window_end=window.end,
        sent_at=now,
        received_at=now,
        server_date=None,
        latency_seconds=1.0,
        http_status=200,
        code=200,
        message="",
        total_records=len(records),
        records=len(records),
        outcome=Outcome.LEADS,
        sha256=sha256_of(body),
        body_bytes=len(body),
        run_id="benchmark",
        key_fingerprint="",
        key_masked=False,
    )
    workspace.raw.write_sidecar(response)
    workspace.catalog.add(response)


def pull_once(workspace: Workspace, days: Sequence[date], records: list[dict[str, object]]) -> Round:
    """Take one pull into the tables."""
    store_answer(workspace, Window(day_start(days[-2]), day_start(days[-1] + ONE_DAY)), records)
    moments = [time.perf_counter()]
    for part in (
        lambda: normalize_pending(workspace, ACCOUNT, days[-2:], _quiet),
        lambda: merge_pending(workspace, ACCOUNT, days[-2:], _quiet),
        lambda: publish_tables(workspace, _quiet),
    ):
        part()
        moments.append(time.perf_counter())
    for thread in threading.enumerate():
        if thread.name == MIRROR_THREAD:
            thread.join()
    moments.append(time.perf_counter())
    parts = [later - earlier for earlier, later in pairwise(moments)]
    return Round(*parts, bytes=workspace.settings.database.stat().st_size)


def _quiet(_: str) -> None:
    """Say nothing: the figures are what is wanted."""


def measure(folder: Path, leads: int, rounds: int) -> list[Round]:
    """Make a store of so many leads, take pulls into it, and print what they cost."""
    workspace = make_workspace(make_settings(folder, "http://127.0.0.1"))
    today = day_of(utc_now())
    days = list(days_between(today - (DAYS - 1) * ONE_DAY, today))
    files = workspace.lead_files(ACCOUNT)
    began = time.perf_counter()
    write_year(files, days, leads)
    written = time.perf_counter()
    publish_tables(workspace, _quiet)
    print(f"{leads} leads: files made in {written - began:.0f} s, tables made in {time.perf_counter() - written:.0f} s")
    templates = template_records(PULL)
    pull_once(workspace, days, pull_of(files, days, 0, templates))  # warms up
    done = [pull_once(workspace, days, pull_of(files, days, 1 + number, templates)) for number in range(rounds)]
    parts = ", ".join(
        f"{name} {median(getattr(one, name) for one in done):.2f} s"
        for name in ("normalize", "merge", "publish", "mirror")
    )
    print(f"{leads} leads: {parts}; merge, Parquet and publish {median(one.judged for one in done):.2f} s")
    print(f"{leads} leads: published file {done[0].bytes >> 20} MiB at first, {done[-1].bytes >> 20} MiB in the end")
    print(f"{leads} leads: peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MiB", flush=True)
    return done


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="large_store", description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--leads", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=None, help="where the stores are made, and removed again")
    options = parser.parse_args(arguments)
    seconds = {}
    for leads in sorted(options.leads):
        folder = Path(tempfile.mkdtemp(prefix="leads-large-", dir=options.folder))
        try:
            seconds[leads] = median(one.judged for one in measure(folder, leads, options.rounds))
        finally:
            shutil.rmtree(folder)
    if len(seconds) > 1:
        print(f"the largest store takes {seconds[max(seconds)] / seconds[min(seconds)]:.2f} times the smallest's time")
    return 0


if __name__ == "__main__":
    sys.exit(main())
