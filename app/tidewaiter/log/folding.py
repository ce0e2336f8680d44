"""Folding: a line that is repeated soon after is counted, and printed again with the count."""

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Final

_FIRST_S: Final = 60.0
# With a heartbeat's minute, a lasting error still prints a line within the 5 minutes that alert rules look at.
_LONGEST_S: Final = 180.0
_MOST_FOLDS: Final = 4096


@dataclass(slots=True)
class _Fold:
    """A line that was printed, and how often it was repeated since."""

    name: str
    fields: Mapping[str, object]
    lasts_s: float
    repeated: int = 0


class Folds:
    """Lines that were printed not long ago.

    The first fold of a line lasts for a minute. If the line was repeated meanwhile, it is printed with the number, and
    the next fold lasts twice as long, up to three minutes; otherwise it is forgotten.

    Args:
        put: prints a line that ends a fold.
    """

    def __init__(self, put: Callable[[str, Mapping[str, object]], None]) -> None:
        self._put = put
        self._folds: dict[object, _Fold] = {}
        self._ends: list[tuple[float, int, object]] = []  # a heap; the number makes each entry comparable
        self._numbers = count()

    def __len__(self) -> int:
        """The number of folds."""
        return len(self._folds)

    def folded(self, key: object, name: str, fields: Mapping[str, object], now: float) -> bool:
        """Whether a line is counted instead of being printed; otherwise later ones with its key are."""
        fold = self._folds.get(key)
        if fold is not None:
            fold.fields = fields
            fold.repeated += 1
            return True
        self._begin(key, _Fold(name, fields, _FIRST_S), now)
        return False

    def end_due(self, now: float) -> None:
        """Print what was repeated in the folds that are over."""
        while self._ends and (self._ends[0][0] <= now or len(self._folds) > _MOST_FOLDS):
            key = heapq.heappop(self._ends)[2]
            fold = self._folds.pop(key)
            if fold.repeated:
                self._put(fold.name, {**fold.fields, "repeated": fold.repeated})
                self._begin(key, _Fold(fold.name, fold.fields, min(2 * fold.lasts_s, _LONGEST_S)), now)

    def end_all(self, name: str | None = None) -> None:
        """Print what was repeated so far, of all lines or of those with this name, and forget them."""
        ended = [key for key, fold in self._folds.items() if name in (None, fold.name)]
        if not ended:
            return
        folds = [self._folds.pop(key) for key in ended]
        self._ends = [entry for entry in self._ends if entry[2] in self._folds]
        heapq.heapify(self._ends)
        for fold in folds:
            if fold.repeated:
                self._put(fold.name, {**fold.fields, "repeated": fold.repeated})

    def _begin(self, key: object, fold: _Fold, now: float) -> None:
        self._folds[key] = fold
        heapq.heappush(self._ends, (now + fold.lasts_s, next(self._numbers), key))
