"""Asking the fake server, the way the tests of this folder do."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import requests

from leads_pipeline.days import IST
from leads_pipeline.fake_indiamart.server import FakeIndiaMart
from leads_pipeline.fake_indiamart.truth import FIELDS, TrueLead

KEY = "test/Key+with=signs=="
NOW = datetime(2026, 6, 15, 14, 30, tzinfo=IST)
WEEK = ("01-06-2026 00:00:00", "08-06-2026 00:00:00")
Content = tuple[tuple[str | None, ...], tuple[tuple[str, str], ...]]


class SettableClock:
    """A wall clock and a monotonic clock that stand still until a test moves them."""

    def __init__(self, moment: datetime = NOW) -> None:
        self.moment = moment.astimezone(UTC)
        self.seconds = 1000.0

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.seconds


def ask(
    server: FakeIndiaMart, start: str = WEEK[0], end: str = WEEK[1], key: str = KEY, timeout: float = 10
) -> requests.Response:
    parameters = {"glusr_crm_key": key, "start_time": start, "end_time": end}
    return requests.get(server.url, params=parameters, timeout=timeout, allow_redirects=False)


def code_of(response: requests.Response) -> int:
    return int(response.json(strict=False)["CODE"])


def content_of_record(record: Mapping[str, Any]) -> Content:
    """Fold the blank forms of a record, so that two writings of one lead compare equal."""
    known = tuple(None if record.get(name) in {"", "0", 0, None} else str(record[name]) for name in FIELDS)
    return known, tuple(sorted((name, value) for name, value in record.items() if name not in FIELDS))


def contents(records: Iterable[Mapping[str, Any]]) -> list[Content]:
    return sorted((content_of_record(record) for record in records), key=str)


def true_contents(leads: Iterable[TrueLead]) -> list[Content]:
    return sorted(((tuple(lead.fields.values()), tuple(sorted(lead.extra.items()))) for lead in leads), key=str)
