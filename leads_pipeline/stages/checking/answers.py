"""Checks of answers and their records: the stored bytes, the sums, the quarantine, and names never seen before."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from leads_pipeline.stages.checking.findings import Finding, Scope
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.storage.catalog import StoredAnswer
from leads_pipeline.storage.normalized_files import AnswerCounts
from leads_pipeline.storage.raw import RawStoreError, sha256_of

MOST_BODIES = 100
"""How many answers a run reads again at most, newest first: who asks every few minutes has thousands for a week."""
QUARANTINED_SHARE = 0.05
QUARANTINED_LEAST = 3
"""A warning needs both: few records make large shares."""
_EXAMPLES = 3


@dataclass(frozen=True)
class AnswerRecords:
    """What became of one answer's records, and what else is known of them."""

    response_id: str
    window_start: datetime
    in_sidecar: int
    """Records that the answer was found to hold when it came."""
    counts: AnswerCounts
    """What the merge ledger says, or the normalised file where it is not merged yet."""
    in_quarantine: int
    """Rows in its file of quarantined records."""


def answers_in(workspace: Workspace, account: str, scope: Scope) -> list[StoredAnswer]:
    """Return the account's answers that say something of the days, and those not merged yet, newest first."""
    if scope.run_days is None:
        found = workspace.catalog.all_of(account)
    else:
        known = [*workspace.catalog.about(account, scope.run_days), *workspace.catalog.unmerged(account)]
        found = list({answer.response_id: answer for answer in known}.values())
    return sorted(found, key=lambda answer: (answer.fetched_at, answer.response_id), reverse=True)


def check_bytes(workspace: Workspace, account: str, scope: Scope) -> Finding:
    """Read the answers again: each must be there, open, and have the checksum that its sidecar holds."""
    answers = answers_in(workspace, account, scope)
    looked_at = answers if scope.run_days is None else answers[:MOST_BODIES]
    damaged = [answer for answer in looked_at if not _is_intact(workspace, answer)]
    facts: dict[str, int | str] = {"answers": len(answers), "read_again": len(looked_at), "damaged": len(damaged)}
    if not damaged:
        return Finding(True, f"{len(looked_at)} stored answer(s) read again: each is as it came.", facts)
    unmerged = [answer for answer in damaged if not answer.merged]
    facts |= {"not_in_the_tables": len(unmerged), "examples": _names(answer.response_id for answer in damaged)}
    return Finding(
        False,
        f"{len(damaged)} of {len(looked_at)} stored answer(s) are missing or not as they came, so their leads can't be "
        f"rebuilt; {len(unmerged)} of them are not in the tables yet. Look after the disk, and restore "
        f"raw/{account} in the data folder from a backup.",
        facts,
        is_warning=not unmerged,
    )


def _is_intact(workspace: Workspace, answer: StoredAnswer) -> bool:
    try:
        sidecar = workspace.raw.read_sidecar(answer.response_id)
        return sidecar is not None and sha256_of(workspace.raw.read_body(answer.response_id)) == sidecar.sha256
    except RawStoreError:
        return False


def records_of(workspace: Workspace, account: str, scope: Scope) -> list[AnswerRecords]:
    """Return what became of the records of the answers in scope that are normalised or merged."""
    answers = [answer for answer in answers_in(workspace, account, scope) if answer.outcome.rule.has_records]
    ledger = workspace.catalog.merged_counts_of(answer.response_id for answer in answers)
    normalized, quarantine = workspace.normalized_files(account), workspace.quarantine_files(account)
    found: list[AnswerRecords] = []
    for answer in answers:
        merged = ledger.get(answer.response_id)
        counts = (
            AnswerCounts(merged.received, merged.leads, merged.duplicates, merged.quarantined)
            if merged
            else normalized.counts(answer.response_id)
        )
        if counts is not None:
            start = answer.window.start
            rows = quarantine.count(answer.response_id, start)
            found.append(AnswerRecords(answer.response_id, start, answer.records, counts, rows))
    return found


def sums_finding(records: Iterable[AnswerRecords]) -> Finding:
    """Judge that every record received is a lead, a duplicate or in quarantine, by three independent counts."""
    answers = list(records)
    wrong = [one for one in answers if not _adds_up(one)]
    total = _total(answers)
    facts: dict[str, int | str] = {
        "answers": len(answers),
        "received": total.received,
        "leads": total.leads,
        "duplicates": total.duplicates,
        "quarantined": total.quarantined,
        "answers_that_do_not_add_up": len(wrong),
    }
    if not wrong:
        sentence = (
            f"{total.received} record(s) received = {total.leads} leads + {total.duplicates} duplicates + "
            f"{total.quarantined} quarantined, in {len(answers)} answer(s)."
        )
        return Finding(True, sentence, facts)
    return Finding(
        False,
        f"The records of {len(wrong)} answer(s) are not all leads, duplicates or quarantined: leads may be lost. The "
        f"raw responses are kept. `leads replay` makes the tables anew; if this stays red, report it.",
        facts | {"examples": _names(one.response_id for one in wrong)},
    )


def _adds_up(one: AnswerRecords) -> bool:
    counts = one.counts
    return counts.add_up and counts.received == one.in_sidecar and counts.quarantined == one.in_quarantine


def _total(answers: Iterable[AnswerRecords]) -> AnswerCounts:
    received = leads = duplicates = quarantined = 0
    for one in answers:
        received += one.counts.received
        leads += one.counts.leads
        duplicates += one.counts.duplicates
        quarantined += one.counts.quarantined
    return AnswerCounts(received, leads, duplicates, quarantined)


def check_quarantine(workspace: Workspace, account: str, records: Sequence[AnswerRecords]) -> Finding:
    """Warn of an unusual share of records that can't be leads."""
    return quarantine_finding(records, _reasons(workspace, account, records))


def quarantine_finding(records: Iterable[AnswerRecords], reasons: Mapping[str, int]) -> Finding:
    """Judge the share of records that can't be leads; reasons are counted, records are not shown."""
    total = _total(records)
    share = total.quarantined / total.received if total.received else 0.0
    facts: dict[str, int | float | str] = {
        "received": total.received,
        "quarantined": total.quarantined,
        "share": round(share, 4),
        **{f"reason_{reason}": count for reason, count in sorted(reasons.items())},
    }
    in_words = f"{total.quarantined} of {total.received} record(s) received can't be leads ({share:.1%})"
    if total.quarantined < QUARANTINED_LEAST or share <= QUARANTINED_SHARE:
        return Finding(True, f"{in_words}: no more than usual.", facts)
    return Finding(
        False,
        f"{in_words}. They are kept whole in quarantine, nothing is lost. IndiaMART may have changed its format: look "
        "at the table `quarantine`. What the program learns to read becomes leads with `leads replay`.",
        facts,
        is_warning=True,
    )


def _reasons(workspace: Workspace, account: str, records: Iterable[AnswerRecords]) -> Counter[str]:
    files, reasons = workspace.quarantine_files(account), Counter[str]()
    for one in records:
        if one.in_quarantine:
            reasons.update(files.read(files.path(one.response_id, one.window_start))["reason"].to_pylist())
    return reasons


def _names(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)[:_EXAMPLES])
