"""Files that are whole or absent: written aside, synced, renamed; for the owner only."""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700

_SYNCERS = 8
"""Files whose bytes are waited for at the same time: the disk takes several in hardly more time than one."""


def make_private_folder(path: Path) -> None:
    """Create the folder and its missing parents for the owner only (0700); an existing one is left as it is."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)


def write_atomically(path: Path, data: bytes) -> None:
    """Write the file so that a reader, or a crash at any moment, sees the old content or all of the new."""
    with atomic_file(path) as file:
        file.write(data)


def write_all_atomically(contents: Mapping[Path, bytes]) -> None:
    """Write many files, each as `write_atomically` does, but wait for the disk once for all of them.

    Each file is whole at any moment; a crash can leave some of them new and others old. If it fails, no unfinished
    file is left.
    """
    folders = {path.parent for path in contents}
    for folder in folders:
        _remove_leftovers_of(folder, {path.name for path in contents if path.parent == folder})
    temporaries = {_temporary(path): path for path in contents}
    try:
        for temporary, path in temporaries.items():
            write_unsynced(temporary, contents[path])
        sync_all(temporaries)
        for temporary, path in temporaries.items():
            temporary.replace(path)
    except BaseException:
        for temporary in temporaries:
            temporary.unlink(missing_ok=True)
        raise
    sync_all(folders)


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file (0600) that takes the path's place, synced, when the block ends; if it fails, nothing is left."""
    remove_leftovers(path)
    temporary = _temporary(path)
    try:
        with _synced_file(temporary) as file:
            yield file
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def remove_leftovers(path: Path) -> None:
    """Remove what processes that were killed while they wrote this file left beside it: it can hold buyers' data."""
    _remove_leftovers_of(path.parent, {path.name})


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def _remove_leftovers_of(folder: Path, names: Collection[str]) -> None:
    for leftover in folder.glob(".*.*.tmp"):
        name, writer, _ = leftover.name.removeprefix(".").rsplit(".", 2)
        if name in names and not (writer.isdecimal() and _is_alive(int(writer))):
            leftover.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def write_synced(path: Path, data: bytes) -> None:
    """Write a file (0600) and wait until its bytes are on the disk; not atomic by itself."""
    with _synced_file(path) as file:
        file.write(data)


def write_unsynced(path: Path, data: bytes) -> None:
    """Write a file (0600) whose bytes may be lost in a crash until `sync_all` has waited for them."""
    with _private_file(path) as file:
        file.write(data)


@contextmanager
def _private_file(path: Path) -> Iterator[BinaryIO]:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_FILE)
    with os.fdopen(descriptor, "wb") as file:
        yield file


@contextmanager
def _synced_file(path: Path) -> Iterator[BinaryIO]:
    with _private_file(path) as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def sync_all(paths: Iterable[Path]) -> None:
    """Wait until the bytes of these files, and the entries of these folders, are on the disk."""
    distinct = sorted(set(paths))
    if len(distinct) == 1:
        sync_file(distinct[0])
        return
    with ThreadPoolExecutor(_SYNCERS) as syncers:
        list(syncers.map(sync_file, distinct))


def sync_folder(path: Path) -> None:
    """Wait until the folder's entries (creations, renames) are on the disk."""
    sync_file(path)


def sync_file(path: Path) -> None:
    """Wait until the file's bytes are on the disk, whoever wrote them."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
