"""How much of what is repeated is run: `make test` runs a part, `make chaos-short` and `make chaos` run the rest.

A property is tried with a number of examples that the profile of Hypothesis scales: ``quick`` (a quarter, which is what
`make test` does), ``full``, or ``thorough`` (ten times as many); name one with ``--hypothesis-profile``.
"""

import os
from typing import Final

import pytest
from hypothesis import settings

QUICK: Final = "quick"
_FULL: Final = 100


def register_profiles() -> None:
    """Make the profiles known to Hypothesis, and load the one that `make test` uses."""
    for name, number in ((QUICK, _FULL // 4), ("full", _FULL), ("thorough", _FULL * 10)):
        settings.register_profile(name, max_examples=number, deadline=None)
    settings.load_profile(QUICK)


def examples(full: int) -> int:
    """So many examples of a property as the profile asks for, where the profile ``full`` tries that many."""
    return max(1, full * settings().max_examples // _FULL)


def seeds(always: int, chaos: int, step: int, *, variable: str) -> list[object]:
    """The first seeds of groups, as parameters: those of `make test`, then those that are marked as chaos.

    Args:
        always: so many seeds `make test` runs.
        chaos: so many seeds there are, unless the environment says otherwise.
        step: so many seeds a group has.
        variable: of the environment, with the number of all seeds.
    """
    number = int(os.environ.get(variable, chaos))
    return [
        first if first < always else pytest.param(first, marks=pytest.mark.chaos) for first in range(0, number, step)
    ]
