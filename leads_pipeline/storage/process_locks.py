"""Tells whether the process behind a run still lives: each holds a lock of its own, which its death gives back."""

import uuid
from functools import cache
from pathlib import Path

from filelock import FileLock, Timeout

from leads_pipeline.storage.atomic import make_private_folder

PROCESS_TAG = ".dagster/leads_process"
"""The run tag that names the process that executes a run; its prefix hides it in the UI, where it is of no use."""


def _folder(state_dir: Path) -> Path:
    return state_dir / "processes"


@cache
def this_process(state_dir: Path) -> str:
    """Return this process's name; from the first call on it holds the lock of that name until it ends."""
    make_private_folder(_folder(state_dir))
    name = uuid.uuid4().hex
    lock = FileLock(_folder(state_dir) / f"{name}.lock", mode=0o600)
    lock.acquire()
    _held.append(lock)
    return name


_held: list[FileLock] = []


def is_alive(state_dir: Path, name: str) -> bool:
    """Tell whether the process of that name still runs; forget its lock if not."""
    path = _folder(state_dir) / f"{name}.lock"
    if not path.exists():
        return False
    lock = FileLock(path, mode=0o600)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return True
    path.unlink(missing_ok=True)
    lock.release()
    return False
