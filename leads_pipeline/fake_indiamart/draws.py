"""Random draws that are the same in every process, on every platform and in every version of Python."""

import hashlib
import random
from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


class Draws:
    """A stream of draws that depends on the given parts alone, such as seed, key and day.

    Only `Random.random` is promised to stay the same between versions of Python, so everything is made of it.
    """

    def __init__(self, *parts: object) -> None:
        digest = hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).digest()
        self._random = random.Random(int.from_bytes(digest, "big")).random  # noqa: S311 (no secret comes of it)

    def below(self, limit: int) -> int:
        """Return a whole number from 0 to limit - 1."""
        return int(self._random() * limit)

    def between(self, low: int, high: int) -> int:
        """Return a whole number from low to high, both included."""
        return low + self.below(high - low + 1)

    def chance(self, share: float) -> bool:
        """Return True in the given share of draws (0.0 never, 1.0 always)."""
        return self._random() < share

    def spread(self) -> float:
        """Return a number between -1 and 1 that is more often near 0."""
        return self._random() + self._random() - 1.0

    def pick(self, items: Sequence[Item]) -> Item:
        """Return one of the items, each equally often."""
        return items[self.below(len(items))]

    def weighted(self, items: Sequence[tuple[Item, float]]) -> Item:
        """Return one of the items by its weight."""
        point = self._random() * sum(weight for _, weight in items)
        for item, weight in items:
            point -= weight
            if point < 0:
                return item
        return items[-1][0]

    def shuffled(self, items: Sequence[Item]) -> list[Item]:
        """Return the items in a random order."""
        remaining = list(items)
        for last in range(len(remaining) - 1, 0, -1):
            other = self.below(last + 1)
            remaining[last], remaining[other] = remaining[other], remaining[last]
        return remaining

    def distinct_below(self, limit: int, count: int) -> list[int]:
        """Return `count` different whole numbers from 0 to limit - 1, in the order drawn."""
        if count > limit:
            raise ValueError(f"cannot draw {count} different numbers below {limit}")
        drawn: dict[int, None] = {}
        while len(drawn) < count:
            drawn[self.below(limit)] = None
        return list(drawn)
