"""Publishing: copies of the store as numbered versions, and the link `leads.duckdb` that leads to the newest.

A version is written once, for reading only. The program never opens nor copies one again: people may have written
to it, in spite of its mode. DuckDB resolves the link, so each version keeps its own `.wal` and whoever has an old
version open keeps reading it, while who connects next gets the new one.
"""

import grp
import logging
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from leads_pipeline.kill_points import reach
from leads_pipeline.storage.atomic import make_private_folder, sync_file, sync_folder
from leads_pipeline.storage.errors import StorageError
from leads_pipeline.storage.following import AccountDay
from leads_pipeline.storage.mirror import StoreMirror
from leads_pipeline.storage.store import Sources, refresh, store_path

log = logging.getLogger(__name__)

LINK_NAME = "leads.duckdb"
FOLDER_NAME = "published"
VERSIONS_KEPT = 3
_NUMBERED = re.compile(r"(\d+)\.duckdb(\..+)?")  # a version, or what a client left beside it (.wal)
_VERSION = re.compile(r"(\d+)\.duckdb")


@dataclass(frozen=True)
class PublishResult:
    """What is published now."""

    version: int
    path: Path
    """The link that analysts open."""
    published: bool
    """Whether this is a new version; False when nothing had changed."""
    changed_days: tuple[AccountDay, ...]
    leads: int
    quarantined: int
    api_calls: int


def refresh_and_publish(
    data_dir: Path,
    sources: Sources,
    *,
    group: str | None = None,
    rebuild: bool = False,
    lock_seconds: float = 600.0,
) -> PublishResult:
    """Bring the store up to date and publish it, unless nothing changed and the link is good.

    `group` is the analysts' Unix group, which then reads the published database and nothing else. With `rebuild` the
    store is made from nothing, which also drops calls that the call log has forgotten. Takes each account's merge
    lock: never call it while holding one.
    StorageError when the link is no link, the group is unknown, or another process holds the lock too long.
    """
    group_id = _group_id(group)
    make_private_folder(data_dir / "state")
    versions = PublishedVersions(data_dir)
    mirror = StoreMirror(store_path(data_dir))
    with _locked(data_dir / "state" / "store.lock", lock_seconds) as stack:
        versions.check_link()
        live = versions.live()
        following = versions.highest() + 1
        state = refresh(data_dir, sources, live, following, rebuild=rebuild)
        if state.needs_publishing:
            versions.publish(mirror, following, group_id)
        versions.open_to(group_id)
        if state.needs_publishing:
            mirror.renew(versions.remove_old, stack.pop_all().close)
        else:
            versions.remove_old()
    return PublishResult(
        version=following if state.needs_publishing or live is None else live,
        path=versions.link,
        published=state.needs_publishing,
        changed_days=state.changed_days,
        leads=state.leads,
        quarantined=state.quarantined,
        api_calls=state.api_calls,
    )


@dataclass(frozen=True)
class PublishedVersions:
    """The numbered versions under `published/` and the link to the live one. The caller holds the store's lock."""

    data_dir: Path

    @property
    def link(self) -> Path:
        """Return the path of the link."""
        return self.data_dir / LINK_NAME

    @property
    def folder(self) -> Path:
        """Return the folder of the versions."""
        return self.data_dir / FOLDER_NAME

    def path(self, version: int) -> Path:
        """Return the path of a version."""
        return self.folder / f"{version}.duckdb"

    def check_link(self) -> None:
        """Raise StorageError when something that is no link stands where the link belongs."""
        if self.link.exists() and not self.link.is_symlink():
            raise StorageError(
                f"{self.link} is not the link that this program makes to the published database; "
                "move it away, then run again"
            )

    def live(self) -> int | None:
        """Return the version that the link leads to, or None when it leads to none that is there."""
        version = self._linked()
        return version if version is not None and self.path(version).is_file() else None

    def highest(self) -> int:
        """Return the highest number ever seen here, 0 if there is none; also of a left-over `.wal`."""
        numbers = [int(match[1]) for name in self._names() if (match := _NUMBERED.fullmatch(name))]
        return max([*numbers, self._linked() or 0])

    def publish(self, mirror: StoreMirror, version: int, group_id: int | None) -> None:
        """Copy the closed store to a new version and lead the link to it."""
        if mirror.store.with_name(f"{mirror.store.name}.wal").exists():
            raise StorageError("the store was not closed: it has changes outside its file")
        make_private_folder(self.folder)
        temporary = self.folder / f".{version}.duckdb.tmp"
        mirror.give(temporary)
        sync_file(temporary)
        _set_access(temporary, group_id, alone=0o400, shared=0o440)
        temporary.replace(self.path(version))
        sync_folder(self.folder)
        reach("publish:copied")
        new_link = self.link.with_name(f".{LINK_NAME}.link")
        new_link.unlink(missing_ok=True)
        new_link.symlink_to(Path(FOLDER_NAME) / f"{version}.duckdb")
        reach("publish:before_link")
        new_link.replace(self.link)
        reach("publish:after_link")
        sync_folder(self.data_dir)
        log.info("published version=%d", version)

    def open_to(self, group_id: int | None) -> None:
        """Let the group (or nobody) read the published versions, and pass through the data folder to them."""
        _set_access(self.folder, group_id, alone=0o700, shared=0o750)
        if group_id is not None:
            mode = self.data_dir.stat().st_mode & 0o777
            _set_access(self.data_dir, group_id, alone=mode, shared=mode | 0o010)
        for name in self._names():
            if _VERSION.fullmatch(name):
                _set_access(self.folder / name, group_id, alone=0o400, shared=0o440)

    def remove_old(self) -> None:
        """Remove all but the last versions, with what clients left beside them, and half-written ones."""
        versions = sorted({int(match[1]) for name in self._names() if (match := _NUMBERED.fullmatch(name))})
        kept = set(versions[-VERSIONS_KEPT:]) | {self._linked()}
        for name in self._names():
            match = _NUMBERED.fullmatch(name)
            if (match and int(match[1]) not in kept) or name.endswith(".duckdb.tmp"):
                (self.folder / name).unlink(missing_ok=True)
        sync_folder(self.folder)

    def _linked(self) -> int | None:
        if not self.link.is_symlink():
            return None
        target = self.link.readlink()
        match = _VERSION.fullmatch(target.name)
        return int(match[1]) if match and target.parent == Path(FOLDER_NAME) else None

    def _names(self) -> list[str]:
        return sorted(file.name for file in self.folder.iterdir()) if self.folder.is_dir() else []


def _set_access(path: Path, group_id: int | None, *, alone: int, shared: int) -> None:
    status = path.stat()
    if group_id is not None and status.st_gid != group_id:
        try:
            os.chown(path, -1, group_id)
        except PermissionError:
            problem = f"cannot give {path} to the group of analysts: the user who runs this must be a member"
            raise StorageError(problem) from None
    wanted = alone if group_id is None else shared
    if status.st_mode & 0o777 != wanted:
        path.chmod(wanted)


def _group_id(group: str | None) -> int | None:
    if group is None:
        return None
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise StorageError(f"this machine has no group named {group} (LEADS_PUBLISHED_GROUP)") from None


@contextmanager
def _locked(path: Path, seconds: float) -> Iterator[ExitStack]:
    """Hold the lock; whoever takes the yielded stack's duty to give it back may do so later, in another thread."""
    with ExitStack() as stack:
        try:
            lock = FileLock(path, mode=0o600, thread_local=False)
            lock.acquire(timeout=seconds)
        except Timeout:
            raise StorageError(f"another process has been refreshing the database for {seconds:g} s") from None
        stack.callback(lock.release)
        yield stack
