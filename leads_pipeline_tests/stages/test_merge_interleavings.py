"""The merge stage with its files: whatever the order, repetition and overlap of answers, the same bytes."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leads_pipeline.days import ONE_DAY, day_start, days_between
from leads_pipeline.indiamart.windows import Window
from leads_pipeline.settings import Settings
from leads_pipeline.stages import merge_answers
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.storage.raw import RawResponse
from leads_pipeline_tests.end_to_end.runs import folder_in_memory, merge
from leads_pipeline_tests.leads.examples import repeatable
from leads_pipeline_tests.stages.stored_answers import store_records
from leads_pipeline_tests.storage.children import running
from leads_pipeline_tests.support import make_settings, make_workspace

FIRST = date(2026, 3, 1)
DAYS = days_between(FIRST, FIRST + 4 * ONE_DAY)
ASKED = datetime(2026, 3, 20, 12, tzinfo=UTC)
_V2_NAMES = ("UNIQUE_QUERY_ID", "QUERY_TYPE", "QUERY_TIME", "SUBJECT", "SENDER_MOBILE")


@dataclass(frozen=True)
class Answer:
    """An answer before it is stored: records are (id, day, subject), days count from the first one."""

    source_api: str
    first_day: int
    days: int
    minutes: int
    records: tuple[tuple[int, int, str], ...]

    @property
    def window(self) -> Window:
        return Window(
            day_start(FIRST + timedelta(days=self.first_day)),
            day_start(FIRST + timedelta(days=self.first_day + self.days)),
        )

    @property
    def received_at(self) -> datetime:
        return ASKED + timedelta(minutes=self.minutes)

    def api_records(self) -> list[dict[str, str]]:
        """The records under the names of the answer's API."""
        is_v1 = self.source_api == "v1"
        names = ("QUERY_ID", "QTYPE", "LOG_TIME", "SUBJECT", "MOB") if is_v1 else _V2_NAMES
        clock = "%Y%m%d102030" if is_v1 else "%Y-%m-%d 10:20:30"
        records = []
        for query_id, day, subject in self.records:
            told = (FIRST + timedelta(days=day)).strftime(clock)
            values = (f"{query_id}", "W", told, subject, f"+91-98765432{query_id}0")
            records.append(dict(zip(names, values, strict=True)))
        return records


answers = st.lists(
    st.builds(
        Answer,
        source_api=st.sampled_from(["v2", "v2", "push", "v1"]),
        first_day=st.integers(0, 2),
        days=st.integers(1, 3),
        minutes=st.integers(0, 2),
        records=st.lists(
            st.tuples(st.integers(1, 5), st.integers(0, 4), st.sampled_from(["", "one", "two"])), max_size=4
        ).map(tuple),
    ),
    min_size=1,
    max_size=5,
)


def stored(workspace: Workspace, drawn: Sequence[Answer]) -> list[RawResponse]:
    """Store the answers without entering them; no two have the same name, many the same time of receipt."""
    return [
        store_records(
            workspace,
            answer.window,
            answer.api_records(),
            ASKED - timedelta(microseconds=number),
            received_at=answer.received_at,
            source_api=answer.source_api,
        )
        for number, answer in enumerate(drawn)
    ]


def merge_these(workspace: Workspace, drawn: Sequence[Answer], responses: Sequence[RawResponse]) -> None:
    """Merge these answers, whether they were merged before or not."""
    workspace.catalog.forget("indiamart")
    for response in responses:
        workspace.catalog.add(response)
    merge(workspace, DAYS)


def workspace_in(folder: Path) -> Workspace:
    """An installation whose catalogue is there before any answer is: a new one enters whatever is stored."""
    workspace = make_workspace(make_settings(folder, "http://127.0.0.1:9/"))
    assert workspace.catalog.accounts() == []
    return workspace


def day_files(workspace: Workspace) -> dict[str, bytes]:
    folder = workspace.settings.data_dir / "leads"
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@settings(repeatable, max_examples=12)
@given(st.data())
def test_any_order_repetition_and_batching_leaves_the_same_bytes_as_merging_once_in_order(data: st.DataObject) -> None:
    drawn = data.draw(answers)
    repeats = data.draw(st.lists(st.sampled_from(range(len(drawn))), max_size=3))
    order = data.draw(st.permutations([*range(len(drawn)), *repeats]))
    with folder_in_memory() as folder:
        once = workspace_in(folder / "once")
        merge_these(once, drawn, stored(once, drawn))

        stepwise = workspace_in(folder / "stepwise")
        responses = stored(stepwise, drawn)
        with patch.object(merge_answers, "_BATCH_RECORDS", data.draw(st.sampled_from([1, 4, 50_000]))):
            while order:
                size = data.draw(st.integers(1, len(order)))
                batch, order = sorted({*order[:size]}), order[size:]
                merge_these(stepwise, [drawn[place] for place in batch], [responses[place] for place in batch])
        assert day_files(stepwise) == day_files(once)
        assert len(day_files(once)) == len(DAYS)


def merge_one_after_the_other(settings_of: Settings, responses: Sequence[RawResponse], pipe: Any) -> None:
    """What one process does: enter an answer, normalise and merge whatever is pending, go on to the next."""
    workspace = Workspace(settings_of)
    pipe.send("ready")
    pipe.recv()
    for response in responses:
        workspace.catalog.add(response)
        merge(workspace, DAYS)
    pipe.send("done")


@pytest.mark.parametrize("seed", range(4))
def test_two_processes_that_merge_the_same_days_at_once_leave_the_same_bytes_as_one(tmp_path: Path, seed: int) -> None:
    draws = random.Random(seed)
    drawn = [
        Answer(
            "v2",
            first_day=draws.randrange(3),
            days=draws.randint(1, 3),
            minutes=draws.randrange(3),
            records=tuple(
                (draws.randint(1, 9), draws.randrange(5), draws.choice(["", "one", "two"])) for _ in range(3)
            ),
        )
        for _ in range(8)
    ]
    once = workspace_in(tmp_path / "once")
    merge_these(once, drawn, stored(once, drawn))

    shared = workspace_in(tmp_path / "shared")
    responses = stored(shared, drawn)
    halves = draws.sample(responses, 5), draws.sample(responses, 5)
    rest = [response for response in responses if response not in (*halves[0], *halves[1])]
    with (
        running(merge_one_after_the_other, shared.settings, halves[0]) as one,
        running(merge_one_after_the_other, shared.settings, [*halves[1], *rest]) as other,
    ):
        assert (one.recv(), other.recv()) == ("ready", "ready")
        one.send("go")
        other.send("go")
        assert (one.recv(), other.recv()) == ("done", "done")
    assert day_files(shared) == day_files(once)
    assert shared.catalog.unmerged("indiamart") == []
