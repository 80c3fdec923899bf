"""The third stage: the account's unmerged answers join the leads that stand, and the days' files are replaced."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from leads_pipeline.days import days_between, utc_now
from leads_pipeline.indiamart.windows import MAX_WINDOW
from leads_pipeline.kill_points import reach
from leads_pipeline.leads.frames import to_frame, to_table
from leads_pipeline.leads.merge import merge_leads, rows_in_order
from leads_pipeline.leads.schema import LEADS_ARROW_SCHEMA
from leads_pipeline.stages.normalize_answers import normalized_file, pending_answers
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.storage.catalog import MergedCounts, StoredAnswer
from leads_pipeline.storage.day_changes import DayChange, DayChanges
from leads_pipeline.storage.lead_ids import LeadIds
from leads_pipeline.storage.merge_journal import DayReplacement, merge_lock
from leads_pipeline.storage.parquet import DayContent

_PARTERS = 2
"""Days that are looked through at the same time."""

_BATCH_RECORDS = 50_000
"""How many records are merged at once: memory is bounded by this and by the days they touch."""


@dataclass(frozen=True)
class MergedAnswers:
    """What one run merged."""

    answers: tuple[StoredAnswer, ...]
    incoming: int
    """Leads in those answers."""
    new: int
    """Leads that no table held before."""
    days_written: tuple[date, ...]


def merge_pending(
    workspace: Workspace, account: str, run_days: Sequence[date], log: Callable[[str], None]
) -> MergedAnswers:
    """Merge the account's unmerged answers and give every day of the run, and every fetched day, a file.

    The join makes it safe to repeat: a merge that a killed process began is finished first, then whatever the
    ledger lacks is merged, once or again, to the same tables.
    """
    replacement = DayReplacement(workspace.lead_files(account))
    with merge_lock(workspace.settings.data_dir, account):
        finish_earlier_merge(workspace, account, log)
        answers = pending_answers(workspace, account, run_days)
        results = [merge_batch(workspace, account, batch) for batch in batches_of(answers)]
        empty = _days_without_file(workspace, account, run_days, answers)
        if empty:
            tables = {day: LEADS_ARROW_SCHEMA.empty_table() for day in empty}
            replacement.replace(tables, {"merged": []})
            replacement.clear()
        still_pending = (answer.response_id for answer in workspace.catalog.unmerged(account))
        workspace.normalized_files(account).remove_all_but(still_pending)
    merged = MergedAnswers(
        answers=tuple(answers),
        incoming=sum(result.incoming for result in results),
        new=sum(result.new for result in results),
        days_written=tuple(sorted({*empty, *(day for result in results for day in result.days_written)})),
    )
    log(
        f"Merged {merged.incoming} lead(s) of {len(answers)} answer(s): {merged.new} new, "
        f"{merged.incoming - merged.new} known already; {len(merged.days_written)} day file(s) written."
    )
    return merged


def finish_earlier_merge(workspace: Workspace, account: str, log: Callable[[str], None]) -> None:
    """Finish or undo the merge that a killed process began; the caller holds the account's merge lock."""
    replacement = DayReplacement(workspace.lead_files(account))
    payload = replacement.redo()
    if payload is None:
        return
    merged = payload["merged"]
    workspace.catalog.mark_merged(MergedCounts(**counts) for counts in merged)  # type: ignore[attr-defined]
    replacement.clear()
    log("Finished the merge that an earlier process had begun.")


def batches_of(answers: Sequence[StoredAnswer]) -> Iterator[list[StoredAnswer]]:
    """Yield the answers in batches of neighbouring windows, each small enough to be merged at once."""
    batch: list[StoredAnswer] = []
    for answer in sorted(answers, key=lambda answer: (answer.window.start, answer.fetched_at)):
        if batch and sum(one.records for one in batch) + answer.records > _BATCH_RECORDS:
            yield batch
            batch = []
        batch.append(answer)
    if batch:
        yield batch


def merge_batch(workspace: Workspace, account: str, answers: list[StoredAnswer]) -> MergedAnswers:
    """Merge the answers into the day files and enter them in the ledger; the caller holds the merge lock."""
    files = workspace.lead_files(account)
    replacement = DayReplacement(files)
    normalized = [normalized_file(workspace, answer) for answer in answers]
    incoming = pa.concat_tables([one.leads for one in normalized])
    days = LeadIds(files).days_holding(incoming["query_id"]) | set(pc.unique(incoming["lead_date"]).to_pylist())
    contents = files.contents(days)
    joined = _join(contents, incoming, days)
    counts = [
        MergedCounts(
            answer.response_id, one.counts.received, one.counts.leads, one.counts.duplicates, one.counts.quarantined
        )
        for answer, one in zip(answers, normalized, strict=True)
    ]
    written = replacement.replace(joined.tables, {"merged": [vars(count) for count in counts]})
    changed = {day: DayChange(one.sha256, written[day], joined.touched[day]) for day, one in contents.items()}
    DayChanges(files).note(changed)
    workspace.catalog.mark_merged(counts)
    reach("merge:ledger")
    replacement.clear()
    return MergedAnswers(tuple(answers), incoming.num_rows, joined.new, tuple(sorted(days)))


@dataclass(frozen=True)
class _Joined:
    """The stored leads of some days with the incoming ones."""

    tables: dict[date, pa.Table]
    touched: dict[date, frozenset[str]]
    """The ids of the leads that the join looked at, before or afterwards, of each day that had a file."""
    new: int


def _join(contents: Mapping[date, DayContent], incoming: pa.Table, days: Collection[date]) -> _Joined:
    """Join the incoming leads with the stored ones, of which only those that came in again are looked at."""
    ids = incoming["query_id"].combine_chunks()
    nothing = LEADS_ARROW_SCHEMA.empty_table()
    stored = {day: content.leads for day, content in contents.items()}
    with ThreadPoolExecutor(_PARTERS) as parters:
        masks = parters.map(lambda leads: pc.is_in(leads["query_id"], value_set=ids), stored.values())
        is_again = dict(zip(stored, masks, strict=True))
        again = {day: leads.filter(is_again[day]) for day, leads in stored.items()}
        known = pa.concat_tables([nothing, *again.values()])
        merged = to_table(merge_leads(to_frame(known), to_frame(incoming)), LEADS_ARROW_SCHEMA)
        of_day = _by_day(merged)
        coming = {day: of_day.get(day, nothing) for day in sorted(days)}

        def table_of(day: date) -> pa.Table:
            return _replaced(stored[day], is_again[day], coming[day]) if day in stored else coming[day]

        tables = dict(zip(coming, parters.map(table_of, coming), strict=True))
    touched = {
        day: frozenset([*again[day]["query_id"].to_pylist(), *coming[day]["query_id"].to_pylist()]) for day in stored
    }
    return _Joined(tables, touched, merged.num_rows - known.num_rows)


def _replaced(leads: pa.Table, is_again: pa.ChunkedArray, coming: pa.Table) -> pa.Table:
    """Return a day's leads, in the order of its file, with the coming ones in place of those that came in again."""
    is_kept = pa.chunked_array([*pc.invert(is_again).chunks, pa.repeat(True, coming.num_rows)])
    return rows_in_order(pa.concat_tables([leads, coming]), is_kept, ("query_time", "query_id"))


def _by_day(leads: pa.Table) -> dict[date, pa.Table]:
    """Return the leads of each day, in their order: parts of the table and no copies, for it is sorted by time."""
    runs = pc.run_end_encode(leads["lead_date"].combine_chunks())
    days, ends = runs.values.to_pylist(), runs.run_ends.to_pylist()
    if days != sorted(set(days)):
        return _by_day(leads.take(pc.sort_indices(leads["lead_date"])))
    return {day: leads.slice(start, end - start) for day, start, end in zip(days, [0, *ends], ends, strict=False)}


def _days_without_file(
    workspace: Workspace, account: str, run_days: Sequence[date], answers: Sequence[StoredAnswer]
) -> list[date]:
    """Return the days that are due an empty file: the run's own, and those that answers fetched beyond it."""
    files = workspace.lead_files(account)
    beyond = {day for answer in answers for day in answer.window.days}
    beyond |= {*days_between(min(run_days), max(run_days) + MAX_WINDOW)}
    fetched = {day.day for day in workspace.coverage(account, beyond, utc_now()) if day.fetched}
    return [day for day in sorted({*run_days, *fetched}) if not files.exists(day)]
