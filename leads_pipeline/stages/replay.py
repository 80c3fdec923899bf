"""Replay: leads, quarantine and tables rebuilt from the raw responses without any call, and compared with what stands.

The rebuild runs the same stages as a pull, in a folder of its own under `state/`, which is removed at the end and,
after a kill, by the next replay. The merge is a join, so the order of the answers does not matter and the result
must equal what stands; where it does not, the day files that differ are replaced in one step. Every day is rebuilt,
also for a replay of few days, since a lead may have moved from one day to another; memory is bounded by the merge's
batches and by one day.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from filelock import Timeout

from leads_pipeline.days import utc_now
from leads_pipeline.kill_points import reach
from leads_pipeline.leads.normalize import RecordsDoNotAddUp
from leads_pipeline.stages.merge_answers import batches_of, finish_earlier_merge, merge_batch
from leads_pipeline.stages.normalize_answers import RecordsLostError
from leads_pipeline.stages.publish_tables import publish_tables
from leads_pipeline.stages.recovery import recover_calls
from leads_pipeline.stages.replay_compare import (
    ComparedDay,
    DayDifference,
    Moves,
    RowDifference,
    compare_day,
    compare_quarantine,
    window_day,
)
from leads_pipeline.stages.replay_scratch import (
    Progress,
    RebuiltDays,
    ReplayError,
    Scratch,
    how_to_restore,
    rebuild,
    scratch_of,
)
from leads_pipeline.stages.replay_tables import FollowedFiles, compare_published
from leads_pipeline.stages.stored_imports import recover_imports
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.storage.catalog import MergedCounts, StoredAnswer
from leads_pipeline.storage.day_paths import accounts_in
from leads_pipeline.storage.errors import StorageError, without_values
from leads_pipeline.storage.lead_ids import LeadIds
from leads_pipeline.storage.merge_journal import DayReplacement, merge_lock
from leads_pipeline.storage.parquet import LeadFiles
from leads_pipeline.storage.raw import RawStoreError, ResponseName

Log = Callable[[str], None]


@dataclass(frozen=True)
class ReplayRequest:
    """What to replay: an account's days from `first` to `last`, both included; None means without an end."""

    account: str
    first: date | None = None
    last: date | None = None
    check: bool = False
    """Only compare; replace nothing."""

    def wants(self, day: date) -> bool:
        """Tell whether the day is one of those asked for."""
        return (self.first is None or day >= self.first) and (self.last is None or day <= self.last)

    @property
    def is_whole(self) -> bool:
        """Tell whether all of the account's days are asked for."""
        return self.first is None and self.last is None


@dataclass(frozen=True)
class Replayed:
    """What a replay of one account found and did."""

    account: str
    answers: int
    """Answers with leads that the account's days were rebuilt from."""
    leads: int
    """Leads in the rebuilt days that were compared."""
    days: int
    """Days compared."""
    differences: tuple[DayDifference, ...]
    """Where what stood differed from what was rebuilt, by layer and day; empty if everything was equal."""
    days_replaced: tuple[date, ...]
    """Day files written anew."""
    answers_replaced: tuple[str, ...]
    """Responses whose quarantine files were written anew or removed."""
    lost_responses: tuple[str, ...]
    """Only of a check: raw responses that are missing though standing rows which differ came from them."""


def days_to_replay(first: str | None, last: str | None) -> tuple[date | None, date | None]:
    """Return the days that two texts (YYYY-MM-DD; nothing for all days) name; raise ReplayError if they name none."""
    try:
        start, end = (date.fromisoformat(day) if day else None for day in (first, last))
    except ValueError:
        raise ReplayError(f"{first or 'the first'} to {last or 'the last'}: a day is written YYYY-MM-DD.") from None
    if start and end and end < start:
        raise ReplayError(f"The last day, {end}, is before the first, {start}. Nothing was replayed.")
    return start, end


def accounts_to_replay(workspace: Workspace, account: str | None = None) -> list[str]:
    """Return the accounts that have anything to replay or to compare with, sorted; only the one if it is named.

    Raises SettingsError if the named one neither has anything nor is in the settings.
    """
    data_dir = workspace.settings.data_dir
    found = {ResponseName.parse(one).account for one in workspace.raw.response_ids()} | {*workspace.catalog.accounts()}
    known = {*found, *accounts_in(data_dir / "leads"), *accounts_in(data_dir / "quarantine")}
    if account is None:
        return sorted(known)
    if account not in known:
        workspace.settings.account(account)
        return []
    return [account]


def replay(
    workspace: Workspace, request: ReplayRequest, log: Log, progress: Callable[[Progress], None] = lambda _: None
) -> Replayed:
    """Replay one account. Answers that wait to be merged are merged first, as in any run.

    Raises ReplayError, or StorageError, when raw responses are missing or damaged, or another process is in the way.
    """
    try:
        with scratch_of(workspace, request.account) as scratch, without_values(f"replaying account {request.account}"):
            return _Replay(workspace, scratch, request, log, progress).run()
    except (RawStoreError, RecordsLostError, RecordsDoNotAddUp) as error:
        raise ReplayError(f"{error} Nothing was replaced.") from None
    except Timeout:
        raise ReplayError(
            f"Another process has been merging or replaying the leads of account {request.account} all the time. "
            "Wait until it is done (`leads status`), then run the same command again."
        ) from None


@dataclass(frozen=True)
class _Comparison:
    """What differs between the files that stand and those that were rebuilt."""

    days: Mapping[date, ComparedDay]
    """Every day compared."""
    answers: Sequence[str]
    """Every answer whose quarantined records were compared."""
    quarantine: Mapping[str, RowDifference]
    """Those of them that differ."""

    @property
    def differing(self) -> list[date]:
        """Return the days whose leads differ."""
        return sorted(day for day, compared in self.days.items() if not compared.difference.is_none)

    def differences(self, account: str) -> list[DayDifference]:
        """Return the differences, leads first, by day."""
        leads = [DayDifference(account, "leads", day, self.days[day].difference) for day in self.differing]
        by_window: dict[date, RowDifference] = {}
        for response_id, difference in self.quarantine.items():
            day = window_day(response_id)
            by_window[day] = by_window.get(day, RowDifference()) + difference
        return leads + [DayDifference(account, "quarantine", day, rows) for day, rows in sorted(by_window.items())]


@dataclass(frozen=True)
class _Replay:
    """One replay under way."""

    workspace: Workspace
    scratch: Scratch
    request: ReplayRequest
    log: Log
    progress: Callable[[Progress], None]

    def run(self) -> Replayed:
        account, data_dir = self.request.account, self.workspace.settings.data_dir
        with merge_lock(data_dir, account):
            answers = self._bring_up()
        rebuild(self.scratch, answers, self.request.wants, self.progress)
        reach("replay:rebuilt")
        with merge_lock(data_dir, account):
            answers = self._bring_up()  # and what came meanwhile, so that both sides hold the same answers
            rebuild(self.scratch, answers, self.request.wants, self.progress)
            compared = self._compare(answers)
            lost = self._lost(compared)
            if not self.request.check:
                _refuse_to_lose(account, compared, lost)
                self._replace(compared, answers)
            files = self._followed(compared)
        in_tables = self._tables(files)
        return Replayed(
            account=account,
            answers=sum(answer.outcome.rule.has_records for answer in answers),
            leads=sum(day.leads for day in compared.days.values()),
            days=len(compared.days),
            differences=(*compared.differences(account), *in_tables),
            days_replaced=() if self.request.check else tuple(compared.differing),
            answers_replaced=() if self.request.check else tuple(sorted(compared.quarantine)),
            lost_responses=lost if self.request.check else (),
        )

    def _bring_up(self) -> list[StoredAnswer]:
        """Enter and merge whatever is stored; return all answers, of which every one is in the tables."""
        workspace, account = self.workspace, self.request.account
        self._finish_earlier()
        while True:
            self._enter_stored()
            try:
                for batch in batches_of(workspace.catalog.unmerged(account)):
                    merge_batch(workspace, account, batch)
            except StorageError as error:
                self._only_if_all_is_replaced(error)
                return workspace.catalog.all_of(account)
            waiting = (answer.response_id for answer in workspace.catalog.unmerged(account))
            workspace.normalized_files(account).remove_all_but(waiting)
            answers = workspace.catalog.all_of(account)
            if all(answer.merged for answer in answers):
                return answers

    def _finish_earlier(self) -> None:
        try:
            finish_earlier_merge(self.workspace, self.request.account, self.log)
        except StorageError as error:
            self._only_if_all_is_replaced(error)
            DayReplacement(self.workspace.lead_files(self.request.account)).abandon()

    def _only_if_all_is_replaced(self, error: StorageError) -> None:
        """Go on in spite of files that can't be read or were removed, but only where every day is made anew."""
        if self.request.check or not self.request.is_whole:
            raise StorageError(f"{error}; run `leads replay` without --check, --from and --to first") from None
        self.log(f"{error}: every day is made anew.")

    def _enter_stored(self) -> None:
        """Enter raw responses that the catalogue does not know: they were restored, or their process was killed."""
        workspace, account = self.workspace, self.request.account
        known = {answer.response_id for answer in workspace.catalog.all_of(account)}
        for response_id in workspace.raw.response_ids(account):
            if response_id in known:
                continue
            response = workspace.raw.read_sidecar(response_id)
            if response is not None:
                workspace.catalog.add(response)
            else:
                workspace.catalog.announce(response_id)
        recover_imports(workspace, account, self.log)
        for one in workspace.settings.accounts:
            if one.name == account:
                recover_calls(workspace, one, self.log)

    def _compare(self, answers: Sequence[StoredAnswer]) -> _Comparison:
        standing, rebuilt = (one.lead_files(self.request.account) for one in (self.workspace, self.scratch))
        asked = {day for answer in answers for day in answer.window.days}
        due = {day.day for day in self.scratch.coverage(self.request.account, asked, utc_now()) if day.fetched}
        days: dict[date, ComparedDay] = {}
        wanted = {day for day in standing.days() | rebuilt.days() | due if self.request.wants(day)}
        is_enough = self.request.check or self.request.is_whole
        while wanted:
            moves = Moves()
            for done, day in enumerate(sorted(wanted), 1):
                days[day], moved = compare_day(standing, rebuilt, day, is_due=day in due)
                moves = moves if is_enough else moves + moved
                self.progress(Progress("comparing", done, len(wanted)))
            wanted = _days_of(moves, standing, rebuilt) - days.keys()
        quarantine = self._compare_quarantine(answers)
        differing = {one: difference for one, difference in quarantine.items() if not difference.is_none}
        return _Comparison(days, tuple(quarantine), differing)

    def _compare_quarantine(self, answers: Sequence[StoredAnswer]) -> dict[str, RowDifference]:
        standing, rebuilt = (one.quarantine_files(self.request.account) for one in (self.workspace, self.scratch))
        known = {answer.response_id for answer in answers}
        found = {path.stem for files in (standing, rebuilt) for path in files.paths()}
        # An answer that is stored and not among these came this moment: its own run looks after it.
        ours = [one for one in sorted(found) if one in known or not self.workspace.raw.has_body(one)]
        wanted = [one for one in ours if any(self.request.wants(day) for day in ResponseName.parse(one).window.days)]
        return {one: compare_quarantine(standing, rebuilt, one) for one in wanted}

    def _lost(self, compared: _Comparison) -> tuple[str, ...]:
        """Return the missing raw responses that rows which would change or go came from."""
        origins = {*compared.quarantine, *(one for day in compared.days.values() for one in day.at_stake)}
        return tuple(sorted(one for one in origins if not self.workspace.raw.has_body(one)))

    def _replace(self, compared: _Comparison, answers: Sequence[StoredAnswer]) -> None:
        """Replace what differs. A record that becomes a lead, or is one no more, is never in neither place."""
        account = self.request.account
        gaining = {one for one, difference in compared.quarantine.items() if not difference.extra}
        self._keep_quarantine(gaining)
        reach("replay:quarantine")
        merged = self._ledger(answers)
        replacement = DayReplacement(self.workspace.lead_files(account))
        if compared.differing:
            days = RebuiltDays(self.scratch.lead_files(account), compared.differing)
            replacement.replace(days, {"merged": [vars(counts) for counts in merged]})
        self.workspace.catalog.mark_merged(merged)
        reach("replay:ledger")
        replacement.clear()
        self._keep_quarantine(compared.quarantine.keys() - gaining)
        waiting = (answer.response_id for answer in self.workspace.catalog.unmerged(account))
        self.workspace.normalized_files(account).remove_all_but(waiting)
        if compared.differing or compared.quarantine:
            self.log(
                f"Replaced {len(compared.differing)} day file(s) and the quarantined records of "
                f"{len(compared.quarantine)} answer(s) of account {account}."
            )

    def _keep_quarantine(self, response_ids: Iterable[str]) -> None:
        standing, rebuilt = (one.quarantine_files(self.request.account) for one in (self.workspace, self.scratch))
        for response_id in response_ids:
            start = ResponseName.parse(response_id).window.start
            path = rebuilt.path(response_id, start)
            if path.exists():
                standing.keep(response_id, start, rebuilt.read(path))
            else:
                standing.remove(response_id, start)

    def _ledger(self, answers: Iterable[StoredAnswer]) -> list[MergedCounts]:
        """Return the entries of the merge ledger that are other ones now."""
        account = self.request.account
        known = self.workspace.catalog.merged_counts(account)
        wanted = {one.response_id for one in answers if any(self.request.wants(day) for day in one.window.days)}
        counts = self.scratch.catalog.merged_counts(account)
        return [new for one, new in counts.items() if one in wanted and new != known.get(one)]

    def _followed(self, compared: _Comparison) -> FollowedFiles:
        """Return the files that hold, as they stand now, the same rows as the rebuild."""
        days, answers = {*compared.days}, {*compared.answers}
        if self.request.check:
            days, answers = days - {*compared.differing}, answers - compared.quarantine.keys()
        return FollowedFiles.of(self.workspace.settings.data_dir, self.request.account, days, answers)

    def _tables(self, files: FollowedFiles) -> list[DayDifference]:
        """Publish what was replaced, and return where the published tables differ from the files that they follow."""
        settings = self.workspace.settings
        if not self.request.check:
            publish_tables(self.workspace, self.log)
        with without_values("comparing the published tables"):
            found = list(compare_published(settings.database, files, self.scratch.settings.data_dir))
        if found and not self.request.check:
            publish_tables(self.workspace, self.log, rebuild=True)
        return found


def _days_of(moves: Moves, standing: LeadFiles, rebuilt: LeadFiles) -> set[date]:
    """Return the days that leads come from or go to, which must be replaced together with those compared."""
    try:
        return LeadIds(rebuilt).days_holding(moves.leaving) | LeadIds(standing).days_holding(moves.coming)
    except StorageError as error:
        raise StorageError(f"{error}; run `leads replay` without --from and --to") from None


def _refuse_to_lose(account: str, compared: _Comparison, lost: Sequence[str]) -> None:
    if lost:
        raise ReplayError(
            f"Leads or quarantined records of {len(compared.differing)} day(s) that would change or go came from "
            f"{len(lost)} raw response(s) that are missing (the first: {lost[0]}). {how_to_restore(account)}"
        )
