"""What `leads doctor` checks of the data: folders, disk, clock, key, published database, locks, unfinished work."""

import os
import shutil
from datetime import datetime, timedelta
from pathlib import Path

from filelock import FileLock, Timeout

from leads_pipeline.cli.doctor_checks import OTHERS, Check, Level
from leads_pipeline.cli.moments import in_india, span
from leads_pipeline.days import IST
from leads_pipeline.indiamart.call_log import CallRecord
from leads_pipeline.indiamart.call_slot import key_fingerprint
from leads_pipeline.indiamart.outcomes import Actor
from leads_pipeline.indiamart.windows import CLOCK_MARGIN
from leads_pipeline.settings import DEMO_ACCOUNT, Account, Settings
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.storage.raw import RawResponse

_PRIVATE_FOLDERS = ("raw", "leads", "quarantine", "state", "dagster")
_SHARED_WITH_GROUP = 0o050  # what LEADS_PUBLISHED_GROUP opens of published/, on purpose
_MIB = 1 << 20
_LEAST_FREE, _COMFORTABLE = 200 * _MIB, 1024 * _MIB
_OLDEST_YEAR, _NEWEST_YEAR = 2025, 2100
_DRIFT_WORTH_SAYING = timedelta(seconds=60)
_INDIAS_OFFSET = timedelta(hours=5, minutes=30)
_PLACEHOLDERS = ("your", "xxxx", "changeme", "<", "...")
_FEW_CHARACTERS = 3  # a key of so few distinct ones, such as 00000000, was made up


def check_data_folder(settings: Settings) -> list[Check]:
    """Check that the data folder can be written, and that what is private in it is for its owner only."""
    folder = settings.data_dir
    if not folder.exists():
        parent = _nearest_existing(folder)
        if os.access(parent, os.W_OK | os.X_OK):
            return [Check("data folder", Level.OK, f"{folder} is not there yet; the first pull makes it")]
        return [_unwritable(parent)]
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        return [_unwritable(folder)]
    found = f"{folder}, writable, mode {folder.stat().st_mode & 0o777:04o}"
    return [Check("data folder", Level.OK, found), *_open_to_others(settings)]


def _unwritable(folder: Path) -> Check:
    return Check(
        "data folder",
        Level.PROBLEM,
        f"{folder} is no folder that this user can write to.",
        "Give this user write access to it, or set LEADS_DATA_DIR to a folder of its own.",
    )


def _open_to_others(settings: Settings) -> list[Check]:
    folders = [settings.data_dir / name for name in _PRIVATE_FOLDERS]
    exposed = [folder for folder in folders if folder.is_dir() and folder.stat().st_mode & OTHERS]
    published = settings.data_dir / "published"
    allowed = _SHARED_WITH_GROUP if settings.published_group else 0
    if published.is_dir() and published.stat().st_mode & OTHERS & ~allowed:
        exposed.append(published)
    if not exposed:
        return []
    names = " ".join(str(folder) for folder in exposed)
    return [
        Check(
            "access to the data",
            Level.WARNING,
            "other users of this machine may look into folders with buyers' data.",
            f"Run `chmod 700 {names}`.",
        )
    ]


def check_disk(settings: Settings) -> Check:
    """Check that there is room for the next version of the database."""
    free = shutil.disk_usage(_nearest_existing(settings.data_dir)).free
    store = settings.state_dir / "store.duckdb"
    size = store.stat().st_size if store.exists() else 0
    found = f"{free / _MIB:,.0f} MiB free"
    if free >= max(_COMFORTABLE, 4 * size):
        return Check("disk", Level.OK, found)
    too_little = free < max(_LEAST_FREE, 2 * size)
    return Check(
        "disk",
        Level.PROBLEM if too_little else Level.WARNING,
        f"{found}; the database of {size / _MIB:,.0f} MiB is copied with each new version.",
        "Free some space, or set LEADS_DATA_DIR to a folder on a larger disk.",
    )


def _nearest_existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())


def check_clock(settings: Settings, now: datetime) -> Check:
    """Check this machine's clock and zones; compare it with the Date of the last answer of a real account."""
    if not _OLDEST_YEAR <= now.year <= _NEWEST_YEAR or now.astimezone(IST).utcoffset() != _INDIAS_OFFSET:
        return Check("clock", Level.PROBLEM, f"it shows {in_india(now)}.", "Set it, or turn on network time (NTP).")
    answers = [answer for account in settings.accounts if (answer := _last_answer(settings, account))]
    for answer in answers:
        if now < answer.sent_at - CLOCK_MARGIN:
            return Check(
                "clock",
                Level.PROBLEM,
                f"it shows {in_india(now)}, but the last call was at {in_india(answer.sent_at)}: it was set back.",
                "Set it right, or turn on network time (NTP); days are complete only by a clock that is right.",
            )
    drifts = [
        answer.received_at - answer.server_date
        for answer in answers
        if answer.server_date is not None and answer.account != DEMO_ACCOUNT
    ]
    drift = max(drifts, key=abs, default=None)
    if drift is None:
        return Check("clock", Level.OK, f"{in_india(now)}; no answer of IndiaMART yet to compare it with")
    found = f"{in_india(now)}; at the last answer it was {span(abs(drift.total_seconds()))} "
    found += "ahead of IndiaMART's" if drift > timedelta(0) else "behind IndiaMART's"
    if abs(drift) <= _DRIFT_WORTH_SAYING:
        return Check("clock", Level.OK, found)
    level = Level.PROBLEM if abs(drift) > CLOCK_MARGIN else Level.WARNING
    return Check("clock", level, f"{found}.", "Turn on network time (NTP) on this machine.")


def _last_answer(settings: Settings, account: Account) -> RawResponse | None:
    if not (settings.state_dir / "calls.sqlite").exists():
        return None
    workspace = Workspace(settings)
    call = workspace.call_log.last_of(account.name)
    return workspace.raw.read_sidecar(call.response_id) if call else None


def _last_call_with(settings: Settings, account: Account, fingerprint: str) -> CallRecord | None:
    if not (settings.state_dir / "calls.sqlite").exists():
        return None
    return Workspace(settings).call_log.use_of_key(account.name, fingerprint).last


def check_keys(settings: Settings) -> list[Check]:
    """Check that each real account has a key that can be one, and that IndiaMART did not reject it last."""
    return [
        _check_key(
            settings, access, account.name if len(account.versions) == 1 else f"{account.name} ({access.api_version})"
        )
        for account in settings.accounts
        if account.name != DEMO_ACCOUNT
        for access in account.versions
    ]


def _check_key(settings: Settings, account: Account, whose: str) -> Check:
    name = f"CRM key of {whose}"
    where = "the seller panel shows it: Lead Manager, Import/Export Leads, Pull API"
    if not account.has_key:
        return Check(name, Level.PROBLEM, "there is none.", f"Put {account.key_hint}; {where}.", True)
    lowered = account.key.lower()
    if any(word in lowered for word in _PLACEHOLDERS) or len(set(account.key)) <= _FEW_CHARACTERS:
        return Check(name, Level.PROBLEM, "it looks like a placeholder.", f"Put {account.key_hint}; {where}.", True)
    fingerprint = key_fingerprint(account.key)
    call = _last_call_with(settings, account, fingerprint)
    if call and call.outcome.rule.actor is Actor.SELLER:
        found = f"IndiaMART did not take it at {in_india(call.received_at or call.sent_at)} ({call.outcome})."
        todo = f"{call.outcome.rule.sentence} Put {account.key_hint}."
        return Check(name, Level.PROBLEM, found, todo, True)
    if account.key.strip("'\"`") != account.key:
        return Check(name, Level.WARNING, "it has a quotation mark at its end.", "Compare it with the seller panel.")
    return Check(name, Level.OK, f"set, fingerprint {fingerprint}")


def check_published(settings: Settings) -> Check:
    """Check that data/leads.duckdb is a link to a version that is there, which nobody wrote to."""
    link = settings.database
    if not link.is_symlink():
        if not link.exists():
            return Check("published database", Level.OK, "nothing is published yet; the first pull makes it")
        return Check(
            "published database",
            Level.PROBLEM,
            f"{link} is a file of its own, not the link that the pipeline makes.",
            "Move it away; the next pull makes the link.",
        )
    version = link.resolve()
    if not version.is_file():
        return Check(
            "published database",
            Level.WARNING,
            f"{link} leads to {link.readlink()}, which is gone.",
            "The next pull publishes it anew.",
        )
    if version.with_name(f"{version.name}.wal").exists():
        return Check(
            "published database",
            Level.WARNING,
            f"somebody writes, or wrote, to {link}.",
            "Open it read-only: the next version does not have what was written.",
        )
    return Check("published database", Level.OK, f"{link} leads to {link.readlink()}")


def check_locks(settings: Settings) -> Check:
    """Check whether a process holds the lock of a merge or of the store right now."""
    state = settings.state_dir
    held = [path.name for path in sorted([*state.glob("merge-*.lock"), *state.glob("store.lock")]) if _is_held(path)]
    if not held:
        return Check("locks", Level.OK, "all free")
    return Check(
        "locks",
        Level.WARNING,
        f"a process holds {', '.join(held)}: a run is merging or publishing.",
        "Nothing, while a run is going on. If none is, look for a process that hangs: its end frees the lock.",
    )


def _is_held(path: Path) -> bool:
    lock = FileLock(path, mode=0o600)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return True
    lock.release()
    return False


def check_unfinished(settings: Settings) -> list[Check]:
    """Check for work that a process left unfinished: merges, answers that are in no table, calls cut short."""
    state = settings.state_dir
    checks = [
        _waiting("merges", f"the merge in {path.name} was cut short; nothing is lost.")
        for path in sorted(state.glob("merge-*.journal.json"))
    ]
    workspace = Workspace(settings)
    if (state / "answers.sqlite").exists():
        for account in workspace.catalog.accounts():
            unmerged = len(workspace.catalog.unmerged(account))
            if unmerged:
                checks.append(
                    _waiting("answers", f"{unmerged} stored answer(s) of {account} are not in the tables yet.")
                )
    if (state / "calls.sqlite").exists():
        lapsed = [call for call in workspace.slots.in_flight() if call.lapsed]
        checks += [
            _waiting("calls", f"a call of {call.account} for {call.window} was cut short at {in_india(call.sent_at)}.")
            for call in lapsed
        ]
    return checks or [Check("unfinished work", Level.OK, "none")]


def _waiting(what: str, found: str) -> Check:
    return Check(f"unfinished {what}", Level.WARNING, found, "The account's next pull finishes it by itself.")
