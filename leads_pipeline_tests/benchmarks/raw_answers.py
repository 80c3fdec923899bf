"""A year of invented answers as files of JSON: what the contenders of side_by_side.py read, the same for all of them.

Each file is one answer of the v2 API for a window of 7 days. Windows overlap by a twentieth of their length, so about
5 % of the records stand in two files; a few of those changed in between. Files are named in the order in which they
were fetched. Everything depends on the number of leads and the seed alone.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count, islice
from pathlib import Path

from leads_pipeline.days import IST, ONE_DAY
from leads_pipeline.fake_indiamart.answers import leads_answer
from leads_pipeline.fake_indiamart.draws import Draws
from leads_pipeline.fake_indiamart.truth import MOST_LEADS_PER_DAY, TruthOptions, leads_of_day
from leads_pipeline_tests.support import KEY

FIRST_MOMENT = datetime(2025, 6, 1, tzinfo=IST)
SPAN = 364 * ONE_DAY
WINDOW = 7 * ONE_DAY
STEP = WINDOW * 0.95
FETCHED_AFTER = timedelta(hours=1)
"""How long after its window's end each answer was received."""

_MOST_TEMPLATES = 20_000
CHANGED_COMPANY = "Filled In Later & Sons"
_CHANGED_SHARE = 0.02  # of the records that come a second time
_REMARKS = (
    "We are a registered firm and buy every month, so please quote your best price with GST, freight and packing. ",
    "Payment is 30 % in advance and the rest against delivery; share test certificates, drawings and past customers. ",
    "कृपया न्यूनतम ऑर्डर मात्रा, डिलीवरी का समय और भुगतान की शर्तें बताएं। ",
    "Sample needed first. Call between 10 AM and 6 PM, or send the catalogue and the price list on WhatsApp. ",
)


@dataclass(frozen=True)
class AnswerFile:
    """One answer on disk."""

    path: Path
    start: datetime
    end: datetime
    records: int


@dataclass(frozen=True)
class MadeAnswers:
    """All answers, oldest first, how many leads there are in them, and how many of those changed later."""

    files: tuple[AnswerFile, ...]
    leads: int
    changed: int
    """Leads whose newest record has the company CHANGED_COMPANY."""

    @property
    def records(self) -> int:
        """Return how many records the answers hold, those that come twice included."""
        return sum(file.records for file in self.files)

    @property
    def bytes(self) -> int:
        """Return the size of all answers."""
        return sum(file.path.stat().st_size for file in self.files)


def make_answers(folder: Path, leads: int, seed: int = 1) -> MadeAnswers:
    """Write the answers that hold so many leads into the folder."""
    draws = Draws("raw answers", leads, seed)
    templates = _templates(min(leads, _MOST_TEMPLATES), seed)
    records = _records(templates, leads, draws)
    before: list[tuple[datetime, dict[str, object]]] = []
    files: list[AnswerFile] = []
    changed: set[object] = set()
    upcoming = next(records, None)
    for number in count():
        start = FIRST_MOMENT + number * STEP
        if upcoming is None and start + WINDOW - STEP >= FIRST_MOMENT + SPAN:
            break
        inside = [(moment, _seen_again(record, draws)) for moment, record in before if moment >= start]
        changed |= {
            record["UNIQUE_QUERY_ID"] for _, record in inside if record.get("SENDER_COMPANY") == CHANGED_COMPANY
        }
        while upcoming is not None and upcoming[0] < start + WINDOW:
            inside.append(upcoming)
            upcoming = next(records, None)
        path = folder / f"{number:03}.json"
        path.write_bytes(_body([record for _, record in inside], as_php=number % 2 == 0))
        files.append(AnswerFile(path, start, start + WINDOW, len(inside)))
        before = inside
    return MadeAnswers(tuple(files), leads, len(changed))


def _templates(how_many: int, seed: int) -> list[dict[str, object]]:
    """Return so many records as the fake API gives them, blanks and placeholders in all their forms."""
    options = TruthOptions(leads_per_day=min(MOST_LEADS_PER_DAY, 2 * how_many + 10))
    draws = Draws("templates", seed)
    records = (record for day in count() for record in _records_of_day(seed, day, options, draws))
    return list(islice(records, how_many))


def _records_of_day(seed: int, day: int, options: TruthOptions, draws: Draws) -> Iterator[dict[str, object]]:
    envelope = leads_answer(leads_of_day(seed, KEY, (FIRST_MOMENT + day * ONE_DAY).date(), options), draws).envelope
    rows = (envelope or {}).get("RESPONSE")
    for record in rows if isinstance(rows, list) else ():
        message = record.get("QUERY_MESSAGE")
        if message and "<br>" in message:
            record["QUERY_MESSAGE"] = "".join((*(draws.pick(_REMARKS) for _ in range(3)), message))
        yield record


def _records(
    templates: list[dict[str, object]], leads: int, draws: Draws
) -> Iterator[tuple[datetime, dict[str, object]]]:
    """Yield so many records with ids and buyers of their own, in the order of their times."""
    for number in range(leads):
        moment = FIRST_MOMENT + (SPAN * number) // leads
        record = dict(templates[draws.below(len(templates))])
        record["UNIQUE_QUERY_ID"] = f"{3_000_000_000 + number}"
        record["QUERY_TIME"] = f"{moment:%Y-%m-%d %H:%M:%S}"
        buyer = draws.below(leads)
        if str(record.get("SENDER_MOBILE") or "").startswith("+91-"):
            record["SENDER_MOBILE"] = f"+91-9{buyer:09}"
        if record.get("SENDER_EMAIL"):
            record["SENDER_EMAIL"] = f"buyer.{buyer}@{str(record['SENDER_EMAIL']).rpartition('@')[2]}"
        yield moment, record


def _seen_again(record: dict[str, object], draws: Draws) -> dict[str, object]:
    return {**record, "SENDER_COMPANY": CHANGED_COMPANY} if draws.chance(_CHANGED_SHARE) else record


def _body(records: list[dict[str, object]], *, as_php: bool) -> bytes:
    """Return the answer; every other one is escaped as PHP does."""
    envelope = {"CODE": 200, "STATUS": "SUCCESS", "MESSAGE": "", "TOTAL_RECORDS": len(records), "RESPONSE": records}
    text = json.dumps(envelope, ensure_ascii=as_php, separators=(",", ":"))
    return (text.replace("/", "\\/") if as_php else text).encode()
