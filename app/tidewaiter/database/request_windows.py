"""When the recent requests of a lane were made, as the text that is stored at every renewal of its lease.

A window of a few requests is a list of times. The limit of a day may be a million requests, and a list of a million
times would take the daemon half a second to write, every few seconds. So a longer window is a list of pairs, a time and
how many requests were made in the slot that ends then: the text has a bounded length. Each request counts as made at
the end of its slot, so that it keeps its place for up to a thousandth of the period longer, and never shorter.
"""

import json
from collections.abc import Sequence
from itertools import chain, repeat
from typing import Final

_MOST_TIMES: Final = 2000
_SLOTS: Final = 1000


def window_text(stamps: Sequence[float]) -> str:
    """The text for these times, in seconds since any moment."""
    if len(stamps) <= _MOST_TIMES:
        return json.dumps(list(stamps))
    return json.dumps(_in_slots(sorted(stamps)))


def window_of(text: str) -> tuple[float, ...]:
    """The times in such a text."""
    entries = json.loads(text)
    if not entries or not isinstance(entries[0], list):
        return tuple(entries)
    return tuple(chain.from_iterable(repeat(at, requests) for at, requests in entries))


def _in_slots(stamps: Sequence[float]) -> list[tuple[float, int]]:
    width_s = (stamps[-1] - stamps[0]) / _SLOTS
    slots: list[tuple[float, int]] = []
    begins_at, last, requests = stamps[0], stamps[0], 0
    for at in stamps:
        if at > begins_at + width_s:
            slots.append((last, requests))
            begins_at, requests = at, 0
        last = at
        requests += 1
    return [*slots, (last, requests)]
