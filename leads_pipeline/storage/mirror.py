"""A second copy of a large store, so that publishing the next version writes what changed and not all of it.

A published file belongs to its readers and is never written again, so each version needs a file of its own. Where
files can't share blocks (ext4), copying gigabytes takes many seconds. So the copy is made beforehand: once a version
is published, a thread copies the store to `state/mirror.duckdb`; the next publish changes the few blocks in which the
store differs by now, and that file becomes the version. Without a mirror, as after a kill, the store is copied whole.
"""

import logging
import os
import shutil
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from leads_pipeline.kill_points import reach

log = logging.getLogger(__name__)

MIRROR_THREAD = "store mirror"
"""The name of the thread that copies."""

_WORTH_IT_BYTES = 64 * 2**20
"""Smaller stores are copied in a moment."""

# A DuckDB file: three headers, then blocks that begin with the checksum of what is in them.
_HEADERS_BYTES = 3 * 4096
_BLOCK_BYTES = 262_144
_BLOCK_SIZE_PLACES = (4096 + 40, 2 * 4096 + 40)
_CHECKSUM_BYTES = 8


@dataclass(frozen=True)
class StoreMirror:
    """The second copy of one store. The caller holds the store's lock."""

    store: Path

    @property
    def path(self) -> Path:
        """Return the path of the mirror, which need not exist."""
        return self.store.with_name("mirror.duckdb")

    def give(self, target: Path) -> None:
        """Make the target a copy of the closed store, readable by the owner only and not synced yet."""
        target.unlink(missing_ok=True)
        if not self._give_mirror(target):
            descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            os.close(descriptor)
            shutil.copyfile(self.store, target)

    def renew(self, first: Callable[[], None], release: Callable[[], None]) -> None:
        """Do something first, then copy the store again, for large stores in a thread that the process waits for.

        Until `release`, which is called in the end whatever happens, nobody may change the store. A small store
        gets no mirror.
        """
        if self.store.stat().st_size >= _WORTH_IT_BYTES:
            Thread(target=self._renew, args=[first, release], name=MIRROR_THREAD).start()
            return
        try:
            self.path.unlink(missing_ok=True)
            first()
        finally:
            release()

    def _renew(self, first: Callable[[], None], release: Callable[[], None]) -> None:
        unfinished = self.path.with_name(f".{self.path.name}.tmp")
        try:
            first()
            descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            try:
                shutil.copyfile(self.store, unfinished)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            reach("mirror:copied")
            unfinished.replace(self.path)
        except OSError as error:
            log.warning("no mirror of the store kind=%s: the next version is copied whole", type(error).__name__)
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)
        finally:
            release()

    def _give_mirror(self, target: Path) -> bool:
        try:
            self.path.replace(target)
            reach("mirror:given")
            update_copy(target, self.store)
        except (OSError, ValueError):
            target.unlink(missing_ok=True)
            return False
        return True


def update_copy(copy: Path, store: Path) -> int:
    """Make an older copy of a store equal to it; return how many bytes were written.

    ValueError if the files are no DuckDB files with blocks of the usual size.
    """
    with store.open("rb", buffering=0) as source, copy.open("r+b", buffering=0) as target:
        new, old = source.fileno(), target.fileno()
        _check_blocks(new)
        _check_blocks(old)
        size = os.fstat(new).st_size
        os.ftruncate(old, size)
        written = _copy_bytes(new, old, 0, _HEADERS_BYTES)
        for place in range(_HEADERS_BYTES, size, _BLOCK_BYTES):
            if os.pread(new, _CHECKSUM_BYTES, place) != os.pread(old, _CHECKSUM_BYTES, place):
                written += _copy_bytes(new, old, place, _BLOCK_BYTES)
    return written


def _check_blocks(descriptor: int) -> None:
    for place in _BLOCK_SIZE_PLACES:
        found = os.pread(descriptor, _CHECKSUM_BYTES, place)
        if len(found) != _CHECKSUM_BYTES or struct.unpack("<Q", found)[0] not in (0, _BLOCK_BYTES):
            raise ValueError("the blocks of the store are of another size")


def _copy_bytes(source: int, target: int, place: int, count: int) -> int:
    return os.pwrite(target, os.pread(source, count, place), place)
