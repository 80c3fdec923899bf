"""Raw responses: the bytes of every answer as received, with a sidecar of facts; both write-once.

`data/raw/<account>/<first day of the window>/<response_id>.zst` and `.json`. The name alone tells account, API,
window and time, so that an answer whose sidecar a killed process did not write can still be judged and used. An
imported answer's name ends in a mark with the start of its checksum: it is known by that wherever only names are.
"""

import hashlib
import json
import re
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import zstandard

from leads_pipeline.days import IST
from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline.indiamart.windows import CLOCK_MARGIN, Span, Window
from leads_pipeline.kill_points import reach
from leads_pipeline.storage.atomic import make_private_folder, remove_leftovers, write_atomically

_WINDOW_FORMAT = "%Y%m%dT%H%M%S"
_SENT_FORMAT = "%Y%m%dT%H%M%S%fZ"
_SEPARATOR = "."
IMPORT_MARK = f"{_SEPARATOR}import-"
"""Stands in the name of every imported answer and of no other."""
_CHECKSUM_LENGTH = 16
_MOMENTS = frozenset({"window_start", "window_end", "sent_at", "received_at", "server_date"})


class RawStoreError(Exception):
    """A raw response can't be read; the text names it and says what to do."""


@dataclass(frozen=True)
class ResponseName:
    """What the name of a raw response tells; parses from it and prints to it."""

    account: str
    source_api: str
    window: Span
    sent_at: datetime
    checksum: str = ""
    """The start of an imported document's SHA-256; empty for the answer to a call."""

    @classmethod
    def of_import(
        cls, account: str, source_api: str, window: Span, fetched_at: datetime, sha256: str
    ) -> "ResponseName":
        """Return the name of an imported answer: the same document is the same answer."""
        return cls(account, source_api, window, fetched_at, sha256[:_CHECKSUM_LENGTH])

    @property
    def response_id(self) -> str:
        """Return the name, unique since a key has one call at a time and an import its checksum."""
        of_call = _SEPARATOR.join(
            (
                self.account,
                self.source_api,
                self.window.start.astimezone(IST).strftime(_WINDOW_FORMAT),
                self.window.end.astimezone(IST).strftime(_WINDOW_FORMAT),
                self.sent_at.astimezone(UTC).strftime(_SENT_FORMAT),
            )
        )
        return f"{of_call}{IMPORT_MARK}{self.checksum}" if self.checksum else of_call

    @classmethod
    def parse(cls, response_id: str) -> "ResponseName":
        """Return the facts in the name; raise RawStoreError if it is none of ours."""
        try:
            of_call, mark, checksum = response_id.partition(IMPORT_MARK)
            account, source_api, start, end, sent = of_call.split(_SEPARATOR)
            if mark and not re.fullmatch(rf"[0-9a-f]{{{_CHECKSUM_LENGTH}}}", checksum):
                raise ValueError
            return cls(
                account,
                source_api,
                window_of(
                    response_id,
                    datetime.strptime(start, _WINDOW_FORMAT).replace(tzinfo=IST),
                    datetime.strptime(end, _WINDOW_FORMAT).replace(tzinfo=IST),
                ),
                datetime.strptime(sent, _SENT_FORMAT).replace(tzinfo=UTC),
                checksum,
            )
        except ValueError:
            raise RawStoreError(f"{response_id!r} is not the name of a raw response") from None


def is_import(response_id: str) -> bool:
    """Tell whether the answer was imported: it proves nothing of a day, and no call brought it."""
    return IMPORT_MARK in response_id


def window_of(response_id: str, start: datetime, end: datetime) -> Span:
    """Return the answer's window, which only an import may have wider than a call's."""
    return Span(start, end) if is_import(response_id) else Window(start, end)


@dataclass(frozen=True)
class RawResponse:
    """The facts of one stored answer: its sidecar. Holds no key."""

    response_id: str
    account: str
    source_api: str
    origin: str
    """Where it came from: the API's address, or `import:` and the name of the file."""
    window_start: datetime
    window_end: datetime
    sent_at: datetime
    received_at: datetime
    server_date: datetime | None
    latency_seconds: float | None
    http_status: int | None
    code: int | None
    message: str
    total_records: int | None
    records: int
    outcome: Outcome
    sha256: str
    body_bytes: int
    run_id: str
    key_fingerprint: str
    key_masked: bool
    """Whether the answer echoed the key, which is masked in the stored body."""
    recovered: bool = False
    """Whether the sidecar was made later, from the body that a killed process had stored."""

    @property
    def window(self) -> Span:
        """Return the window that was asked for; of an import the days from its first lead to its last."""
        return window_of(self.response_id, self.window_start, self.window_end)

    @property
    def proven_until(self) -> datetime:
        """Return up to when the answer can prove that days had ended: the earlier clock, less 5 minutes."""
        clocks = [self.sent_at] if self.server_date is None else [self.sent_at, self.server_date]
        return min(clocks) - CLOCK_MARGIN

    def to_json(self) -> bytes:
        """Return the sidecar's text."""
        facts = {name: _to_json_value(value) for name, value in asdict(self).items()}
        return (json.dumps(facts, indent=1, ensure_ascii=False) + "\n").encode()

    @classmethod
    def from_json(cls, text: bytes) -> "RawResponse":
        """Return the sidecar that the text holds; fields of later versions are passed over."""
        facts = json.loads(text)
        known = {field.name for field in fields(cls)}
        values: dict[str, Any] = {
            name: datetime.fromisoformat(value) if name in _MOMENTS and value is not None else value
            for name, value in facts.items()
            if name in known
        }
        return cls(**values | {"outcome": Outcome(values["outcome"])})


class RawStore:
    """The files of raw responses."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / "raw"

    def write_body(self, name: ResponseName, body: bytes) -> None:
        """Store the bytes of an answer, before anybody judges them."""
        path = self._path(name, "zst")
        make_private_folder(path.parent)
        write_atomically(path, zstandard.ZstdCompressor(level=3, write_checksum=True).compress(body))
        reach("raw:body")

    def write_sidecar(self, response: RawResponse) -> None:
        """Store the facts beside the body."""
        write_atomically(self._path(ResponseName.parse(response.response_id), "json"), response.to_json())
        reach("raw:sidecar")

    def read_body(self, response_id: str) -> bytes:
        """Return the answer's bytes; raise RawStoreError if the file is missing or damaged."""
        path = self._path(ResponseName.parse(response_id), "zst")
        try:
            return zstandard.decompress(path.read_bytes())
        except (OSError, zstandard.ZstdError) as error:
            raise RawStoreError(
                f"The raw response {path.name} can't be read ({type(error).__name__}). Restore it from a backup; "
                "without it its leads can't be rebuilt."
            ) from None

    def read_sidecar(self, response_id: str) -> RawResponse | None:
        """Return the answer's facts, or None if it has no sidecar; raise RawStoreError if that is damaged."""
        path = self._path(ResponseName.parse(response_id), "json")
        try:
            return RawResponse.from_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise RawStoreError(
                f"The sidecar {path.name} can't be read ({type(error).__name__}). Restore it from a backup, or move "
                "it away: most of its facts are made again from the body beside it."
            ) from None

    def remove_leftovers(self, response_id: str) -> None:
        """Remove what a killed process left half-written of an answer."""
        name = ResponseName.parse(response_id)
        for kind in ("zst", "json"):
            remove_leftovers(self._path(name, kind))

    def has_body(self, response_id: str) -> bool:
        """Tell whether the answer's bytes are stored."""
        return self._path(ResponseName.parse(response_id), "zst").exists()

    def response_ids(self, account: str | None = None) -> list[str]:
        """Return the names of all stored answers, by reading every folder: only to rebuild what is derived."""
        accounts = [self._folder / account] if account else sorted(self._folder.glob("*"))
        return [path.stem for folder in accounts for path in sorted(folder.glob("*/*.zst"))]

    def _path(self, name: ResponseName, kind: str) -> Path:
        first_day = name.window.start.astimezone(IST).date().isoformat()
        return self._folder / name.account / first_day / f"{name.response_id}.{kind}"


def sha256_of(body: bytes) -> str:
    """Return the checksum that a sidecar holds of its body."""
    return hashlib.sha256(body).hexdigest()


def _to_json_value(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value
