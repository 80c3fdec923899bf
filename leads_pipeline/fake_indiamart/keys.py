"""The keys that the server knows: whose they are, and which have died."""

import hashlib
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType

from leads_pipeline.fake_indiamart.rules import Refusal

HISTORY_WAIT = timedelta(hours=24)


@dataclass(frozen=True)
class _Key:
    seller: str
    api: str = "v2"
    made_at: datetime | None = None
    last_used_at: datetime | None = None
    refusal: Refusal | None = None
    replaced_at: datetime | None = None


class KeyRing:
    """Checks keys and remembers their use.

    A seller is named by their first key and keeps their leads when the key is replaced. A key is for one API:
    `v1_keys` gives for each of v1's the seller's key for v2, and `mobile` is the number that goes with all of them.
    Keys in `expired` are refused as unused for too long; with `unused_after`, so is every key that was not used for
    that long.
    """

    def __init__(
        self,
        keys: Iterable[str],
        *,
        expired: Iterable[str] = (),
        unused_after: timedelta | None = None,
        made_at: datetime | None = None,
        v1_keys: Mapping[str, str] = MappingProxyType({}),
        mobile: str = "",
    ) -> None:
        self._lock = threading.Lock()
        self._mobile = mobile
        self._unused_after = unused_after
        self._keys = {key: _Key(key, made_at=made_at) for key in keys}
        self._keys |= {key: _Key(seller, "v1", made_at) for key, seller in v1_keys.items()}
        self._keys |= {key: _Key(key, made_at=made_at, refusal=Refusal.KEY_EXPIRED) for key in expired}

    def check(self, key: str, now: datetime, api: str = "v2", mobile: str = "") -> Refusal | None:
        """Return why the key is refused by the API, or None; an accepted key counts as used now."""
        with self._lock:
            known = self._keys.get(key)
            if known is None or known.api != api or (api == "v1" and mobile != self._mobile):
                return Refusal.KEY_INCORRECT
            if known.refusal is not None:
                return known.refusal
            unused_since = known.last_used_at or known.made_at
            if self._unused_after and unused_since and now - unused_since > self._unused_after:
                self._keys[key] = replace(known, refusal=Refusal.KEY_EXPIRED)
                return Refusal.KEY_EXPIRED
            self._keys[key] = replace(known, last_used_at=now)
            return None

    def seller(self, key: str) -> str:
        """Return the seller that a known key belongs to."""
        return self._keys[key].seller

    def history_from(self, key: str, now: datetime) -> datetime | None:
        """Return the moment before which the key sees no leads yet, or None when it sees everything.

        Leads older than a key become available 24 hours after the key was made.
        """
        made_at = self._keys[key].made_at
        return made_at if made_at is not None and now < made_at + HISTORY_WAIT else None

    def replaced_at(self, key: str) -> datetime | None:
        """Return when a newer key replaced this one, or None."""
        known = self._keys.get(key)
        return known.replaced_at if known else None

    def replace(self, old: str, new: str, now: datetime) -> None:
        """Make a new key for the old one's seller, as the seller panel does: the old one is dead from now on."""
        with self._lock:
            known = self._keys[old]
            self._keys[new] = _Key(known.seller, known.api, made_at=now)
            self._keys[old] = replace(known, refusal=Refusal.KEY_REPLACED, replaced_at=now)


def fingerprint(key: str) -> str:
    """Return 12 hex digits that tell keys apart without showing them."""
    return hashlib.sha256(key.encode()).hexdigest()[:12]
