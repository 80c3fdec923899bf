"""Reads files that hold one secret: small texts that nobody but their owner may read."""

import stat
from pathlib import Path

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_LARGEST = 65_536


class PrivateFileError(Exception):
    """The file can't be used; the text names it, says why and what to do, and holds nothing of it."""


def read_private_file(path: Path) -> str | None:
    """Return the file's text without blanks around it; None if there is no such file."""
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            raise PrivateFileError(f"{path} is no file")
        if mode & _OTHERS:
            raise PrivateFileError(f"other users of this machine may read {path}: run `chmod 600 {path}`")
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise PrivateFileError(f"{path} can't be read ({type(error).__name__})") from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise PrivateFileError(f"{path} is no text in UTF-8") from None
    if len(content) > _LARGEST:
        raise PrivateFileError(f"{path} is too large to be this")
    return text.strip()
