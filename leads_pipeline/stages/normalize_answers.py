"""The second stage: every answer that is not in the tables yet becomes typed leads and quarantined records."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date

from leads_pipeline.days import utc_now
from leads_pipeline.indiamart import v2
from leads_pipeline.kill_points import reach
from leads_pipeline.leads.frames import to_table
from leads_pipeline.leads.normalize import AnswerFacts, normalize_answer
from leads_pipeline.leads.schema import LEADS_ARROW_SCHEMA, QUARANTINE_ARROW_SCHEMA
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.storage.catalog import StoredAnswer
from leads_pipeline.storage.normalized_files import AnswerCounts, NormalizedFile

_TOLD_ONE_BY_ONE = 7
"""Up to so many answers each have a line of their own in the run's log."""


class RecordsLostError(Exception):
    """Records received are not leads, duplicates or quarantined: the run must fail before they are forgotten."""


@dataclass(frozen=True)
class NormalizedAnswers:
    """What one run normalised."""

    answers: tuple[StoredAnswer, ...]
    counts: AnswerCounts
    unknown_fields: tuple[str, ...]
    unknown_query_types: tuple[str, ...]


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
    total = AnswerCounts(0, 0, 0, 0)
    fields: set[str] = set()
    types: set[str] = set()
    for answer in answers:
        counts, unknown_fields, unknown_types = _normalize(workspace, answer)
        fields |= {*unknown_fields}
        types |= {*unknown_types}
        total = AnswerCounts(
            total.received + counts.received,
            total.leads + counts.leads,
            total.duplicates + counts.duplicates,
            total.quarantined + counts.quarantined,
        )
        if len(answers) <= _TOLD_ONE_BY_ONE:
            log(f"Read the answer for {answer.window}: {_in_words(counts)}.")
    if not answers:
        log("Nothing to read: every stored answer is in the tables already.")
    elif len(answers) > _TOLD_ONE_BY_ONE:
        log(f"Read {len(answers)} answers: {_in_words(total)}.")
    return NormalizedAnswers(tuple(answers), total, tuple(sorted(fields)), tuple(sorted(types)))


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
        _normalize(workspace, answer)
        found = files.read(answer.response_id)
    if found is None:
        raise RecordsLostError(f"The normalised leads of {answer.response_id} can't be read back. Check the disk.")
    return found


def _normalize(workspace: Workspace, answer: StoredAnswer) -> tuple[AnswerCounts, tuple[str, ...], tuple[str, ...]]:
    records = v2.read_answer(workspace.raw.read_body(answer.response_id)).records or []
    facts = AnswerFacts(answer.account, answer.source_api, answer.response_id, answer.window.start, answer.fetched_at)
    normalized = normalize_answer(records, facts)
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
    return counts, normalized.unknown_fields, normalized.unknown_query_types
