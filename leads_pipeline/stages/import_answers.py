"""From saved answers to leads: each document is stored raw, then takes the same path as the answer to a call.

A document is the same answer whenever it is imported again, so a repeated or killed import changes nothing more than
it has to. Documents are taken one at a time under the account's merge lock, so that what became of each is known.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from leads_pipeline.days import day_end, day_of, day_start, utc_now
from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline.indiamart.saved_answers import (
    NotAnAnswerError,
    SavedAnswers,
    as_utf8,
    read_saved_answers,
    without_keys_in_addresses,
)
from leads_pipeline.indiamart.windows import CLOCK_MARGIN, Span
from leads_pipeline.leads.cleaning import ist_to_utc, ist_wall_clock
from leads_pipeline.leads.frames import to_frame, to_table
from leads_pipeline.leads.merge import merge_leads
from leads_pipeline.leads.schema import LEADS_ARROW_SCHEMA, QUERY_TIME_FIELD
from leads_pipeline.leads.values import text_of
from leads_pipeline.secret_values import SecretMasker
from leads_pipeline.stages.merge_answers import finish_earlier_merge, merge_batch
from leads_pipeline.stages.normalize_answers import (
    RecordsLostError,
    normalized_answer,
    normalized_file,
    records_in,
)
from leads_pipeline.stages.publish_tables import publish_tables
from leads_pipeline.stages.saved_files import SavedFile
from leads_pipeline.stages.stored_imports import import_facts, import_origin, recover_imports, store_import
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.storage.catalog import StoredAnswer
from leads_pipeline.storage.errors import without_values
from leads_pipeline.storage.lead_ids import LeadIds
from leads_pipeline.storage.merge_journal import merge_lock
from leads_pipeline.storage.normalized_files import AnswerCounts, NormalizedFile
from leads_pipeline.storage.raw import ResponseName, sha256_of

Log = Callable[[str], None]


@dataclass(frozen=True)
class ImportCounts:
    """What became of the records of a document: received = new + updated + duplicate + quarantined."""

    received: int = 0
    new: int = 0
    """Leads that no table held."""
    updated: int = 0
    """Leads whose content it changed."""
    duplicate: int = 0
    """Leads known with the same content or a later one, and repeats within the document."""
    quarantined: int = 0
    """Records that can't be leads."""

    def __add__(self, other: "ImportCounts") -> "ImportCounts":
        return ImportCounts(
            self.received + other.received,
            self.new + other.new,
            self.updated + other.updated,
            self.duplicate + other.duplicate,
            self.quarantined + other.quarantined,
        )


@dataclass(frozen=True)
class ImportedFile:
    """What became of one file."""

    name: str
    counts: ImportCounts = ImportCounts()
    source_apis: tuple[str, ...] = ()
    """What gave its records: v1, v2 or push."""
    note: str = ""
    """What else there is to say of it."""
    refused: str = ""
    """Why nothing of it was imported; empty if it is an answer."""


@dataclass(frozen=True)
class _Document:
    """One API's part of a file, ready to be stored."""

    answer: StoredAnswer
    name: ResponseName
    body: bytes
    key_masked: bool


@dataclass
class AnswerImport:
    """Imports files into one account; `publish` afterwards."""

    workspace: Workspace
    account: str
    fetched_at: datetime | None
    """When the answers were fetched, zone-aware; None takes each file's newest query_time."""
    log: Log
    is_dry_run: bool = False
    """Only count: nothing is stored."""
    _pretended: pa.Table = field(default_factory=LEADS_ARROW_SCHEMA.empty_table)
    _has_leads: bool = False

    def take(self, file: SavedFile) -> ImportedFile:
        """Import one file, whole or not at all.

        Raises RecordsLostError or RecordsDoNotAddUp if its records don't add up, StorageError or RawStoreError if
        what stands can't be read, and filelock.Timeout if another process merges all the time.
        """
        try:
            body, key_masked = self._masked(as_utf8(file.read()))
            saved = read_saved_answers(body)
            documents = [self._document(body, saved, one, key_masked=key_masked) for one in saved.records]
        except NotAnAnswerError as error:
            return ImportedFile(file.name, refused=str(error))
        counts = ImportCounts()
        for document in documents:
            with without_values(f"importing {document.answer.records} records"):
                counts += self._count(document) if self.is_dry_run else self._import(document, file)
        self._has_leads |= bool(documents)
        return ImportedFile(file.name, counts, tuple(saved.records), _note(saved))

    def publish(self) -> None:
        """Publish what the files brought, or what an import that was killed had left unpublished."""
        if self._has_leads and not self.is_dry_run:
            publish_tables(self.workspace, self.log)

    def _masked(self, document: bytes) -> tuple[bytes, bool]:
        """Return the document without any account's key, and whether it held one."""
        versions = [one for account in self.workspace.settings.accounts for one in self.workspace.versions_of(account)]
        mobiles = [f"GLUSR_MOBILE/{one.mobile}" for one in versions if one.mobile]
        masker = SecretMasker([*(one.key for one in versions), *mobiles])
        masked = without_keys_in_addresses(masker.data(document))
        return masked, masked != document

    def _document(self, body: bytes, saved: SavedAnswers, source_api: str, *, key_masked: bool) -> _Document:
        now = utc_now()
        times = _query_times(records_in(source_api, body, is_import=True))
        fetched_at = self._fetched_at(times, now)
        first, last = (times[0], times[-1]) if times else (fetched_at, fetched_at)
        window = Span(day_start(day_of(first)), day_end(day_of(last)))
        name = ResponseName.of_import(self.account, source_api, window, fetched_at, sha256_of(body))
        records = len(saved.records[source_api])
        answer = StoredAnswer(
            name.response_id, self.account, source_api, window, now, fetched_at, Outcome.LEADS, records, merged=False
        )
        return _Document(answer, name, body, key_masked)

    def _fetched_at(self, times: Sequence[datetime], now: datetime) -> datetime:
        """Return when the answers were fetched; a query_time to come is an error of the record, no time of a fetch."""
        if self.fetched_at is None:
            past = [moment for moment in times if moment <= now]
            if not past:
                raise NotAnAnswerError("none of its records has a time that can be read: say when it was fetched")
            return past[-1]
        if any(self.fetched_at + CLOCK_MARGIN < moment <= now for moment in times):
            raise NotAnAnswerError("its newest lead is later than the time at which it is said to have been fetched")
        return self.fetched_at

    def _import(self, document: _Document, file: SavedFile) -> ImportCounts:
        workspace, account = self.workspace, self.account
        with merge_lock(workspace.settings.data_dir, account):
            finish_earlier_merge(workspace, account, self.log)
            recover_imports(workspace, account, self.log)
            answer = workspace.catalog.answer(document.name.response_id)
            if answer is None or not workspace.raw.has_body(answer.response_id):
                origin, records = import_origin(file.file_name), document.answer.records
                facts = import_facts(document.name, origin, document.body, records, key_masked=document.key_masked)
                answer = store_import(workspace, facts, document.body)
            normalized = normalized_file(workspace, answer)
            counts, _ = self._compared(normalized)
            if not answer.merged or counts.new or counts.updated:
                merge_batch(workspace, account, [answer])
            waiting = (one.response_id for one in workspace.catalog.unmerged(account))
            workspace.normalized_files(account).remove_all_but(waiting)
        return counts

    def _count(self, document: _Document) -> ImportCounts:
        """Return what an import would bring, after those counted before."""
        answer = document.answer
        normalized = normalized_answer(
            self.workspace, answer, records_in(answer.source_api, document.body, is_import=True)
        )
        quarantined = len(normalized.quarantine)
        leads = to_table(normalized.leads, LEADS_ARROW_SCHEMA)
        sums = AnswerCounts(normalized.received, leads.num_rows, normalized.duplicates, quarantined)
        counts, merged = self._compared(NormalizedFile(leads, sums))
        others = pc.invert(_is_in(self._pretended, merged["query_id"].combine_chunks()))
        self._pretended = pa.concat_tables([self._pretended.filter(others), merged])
        return counts

    def _compared(self, normalized: NormalizedFile) -> tuple[ImportCounts, pa.Table]:
        """Return what the leads mean for those that stand, and how these stand afterwards."""
        ids = normalized.leads["query_id"].combine_chunks()
        files = self.workspace.lead_files(self.account)
        stored = files.read(LeadIds(files).days_holding(ids) if files.days() else ())
        stored = pa.concat_tables([one.filter(_is_in(one, ids)) for one in (stored, self._pretended)])
        before = _contents(stored)
        merged = to_table(merge_leads(to_frame(stored), to_frame(normalized.leads)), LEADS_ARROW_SCHEMA)
        after = _contents(merged)
        changed = Counter("new" if one not in before else "updated" for one in after if before.get(one) != after[one])
        sums = normalized.counts
        known = sums.leads - changed.total()
        counts = ImportCounts(
            sums.received, changed["new"], changed["updated"], known + sums.duplicates, sums.quarantined
        )
        if not sums.add_up or len(after) != sums.leads:
            raise RecordsLostError(
                f"{sums.received} records of an import are not {sums.leads} leads, {sums.duplicates} duplicates and "
                f"{sums.quarantined} quarantined. Nothing was merged and the raw response is kept: this is a fault of "
                "the program, report it."
            )
        return counts, merged


def _is_in(leads: pa.Table, ids: pa.Array) -> pa.ChunkedArray:
    return pc.is_in(leads["query_id"], value_set=ids)


def _contents(leads: pa.Table) -> dict[str, str]:
    return dict(zip(leads["query_id"].to_pylist(), leads["content_hash"].to_pylist(), strict=True))


def _query_times(records: Sequence[object]) -> list[datetime]:
    """Return the times of the records that have a readable one, the oldest first, zone-aware."""
    texts = [text_of(one.get(QUERY_TIME_FIELD)) if isinstance(one, dict) else None for one in records]
    clocks = ist_wall_clock(pc.utf8_trim_whitespace(pa.array(texts, pa.string())))
    return sorted(ist_to_utc(clocks).drop_null().to_pylist())


def _note(saved: SavedAnswers) -> str:
    outcomes = Counter(saved.without_records)
    told = ", ".join(
        f"{outcome} x{times}" if times > 1 else str(outcome) for outcome, times in sorted(outcomes.items())
    )
    if not saved.records:
        what = "an answer" if outcomes.total() == 1 else f"{outcomes.total()} answers"
        return f"{what} without leads ({told}): nothing to import"
    notes = [f"also {outcomes.total()} answer(s) without leads ({told})"] if outcomes else []
    if saved.lacking:
        notes.append(f"its answers say that there were {saved.lacking} more lead(s) than they hold")
    return "; ".join(notes)
