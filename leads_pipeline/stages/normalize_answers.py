"""The second stage: every answer that is not in the tables yet becomes typed leads and quarantined records."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date

from leads_pipeline.days import utc_now
from leads_pipeline.indiamart import v1, v2
from leads_pipeline.indiamart.api_versions import api_version
from leads_pipeline.indiamart.saved_answers import read_saved_answers
from leads_pipeline.kill_points import reach
from leads_pipeline.leads.frames import to_table
from leads_pipeline.leads.normalize import AnswerFacts, NormalizedAnswer, normalize_answer, normalize_columns
from leads_pipeline.leads.plain_answers import plain_columns
from leads_pipeline.leads.schema import LEADS_ARROW_SCHEMA, QUARANTINE_ARROW_SCHEMA
from leads_pipeline.leads.v1_fields import KEPT_IN_EXTRA, records_in_v2_form
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.storage.catalog import StoredAnswer
from leads_pipeline.storage.normalized_files import AnswerCounts, NormalizedFile

_TOLD_ONE_BY_ONE = 7
"""Up to so many answers each have a line of their own in the run's log."""
_READERS = 2
"""Answers that are read at the same time: most of the work is done outside of Python's lock."""
_NO_RECORDS = AnswerCounts(0, 0, 0, 0)


class RecordsLostError(Exception):
    """Records received are not leads, duplicates or quarantined: the run must fail before they are forgotten."""


@dataclass(frozen=True)
class NormalizedAnswers:
    """What became of some answers; names and types are sorted."""

    answers: tuple[StoredAnswer, ...] = ()
    counts: AnswerCounts = _NO_RECORDS
    unknown_fields: tuple[str, ...] = ()
    unknown_query_types: tuple[str, ...] = ()
    unread_requirement_values: int = 0
    """Quantities and order values in messages that stayed text."""

    def __add__(self, other: "NormalizedAnswers") -> "NormalizedAnswers":
        mine, theirs = self.counts, other.counts
        return NormalizedAnswers(
            answers=(*self.answers, *other.answers),
            counts=AnswerCounts(
                mine.received + theirs.received,
                mine.leads + theirs.leads,
                mine.duplicates + theirs.duplicates,
                mine.quarantined + theirs.quarantined,
            ),
            unknown_fields=tuple(sorted({*self.unknown_fields, *other.unknown_fields})),
            unknown_query_types=tuple(sorted({*self.unknown_query_types, *other.unknown_query_types})),
            unread_requirement_values=self.unread_requirement_values + other.unread_requirement_values,
        )


def pending_answers(workspace: Workspace, account: str, days: Iterable[date]) -> list[StoredAnswer]:
    """Return the answers whose leads are not in the tables: unmerged, or of days whose file was removed."""
    files = workspace.lead_files(account)
    coverage = workspace.coverage(account, days, utc_now())
    lost = [day.day for day in coverage if day.fetched and not files.exists(day.day)]
    pending = {answer.response_id: answer for answer in workspace.catalog.unmerged(account)}
    pending |= {answer.response_id: answer for answer in workspace.catalog.touching(account, lost)}
    return sorted(pending.values(), key=lambda answer: (answer.fetched_at, answer.response_id))


def normalize_pending(
    workspace: Workspace, account: str, days: Iterable[date], log: Callable[[str], None]
) -> NormalizedAnswers:
    """Normalise the account's answers that are not in the tables; keep the results until they are merged."""
    answers = pending_answers(workspace, account, days)
    total = NormalizedAnswers()
    for answer, records in _read_ahead(workspace, answers):
        normalized = _keep(workspace, answer, records)
        total += normalized
        if len(answers) <= _TOLD_ONE_BY_ONE:
            log(f"Read the answer for {answer.window}: {_in_words(normalized.counts)}.")
    if not answers:
        log("Nothing to read: every stored answer is in the tables already.")
    elif len(answers) > _TOLD_ONE_BY_ONE:
        log(f"Read {len(answers)} answers: {_in_words(total.counts)}.")
    return total


def _in_words(counts: AnswerCounts) -> str:
    return (
        f"{counts.received} record(s) = {counts.leads} lead(s) + {counts.duplicates} duplicate(s) + "
        f"{counts.quarantined} in quarantine"
    )


def normalized_file(workspace: Workspace, answer: StoredAnswer) -> NormalizedFile:
    """Return the answer's typed leads, normalised now if no earlier step left them."""
    files = workspace.normalized_files(answer.account)
    found = files.read(answer.response_id)
    if found is None:
        _keep(workspace, answer, read_answer(workspace, answer))
        found = files.read(answer.response_id)
    if found is None:
        raise RecordsLostError(f"The normalised leads of {answer.response_id} can't be read back. Check the disk.")
    return found


def records_in(source_api: str, body: bytes, *, is_import: bool) -> Sequence[object]:
    """Return the records of that API that a stored answer's bytes hold, in v2's form."""
    if is_import:
        records: Sequence[object] = read_saved_answers(body).records[source_api]
    else:
        records = api_version(source_api).records_of(body)
    return records_in_v2_form(records) if source_api == v1.SOURCE_API else records


def normalized_answer(workspace: Workspace, answer: StoredAnswer, records: Sequence[object]) -> NormalizedAnswer:
    """Return the answer's records, in v2's form, as typed leads and quarantine; stores nothing."""
    return normalize_answer(records, _facts_of(workspace, answer))


def _facts_of(workspace: Workspace, answer: StoredAnswer) -> AnswerFacts:
    return AnswerFacts(
        answer.account,
        answer.source_api,
        answer.response_id,
        answer.window.start,
        answer.fetched_at,
        workspace.settings.default_country(answer.account),
    )


def read_answer(workspace: Workspace, answer: StoredAnswer) -> NormalizedAnswer:
    """Return a stored answer's records as typed leads and quarantine; stores nothing."""
    body = workspace.raw.read_body(answer.response_id)
    if answer.source_api == v2.SOURCE_API and not answer.is_import and (columns := plain_columns(body)):
        normalized = normalize_columns(columns, _facts_of(workspace, answer))
        if normalized:
            return normalized
    return normalized_answer(workspace, answer, records_in(answer.source_api, body, is_import=answer.is_import))


def _read_ahead(
    workspace: Workspace, answers: Sequence[StoredAnswer]
) -> Iterator[tuple[StoredAnswer, NormalizedAnswer]]:
    """Yield the answers in their order with what they hold, reading the next ones meanwhile.

    Memory is bounded by that few answers, however many there are. One alone is read without a thread, whose memory
    the allocator would keep.
    """
    if len(answers) == 1:
        yield answers[0], read_answer(workspace, answers[0])
        return
    reading: deque[tuple[StoredAnswer, Future[NormalizedAnswer]]] = deque()
    with ThreadPoolExecutor(_READERS) as readers:
        for answer in answers:
            reading.append((answer, readers.submit(read_answer, workspace, answer)))
            if len(reading) > _READERS:
                earliest, read = reading.popleft()
                yield earliest, read.result()
        while reading:
            earliest, read = reading.popleft()
            yield earliest, read.result()


def _keep(workspace: Workspace, answer: StoredAnswer, normalized: NormalizedAnswer) -> NormalizedAnswers:
    """Store what the answer holds until it is merged; nothing, if not every record is accounted for."""
    counts = AnswerCounts(
        received=answer.records,
        leads=len(normalized.leads),
        duplicates=normalized.duplicates,
        quarantined=len(normalized.quarantine),
    )
    if not counts.add_up:
        raise RecordsLostError(
            f"{answer.response_id}: {counts.received} records were received, but {counts.leads} leads, "
            f"{counts.duplicates} duplicates and {counts.quarantined} quarantined came of them. Nothing was merged "
            "and the raw response is kept: this is a fault of the program, report it."
        )
    workspace.quarantine_files(answer.account).keep(
        answer.response_id, answer.window.start, to_table(normalized.quarantine, QUARANTINE_ARROW_SCHEMA)
    )
    reach("normalize:quarantine")
    workspace.normalized_files(answer.account).write(
        answer.response_id, to_table(normalized.leads, LEADS_ARROW_SCHEMA), counts
    )
    reach("normalize:leads")
    known = KEPT_IN_EXTRA if answer.source_api == v1.SOURCE_API else frozenset()
    return NormalizedAnswers(
        answers=(answer,),
        counts=counts,
        unknown_fields=tuple(name for name in normalized.unknown_fields if name not in known),
        unknown_query_types=normalized.unknown_query_types,
        unread_requirement_values=normalized.unread_requirement_values,
    )
