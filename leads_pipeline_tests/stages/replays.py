"""An installation with a history: answers that overlap, repeat, move, change, come late, are empty or quarantined."""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from leads_pipeline.days import day_end, day_start
from leads_pipeline.indiamart.windows import Window
from leads_pipeline.leads import normalize, received
from leads_pipeline.settings import Settings
from leads_pipeline.stages.merge_answers import merge_pending
from leads_pipeline.stages.normalize_answers import normalize_pending
from leads_pipeline.stages.publish_tables import publish_tables
from leads_pipeline.stages.replay import Replayed, ReplayRequest, replay
from leads_pipeline.stages.replay_compare import RowDifference
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline_tests.end_to_end.runs import quiet
from leads_pipeline_tests.stages.stored_answers import store_leads, store_records
from leads_pipeline_tests.storage.children import ONE_THREAD
from leads_pipeline_tests.support import complete_days, make_settings

ACCOUNT = "acme"
DAYS = complete_days(8, ago=3)
EMPTY_DAYS = complete_days(2, ago=11)
SECRET = "Asha of the tests"
"""A buyer's value, which no text may hold."""

_HOUR = timedelta(hours=1)


def record(query_id: str, at: datetime, **fields: object) -> dict[str, object]:
    """A record as the API gives it, asked at that moment."""
    return {
        "UNIQUE_QUERY_ID": query_id,
        "QUERY_TYPE": "W",
        "QUERY_TIME": f"{at:%Y-%m-%d %H:%M:%S}",
        "SENDER_NAME": SECRET,
        "SENDER_MOBILE": "+91-9812345678",
        "QUERY_MESSAGE": "I want it.<br> Size :   5 mm<br> Quantity :   6",
        **fields,
    }


def noon(number: int) -> datetime:
    return day_start(DAYS[number]) + 12 * _HOUR


def window(first: int, last: int) -> Window:
    return Window(day_start(DAYS[first]), day_end(DAYS[last]))


@dataclass(frozen=True)
class Answer:
    """One answer of the history: its window, when it came, what it holds."""

    window: Window
    sent_at: datetime
    records: Sequence[object]


MOVED, CHANGED, LATE, FADED = "90000001", "90000002", "90000003", "90000004"


def _plain(first: int, last: int) -> list[dict[str, object]]:
    return [
        record(str(10_000_000 + 10 * number + step), noon(number) + step * _HOUR)
        for number in range(first, last + 1)
        if number not in (3, 6)  # days without leads
        for step in range(2)
    ]


HISTORY = (
    Answer(
        window(0, 3),
        day_end(DAYS[3]) + _HOUR,
        [
            *_plain(0, 3),
            record(MOVED, noon(1), SUBJECT="before it moved"),
            record(CHANGED, noon(2), SUBJECT="old"),
            record(CHANGED, noon(2), SUBJECT="old, the second in one answer"),
            record(FADED, noon(0)),
            {"QUERY_TYPE": "W", "SENDER_NAME": SECRET},
            record("70000001", noon(2), QUERY_TIME="05/03/2026 12 o'clock"),
        ],
    ),
    Answer(window(4, 7), day_end(DAYS[7]) + _HOUR, [*_plain(4, 7), record(MOVED, noon(5), SUBJECT="moved")]),
    Answer(
        window(0, 3),
        day_end(DAYS[7]) + 5 * _HOUR,
        [*_plain(0, 3), record(CHANGED, noon(2), SUBJECT="new"), record(LATE, noon(1))],
    ),
    Answer(Window(day_start(DAYS[7]), noon(7)), noon(7), _plain(7, 7)[:1]),
)


@dataclass(frozen=True)
class History:
    """A data folder with the history's answers of one or more accounts."""

    settings: Settings

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.settings)

    @property
    def data_dir(self) -> Path:
        return self.settings.data_dir

    def of(self, account: str) -> "History":
        """The same folder with that account as the first one."""
        ordered = sorted(self.settings.accounts, key=lambda one: one.name != account)
        return History(replace(self.settings, accounts=tuple(ordered)))

    def copied_to(self, root: Path) -> "History":
        """The same in another folder, to go on from."""
        copy = History(replace(self.settings, root=root, data_dir=root / "data"))
        shutil.copytree(self.data_dir, copy.data_dir, symlinks=True)
        return copy

    def store(self, answer: Answer) -> str:
        """Store an answer that no run has merged yet."""
        response = store_records(self.workspace, answer.window, answer.records, answer.sent_at)
        self.workspace.catalog.add(response)
        return response.response_id

    def store_empty_week(self) -> None:
        asked = Window(day_start(EMPTY_DAYS[0]), day_end(EMPTY_DAYS[-1]))
        store_leads(self.workspace, asked, [], asked.end + _HOUR)

    def merge(self) -> None:
        """What a run of all days does with what is stored."""
        account = self.settings.accounts[0].name
        normalize_pending(self.workspace, account, (*EMPTY_DAYS, *DAYS), quiet)
        merge_pending(self.workspace, account, (*EMPTY_DAYS, *DAYS), quiet)

    def publish(self) -> None:
        publish_tables(self.workspace, quiet)

    def fill(self, answers: Sequence[Answer] = HISTORY) -> "History":
        """Store, merge and publish, one answer after the other as they came."""
        self.workspace.prepare()
        self.store_empty_week()
        for answer in answers:
            self.store(answer)
            self.merge()
        self.publish()
        return self

    def replay(self, account: str = ACCOUNT, **options: Any) -> Replayed:
        return replay(self.workspace, ReplayRequest(account, **options), quiet)

    def check(self, account: str = ACCOUNT, **options: Any) -> Replayed:
        return self.replay(account, check=True, **options)

    def files(self, *folders: str) -> dict[str, bytes]:
        """The bytes of all files in these folders, by default of leads and quarantine."""
        return {
            path.relative_to(self.data_dir).as_posix(): path.read_bytes()
            for folder in folders or ("leads", "quarantine")
            for path in sorted((self.data_dir / folder).rglob("*"))
            if path.is_file()
        }

    def rows(self) -> list[Mapping[str, object]]:
        """All rows of the published leads, by account and id."""
        with duckdb.connect(str(self.data_dir / "leads.duckdb"), read_only=True, config=ONE_THREAD) as connection:
            result = connection.execute("SELECT * FROM leads ORDER BY account, query_id, lead_date")
            names = [column[0] for column in result.description or []]
            return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def quarantined(self) -> list[tuple[str, str]]:
        """Account and reason of each published quarantined record."""
        with duckdb.connect(str(self.data_dir / "leads.duckdb"), read_only=True, config=ONE_THREAD) as connection:
            rows = connection.execute("SELECT account, reason FROM quarantine ORDER BY ALL").fetchall()
        return [(account, reason) for account, reason in rows]

    def left_over(self) -> list[str]:
        """What a replay leaves behind and should not."""
        state = self.settings.state_dir
        found = [*state.glob("replay-*/"), *state.glob("*.journal.json"), *self.data_dir.rglob(".leads.parquet.staged")]
        return [path.name for path in found if path.is_dir() or "replay" not in path.name]


def differing(history: History) -> dict[tuple[str, object], RowDifference]:
    """Where a check of the history finds differences."""
    return {(one.layer, one.day): one.rows for one in history.check().differences}


def day_file(history: History, number: int) -> Path:
    return history.workspace.lead_files(ACCOUNT).path(DAYS[number])


def rewrite(history: History, number: int, table: pa.Table) -> None:
    """Put other rows of the file's columns into a day's file, as somebody else might."""
    pq.write_table(table, day_file(history, number))


def new_history(root: Path, *accounts: str) -> History:
    """An empty data folder; nothing listens at the accounts' address."""
    settings = make_settings(root, "http://127.0.0.1:9/", account=ACCOUNT)
    [first] = settings.accounts
    names = accounts or (ACCOUNT,)
    return History(replace(settings, accounts=tuple(replace(first, name=name) for name in names)))


def replay_killed(settings: Settings, kill_at: str) -> None:
    """Replay in a child that kills itself at the named point."""
    os.environ["LEADS_KILL_AT"] = kill_at
    with other_rules():
        History(settings).replay()


def run_killed(settings: Settings, kill_at: str) -> None:
    """Merge in a child that kills itself at the named point."""
    os.environ["LEADS_KILL_AT"] = kill_at
    History(settings).merge()


@contextmanager
def other_rules() -> Iterator[None]:
    """Another version of the normaliser: texts in capitals, and the odd time in the history can be read."""
    clean_text, clean_names, ist_wall_clock = normalize.clean_text, normalize.clean_names, received.ist_wall_clock
    odd, readable = HISTORY[0].records[-1]["QUERY_TIME"], f"{noon(2):%Y-%m-%d %H:%M:%S}"  # type: ignore[index,call-overload]
    normalize.clean_text = lambda texts: normalize.pc.utf8_upper(clean_text(texts))
    normalize.clean_names = lambda texts: normalize.pc.utf8_upper(clean_names(texts))
    received.ist_wall_clock = lambda texts: ist_wall_clock(normalize.pc.replace_substring(texts, odd, readable))
    try:
        yield
    finally:
        normalize.clean_text, normalize.clean_names, received.ist_wall_clock = clean_text, clean_names, ist_wall_clock
