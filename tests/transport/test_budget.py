"""The account's gate, on virtual time: rate, spacing, closings, breaker, and what a restart remembers."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterator
from itertools import pairwise
from random import Random

import asyncio_throttle.throttler
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.clock import SystemClock
from app.domain.schedule import Limits
from app.transport.budget import Budget
from tests.simulation.loop import VirtualClock, virtual_time


def live(story: Callable[[VirtualClock], Awaitable[None]]) -> None:
    """Let a story happen on virtual time."""
    with virtual_time() as (loop, clock):
        loop.run_until_complete(story(clock))


def new(clock: VirtualClock, limits: Limits, window: Iterator[float] | list[float] = [], **more: bool) -> Budget:
    """A budget with its own seed."""
    return Budget(clock, Random(7), limits, list(window), **more)
