"""The files of saved answers: from paths to documents, unpacked, one in memory at a time."""

import gzip
import io
import sys
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import zstandard

from leads_pipeline.indiamart.saved_answers import NotAnAnswerError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

LARGEST_DOCUMENT = 256 * 2**20
"""Bytes of one document, unpacked: some 200,000 leads. A small file can unpack to any size."""
STANDARD_INPUT = "-"

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_BLOCK = 512  # of zstd: each of its blocks unpacks to at most 128 KiB, so that so few bytes can't fill the memory
_MIB = 2**20


class SavedFilesError(RuntimeError):
    """There is nothing to read where a path says; the text names it. Nothing was read."""


@dataclass(frozen=True)
class SavedFile:
    """One file to import."""

    name: str
    """As people know it: its path as it was given, or within the folder that was given."""
    path: Path | None
    """None for standard input."""

    @property
    def file_name(self) -> str:
        """Return the name without the way to it, which may tell more than others should know."""
        return self.path.name if self.path is not None else "standard input"

    def read(self) -> bytes:
        """Return the document, unpacked if it is gzip or zstd; NotAnAnswerError if it can't be read or is too large."""
        try:
            if self.path is None:
                return _unpacked(sys.stdin.buffer)
            with self.path.open("rb") as file:
                return _unpacked(file)
        except OSError as error:
            raise NotAnAnswerError(f"it can't be read ({type(error).__name__})") from None


def files_at(paths: Sequence[str]) -> list[SavedFile]:
    """Return the files that the paths name, those of a folder (and the folders in it) by name; hidden ones are not.

    `-` is standard input. Raises SavedFilesError if a path leads nowhere, a folder is empty, or `-` comes twice.
    """
    if paths.count(STANDARD_INPUT) > 1:
        raise SavedFilesError("Standard input (-) can be read only once. Nothing was imported.")
    return [file for path in paths for file in _at(path)]


def _at(text: str) -> list[SavedFile]:
    if text == STANDARD_INPUT:
        return [SavedFile("standard input", None)]
    path = Path(text).expanduser()
    if not path.exists():
        raise SavedFilesError(f"There is no file or folder {text}. Nothing was imported.")
    if not path.is_dir():
        return [SavedFile(text, path)]
    inside = sorted(one for one in path.rglob("*") if one.is_file() and not _is_hidden(one.relative_to(path)))
    if not inside:
        raise SavedFilesError(f"The folder {text} holds no file. Nothing was imported.")
    return [SavedFile(str(Path(text) / one.relative_to(path)), one) for one in inside]


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _unpacked(file: BinaryIO) -> bytes:
    start = file.read(len(_ZSTD))
    whole = _Rest(start, file)
    if start.startswith(_GZIP):
        return _gunzipped(whole)
    if start == _ZSTD:
        return _checked(_unzstd(whole))
    return _checked(iter(lambda: whole.read(_MIB), b""))


class _Rest(io.RawIOBase):
    """A file of which some bytes were read already; standard input can't go back."""

    def __init__(self, start: bytes, file: BinaryIO) -> None:
        self._start, self._file = start, file

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """Read as much as fits, the bytes that were read already first."""
        view = memoryview(buffer)
        data = self._start or self._file.read(len(view))
        view[: len(data)], self._start = data[: len(view)], data[len(view) :]
        return min(len(data), len(view))


def _checked(parts: Iterator[bytes]) -> bytes:
    document = bytearray()
    for part in parts:
        document += part
        if len(document) > LARGEST_DOCUMENT:
            raise NotAnAnswerError(
                f"it holds more than {LARGEST_DOCUMENT // _MIB} MiB, unpacked: more than can be imported at once. "
                "Split it"
            )
    return bytes(document)


def _gunzipped(file: _Rest) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BufferedReader(file)) as unpacked:
            return _checked(iter(lambda: unpacked.read(_MIB), b""))
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise NotAnAnswerError("its gzip packing is damaged or cut off") from None


def _unzstd(file: _Rest) -> Iterator[bytes]:
    frame = zstandard.ZstdDecompressor().decompressobj()
    is_whole = False
    while packed := file.read(_BLOCK):
        while packed:
            if is_whole:
                frame, is_whole = zstandard.ZstdDecompressor().decompressobj(), False
            try:
                yield frame.decompress(packed)
            except zstandard.ZstdError:
                raise NotAnAnswerError("its zstd packing is damaged") from None
            is_whole, packed = frame.eof, frame.unused_data
    if not is_whole:
        raise NotAnAnswerError("its zstd packing is cut off")
