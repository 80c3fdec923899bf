"""Where an installation's data lives: the stores that all stages share."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from leads_pipeline.days import utc_now
from leads_pipeline.indiamart.call_log import CallLog
from leads_pipeline.indiamart.call_slot import CallSlots
from leads_pipeline.indiamart.windows import MAX_WINDOW, NARROW_WINDOW, first_day_in_reach
from leads_pipeline.settings import Account, Settings, SettingsError, default_start_date
from leads_pipeline.storage.atomic import make_private_folder, write_atomically
from leads_pipeline.storage.catalog import Catalog, StoredAnswer
from leads_pipeline.storage.coverage import DayCoverage, judged
from leads_pipeline.storage.day_paths import days_with_file
from leads_pipeline.storage.raw import RawStore
from leads_pipeline.storage.told_days import keep_told, told_of

if TYPE_CHECKING:  # these import pyarrow, which `leads status` must not wait for
    from leads_pipeline.storage.normalized_files import NormalizedFiles
    from leads_pipeline.storage.parquet import LeadFiles
    from leads_pipeline.storage.quarantine_files import QuarantineFiles


@dataclass(frozen=True)
class Workspace:
    """The stores of one installation."""

    settings: Settings

    def prepare(self) -> None:
        """Make the data folders for the owner only; raise SettingsError if they can't be written."""
        try:
            make_private_folder(self.settings.state_dir)
            probe = self.settings.state_dir / ".writable"
            probe.touch(mode=0o600)
            probe.unlink()
        except OSError as error:
            raise SettingsError(
                f"The data folder {self.settings.data_dir} can't be written ({type(error).__name__}). "
                "Give this user write access to it, or set LEADS_DATA_DIR to a folder that it owns."
            ) from None

    def start_date(self) -> date:
        """Return the first partition: LEADS_START_DATE, else what the first load decided; kept for later loads."""
        path = self.settings.state_dir / "start_date"
        kept = date.fromisoformat(path.read_text(encoding="ascii").strip()) if path.exists() else None
        start = self.settings.start_date or kept or default_start_date(utc_now())
        if start != kept:
            self.prepare()
            write_atomically(path, f"{start.isoformat()}\n".encode())
        return start

    @cached_property
    def raw(self) -> RawStore:
        """Return the raw responses."""
        return RawStore(self.settings.data_dir)

    @cached_property
    def catalog(self) -> Catalog:
        """Return the catalogue of stored answers."""
        return Catalog(self.settings.state_dir / "answers.sqlite", self.raw)

    @cached_property
    def slots(self) -> CallSlots:
        """Return the call slots of all keys."""
        return CallSlots(self.settings.state_dir / "calls.sqlite")

    @cached_property
    def call_log(self) -> CallLog:
        """Return the call log."""
        return CallLog(self.settings.state_dir / "calls.sqlite")

    def lead_files(self, account: str) -> "LeadFiles":
        """Return the account's Parquet files."""
        from leads_pipeline.storage.parquet import LeadFiles

        return LeadFiles(self.settings.data_dir, account)

    def quarantine_files(self, account: str) -> "QuarantineFiles":
        """Return the account's quarantined records."""
        from leads_pipeline.storage.quarantine_files import QuarantineFiles

        return QuarantineFiles(self.settings.data_dir, account)

    def normalized_files(self, account: str) -> "NormalizedFiles":
        """Return the account's normalised answers that are not merged yet."""
        from leads_pipeline.storage.normalized_files import NormalizedFiles

        return NormalizedFiles(self.settings.data_dir, account)

    def versions_of(self, account: Account) -> tuple[Account, ...]:
        """Return the account's access to each version of the API that it has a key for, the main one first.

        Given the access to either version, the result is the same.
        """
        main = next((one for one in self.settings.accounts if one.name == account.name), account)
        return main.versions

    def only_source(self, account: Account) -> str | None:
        """Return the version whose answers alone decide what the account's access asks; None if all do.

        With keys for two versions the same days are asked for with each, so that their answers can be compared.
        """
        return account.api_version if len(self.versions_of(account)) > 1 else None

    def coverage(
        self, account: str, days: Iterable[date], now: datetime, source_api: str | None = None
    ) -> list[DayCoverage]:
        """Return what the account's stored answers, or those of one version alone, prove of the days."""
        wanted = sorted(set(days))
        in_tables = days_with_file(self.settings.data_dir, account, wanted)  # first: no merge is claimed too early
        earliest = first_day_in_reach(now)
        told = told_of(self.catalog, account, wanted, source_api)
        return [judged(day, day.day in in_tables, earliest) for day in told]

    def keep_coverage(self, account: str, days: Iterable[date]) -> None:
        """Keep what the account's answers tell of the days, so that telling their coverage is quick from now on."""
        keep_told(self.catalog, account, days)

    def answers_about(self, account: str, days: Iterable[date], source_api: str | None = None) -> list[StoredAnswer]:
        """Return the answers, or those of one version alone, that say something of any of the days, oldest first."""
        answers = self.catalog.about(account, days)
        return [answer for answer in answers if source_api in (None, answer.source_api)]

    def longest_window(self, account: str) -> timedelta:
        """Return the widest window that the API takes from the account: 7 days, or 6 once a version refused 7.

        It is one for both versions of an account, so that each can ask for all of a run's days in one call.
        """
        return NARROW_WINDOW if self.slots.has_narrow_windows(account) else MAX_WINDOW
