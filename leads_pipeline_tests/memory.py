"""Where a test can write in memory, so that syncing files costs nothing."""

import shutil
from pathlib import Path

_MEMORY = Path("/dev/shm")  # noqa: S108 - folders of their own are made in it
_ENOUGH_BYTES = 2 * 1024**3  # containers often have 64 MB


def memory_root() -> Path | None:
    """Return the folder of this machine that lies in memory, or None if there is none with room enough."""
    return _MEMORY if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ENOUGH_BYTES else None
