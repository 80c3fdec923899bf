"""Deliveries under fire: every fault of a CRM's contract at random, and a worker that is killed again and again.

    python -m leads_pipeline_tests.benchmarks.deliveries --crm leadsquared --leads 10000 --seed 1

A worker delivers the leads to the fake CRM through one outbox. In the meantime some leads change. In the end two
rounds without faults follow, and then each lead must be in the CRM once, with its newest content (of a buyer who
asked several times, that of the newest enquiry), or be held or parked for a reason; receipts must agree with the
fake's own records, row by row, and no call may have come beyond the limits.

Exits with 1 and names every violation.
"""

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, timedelta
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from leads_pipeline.days import day_start
from leads_pipeline.delivery.delivery_log import DeliveryLog
from leads_pipeline.delivery.mapping import LeadMapping
from leads_pipeline.delivery.outbox import Outbox
from leads_pipeline.delivery.outbox_rows import Delivery, DeliveryState
from leads_pipeline.leads.schema import LEADS_ARROW_SCHEMA
from leads_pipeline.storage.merge_journal import DayReplacement
from leads_pipeline.storage.parquet import LeadFiles
from leads_pipeline_tests.benchmarks.delivery_worker import ACCOUNT, FIRST_DAY, DeliverySetup, deliver

DAYS = 7
REPEAT_SHARE = 0.1
NO_EMAIL_SHARE = 0.2
CHANGED_SHARE = 0.1
TIMEOUT_SECONDS = 1.0
SLOW_SECONDS = 1.5
CALLS = (100, 1.0)
HOUR = 3600.0
MOST_ROUNDS = 400


class FakeCrm(Protocol):
    """What the fakes of both CRMs have in common."""

    @property
    def records(self) -> Mapping[str, Any]:
        """Return its records by id."""

    @property
    def limit_violations(self) -> int:
        """Return how many calls came beyond the limits."""

    def clear_faults(self) -> None:
        """Let nothing go wrong from now on."""


@dataclass(frozen=True)
class Stage:
    """One fake with what the delivery is told of it."""

    fake: Any
    address: str
    key_id: str
    secret_key: str
    rows_per_call: int


@dataclass
class Outcome:
    """What was found in the end."""

    violations: list[str] = field(default_factory=list)
    states: Counter[DeliveryState] = field(default_factory=Counter)
    kills: int = 0
    rounds: int = 0
    calls: int = 0


class Leads:
    """The leads, some of them of the same buyers, and their changes."""

    def __init__(self, count: int, seed: int) -> None:
        self._random = random.Random(seed)
        self.rows: dict[str, dict[str, Any]] = {}
        for number in range(count):
            repeats = number and self._random.random() < REPEAT_SHARE
            buyer = self._random.randrange(number) if repeats else number
            self.rows[f"{number:07}"] = self._row(number, buyer)

    def _row(self, number: int, buyer: int) -> dict[str, Any]:
        day = FIRST_DAY + timedelta(days=number % DAYS)
        asked = day_start(day) + timedelta(seconds=number // DAYS)
        email = None if (buyer * 7919) % 100 < NO_EMAIL_SHARE * 100 else f"buyer{buyer}@mail.example"
        return {
            "account": ACCOUNT,
            "query_id": f"{number:07}",
            "query_type": "W",
            "query_time": asked.astimezone(UTC),
            "query_time_ist": asked.replace(tzinfo=None),
            "lead_date": day,
            "sender_name": f"Buyer {buyer}",
            "sender_mobile": f"+91{9_000_000_000 + buyer}",
            "sender_email": email,
            "sender_city": f"City {number}",
            "sender_country_iso": "IN",
            "subject": f"Requirement {number}",
            "query_product_name": "Pumps",
            "query_message": "Please quote",
            "source_api": "v2",
            "first_seen_at": asked.astimezone(UTC),
            "last_seen_at": asked.astimezone(UTC),
            "first_seen_after_seconds": 0,
            "fetched_at": asked.astimezone(UTC),
            "response_id": f"{ACCOUNT}.v2.a",
            "response_position": number,
            "content_hash": "first",
        }

    def change_some(self) -> set[date]:
        """Give some leads another city and message; return their days."""
        changed = self._random.sample(sorted(self.rows), max(1, int(len(self.rows) * CHANGED_SHARE)))
        for query_id in changed:
            row = self.rows[query_id]
            row.update(
                sender_city=f"{row['sender_city']} new",
                query_message="Please quote soon",
                content_hash=f"{row['content_hash']} again",
            )
        return {self.rows[query_id]["lead_date"] for query_id in changed}

    def write(self, data_dir: Path, days: set[date] | None = None) -> None:
        """Write the day files as a merge does."""
        wanted = days or {FIRST_DAY + timedelta(days=number) for number in range(DAYS)}
        tables = {
            day: pa.Table.from_pylist(
                [row for row in self.rows.values() if row["lead_date"] == day], schema=LEADS_ARROW_SCHEMA
            )
            for day in wanted
        }
        replacement = DayReplacement(LeadFiles(data_dir, ACCOUNT))
        replacement.replace(tables, {"merged": []})
        replacement.clear()


def run(stage: Stage, crm: Any, folder: Path, options: argparse.Namespace) -> Outcome:
    """Deliver under fire, then without it, and compare."""
    leads, chance = Leads(options.leads, options.seed), random.Random(options.seed + 1)
    setup = DeliverySetup(
        str(folder), crm, stage.address, stage.key_id, stage.secret_key, CALLS, stage.rows_per_call, TIMEOUT_SECONDS
    )
    leads.write(folder / "data")
    outcome, ahead = Outcome(), 0.0
    outbox = Outbox(folder / "data" / "state")
    while outcome.rounds < MOST_ROUNDS and (outcome.kills < options.kills or _is_waiting(outbox, leads)):
        outcome.rounds += 1
        ahead += 7 * HOUR
        wait = chance.uniform(0.6, 3.0) if outcome.kills < options.kills else None
        outcome.kills += _work(replace(setup, ahead_seconds=ahead), wait)
        if outcome.rounds in (2, options.kills // 2):
            leads.write(folder / "data", leads.change_some())
    stage.fake.clear_faults()
    for _ in range(2):
        ahead += 7 * HOUR
        deliver(replace(setup, ahead_seconds=ahead))
    _compare(outcome, stage, setup, leads, outbox)
    outcome.calls = len(DeliveryLog(folder / "data" / "state").calls_after(0))
    return outcome


def _work(setup: DeliverySetup, kill_after: float | None) -> bool:
    """Let a worker deliver; tell whether it was killed."""
    program = [sys.executable, "-m", "leads_pipeline_tests.benchmarks.delivery_worker", setup.to_json()]
    with subprocess.Popen(program, stdout=subprocess.DEVNULL) as worker:
        try:
            if worker.wait(kill_after):
                raise RuntimeError(f"the worker failed with {worker.returncode}")
        except subprocess.TimeoutExpired:
            worker.kill()
            return True
    return False


def _is_waiting(outbox: Outbox, leads: Leads) -> bool:
    counts = outbox.counts() if outbox.exists else {}
    settled = sum(
        count for (_, _, state), count in counts.items() if state not in (DeliveryState.FAILED, DeliveryState.UNSURE)
    )
    return settled < len(leads.rows)


def _compare(outcome: Outcome, stage: Stage, setup: DeliverySetup, leads: Leads, outbox: Outbox) -> None:
    destination = setup.destination
    rows = outbox.of_leads(ACCOUNT, destination.name, leads.rows)
    outcome.states.update(row.state for row in rows.values())
    say = outcome.violations.append
    for lacking in sorted(leads.rows.keys() - rows.keys()):
        say(f"{lacking} has no row in the outbox")
    records = stage.fake.records
    mapping = LeadMapping(destination.fields, destination.phone_form, destination.lead_source)
    wanted = {query_id: mapping.values(row) for query_id, row in leads.rows.items()}
    for query_id, row in rows.items():
        for problem in _of_row(row, records):
            say(f"{query_id}: {problem}")
    for record_id, newest in _newest_by_record(rows).items():
        standing = records[record_id].fields if record_id in records else {}
        wrong = [name for name, text in wanted[newest].items() if standing.get(name) != text]
        if wrong:
            say(f"record {record_id} has not the content of {newest}: {', '.join(wrong)}")
    for twice in _doubled(records, setup.crm):
        say(f"{twice} stands in the CRM more than once")
    nobodys = records.keys() - {row.remote_id for row in rows.values()}
    if nobodys:
        say(f"{len(nobodys)} record(s) that no receipt names")
    if stage.fake.limit_violations:
        say(f"{stage.fake.limit_violations} call(s) beyond the limits")


def _of_row(row: Delivery, records: Mapping[str, Any]) -> Iterator[str]:
    if row.state.is_done and row.remote_id not in records:
        yield f"{row.state.value}, and the CRM has no record {row.remote_id}"
    if not row.state.is_done and row.state not in (DeliveryState.HELD, DeliveryState.PARKED):
        yield f"still {row.state.value}: {row.last_error}"
    if not row.state.is_done and not row.last_error:
        yield f"{row.state.value} without a reason"


def _newest_by_record(rows: Mapping[str, Delivery]) -> dict[str, str]:
    """Return the newest enquiry of each record whose enquiries have all arrived."""
    newest: dict[str, Delivery] = {}
    spoilt = {row.remote_id for row in rows.values() if not row.state.is_done}
    for row in rows.values():
        record = row.remote_id or ""
        if row.state.is_done and record not in spoilt:
            known = newest.get(record)
            if known is None or (row.query_time, row.query_id) > (known.query_time, known.query_id):
                newest[record] = row
    return {record: row.query_id for record, row in newest.items()}


def _doubled(records: Mapping[str, Any], crm: str) -> list[str]:
    names = ("Phone", "EmailAddress") if crm == "leadsquared" else ("emailAddress",)
    counts = Counter(
        (name, record.fields[name].lower()) for record in records.values() for name in names if record.fields.get(name)
    )
    return [f"{name} of a record" for (name, _), count in counts.items() if count > 1]


def _sharpspring(options: argparse.Namespace) -> Stage:
    from leads_pipeline.fake_crms.sharpspring.faults import FaultName
    from leads_pipeline.fake_crms.sharpspring.server import FakeSharpSpring

    fake = FakeSharpSpring(calls_per_second=CALLS[0] + 1)
    fake.random_faults(options.seed, options.faults, tuple(FaultName), seconds=SLOW_SECONDS)
    return Stage(fake, "", fake.account_id, fake.secret_key, options.rows_per_call or 250)


def _leadsquared(options: argparse.Namespace) -> Stage:
    from leads_pipeline.fake_crms.leadsquared.faults import FaultName
    from leads_pipeline.fake_crms.leadsquared.server import FakeLeadSquared
    from leads_pipeline.fake_crms.leadsquared.service import Limit

    limit = Limit(CALLS[0] + 1, CALLS[1])
    fake = FakeLeadSquared(call_limit=limit, bulk_limit=limit)
    fake.random_faults(options.seed, options.faults, tuple(FaultName), seconds=SLOW_SECONDS)
    return Stage(fake, "", fake.access_key, fake.secret_key, 25)


FAKES: dict[str, Callable[[argparse.Namespace], Stage]] = {"leadsquared": _leadsquared, "sharpspring": _sharpspring}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--crm", choices=sorted(FAKES), default="leadsquared")
    parser.add_argument("--leads", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--faults", type=float, default=0.15, help="share of calls that meet a fault")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--rows-per-call", type=int, default=0)
    options = parser.parse_args(arguments)
    stage, began = FAKES[options.crm](options), time.monotonic()
    with tempfile.TemporaryDirectory() as folder, stage.fake:
        outcome = run(replace(stage, address=stage.fake.url), options.crm, Path(folder), options)
    states = ", ".join(f"{count} {state.value}" for state, count in sorted(outcome.states.items()))
    print(
        f"{options.leads} leads to {options.crm}: {states}; {len(stage.fake.records)} records, {outcome.calls} calls "
        f"logged, {outcome.rounds} rounds, {outcome.kills} kills, {time.monotonic() - began:.0f} s"
    )
    for violation in outcome.violations[:20]:
        print(f"violation: {violation}")
    if len(outcome.violations) > 20:
        print(f"and {len(outcome.violations) - 20} more violations")
    print("failed" if outcome.violations else "passed")
    return bool(outcome.violations)


if __name__ == "__main__":
    sys.exit(main())
